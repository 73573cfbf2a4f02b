"""One replicate's seed, and the separate seeds derived from it for all that is drawn.

Names in use: `init`; `fresh` (weights of controls and random tickets, a transfer's output layer; one draw for
each level); `order` (of the data), `augmentation`, `dropout`, `actions`, `game`; `permutation` (of a mask);
`tie-break`; `copy`. The data order depends on the seed alone, so at a given seed every ticket of every level
sees the same batches and differences between tickets are paired.
"""

import hashlib

import numpy as np


def seed_for(seed: int, name: str, *keys: int) -> int:
    """A 63-bit seed for what is called `name` in replicate `seed`; `keys` (an epoch, a level) split it."""
    text = "/".join(map(str, (seed, name, *keys)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, name: str, *keys: int) -> np.random.Generator:
    return np.random.default_rng(seed_for(seed, name, *keys))
