rule data:
    """A data set, taken from the data root or downloaded to it, verified, as uint8 arrays in one file."""
    output:
        data="results/data/{dataset}.safetensors",
        said="results/data/{dataset}.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(study.datasets),
    priority: 2  # what is missing or damaged is said before anything is trained
    conda:
        "../envs/train.yaml"
    params:
        settings=lambda w: {"version": RESULTS_VERSION, "dataset": study.datasets[w.dataset]},
    script:
        "../workflow_scripts/data.py"
