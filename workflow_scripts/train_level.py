"""Rule train_level: see lottery.stages.train_level."""

from lottery.warm import run_stage

run_stage(
    "train_level",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
