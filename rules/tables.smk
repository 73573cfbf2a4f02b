rule tables:
    """Tidy CSVs of a study: a row per run, per curve and level, per source, target and level, per layer."""
    input:
        runs=[f"{run}/metrics.json" for run in study.runs(study.curves)],
        masks=study.next_masks(),
    output:
        runs=f"results/tables/{study.name}/runs.csv",
        summary=report(
            f"results/tables/{study.name}/summary.csv",
            caption="../report/summary.rst",
            category=study.name,
            subcategory="tables",
        ),
        transfer=f"results/tables/{study.name}/transfer.csv",
        layers=f"results/tables/{study.name}/layers.csv",
    log:
        f"results/logs/tables/{study.name}.log",
    conda:
        "../envs/plot.yaml"
    params:
        asked=study.asked(),
        code=code_of("tables"),
    script:
        "../workflow_scripts/tables.py"
