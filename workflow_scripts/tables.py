"""Rule tables: see lottery.tables.write_tables."""

from lottery.logs import run_logged
from lottery.tables import write_tables

run_logged(
    snakemake.log[0],
    write_tables,
    asked=snakemake.params.asked,
    outputs=dict(snakemake.output.items()),
)
