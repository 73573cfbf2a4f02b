rule claims:
    """The claims that a study states, graded from its tables: claims.csv, and a page to read."""
    input:
        **ANALYSED,
        runs=TABLES["runs"],
        layers=TABLES["layers"],
    output:
        claims=CLAIMS["claims"],
        page=report(
            CLAIMS["page"],
            caption="../report/claims.rst",
            category=study.name,
            subcategory="claims",
        ),
    log:
        addresses.log(f"{addresses.tables(study.name)}/claims"),
    conda:
        "../envs/plot.yaml"
    params:
        study=study.name,
        claims=study.claims,
        seeds=study.seeds,
        code=code_of("claims", "statistics"),
    script:
        "../workflow_scripts/claims.py"
