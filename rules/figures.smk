rule figure:
    """One figure of a study, as SVG and PNG, from its tables."""
    input:
        runs=f"results/tables/{study.name}/runs.csv",
        summary=f"results/tables/{study.name}/summary.csv",
        transfer=f"results/tables/{study.name}/transfer.csv",
        layers=f"results/tables/{study.name}/layers.csv",
        curves=figure_curves,
    output:
        svg=report(
            f"results/figures/{study.name}/{{figure}}.svg",
            caption="../report/figure.rst",
            category=study.name,
            subcategory="figures",
            labels={"figure": "{figure}"},
        ),
        png=f"results/figures/{study.name}/{{figure}}.png",
    log:
        f"results/logs/figures/{study.name}/{{figure}}.log",
    wildcard_constraints:
        figure=one_of(study.figures),
    conda:
        "../envs/plot.yaml"
    params:
        figure=lambda w: study.figures[w.figure],
        curves=lambda w: study.legend(w.figure),
        code=code_of("figures"),
    script:
        "../workflow_scripts/figure.py"
