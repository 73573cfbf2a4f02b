"""Rule figure: see lottery.figures.draw."""

from lottery.figures import draw
from lottery.logs import run_logged

run_logged(
    snakemake.log[0],
    draw,
    figure=snakemake.params.figure,
    curves=snakemake.params.curves,
    inputs=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
