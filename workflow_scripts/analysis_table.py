"""Rule analysis_table: see lottery.analysed.make_table."""

from lottery.analysed import make_table
from lottery.logs import run_logged

run_logged(
    snakemake.log[0],
    make_table,
    asked=snakemake.params.asked,
    entry=snakemake.params.entry,
    runs=snakemake.input.runs,
    output=snakemake.output.table,
)
