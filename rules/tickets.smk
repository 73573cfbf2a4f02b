rule train_ticket:
    """A ticket made from a lineage's mask, trained: carried to another task, or a control; or the dense network
    rewound and trained on."""
    input:
        unpack(ticket_input),
    output:
        **files(TICKET, *RUN),
        trained=temp(file(TICKET, "trained")),
    log:
        addresses.log(TICKET),
    benchmark:
        addresses.benchmark(TICKET)
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w, w.level, w.ticket, **of_ticket(w.source, w.recipe, recipe_of(w))),
    script:
        "../workflow_scripts/train_ticket.py"


rule train_random:
    """The random ticket of a target, shared by all sources and by all recipes of one ladder."""
    input:
        unpack(run_input),
    output:
        **files(RANDOM, *RUN),
        trained=temp(file(RANDOM, "trained")),
    log:
        addresses.log(RANDOM),
    benchmark:
        addresses.benchmark(RANDOM)
    wildcard_constraints:
        ladder=one_of(LADDERS),
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: settings_of(w, w.level, "random", **of_random(LADDERS[w.ladder])),
    script:
        "../workflow_scripts/train_random.py"


use rule keep_weights as keep_ticket with:
    input:
        unpack(kept_input(TICKET, ticket_input)),
    output:
        **files(TICKET, "weights", "weights_record"),
    log:
        addresses.log(f"{TICKET}/weights"),
    params:
        settings=lambda w: settings_of(w, w.level, w.ticket, **of_ticket(w.source, w.recipe, recipe_of(w))),


use rule keep_weights as keep_random with:
    input:
        unpack(kept_input(RANDOM, run_input)),
    output:
        **files(RANDOM, "weights", "weights_record"),
    log:
        addresses.log(f"{RANDOM}/weights"),
    wildcard_constraints:
        ladder=one_of(LADDERS),
    params:
        settings=lambda w: settings_of(w, w.level, "random", **of_random(LADDERS[w.ladder])),
