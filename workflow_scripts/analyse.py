"""Rule analyse: see lottery.stages.analyse."""

from lottery.warm import run_stage

run_stage(
    "analyse",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
