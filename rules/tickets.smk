rule train_ticket:
    """A ticket made from a lineage's mask, trained: carried to another task, or a control."""
    input:
        unpack(ticket_input),
    output:
        metrics="results/ticket/{task}/{source}/{recipe}/{ticket}/seed{seed}/level{level}/metrics.json",
        curve="results/ticket/{task}/{source}/{recipe}/{ticket}/seed{seed}/level{level}/curve.csv",
    log:
        "results/logs/ticket/{task}/{source}/{recipe}/{ticket}/seed{seed}/level{level}.log",
    benchmark:
        "results/benchmarks/ticket/{task}/{source}/{recipe}/{ticket}/seed{seed}/level{level}.tsv"
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
            w.ticket,
            source=w.source,
            recipe=w.recipe,
            rewind=study.recipes[w.recipe]["rewind"],
        ),
    script:
        "../workflow_scripts/train_ticket.py"


rule train_random:
    """The random ticket of a target, shared by all sources and by all recipes of one ladder."""
    input:
        unpack(lambda w: data_input(w.task)),
    output:
        metrics="results/random/{task}/{ladder}/seed{seed}/level{level}/metrics.json",
        curve="results/random/{task}/{ladder}/seed{seed}/level{level}/curve.csv",
    log:
        "results/logs/random/{task}/{ladder}/seed{seed}/level{level}.log",
    benchmark:
        "results/benchmarks/random/{task}/{ladder}/seed{seed}/level{level}.tsv"
    wildcard_constraints:
        ladder=one_of(LADDERS),
    conda:
        "../envs/train.yaml"
    threads: lambda w: study.resources[w.task]["threads"]
    resources:
        **asks(),
    params:
        settings=lambda w: training_settings(
            study.tasks[w.task], int(w.seed), int(w.level), "random", pruning=LADDERS[w.ladder]
        ),
    script:
        "../workflow_scripts/train_random.py"
