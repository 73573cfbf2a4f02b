"""Rank and mask 210 million weights: ours, torch's global pruning, a full sort; and bytes on disk.

    python benchmarks/pruning.py

Each way runs in a process of its own, in turn, three rounds; medians are printed, and what matters
is the ratio to ours. Extra memory is the growth of the peak while pruning. Weights are rounded, so that
many tie at the threshold: exact is a way that keeps round(0.8 N) of them.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kernels  # before numpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow_scripts"))

LAYERS, WIDTH = 50, 2050  # 50 matrices of 2050 x 2050: 210 million weights
WAYS = ("lottery", "torch global_unstructured", "full sort")


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def layers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for number in range(LAYERS):
        values = rng.standard_normal((WIDTH, WIDTH), dtype=np.float32)
        made[f"layer{number:02d}.weight"] = np.round(values, 4, out=values)
    return made


def ours(tensors: dict[str, np.ndarray]) -> int:
    from lottery.pruning import Pruning, prune
    from lottery.weights import Network

    network = Network(tensors, dict.fromkeys(tensors, "weight"), ())
    mask = prune(Pruning(rate=0.2), 1, network, network, None, seed=0)
    return sum(int(np.count_nonzero(m)) for m in mask.values())


def full_sort(tensors: dict[str, np.ndarray]) -> int:
    values = np.sort(np.concatenate([np.abs(a).reshape(-1) for a in tensors.values()]))
    threshold = values[values.size - round(values.size * 0.8)]
    return sum(int(np.count_nonzero(np.abs(a) >= threshold)) for a in tensors.values())


def torch_global(modules: list) -> int:
    from torch.nn.utils import prune

    prune.global_unstructured([(m, "weight") for m in modules], prune.L1Unstructured, amount=0.2)
    return sum(int(m.weight_mask.sum()) for m in modules)


def measure(way: str) -> None:
    tensors = layers()
    prepared, run = tensors, {"lottery": ours, "full sort": full_sort}.get(way)
    if run is None:
        import torch

        torch.set_num_threads(1)
        modules = [torch.nn.Linear(WIDTH, WIDTH, bias=False) for _ in tensors]
        for module, array in zip(modules, tensors.values(), strict=True):
            module.weight.data = torch.from_numpy(array)
        prepared, run = modules, torch_global
    else:
        import lottery.pruning  # noqa: F401
    before, started = peak(), time.perf_counter()
    kept = run(prepared)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "extra": peak() - before, "kept": kept}))


def disk() -> None:
    """Bytes of one level's mask, at random places, against the float32 weights and mask that peers write."""
    from lottery import masks

    print(
        f"\n{'level':>5} {'kept %':>7} {'mask, bytes':>12} {'float32 weights + mask':>23}   (25.5 M weights)"
    )
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for level in (1, 7, 10, 15, 20, 30):
            kept = 0.8**level
            path = Path(folder) / "mask.npz"
            masks.save(path, {"w": rng.random(25_502_912, dtype=np.float32) < kept})
            size = path.stat().st_size
            print(f"{level:5d} {100 * kept:7.2f} {size:12,d} {8 * 25_502_912:23,d}")


def main() -> None:
    results: dict[str, list[dict]] = {way: [] for way in WAYS}
    for _ in range(3):
        for way in WAYS:
            said = subprocess.run([sys.executable, __file__, way], capture_output=True, text=True, check=True)
            results[way].append(json.loads(said.stdout))
    size = LAYERS * WIDTH**2
    exact = round(size * 0.8)
    base = statistics.median(r["seconds"] for r in results["lottery"])
    print(kernels.said())
    print(f"{'way':28} {'seconds':>8} {'/ ours':>7} {'extra memory / float32 size':>28} {'kept - exact':>13}")
    for way, rounds in results.items():
        seconds = statistics.median(r["seconds"] for r in rounds)
        extra = statistics.median(r["extra"] for r in rounds) / (4 * size)
        print(f"{way:28} {seconds:8.2f} {seconds / base:7.2f} {extra:28.2f} {rounds[0]['kept'] - exact:13,d}")
    disk()


if __name__ == "__main__":
    measure(sys.argv[1]) if len(sys.argv) > 1 else main()
