"""Rule train_dense: see lottery.stages.train_dense."""

from lottery.warm import run_stage

run_stage(
    "train_dense",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
