"""Rule tables: see lottery.tables.make_tables."""

from lottery.logs import run_logged
from lottery.tables import make_tables

run_logged(
    snakemake.log[0],
    make_tables,
    asked=snakemake.params.asked,
    mine=snakemake.input.asked,
    outputs=dict(snakemake.output.items()),
)
