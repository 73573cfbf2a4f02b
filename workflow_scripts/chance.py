"""Rule chance: see lottery.stages.chance."""

from lottery.logs import run_here
from lottery.stages import chance

run_here(
    snakemake.log[0],
    chance,
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
