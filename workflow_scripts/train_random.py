"""Rule train_random: see lottery.stages.train_random."""

from lottery.warm import run_stage

run_stage(
    "train_random",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
