rule train_ticket:
    """A ticket made from a lineage's mask, trained: carried to another task, or a control; or the dense network
    rewound and trained on."""
    input:
        unpack(ticket_input),
    output:
        **files(TICKET, *RUN),
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
