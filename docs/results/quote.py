"""Print a curve beside its random ticket as a Markdown table, from results/tables/<study>/summary.csv.

python docs/results/quote.py default winning random
python docs/results/quote.py lenet-mnist-short layerwise layerwise-random
"""

import sys

import pandas as pd


def main(study: str, curve: str, random: str) -> None:
    summary = pd.read_csv(f"results/tables/{study}/summary.csv").set_index(["curve", "level"])
    decimals = 3 if summary["mean"].loc[curve].abs().max() <= 1 else 1  # accuracies, rewards
    print(f"| level | weights left | {curve} | {random} | difference | 95 % interval | n |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for level, row in summary.loc[curve].iterrows():
        if level == 0 or pd.isna(row["difference"]):
            continue
        other = summary.loc[(random, level)]
        interval = f"{row['difference_ci_low']:+.{decimals}f} to {row['difference_ci_high']:+.{decimals}f}"
        means = f"{row['mean']:.{decimals}f} | {other['mean']:.{decimals}f}"
        numbers = f"{means} | {row['difference']:+.{decimals}f} | {interval}"
        left = f"{100 * (1 - row['fraction_pruned']):.1f} %"
        print(f"| {level} | {left} | {numbers} | {row['difference_n']:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
