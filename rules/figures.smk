rule figure:
    """One figure of a study, as SVG and PNG, from its tables."""
    input:
        **TABLES,
        curves=figure_curves,
    output:
        svg=report(
            addresses.figure(study.name, "{figure}", ".svg"),
            caption="../report/figure.rst",
            category=study.name,
            subcategory="figures",
            labels={"figure": "{figure}"},
        ),
        png=addresses.figure(study.name, "{figure}", ".png"),
    log:
        addresses.log(addresses.figure(study.name, "{figure}")),
    wildcard_constraints:
        figure=one_of(study.figures),
    conda:
        "../envs/plot.yaml"
    params:
        figure=lambda w: study.figures[w.figure],
        curves=lambda w: study.legend(w.figure),
        code=code_of("figures", "over_tasks"),
    script:
        "../workflow_scripts/figure.py"
