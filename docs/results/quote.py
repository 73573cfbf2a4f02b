"""Print a curve beside its random ticket as a Markdown table, from results/tables/<study>/summary.csv.

python docs/results/quote.py digits winning random
python docs/results/quote.py lenet-mnist-short layerwise layerwise-random
"""

import sys

import pandas as pd


def main(study: str, curve: str, random: str) -> None:
    summary = pd.read_csv(f"results/tables/{study}/summary.csv").set_index(["curve", "level"])
    print(f"| level | weights left | {curve} | {random} | difference | 95 % interval | n |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    for level, row in summary.loc[curve].iterrows():
        if level == 0 or pd.isna(row["difference"]):
            continue
        other = summary.loc[(random, level)]
        interval = f"{row['difference_ci_low']:+.3f} to {row['difference_ci_high']:+.3f}"
        numbers = f"{row['mean']:.3f} | {other['mean']:.3f} | {row['difference']:+.3f} | {interval}"
        left = f"{100 * (1 - row['fraction_pruned']):.1f} %"
        print(f"| {level} | {left} | {numbers} | {row['difference_n']:.0f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
