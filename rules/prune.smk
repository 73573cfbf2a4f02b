rule prune:
    """The mask of a level, from the training of the level before; one-shot, from the dense run."""
    input:
        unpack(prune_input),
    output:
        mask="results/lineage/{task}/{recipe}/seed{seed}/level{level}/mask.npz",
        report="results/lineage/{task}/{recipe}/seed{seed}/level{level}/pruning.json",
    log:
        "results/logs/prune/{task}/{recipe}/seed{seed}/level{level}.log",
    priority: 1
    conda:
        "../envs/prune.yaml"
    params:
        settings=lambda w: {
            "version": RESULTS_VERSION,
            "pruning": pruning_of(study.recipes[w.recipe]),
            "seed": int(w.seed),
            "level": int(w.level),
        },
    script:
        "../workflow_scripts/prune.py"
