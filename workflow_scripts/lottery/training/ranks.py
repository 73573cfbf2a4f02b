"""Data-parallel training: one process for each GPU, each on its share of every batch.

Gradients are averaged before they are masked, so every process takes the same step with the same mask.
Statistics of normalisation are those of the first process's share, as is usual.
"""

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait

import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing import get_context
from torch.nn.parallel import DistributedDataParallel

from ..errors import InputError
from ..runs import Run, Task, Trained, never
from ..stopping import STOPPED, STOPS, listen


@dataclass(frozen=True)
class Share:
    """The part of every batch that one of several processes trains on."""

    rank: int = 0
    ranks: int = 1

    def of(self, batches: Tensor) -> Tensor:
        """[steps, B] -> [steps, this process's part of B]."""
        return batches.tensor_split(self.ranks, dim=1)[self.rank]


TrainShare = Callable[[Task, Run, Share], Trained]


def number(devices: int, asked: int | None, batch_size: int) -> int:
    """Processes to train in: as many as asked for, else one for each device.

    Raises InputError if a batch cannot be shared out equally.
    """
    found = max(1, devices if asked is None else asked)
    if batch_size % found:
        raise InputError(f"batch_size: {batch_size} is not a multiple of the {found} GPUs")
    return found


def train(train_share: TrainShare, task: Task, run: Run, ranks: int) -> Trained:
    """Run `train_share` in `ranks` processes, and return what the first of them returns.

    Exits as a training does that was stopped when one of them did. Raises InputError that one of them raised.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    there = replace(run, process=replace(run.process, stop=never))  # each listens for itself
    processes = [
        context.Process(target=_rank, args=(sender, address, train_share, task, there, Share(rank, ranks)))
        for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    answer, told = None, False
    while running := [process for process in processes if process.is_alive()]:
        wait([receiver, *(process.sentinel for process in running)], timeout=0.2)
        if receiver.poll():
            answer = receiver.recv()
        if run.process.stop() and not told:
            told = True
            for process in running:
                process.terminate()
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
    run = replace(run, process=replace(run.process, stop=listen()))
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
