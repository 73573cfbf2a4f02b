"""Rule train_ticket: see lottery.stages.train_ticket."""

from lottery.warm import run_stage

run_stage(
    "train_ticket",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
