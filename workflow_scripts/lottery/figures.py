"""Figures of a study, drawn from its tables; SVG and PNG, legible at the width of a column."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from . import over_tasks
from .addresses import file
from .analysis import analysis
from .files import replacing
from .statistics import FEWEST
from .tickets import DENSE_REWOUND, WINNING

# Okabe and Ito's colours, told apart by colour-blind readers; markers tell them apart in print
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933"]
COLOURS += ["#882255"]
MARKERS = "osD^vP*"  # of no common factor with the colours, so that more curves than colours still differ
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "lines.linewidth": 1.2,
    "lines.markersize": 3,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "lottery",
    "svg.fonttype": "none",
}
ANALYSED = "analysed"  # the table of the analysis that a figure is of
TICKS = [100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]
LABELS = {
    "test_accuracy": "test accuracy",
    "test_log_perplexity": "test log-perplexity",
    "early_stop_step": "early-stopping step",
    "early_stop_test_accuracy": "test accuracy at early stop",
    "gap": "train accuracy - test accuracy",
}


class NothingToDraw(Exception):  # noqa: N818
    """A figure that has nothing to show, as the runs came out; the words say why, and are drawn instead."""


@dataclass(frozen=True)
class Plot:
    """What one figure is drawn from.

    spec: the study's entry; curves: name -> (label, number in the study, which decides its colour)
    """

    axes: Axes
    spec: Mapping[str, Any]
    curves: Mapping[str, tuple[str, int]]
    inputs: Mapping[str, str]
    notes: set[str] = field(default_factory=set)

    @property
    def seeds(self) -> int:
        """How many runs a point has where none is missing."""
        return int(self.table("runs")["seed"].nunique())

    def hollow(
        self, x: pd.Series, y: pd.Series, short: pd.Series, number: int, without: bool = False
    ) -> None:
        """Draw points hollow where a run is missing or failed, and say so under the title of the legend.

        without: whether failed runs have no such number, and so no part in the points
        """
        if short.any():
            look = {**_look(number), "linestyle": "none", "markerfacecolor": "white", "zorder": 3}
            self.axes.plot(x[short], y[short], **look)
        if short.any() or without:
            counted = "are left out" if without else "count at chance"
            self.notes.add(f"hollow: not all {self.seeds} runs ended well; failed ones {counted}")

    def colour(self, number: int) -> str:
        return COLOURS[number % len(COLOURS)]

    def table(self, name: str) -> pd.DataFrame:
        """runs, summary, layers, or analysed, of this figure's curves."""
        table = pd.read_csv(self.inputs[name])
        if name != "layers":
            table["remaining"] = 100 * (1 - table["fraction_pruned"])
        table = table[table["curve"].isin(list(self.curves))]
        if table.empty:
            raise NothingToDraw(f"{name}.csv has no row of these curves")
        return table

    def fraction_axis(self, table: pd.DataFrame) -> str:
        """Set up the axis of weights pruned or remaining; returns the column to draw against."""
        if self.spec["x"] == "pruned":
            self.axes.set_xlabel("fraction of weights pruned")
            return "fraction_pruned"
        self.axes.set_xscale("log")
        self.axes.set_xticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
        self.axes.xaxis.set_minor_locator(NullLocator())
        self.axes.set_xlim(table["remaining"].max() * 1.1, table["remaining"].min() / 1.1)
        self.axes.set_xlabel("weights remaining (%)")
        return "remaining"

    def by_level(self, table: pd.DataFrame, x: str, value: str, label: str, number: int) -> None:
        """Mean over seeds at each level, in a band of one standard deviation."""
        groups = table.dropna(subset=[value]).groupby("level")
        at, mean = groups[x].mean().to_numpy(), groups[value].mean().to_numpy()
        sd = groups[value].std(ddof=1).fillna(0).to_numpy()
        without = "status" in table and bool((table[value].isna() & (table["status"] != "ok")).any())
        self.hollow(groups[x].mean(), groups[value].mean(), _short(groups, self.seeds), number, without)
        self.axes.plot(at, mean, **_look(number), label=label)
        self.axes.fill_between(at, mean - sd, mean + sd, color=_look(number)["color"], alpha=0.2, linewidth=0)

    def across(self, table: pd.DataFrame, x: str, value: str, label: str, number: int) -> None:
        """Mean over seeds of networks that are not pruned, as a line across the figure."""
        groups = table.dropna(subset=[value]).groupby("level")
        self.hollow(groups[x].mean(), groups[value].mean(), _short(groups, self.seeds), number)
        for mean in groups[value].mean():
            self.axes.axhline(mean, color=_look(number)["color"], linestyle="-.", label=label, zorder=1)


def _short(groups: Any, seeds: int) -> pd.Series:
    """Which groups have fewer runs than there are seeds, or one that failed."""
    short: pd.Series = groups["seed"].nunique() < seeds
    if "status" in groups.obj:
        short |= groups["status"].agg(lambda status: (status != "ok").any()).astype(bool)
    return short


def _look(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def _name(metric: str) -> str:
    return LABELS.get(metric, metric.replace("_", " "))


def _headline(table: pd.DataFrame) -> str:
    """The name of the headline metric, and which way it is better if that is not up."""
    first = table.iloc[0]
    return _name(first["metric"]) + (" (lower is better)" if first["better"] == "lower" else "")


def draw(
    figure: Mapping[str, Any],
    curves: Mapping[str, tuple[str, int]],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Draw one figure of the kind it names, from the study's tables."""
    curves = _coloured(curves, by_label=figure["kind"] in OVER_TASKS)
    with plt.rc_context(STYLE):
        canvas = plt.figure(figsize=(3.5, 2.9), layout="constrained")
        try:
            if figure["kind"] == "matrix":
                _matrix(canvas, figure, curves, inputs)
            else:
                axes = canvas.subplots()
                plot = Plot(axes, figure, curves, inputs)
                (KINDS | OVER_TASKS | ANALYSES)[figure["kind"]](plot)
                axes.set_title(fill(figure["title"], 50))
                _legend(canvas, axes, sorted(plot.notes))
        except NothingToDraw as reason:
            _words(canvas, figure["title"], f"Nothing to draw: {reason}.")
        for suffix in ("svg", "png"):
            with replacing(outputs[suffix]) as part:
                metadata = {"Date": None} if suffix == "svg" else {}
                canvas.savefig(part, format=suffix, dpi=300, metadata=metadata)
        plt.close(canvas)


def _coloured(curves: Mapping[str, tuple[str, int]], by_label: bool) -> dict[str, tuple[str, int]]:
    """The curves with numbers whose colours differ: the study's, or else places. Of curves that are drawn as
    one, by their label, the first counts."""
    lines: dict[str, int] = {}
    for name, (label, number) in curves.items():
        lines.setdefault(label if by_label else name, number)
    if len({number % len(COLOURS) for number in lines.values()}) < len(lines):
        lines = {line: place for place, line in enumerate(lines)}
    return {name: (label, lines[label if by_label else name]) for name, (label, _) in curves.items()}


def _words(canvas: Figure, title: str, text: str) -> None:
    """A figure without lines, which says why."""
    canvas.clear()
    axes = canvas.subplots()
    axes.set_title(fill(title, 50))
    axes.set_axis_off()
    axes.text(0.5, 0.5, fill(text, 40), ha="center", va="center", transform=axes.transAxes)


def _legend(canvas: Figure, axes: Axes, notes: list[str]) -> None:
    handles, names = axes.get_legend_handles_labels()
    columns = 1 if max(map(len, names), default=0) >= 28 else 2 if len(names) <= 8 else 4
    # a long legend makes the figure higher, not the axes lower than their label is long
    canvas.set_figheight(canvas.get_figheight() + 0.15 * max(0, math.ceil(len(names) / columns) - 3))
    title = "\n".join(notes) or None
    canvas.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        title=title,
        title_fontsize=6,
    )


def _metric(plot: Plot) -> None:
    """A metric against the fraction of weights pruned, one line per curve, dense runs as lines across."""
    runs, value = plot.table("runs"), plot.spec["value"]
    if value == "gap" and "train_accuracy" in runs:
        runs = runs.assign(gap=runs["train_accuracy"] - runs["value"])
    if value not in runs or runs[value].isna().all():
        raise NothingToDraw(f"no run has a number for {_name(value)}; failed ones have none")
    x = plot.fraction_axis(runs)
    rewound = runs["ticket"] == DENSE_REWOUND
    for name, (label, number) in plot.curves.items():
        rows = runs["curve"] == name
        draw_rows = plot.across if (rows & rewound).any() else plot.by_level
        draw_rows(runs[rows], x, value, label, number)
    dense = runs[(runs["level"] == 0) & ~rewound].groupby("target")[value].mean()
    for target, level in dense.items():
        label = "dense" if len(dense) == 1 else f"dense, {target}"
        plot.axes.axhline(level, color="grey", linestyle="--", linewidth=0.8, label=label, zorder=0)
    plot.axes.set_ylabel(_headline(runs) if value == "value" else _name(value))
    if "y" in plot.spec:
        _inset(plot.axes, plot.spec["y"])


def _inset(axes: Axes, narrow: tuple[float, float]) -> None:
    """Narrow the vertical axis, and draw the whole range small in the lower left corner."""
    small = axes.inset_axes((0.08, 0.08, 0.42, 0.38), xscale=axes.get_xscale(), xlim=axes.get_xlim())
    for line in axes.lines:
        small.plot(*line.get_data(), color=line.get_color(), linestyle=line.get_linestyle(), linewidth=0.8)
    small.tick_params(labelsize=5, labelbottom=False, which="both", length=2)
    small.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(narrow)


def _difference(plot: Plot) -> None:
    """The paired difference to the random ticket with its 95 % interval, positive where it is better."""
    summary = plot.table("summary").dropna(subset=["difference"])
    if summary.empty:
        raise NothingToDraw("no ticket has a random one of its seed, level and number of weights")
    x = plot.fraction_axis(summary)
    for name, (label, number) in plot.curves.items():
        rows = summary[summary["curve"] == name]
        mean = rows["difference"]
        errors = np.stack([mean - rows["difference_ci_low"], rows["difference_ci_high"] - mean]).clip(0)
        plot.axes.errorbar(rows[x], mean, yerr=errors, **_look(number), label=label, capsize=1.5)
        short = (rows["difference_n"] < plot.seeds) | (rows["failed"] > 0)
        plot.hollow(rows[x], mean, short, number)
    plot.axes.axhline(0, color="grey", linestyle="--", linewidth=0.8)
    first = summary.iloc[0]
    subtracted = "random minus ticket" if first["better"] == "lower" else "minus random"
    plot.axes.set_ylabel(f"{_name(first['metric'])}, {subtracted}")


def _layers(plot: Plot) -> None:
    """Each layer's pruning rate relative to the overall rate, by level (Morcos et al. 2019, figure 1b); or
    what is left of it, beside what is left of all."""
    table, value, whole = plot.table("layers"), "ratio_to_overall", None
    if plot.spec["value"] == "kept":
        value, counts = "share", table.groupby("level")[["kept", "prunable"]].sum()
        table[value] = 100 * table["kept"] / table["prunable"]
        whole = 100 * counts["kept"] / counts["prunable"]
    groups = list(table.groupby(["curve", "layer"], sort=False))
    for number, ((curve, layer), rows) in enumerate(groups):
        label = str(layer) if len(plot.curves) == 1 else f"{plot.curves[str(curve)][0]}: {layer}"
        if len(groups) > len(COLOURS):  # from the first layer, dark, to the last, light
            at = rows.groupby("level")[value].mean()
            colour = plt.get_cmap("viridis")(number / len(groups))
            plot.axes.plot(at.index, at, color=colour, label=label.removesuffix(".weight"))
        else:
            plot.by_level(rows, "level", value, label, number)
    if whole is None:
        plot.axes.axhline(1, color="grey", linestyle="--", linewidth=0.8)
        plot.axes.set_ylabel("layer's pruning rate / overall rate")
    else:
        plot.axes.plot(whole.index, whole, color="grey", linestyle="--", linewidth=0.8, label="all")
        plot.axes.set_yscale("log")
        plot.axes.set_yticks(TICKS, labels=[f"{tick:g}" for tick in TICKS])
        plot.axes.yaxis.set_minor_locator(NullLocator())
        plot.axes.set_ylabel("layer's weights remaining (%)")
    plot.axes.set_xlabel("level")
    plot.axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _learning(plot: Plot) -> None:
    """The metric against the training step at chosen levels, mean over seeds; many rows are drawn as 100."""
    runs = plot.table("runs")
    metric = runs["metric"].iloc[0]
    for style, level in zip(cycle(["-", "--", ":", "-."]), plot.spec["levels"], strict=False):
        for name, (label, number) in plot.curves.items():
            rows = runs[(runs["curve"] == name) & (runs["level"] == level)]
            curves = [pd.read_csv(file(run, "curve")) for run in rows["run"]]
            curves = [curve for curve in curves if metric in curve]  # a run that was not trained has none
            if not curves:
                if len(rows):
                    plot.notes.add(f"{label}, {rows['remaining'].mean():.3g} %: no run has a curve")
                continue
            rows_a_point = -(-max(map(len, curves)) // 100)
            points = [curve.groupby(curve.index // rows_a_point)[["step", metric]].mean() for curve in curves]
            mean = pd.concat(points).groupby(level=0).mean()  # a point's steps may differ between seeds
            legend = f"{label}, {rows['remaining'].mean():.3g} %"
            well = int((rows["status"] == "ok").sum())
            legend += f" ({well} of {plot.seeds} ended well)" if well < plot.seeds else ""
            colour = _look(number)["color"]
            plot.axes.plot(mean["step"], mean[metric], color=colour, linestyle=style, label=legend)
    if not plot.axes.lines:
        raise NothingToDraw("no network of these levels was trained; all had collapsed")
    plot.axes.set_xlabel("training step")
    plot.axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plot.axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    plot.axes.set_ylabel(_headline(runs))


def _movement(plot: Plot) -> None:
    """How far the weights that a level keeps and those that it prunes moved in training."""
    runs = plot.table("runs")
    runs = runs[runs["level"] > 0]
    moved = ["moved_kept", "moved_pruned"]
    if runs.reindex(columns=moved).isna().all(axis=None):
        raise NothingToDraw("no weights of these curves have moved; trainings that diverge have no distance")
    x = plot.fraction_axis(runs)
    for number, (name, (label, _)) in enumerate(plot.curves.items()):
        for half, group in enumerate(("kept", "pruned")):
            rows = runs[runs["curve"] == name]
            plot.by_level(rows, x, f"moved_{group}", f"{label}: {group}", 2 * number + half)
    plot.axes.set_ylabel("mean distance moved")


def _matrix(
    canvas: Figure, spec: Mapping[str, Any], curves: Mapping[str, tuple[str, int]], inputs: Mapping[str, str]
) -> None:
    """What tickets of each source (rows) reach on each target (columns), a panel for each level.

    The number is the mean, bold if the paired interval of its gap to the target's own ticket excludes 0, of
    FEWEST seeds or more; the colour is that gap, blue where it is better and red where it is worse. Random
    tickets and other controls have rows too.
    """
    summary = pd.read_csv(inputs["summary"])
    summary = summary[summary["curve"].isin(list(curves))]
    summary["row"] = [curves[name][0] for name in summary["curve"]]
    own = summary[(summary["source"] == summary["target"]) & (summary["ticket"] == WINNING)]
    if own.empty or not set(spec["levels"]) & set(summary["level"]):
        raise NothingToDraw("no target has tickets of its own at these levels")
    columns = dict(zip(own["target"], own["row"], strict=True))
    metrics = list(own.drop_duplicates("target")["metric"])
    rows = list(dict.fromkeys(summary["row"]))
    panels = canvas.subplots(1, len(spec["levels"]), sharey=True, squeeze=False)[0]
    cell = 0.36
    canvas.set_size_inches(1.3 + len(panels) * (cell * len(columns) + 0.2), 1.5 + cell * len(rows))
    levels = [summary[summary["level"] == level] for level in spec["levels"]]
    found = [_gaps(now, rows, list(columns)) for now in levels]
    limit = _limit(summary["metric"], np.array([gap for gap, _, _ in found]))
    drawn, seeds, marked = None, int(summary["n"].max()), False
    for axes, now, (gap, value, clear) in zip(panels, levels, found, strict=True):
        drawn = axes.imshow(gap, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        few = now[(now["n"] < seeds) | (now["failed"] > 0)]
        short = set(zip(few["row"], few["target"], strict=True))
        marked = marked or bool(short)
        for (i, j), number in np.ndenumerate(value):
            if np.isfinite(number):
                dark = abs(gap[i, j]) > 0.65 * limit
                star = "*" if (rows[i], list(columns)[j]) in short else ""
                axes.text(
                    j,
                    i,
                    _number(metrics[j], number) + star,
                    ha="center",
                    va="center",
                    fontsize=6,
                    fontweight="bold" if clear[i, j] else "normal",
                    color="white" if dark else "black",
                )
        axes.set_title(f"{100 * now['fraction_pruned'].mean():.3g} %\npruned")
        axes.set_xticks(range(len(columns)), labels=list(columns.values()), rotation=90)
        axes.set_yticks(range(len(rows)), labels=rows)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    panels[0].set_ylabel("tickets of")
    note = f"\n* not all {seeds} runs ended well" if marked else ""
    canvas.supxlabel(f"trained on{note}", fontsize=8)
    canvas.suptitle(fill(spec["title"], 16 * len(panels) + 10), fontsize=8)
    assert drawn is not None
    label = "gap to the target's own ticket"
    label += "\n(positive is better)" if "lower" in set(summary["better"]) else ""
    canvas.colorbar(drawn, ax=panels, label=label, extend="both", shrink=0.8)


def _limit(metrics: pd.Series, gaps: np.ndarray) -> float:
    """Where a matrix's colours end: at a gap of 0.2 for accuracies, else at the largest there is."""
    if metrics.str.contains("accuracy").any():
        return 0.2
    return float(np.abs(gaps[np.isfinite(gaps)]).max(initial=0)) or 1.0


def _number(metric: str, value: float) -> str:
    """What stands in a matrix's cell: an accuracy in per cent, else three significant digits."""
    return f"{100 * value:.0f}" if "accuracy" in metric else f"{value:.3g}"


def _gaps(
    summary: pd.DataFrame, rows: list[str], columns: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gap to the target's own ticket, positive where better, mean, whether the gap's interval excludes 0:
    each [rows, columns]."""
    gap, value = np.full((2, len(rows), len(columns)), np.nan)
    clear = np.zeros(gap.shape, dtype=bool)
    for row in summary.to_dict("records"):
        at = rows.index(row["row"]), columns.index(row["target"])
        value[at] = row["mean"]
        own = row["source"] == row["target"] and row["ticket"] == WINNING
        gap[at] = 0.0 if own else row["own_difference"]
        excludes_0 = row["own_difference_ci_low"] > 0 or row["own_difference_ci_high"] < 0
        clear[at] = excludes_0 and row["own_difference_n"] >= FEWEST
    return gap, value, clear


def _analysis(plot: Plot) -> None:
    """A number of an analysis against the fraction of weights pruned, or a figure of the analysis's own."""
    found, value = analysis(plot.spec["analysis"]), plot.spec["value"]
    if plot.spec["draw"] in found.FIGURES:
        found.FIGURES[plot.spec["draw"]](plot)
        return
    rows = plot.table(ANALYSED)
    if rows[value].isna().all():
        raise NothingToDraw(f"no job of {plot.spec['name']} has a number for {found.VALUES[value]}")
    x = plot.fraction_axis(rows)
    for name, (label, number) in plot.curves.items():
        plot.by_level(rows[rows["curve"] == name], x, value, label, number)
    plot.axes.set_ylabel(found.VALUES[value])


def _tasks(plot: Plot) -> None:
    """The interquartile mean of each group's scores over tasks, in a band of its 95 % interval."""
    table = pd.read_csv(plot.inputs["tasks"])
    table = table[table["figure"] == plot.spec["name"]]
    _say_left_out(plot, {task for tasks in table["left_out"].dropna() for task in tasks.split()})
    table = table.dropna(subset=["iqm"]).assign(remaining=lambda rows: 100 * (1 - rows["fraction_pruned"]))
    if table.empty:
        raise NothingToDraw("no two tasks have dense runs that learned something")
    x = plot.fraction_axis(table)
    for label, number in dict(plot.curves.values()).items():
        rows, look = table[table["group"] == label], _look(number)
        plot.hollow(rows[x], rows["iqm"], (rows["seeds"] < plot.seeds) | (rows["failed"] > 0), number)
        if list(rows["level"]) == [0]:
            plot.axes.axhline(rows["iqm"].iloc[0], color=look["color"], linestyle="-.", label=label, zorder=1)
            continue
        plot.axes.plot(rows[x], rows["iqm"], **look, label=label)
        low, high = rows["ci_low"], rows["ci_high"]
        plot.axes.fill_between(rows[x], low, high, color=look["color"], alpha=0.2, linewidth=0)
    plot.axes.axhline(1, color="grey", linestyle="--", linewidth=0.8, label="dense", zorder=0)
    plot.axes.set_ylabel(f"interquartile mean score, {table['tasks'].max()} tasks")


def _profile(plot: Plot) -> None:
    """The fraction of each group's runs whose score is above each value, at chosen levels, in a band of its
    95 % interval."""
    runs = pd.read_csv(plot.inputs["runs"])
    drawn = runs["curve"].isin(list(plot.curves))
    found, left_out = over_tasks.scored(runs)
    _say_left_out(plot, sorted(set(left_out) & set(runs[drawn]["target"])))
    found = found[drawn.reindex(found.index)]
    if found["target"].nunique() < 2:
        raise NothingToDraw("no two tasks have dense runs that learned something")
    ends = found[found["level"].isin(plot.spec["levels"])]["score"]
    at = np.linspace(min(0.0, ends.min()), max(1.0, ends.max()), 201)
    for style, level in zip(cycle(["-", "--", ":", "-."]), plot.spec["levels"], strict=False):
        for label, number in dict(plot.curves.values()).items():
            group = found[
                found["curve"].isin([name for name, (one, _) in plot.curves.items() if one == label])
            ]
            rows = group[group["level"] == level]
            if rows.empty or rows["target"].nunique() < group["target"].nunique():
                continue  # not of all tasks
            if (_short(rows.groupby("target"), plot.seeds)).any():
                plot.notes.add(
                    f"not all {plot.seeds} runs of each task ended well; failed ones count at chance"
                )
            scores, colour = list(over_tasks.by_task(rows).values()), _look(number)["color"]
            above = over_tasks.profile(np.concatenate(scores), at)
            legend = f"{label}, {100 * (1 - rows['fraction_pruned'].mean()):.3g} %"
            plot.axes.plot(at, above, color=colour, linestyle=style, label=legend)
            if min(map(len, scores)) >= FEWEST:
                again = np.concatenate(over_tasks.resampled(scores), axis=-1)
                ends_at = over_tasks.interval(over_tasks.profile(again, at), scores)
                plot.axes.fill_between(at, *ends_at, color=colour, alpha=0.15, linewidth=0)
    plot.axes.set_xlabel("score (0: learned nothing, 1: dense)")
    plot.axes.set_ylabel(f"fraction of runs above, {found['target'].nunique()} tasks")


def _say_left_out(plot: Plot, tasks: Iterable[str]) -> None:
    for task in tasks:
        plot.notes.add(f"left out, as its dense runs are no better than chance: {task}")


KINDS = {
    "metric": _metric,
    "difference": _difference,
    "layers": _layers,
    "learning": _learning,
    "movement": _movement,
}
ANALYSES = {"analysis": _analysis}  # of an analysis that a study asks for
OVER_TASKS = {"tasks": _tasks, "profile": _profile}  # curves of one label on several tasks are one line
