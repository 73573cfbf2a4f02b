rule prepare_data:
    """A data set, taken from the data root or downloaded to it, verified, as trainings read it."""
    output:
        data=addresses.data("{dataset}", ".safetensors"),
        record=addresses.data_record("{dataset}"),
    log:
        addresses.log(addresses.data("{dataset}", "")),
    wildcard_constraints:
        dataset=one_of(set(study.datasets) - set(FOLDERS)),
    priority: 2  # what is missing or damaged is said before anything is trained
    conda:
        "../envs/train.yaml"
    params:
        settings=lambda w: data_settings(w.dataset),
    script:
        "../workflow_scripts/prepare_data.py"


use rule prepare_data as prepare_data_folder with:
    output:
        data=directory(addresses.data("{dataset}", "")),
        record=addresses.data_record("{dataset}"),
    wildcard_constraints:
        dataset=one_of(FOLDERS),


rule chance:
    """What a network of a task reaches that learned nothing; runs that fail count so."""
    input:
        unpack(data_input),
    output:
        chance=addresses.chance("{task}"),
    log:
        addresses.log(addresses.chance("{task}")),
    priority: 1
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: {"version": RESULTS_VERSION, "task": study.tasks[w.task]},
    script:
        "../workflow_scripts/chance.py"
