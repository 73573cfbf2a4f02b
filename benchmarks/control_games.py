"""A2C on the control games: env-steps a CPU-second, learning included, ours beside stable-baselines3.

The same network, games at once, steps between updates and optimizer; one thread; alternating in one process.
Ours is timed with one ticket and with three side by side; each round begins with untrained networks.
"""

import os
import statistics
import sys
import time
import warnings
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).parent.parent / "workflow_scripts"))
warnings.filterwarnings("ignore")

import gymnasium
import kernels  # before numpy
import torch
from lottery.config import read_datasets, read_tasks
from lottery.rewinding import Rewind
from lottery.runs import Run
from lottery.seeds import seed_for
from lottery.tasks import a2c as family
from lottery.tasks.a2c import games
from stable_baselines3 import A2C
from stable_baselines3.common.vec_env import DummyVecEnv

ROUNDS = 5
PLAYED = {"cartpole-a2c": (80, 60_000), "acrobot-a2c": (16, 20_000), "lunarlander-a2c": (32, 30_000)}


def ours(task, tickets):
    """Env-steps a CPU-second of some tickets trained side by side for the task's games."""
    runs = [
        Run(
            start=family.initialise(task, seed_for(seed, "init")),
            mask=None,
            seed=seed,
            rewind=Rewind(),
            checkpoint=Path("/nonexistent/checkpoint"),
            name="benchmark",
        )
        for seed in range(tickets)
    ]
    started = time.process_time()
    trained = family.train(task, runs)
    return sum(one.metrics["steps"] for one in trained) / (time.process_time() - started)


def theirs(task, steps):
    game, n = games.find(task["game"]).played, task["environments"]
    policy = {"net_arch": task["hidden"], "activation_fn": torch.nn.ReLU}
    env = DummyVecEnv([lambda: gymnasium.make(game)] * n)
    agent = A2C("MlpPolicy", env, 1e-4, task["rollout"], policy_kwargs=policy, device="cpu", seed=1)
    started = time.process_time()
    agent.learn(steps)
    return agent.num_timesteps / (time.process_time() - started)


def main():
    torch.set_num_threads(1)
    sys.stderr = open(os.devnull, "w")  # progress lines  # noqa: SIM115
    config = Path(__file__).parent.parent / "config"
    tasks = read_tasks(
        config / "tasks",
        read_datasets(config / "datasets"),
    )
    print(kernels.said() + "\n")
    print("| env-steps a CPU-second | stable-baselines3 | ours, one ticket | ours, three side by side |")
    print("|---|---:|---:|---:|")
    for name, (episodes, steps) in PLAYED.items():
        task = tasks[name] | {"episodes": episodes}
        found = [(theirs(task, steps), ours(task, 1), ours(task, 3)) for _ in range(ROUNDS)]
        peer, *mine = (statistics.median(column) for column in zip(*found, strict=True))
        times = [statistics.median(row[i] / row[0] for row in found) for i in (1, 2)]
        cells = [f"{speed:,.0f} ({ratio:.1f} times)" for speed, ratio in zip(mine, times, strict=True)]
        print(f"| {name} | {peer:,.0f} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
