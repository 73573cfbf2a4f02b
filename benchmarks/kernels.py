"""Imported before numpy and torch: they take the kernels that they choose themselves; `said` tells which."""

import os

FORCED = (
    "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE",
    "MKL_ENABLE_INSTRUCTIONS",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
)
IGNORED = [name for name in FORCED if os.environ.pop(name, None) is not None]


def said() -> str:
    """The kernels of the libraries that are loaded, and what in the environment was ignored."""
    import threadpoolctl
    import torch

    pools = threadpoolctl.threadpool_info()
    found = [
        f"{pool['internal_api']} {pool['version']} {pool['architecture']}"
        for pool in pools
        if "architecture" in pool
    ]
    found.append(f"torch {torch.backends.cpu.get_cpu_capability()}")
    ignored = f" ({', '.join(IGNORED)} of the environment ignored)" if IGNORED else ""
    return f"Kernels: {'; '.join(dict.fromkeys(found))}{ignored}."
