"""Find, transfer and test lottery tickets. Nothing here imports snakemake."""

RESULTS_VERSION = 2
"""Raise this when a change of code changes numbers: every training then runs again. No other change
of code does (docs/reruns.md)."""
