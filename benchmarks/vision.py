"""Images a second and peak memory: our loop, and the usual one of torchvision, DataLoader and masked forward.

    python benchmarks/vision.py

The same networks, masks and CIFAR-10-shaped images, cropped and flipped, trained by SGD with momentum, on the
GPU if there is one. On the CPU each way has one core, as a training of a study has, and the DataLoader no
workers, which is faster there. Each measurement is a process of its own; the ways alternate; medians.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import kernels  # before numpy, which torch imports

sys.path.insert(0, str(Path(__file__).parent.parent / "workflow_scripts"))

MODELS = {
    "VGG19": {"name": "vgg"},
    "ResNet50": {"name": "resnet"},
    "ResNet-20": {"name": "resnet-20"},
}
WAYS = ["usual", "ours, float32", "ours, bfloat16"]  # bfloat16 is what config/tasks/one_ticket.yaml has
ROUNDS = 3
LEFT = 0.1  # fraction of the weights


def main() -> None:
    import torch

    gpu = torch.cuda.is_available()
    print(f"On {torch.cuda.get_device_name() if gpu else 'one core of the CPU'}. {kernels.said()}\n")
    # on the CPU compiling takes minutes and gains nothing
    ways = [*WAYS, "ours, bfloat16, compiled"] if gpu else WAYS
    print("| | " + " | ".join([*ways, *(f"{way} / usual" for way in ways[1:])]) + " |")
    print("|---|" + "---:|" * (2 * len(ways) - 1))
    for name in MODELS:
        found: dict[str, list[dict]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way in ways:
                said = subprocess.run(
                    [sys.executable, __file__, name, way], capture_output=True, text=True, check=True
                )
                found[way].append(json.loads(said.stdout.splitlines()[-1]))
        speed = {way: statistics.median(one["images"] for one in found[way]) for way in ways}
        memory = {way: statistics.median(one["memory"] for one in found[way]) for way in ways}
        cells = [f"{speed[way]:.0f} images/s, {memory[way]:.2f} GB" for way in ways]
        ratios = [f"{speed[way] / speed['usual']:.2f}" for way in ways[1:]]
        print(f"| {name} | " + " | ".join(cells + ratios) + " |", flush=True)


def measure(name: str, way: str) -> None:
    import torch

    gpu = torch.cuda.is_available()
    if not gpu:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        torch.set_num_threads(1)
    batch, steps = (512, 80) if gpu else (64, 6)
    rate = usual(name, batch, steps) if way == "usual" else ours(name, batch, steps, way)
    memory = (
        torch.cuda.max_memory_allocated()
        if gpu
        else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    print(json.dumps({"images": rate, "memory": memory / 1e9}))


def task_of(name: str, batch: int, way: str) -> dict:
    return {
        "family": "supervised",
        "name": "benchmark",
        "dataset": {"name": "cifar10", "of": "cifar10"},
        "image": None,
        "augment": ["crop", "flip"],
        "validation": 0,
        "model": MODELS[name],
        "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"warmup": 0, "milestones": [], "gamma": 0.1},
        "batch_size": batch,
        "evaluate_every": "epoch1000",
        "clip_norm": None,
        "compile": "compiled" in way,
        "precision": "bfloat16" if "bfloat16" in way else "float32",
    }


def random_images(number: int):
    import numpy as np

    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (number, 3, 32, 32)).astype(np.uint8), rng.integers(0, 10, number)


def ours(name: str, batch: int, steps: int, way: str) -> float:
    import numpy as np
    from lottery import tickets
    from lottery.pruning import Pruning
    from lottery.rewinding import Rewind
    from lottery.runs import Run
    from lottery.tasks import supervised
    from lottery.tasks.supervised import loop
    from lottery.weights import save_arrays

    sys.stderr = open(os.devnull, "w")  # progress lines  # noqa: SIM115
    task = task_of(name, batch, way)
    mask, start = tickets.random_ticket(
        Pruning(rate=1 - LEFT), 1, supervised.initialise(task, 1), np.random.default_rng(0)
    )
    images, labels = random_images(batch * 4)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.safetensors"
        half = np.array([128.0] * 3, np.float32)
        arrays = {"train_images": images, "train_labels": labels, "mean": half, "std": half / 2}
        save_arrays(data, arrays | {"test_images": images[:8], "test_labels": labels[:8]}, {})

        def seconds(length: int) -> float:
            run = Run(start, mask, 1, Rewind(), Path(folder) / "checkpoint.safetensors", "benchmark", data)
            began = time.perf_counter()
            loop.train(task | {"length": f"step{length}"}, run)
            return time.perf_counter() - began

        seconds(1)
        return batch * steps / (seconds(steps + 2) - seconds(2))


def usual(name: str, batch: int, steps: int) -> float:
    import numpy as np
    import torch
    from lottery import tickets
    from lottery.pruning import Pruning
    from lottery.tasks import supervised
    from lottery.training.modules import load_network
    from PIL import Image
    from torch.nn import functional as F
    from torch.nn.utils import prune
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    class Images(Dataset):
        def __init__(self) -> None:
            self.images, self.labels = random_images(batch * (steps + 2))
            self.images = self.images.transpose(0, 2, 3, 1)
            self.transform = transforms.Compose(
                [
                    transforms.RandomCrop(32, padding=4),
                    transforms.RandomHorizontalFlip(),
                    transforms.ToTensor(),
                    transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
                ]
            )

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, index: int):
            return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    task = task_of(name, batch, "usual")
    model = supervised.module(task)
    mask, start = tickets.random_ticket(
        Pruning(rate=1 - LEFT), 1, supervised.initialise(task, 1), np.random.default_rng(0)
    )
    load_network(model, start)
    model.to(device)
    for tensor, m in mask.items():
        module = model.get_submodule(tensor.removesuffix(".weight"))
        prune.custom_from_mask(module, "weight", torch.from_numpy(m).to(device))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    workers = min(8, len(os.sched_getaffinity(0))) if device.type == "cuda" else 0
    loader = DataLoader(Images(), batch, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda")
    began = 0.0
    for step, (images, labels) in enumerate(loader):
        if step == 2:
            began = time.perf_counter()
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        outputs = model(images)
        loss = F.cross_entropy(outputs, labels)
        loss.backward()
        optimizer.step()
        loss.item(), (outputs.argmax(1) == labels).sum().item()
    return batch * steps / (time.perf_counter() - began)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name", nargs="?")
    parser.add_argument("way", nargs="?")
    asked = parser.parse_args()
    if asked.name:
        measure(asked.name, asked.way)
    else:
        main()
