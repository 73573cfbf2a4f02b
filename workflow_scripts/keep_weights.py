"""Rule keep_weights: see lottery.stages.keep_weights."""

from lottery.warm import run_stage

run_stage(
    "keep_weights",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
