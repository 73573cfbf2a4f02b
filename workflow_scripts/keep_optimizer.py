"""Rule keep_optimizer: see lottery.stages.keep_optimizer."""

from lottery.warm import run_stage

run_stage(
    "keep_optimizer",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
