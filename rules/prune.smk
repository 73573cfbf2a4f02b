rule prune:
    """The mask of a level, from the training of the level before; one-shot, from the dense run."""
    input:
        unpack(prune_input),
    output:
        **files(LEVEL, "mask", "pruning"),
    log:
        addresses.log(f"{LEVEL}/prune"),
    wildcard_constraints:
        recipe=one_of([name for name in study.recipes if name not in SCORING]),
    priority: 1
    conda:
        "../envs/prune.yaml"
    params:
        settings=lambda w: pruning_settings(w.task, w.recipe, recipe_of(w), int(w.seed), int(w.level)),
    script:
        "../workflow_scripts/prune.py"


rule score:
    """The mask of a level by a criterion that looks at data, from the weights that the level starts from, before any
    training."""
    input:
        unpack(score_input),
    output:
        **files(LEVEL, "mask", "pruning"),
    log:
        addresses.log(f"{LEVEL}/prune"),
    wildcard_constraints:
        recipe=one_of(SCORING),
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: scoring_settings(
            study.tasks[w.task], w.recipe, recipe_of(w), int(w.seed), int(w.level)
        ),
    script:
        "../workflow_scripts/score.py"
