"""Rule tables: see lottery.tables.write_tables."""

from lottery.logs import run_logged
from lottery.tables import write_tables

run_logged(
    snakemake.log[0],
    write_tables,
    study=snakemake.params.study,
    rows=snakemake.params.rows,
    outputs=dict(snakemake.output.items()),
)
