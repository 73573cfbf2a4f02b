for _task in study.tasks:

    rule:
        """The dense run of a task and seed: level 0 of all its lineages, and their rewind points."""
        name:
            f"train_dense_{_task}"
        input:
            **data_input(_task),
        output:
            init=f"results/dense/{_task}/seed{{seed}}/init.safetensors",
            weights=f"results/dense/{_task}/seed{{seed}}/weights.safetensors",
            metrics=f"results/dense/{_task}/seed{{seed}}/metrics.json",
            curve=f"results/dense/{_task}/seed{{seed}}/curve.csv",
            points=[
                f"results/dense/{_task}/seed{{seed}}/{point}{kind}.safetensors"
                for point in study.tasks[_task]["rewind_points"]
                for kind in ("", ".optimizer")
            ],
        log:
            f"results/logs/dense/{_task}/seed{{seed}}.log",
        benchmark:
            f"results/benchmarks/dense/{_task}/seed{{seed}}.tsv"
        priority: 1  # the chain of a lineage is what a study waits for
        conda:
            "../envs/train.yaml"
        threads: study.resources[_task]["threads"]
        resources:
            **asks(_task),
        params:
            settings=lambda w, task=study.tasks[_task]: training_settings(task, int(w.seed), 0, "dense"),
        script:
            "../workflow_scripts/train_dense.py"


rule train_level:
    """One level of a lineage: the winning ticket, trained on its own task."""
    input:
        unpack(level_input),
    output:
        weights=temp("results/lineage/{task}/{recipe}/seed{seed}/level{level}/weights.safetensors"),
        metrics="results/lineage/{task}/{recipe}/seed{seed}/level{level}/metrics.json",
        curve="results/lineage/{task}/{recipe}/seed{seed}/level{level}/curve.csv",
    log:
        "results/logs/lineage/{task}/{recipe}/seed{seed}/level{level}.log",
    benchmark:
        "results/benchmarks/lineage/{task}/{recipe}/seed{seed}/level{level}.tsv"
    wildcard_constraints:
        recipe=one_of(set(study.recipes) - set(KEPT)),
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: lambda w: study.resources[w.task]["threads"]
    resources:
        **asks(),
    params:
        settings=lambda w: training_settings(
            study.tasks[w.task],
            int(w.seed),
            int(w.level),
            "winning",
            recipe=w.recipe,
            rewind=study.recipes[w.recipe]["rewind"],
        ),
    script:
        "../workflow_scripts/train_level.py"


use rule train_level as train_level_kept with:
    output:
        weights="results/lineage/{task}/{recipe}/seed{seed}/level{level}/weights.safetensors",
        metrics="results/lineage/{task}/{recipe}/seed{seed}/level{level}/metrics.json",
        curve="results/lineage/{task}/{recipe}/seed{seed}/level{level}/curve.csv",
    wildcard_constraints:
        recipe=one_of(KEPT),
