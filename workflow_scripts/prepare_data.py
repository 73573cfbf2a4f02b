"""Rule prepare_data: see lottery.stages.prepare_data."""

from lottery.logs import run_here
from lottery.stages import prepare_data

run_here(
    snakemake.log[0],
    prepare_data,
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
