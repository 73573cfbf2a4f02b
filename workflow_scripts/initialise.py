"""Rule initialise: see lottery.stages.initialise."""

from lottery.warm import run_stage

run_stage(
    "initialise",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
