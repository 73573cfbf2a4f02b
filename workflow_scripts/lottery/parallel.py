"""Data-parallel training: one process for each GPU, each on its share of every batch.

Gradients are averaged before they are masked, so every process takes the same step with the same mask.
Statistics of normalisation are those of the first process's share, as is usual.
"""

import os
import signal
import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection, wait

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing import get_context
from torch.nn.parallel import DistributedDataParallel

from .batches import Share
from .checkpoints import STOPPED
from .errors import InputError
from .tasks import Run, Task, Trained, supervised

TrainShare = Callable[[Task, Run, Share], Trained]
STOPS = (signal.SIGTERM, signal.SIGUSR2)


def ranks(task: Task) -> int:
    """Processes to train in: one for each GPU if the data set is streamed, or LOTTERY_RANKS.

    Raises InputError if a batch cannot be shared out equally.
    """
    devices = torch.cuda.device_count() if supervised.streamed(task) else 1
    number = max(1, int(os.environ.get("LOTTERY_RANKS", devices)))
    if task["batch_size"] % number:
        raise InputError(f"batch_size: {task['batch_size']} is not a multiple of the {number} GPUs")
    return number


def train(train_share: TrainShare, task: Task, run: Run, ranks: int) -> Trained:
    """Run `train_share` in `ranks` processes, and return what the first of them returns.

    Exits as a training does that was stopped when one of them did. Raises InputError that one of them raised.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    processes = [
        context.Process(target=_rank, args=(sender, address, train_share, task, run, Share(rank, ranks)))
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()

    def pass_on(number: int, frame: object) -> None:
        for process in processes:
            if process.pid is not None and process.is_alive():
                os.kill(process.pid, number)

    for number in STOPS:
        signal.signal(number, pass_on)
    answer: Trained | str | None = None
    while running := [process for process in processes if process.is_alive()]:
        wait([receiver, *(process.sentinel for process in running)])
        if receiver.poll():
            answer = receiver.recv()
        if any(process.exitcode for process in processes):
            for process in running:
                process.join(60)  # so that it can save
                process.kill()
    if isinstance(answer, Trained):
        return answer
    if isinstance(answer, str):
        raise InputError(answer)
    if any(process.exitcode in (STOPPED, *(-number for number in STOPS)) for process in processes):
        sys.exit(STOPPED)
    raise RuntimeError(f"processes ended with {[process.exitcode for process in processes]}")


def _rank(
    sender: Connection, address: str, train_share: TrainShare, task: Task, run: Run, share: Share
) -> None:
    backend = "cpu:gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(share.rank)
        backend += ",cuda:nccl"
    distributed.init_process_group(backend, init_method=address, rank=share.rank, world_size=share.ranks)
    try:
        trained = train_share(task, run, share)
        if share.rank == 0:
            sender.send(trained)
    except InputError as error:
        sender.send(str(error))
        sys.exit(1)
    finally:
        distributed.destroy_process_group()


def averaging_gradients(model: nn.Module, share: Share) -> nn.Module:
    """The model, of which every backward pass averages the gradients of all processes."""
    if share.ranks == 1:
        return model
    return DistributedDataParallel(model)


@torch.no_grad()
def same_buffers(model: nn.Module, share: Share) -> None:
    """Give every process the first one's running statistics."""
    if share.ranks > 1:
        for buffer in model.buffers():
            distributed.broadcast(buffer, 0)


def total(sums: Tensor, share: Share) -> Tensor:
    """Sum over all processes."""
    if share.ranks > 1:
        distributed.all_reduce(sums)
    return sums


def agreed(wish: bool, share: Share) -> bool:
    """Whether any process wishes it."""
    if share.ranks == 1:
        return wish
    wishes = torch.tensor(int(wish))
    distributed.all_reduce(wishes, distributed.ReduceOp.MAX)
    return bool(wishes)
