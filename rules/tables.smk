rule tables:
    """Tidy CSVs of a study: a row per run, a row per curve and level, a row per layer."""
    input:
        runs=sorted({f"{folder}/metrics.json" for c in study.curves.values() for *_, folder in study.runs(c)}),
        masks=study.next_masks(),
    output:
        runs=f"results/tables/{study.name}/runs.csv",
        summary=f"results/tables/{study.name}/summary.csv",
        layers=f"results/tables/{study.name}/layers.csv",
    log:
        f"results/logs/tables/{study.name}.log",
    conda:
        "../envs/plot.yaml"
    params:
        study=study.name,
        rows=study.rows(),
        code=code_of("tables"),
    script:
        "../workflow_scripts/tables.py"
