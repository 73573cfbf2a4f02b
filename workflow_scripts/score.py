"""Rule score: see lottery.stages.score."""

from lottery.warm import run_stage

run_stage(
    "score",
    log=snakemake.log[0],
    settings=snakemake.params.settings,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
