rule asked:
    """What a study asks for, under a name of its own: without Snakemake's records too, tables that were made for
    another config are made again."""
    output:
        asked=ASKED,
    log:
        addresses.log(f"{addresses.tables(study.name)}/asked"),
    run:
        write_json(output.asked, study.asked())


rule tables:
    """Tidy CSVs of a study: a row per run, per curve and level, per source, target and level, per layer,
    and per group of tasks where a figure is over tasks."""
    input:
        runs=[file(run, "metrics") for run in study.runs(study.curves)],
        next_level=study.next_level(),
        asked=ASKED,
    output:
        **{name: path for name, path in TABLES.items() if name == "tasks"},
        runs=TABLES["runs"],
        summary=report(
            TABLES["summary"],
            caption="../report/summary.rst",
            category=study.name,
            subcategory="tables",
        ),
        transfer=TABLES["transfer"],
        layers=TABLES["layers"],
    log:
        addresses.log(addresses.tables(study.name)),
    conda:
        "../envs/plot.yaml"
    params:
        asked=study.asked(),
        code=code_of("tables", "belonging", "over_tasks"),
    script:
        "../workflow_scripts/tables.py"
