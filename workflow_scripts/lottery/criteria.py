"""Pruning criteria: one function each, named in a recipe. The weights with the largest score are kept.

A criterion takes the trained and the starting values of one tensor and returns scores of the same
shape; it may be called more than once for a tensor and must give the same scores each time. SCORED names
those that look at data: a task's family gives their scores (`scores`, runs.py), of the weights that a ticket
starts from, before any training.
"""

import numpy as np

SCORED = ("snip",)


def magnitude(trained: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Absolute value of the trained weight (Frankle & Carbin 2019, section 2)."""
    scores: np.ndarray = np.abs(trained)
    return scores
