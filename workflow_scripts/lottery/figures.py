"""Figures of a study, drawn from its tables; SVG and PNG, legible at the width of a column."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, MaxNLocator, NullLocator

from .files import replacing

# Okabe and Ito's colours, told apart by colour-blind readers; markers tell them apart in print
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999933"]
MARKERS = "osD^vP*"  # one fewer, so that more curves than colours still differ
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
TICKS = [100, 50, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1]
LABELS = {
    "test_accuracy": "test accuracy",
    "early_stop_step": "early-stopping step",
    "early_stop_test_accuracy": "test accuracy at early stop",
    "gap": "train accuracy - test accuracy",
}


@dataclass(frozen=True)
class Plot:
    """What one figure is drawn from.

    spec: the study's entry; curves: name -> (label, number in the study, which decides its colour)
    """

    axes: Axes
    spec: Mapping[str, Any]
    curves: Mapping[str, tuple[str, int]]
    inputs: Mapping[str, str]

    def table(self, name: str) -> pd.DataFrame:
        """runs, summary or layers, of this figure's curves."""
        table = pd.read_csv(self.inputs[name])
        if name != "layers":
            table["remaining"] = 100 * (1 - table["fraction_pruned"])
        return table[table["curve"].isin(list(self.curves))]

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
        self.axes.plot(at, mean, **_look(number), label=label)
        self.axes.fill_between(at, mean - sd, mean + sd, color=_look(number)["color"], alpha=0.2, linewidth=0)


def _look(number: int) -> dict[str, Any]:
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}


def _name(metric: str) -> str:
    return LABELS.get(metric, metric.replace("_", " "))


def draw(
    figure: Mapping[str, Any],
    curves: Mapping[str, tuple[str, int]],
    inputs: Mapping[str, str],
    outputs: Mapping[str, str],
) -> None:
    """Draw one figure of the kind it names, from the study's tables."""
    if len({number % len(COLOURS) for _, number in curves.values()}) < len(curves):
        curves = {name: (label, place) for place, (name, (label, _)) in enumerate(curves.items())}
    with plt.rc_context(STYLE):
        canvas, axes = plt.subplots(figsize=(3.5, 2.9), layout="constrained")
        KINDS[figure["kind"]](Plot(axes, figure, curves, inputs))
        axes.set_title(fill(figure["title"], 50))
        handles, names = axes.get_legend_handles_labels()
        columns = 2 if max(map(len, names)) < 28 else 1
        canvas.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)
        for suffix in ("svg", "png"):
            with replacing(outputs[suffix]) as part:
                metadata = {"Date": None} if suffix == "svg" else {}
                canvas.savefig(part, format=suffix, dpi=300, metadata=metadata)
        plt.close(canvas)


def _metric(plot: Plot) -> None:
    """A metric against the fraction of weights pruned, one line per curve, the dense run as reference."""
    runs, value = plot.table("runs"), plot.spec["value"]
    if value == "gap":
        runs["gap"] = runs["train_accuracy"] - runs["value"]
    x = plot.fraction_axis(runs)
    for name, (label, number) in plot.curves.items():
        plot.by_level(runs[runs["curve"] == name], x, value, label, number)
    dense = runs[runs["level"] == 0].groupby("target")[value].mean()
    for target, level in dense.items():
        label = "dense" if len(dense) == 1 else f"dense, {target}"
        plot.axes.axhline(level, color="grey", linestyle="--", linewidth=0.8, label=label, zorder=0)
    plot.axes.set_ylabel(_name(runs["metric"].iloc[0] if value == "value" else value))


def _difference(plot: Plot) -> None:
    """The paired difference to the random ticket with its 95 % interval."""
    summary = plot.table("summary").dropna(subset=["difference"])
    x = plot.fraction_axis(summary)
    for name, (label, number) in plot.curves.items():
        rows = summary[summary["curve"] == name]
        mean = rows["difference"]
        errors = np.stack([mean - rows["difference_ci_low"], rows["difference_ci_high"] - mean]).clip(0)
        plot.axes.errorbar(rows[x], mean, yerr=errors, **_look(number), label=label, capsize=1.5)
    plot.axes.axhline(0, color="grey", linestyle="--", linewidth=0.8)
    plot.axes.set_ylabel(f"{_name(summary['metric'].iloc[0])}, minus random")


def _layers(plot: Plot) -> None:
    """Each layer's pruning rate relative to the overall rate, by level (Morcos et al. 2019, figure 1b)."""
    layers = plot.table("layers")
    for number, ((curve, layer), rows) in enumerate(layers.groupby(["curve", "layer"], sort=False)):
        label = str(layer) if len(plot.curves) == 1 else f"{plot.curves[str(curve)][0]}: {layer}"
        plot.by_level(rows, "level", "ratio_to_overall", label, number)
    plot.axes.axhline(1, color="grey", linestyle="--", linewidth=0.8)
    plot.axes.set_xlabel("level")
    plot.axes.set_ylabel("layer's pruning rate / overall rate")
    plot.axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _learning(plot: Plot) -> None:
    """The metric against the training step at chosen levels, mean over seeds; many rows are drawn as 100."""
    runs = plot.table("runs")
    metric = runs["metric"].iloc[0]
    for style, level in zip(cycle(["-", "--", ":", "-."]), plot.spec["levels"], strict=False):
        for name, (label, number) in plot.curves.items():
            rows = runs[(runs["curve"] == name) & (runs["level"] == level)]
            curves = [pd.read_csv(Path(run) / "curve.csv") for run in rows["run"]]
            curves = [curve for curve in curves if metric in curve]  # a run that was not trained has none
            if not curves:
                continue
            rows_a_point = -(-max(map(len, curves)) // 100)
            points = [curve.groupby(curve.index // rows_a_point)[["step", metric]].mean() for curve in curves]
            mean = pd.concat(points).groupby(level=0).mean()  # a point's steps may differ between seeds
            legend = f"{label}, {rows['remaining'].mean():.3g} %"
            colour = _look(number)["color"]
            plot.axes.plot(mean["step"], mean[metric], color=colour, linestyle=style, label=legend)
    plot.axes.set_xlabel("training step")
    plot.axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    plot.axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    plot.axes.set_ylabel(_name(metric))


def _movement(plot: Plot) -> None:
    """How far the weights that a level keeps and those that it prunes moved in training (SL-8)."""
    runs = plot.table("runs")
    runs = runs[runs["level"] > 0]
    x = plot.fraction_axis(runs)
    for number, (name, (label, _)) in enumerate(plot.curves.items()):
        for half, group in enumerate(("kept", "pruned")):
            rows = runs[runs["curve"] == name]
            plot.by_level(rows, x, f"moved_{group}", f"{label}: {group}", 2 * number + half)
    plot.axes.set_ylabel("mean distance moved")


KINDS = {
    "metric": _metric,
    "difference": _difference,
    "layers": _layers,
    "learning": _learning,
    "movement": _movement,
}
