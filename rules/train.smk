rule initialise:
    """The network of a task and seed before any training."""
    output:
        **files(addresses.dense("{task}", "{seed}"), "init", "init_record"),
    log:
        addresses.log(f"{addresses.dense('{task}', '{seed}')}/init"),
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w),
    script:
        "../workflow_scripts/initialise.py"


rule train_dense:
    """The dense run of a task and seed: level 0 of all its lineages, and their rewind points."""
    input:
        unpack(dense_input),
    output:
        **files(DENSE, "weights", "rewind", *RUN),
    log:
        addresses.log(DENSE),
    benchmark:
        addresses.benchmark(DENSE)
    priority: 1  # the chain of a lineage is what a study waits for
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w),
    script:
        "../workflow_scripts/train_dense.py"


rule train_level:
    """One level of a lineage: the winning ticket, trained on its own task."""
    input:
        unpack(level_input),
    output:
        **files(COPY, *RUN),
        trained=temp(file(COPY, "trained")),
    log:
        addresses.log(COPY),
    benchmark:
        addresses.benchmark(COPY)
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w, w.level, "winning", **of_level(w.recipe, recipe_of(w))),
    script:
        "../workflow_scripts/train_level.py"


rule keep_weights:
    """The final weights of a level, where they are asked for: those just trained, or trained again if they are gone."""
    input:
        unpack(kept_input(COPY, level_input)),
    output:
        **files(COPY, "weights", "weights_record"),
    log:
        addresses.log(f"{COPY}/weights"),
    priority: 2  # before the weights just trained are gone
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w, w.level, "winning", **of_level(w.recipe, recipe_of(w))),
    script:
        "../workflow_scripts/keep_weights.py"


rule keep_optimizer:
    """The optimizer's state at the rewind points of a dense run, where a recipe reads it: the run, trained again."""
    input:
        unpack(dense_input),
        metrics=file(addresses.dense("{task}", "{seed}"), "metrics"),
    output:
        **files(addresses.dense("{task}", "{seed}"), "optimizer", "optimizer_record"),
    log:
        addresses.log(f"{addresses.dense('{task}', '{seed}')}/optimizer"),
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w),
    script:
        "../workflow_scripts/keep_optimizer.py"
