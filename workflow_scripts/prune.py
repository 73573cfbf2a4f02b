"""Rule prune: see lottery.stages.prune. Imports no torch."""

from lottery.logs import run_logged
from lottery.stages import prune

run_logged(
    snakemake.log[0],
    prune,
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
