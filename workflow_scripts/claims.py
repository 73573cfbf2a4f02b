"""Rule claims: see lottery.claims.grade_claims."""

from lottery.claims import grade_claims
from lottery.logs import run_logged

run_logged(
    snakemake.log[0],
    grade_claims,
    study=snakemake.params.study,
    claims=snakemake.params.claims,
    seeds=snakemake.params.seeds,
    tables=dict(snakemake.input.items()),
    outputs=dict(snakemake.output.items()),
)
