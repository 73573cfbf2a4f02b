rule data:
    """A data set, taken from the data root or downloaded to it, verified, as uint8 arrays in one file."""
    output:
        data="results/data/{dataset}.safetensors",
        said="results/data/{dataset}.json",
    log:
        "results/logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=one_of(plugins.names("datasets")),
    conda:
        "../envs/train.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        version=RESULTS_VERSION,
    script:
        "../workflow_scripts/data.py"
