from snakemake.utils import min_version

min_version("9.0")


include: "rules/study_file.smk"


# a study named by --configfile stands alone: nothing of the default one is mixed into it
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.current_basedir}/config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/prune.smk"
include: "rules/tickets.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/analyses.smk"
include: "rules/claims.smk"


rule all:
    default_target: True
    input:
        asked=ASKED,  # missing after a change of config: the tables are then made again, records or none
        tables=table_paths(),
        figures=figure_paths(),
        analyses=analysis_paths(),
        claims=claim_paths(),
        weights=weight_paths(),


localrules:
    all,
    prepare_data,
    prepare_data_folder,
    prune,
    asked,
    tables,
    figure,
    analysis_table,
    analysis_figure,
    claims,


ending = endings.Ending(workflow, logger)


onstart:
    ending.watch()
    # by its default of 100 jobs a second Snakemake looks for jobs again a second after it did, once more for each
    # job that ended: hundreds of times a second in the end
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    if workflow.local_exec:
        warm.start()


if workflow.remote_exec:
    warm.join()


onerror:
    ending.tell()
    if workflow.is_main_process:
        try:
            from lottery.partial import write_partial

            print(write_partial(study), file=sys.stderr)
        except Exception as error:  # this never hides what has failed
            print(f"No partial tables: {type(error).__name__}: {error}", file=sys.stderr)


onsuccess:
    ending.tell()
    print(f"Figures: {addresses.figure(study.name, '')}  Tables: {addresses.tables(study.name)}/")
    if study.claims:
        print(f"Claims, graded: {CLAIMS['page']}")
