rule prune:
    """The mask of a level, from the training of the level before; one-shot, from the dense run."""
    input:
        unpack(prune_input),
    output:
        **files(LEVEL, "mask", "pruning"),
    log:
        addresses.log(f"{LEVEL}/prune"),
    priority: 1
    conda:
        "../envs/prune.yaml"
    params:
        settings=lambda w: pruning_settings(w.task, w.recipe, recipe_of(w), int(w.seed), int(w.level)),
    script:
        "../workflow_scripts/prune.py"
