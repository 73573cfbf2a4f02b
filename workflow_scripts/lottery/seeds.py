"""One replicate seed, several separately seeded streams.

Streams in use: `init`; `fresh` (weights of controls and random tickets, a transfer's output layer; one
draw for each level); `order` (of the data); `dropout`; `permutation` (of a mask); `tie-break`.
The data order depends on the seed alone, so at a given seed every ticket of every level sees the
same batches and differences between tickets are paired.
"""

import hashlib

import numpy as np


def stream(seed: int, name: str, *keys: int) -> int:
    """A 63-bit seed for the stream `name` of replicate `seed`; `keys` (an epoch, a level) split it."""
    text = "/".join(map(str, (seed, name, *keys)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, name: str, *keys: int) -> np.random.Generator:
    return np.random.default_rng(stream(seed, name, *keys))
