rule analyse:
    """One job of an analysis: what it finds of trained networks, at a curve's run of one seed and level."""
    input:
        unpack(piece_input),
    output:
        analysis=addresses.piece("{piece}"),
    log:
        addresses.log(addresses.piece("{piece}")),
    benchmark:
        addresses.benchmark(addresses.piece("{piece}"))
    wildcard_constraints:
        piece=".+",
    conda:
        "../envs/train.yaml"
    threads: cores
    resources:
        **asks(),
    params:
        settings=lambda w: PIECES[addresses.piece(w.piece)].settings(WANTED),
    script:
        "../workflow_scripts/analyse.py"


rule analysis_table:
    """The numbers of an analysis that a study asks for, a row per curve, seed and level."""
    input:
        asked=ASKED,
        runs=TABLES["runs"],  # which is made of runs that belong to the study
        pieces=lambda w: [piece.address for piece in pieces(WANTED, study.analyses[w.analysis])],
    output:
        table=addresses.table(study.name, "{analysis}"),
    log:
        addresses.log(f"{addresses.tables(study.name)}/{{analysis}}"),
    wildcard_constraints:
        analysis=one_of(study.analyses),
    conda:
        "../envs/plot.yaml"
    params:
        asked=WANTED,
        entry=lambda w: study.analyses[w.analysis],
        code=code_of("analysed", "belonging"),
    script:
        "../workflow_scripts/analysis_table.py"


use rule figure as analysis_figure with:
    input:
        runs=TABLES["runs"],
        analysed=addresses.table(study.name, "{figure}"),
    wildcard_constraints:
        figure=one_of(study.analyses),
    params:
        figure=lambda w: study.drawn()[w.figure],
        curves=lambda w: study.legend(w.figure),
        code=lambda w: code_of(
            "figures", "interpolation", analysis_module(study.analyses[w.figure]["analysis"])
        ),
