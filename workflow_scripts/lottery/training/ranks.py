"""Data-parallel training: one process for each GPU that the task says, each on its share of every batch.

Gradients are averaged before they are masked, so every process takes the same step with the same mask. Batch
normalisation sees a process's share of the batch; its running statistics are the first's, as is usual.
"""

import os
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing import parent_process
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


def number(task: Task, devices: int) -> int:
    """Processes to train in: as many as the task says, whatever GPUs there are.

    Without any GPU they share the CPU. Raises InputError for a machine that has some, and too few.
    """
    asked = int(task.get("gpus", 1))
    if 0 < devices < asked:
        raise InputError(
            f"task {task['name']}: gpus: found {devices} on this machine, {asked} asked for: train it on "
            f"one that has {asked}, or change the task's gpus, which makes it another training"
        )
    return asked


def train(train_share: TrainShare, task: Task, run: Run, ranks: int) -> Trained:
    """Run `train_share` in `ranks` processes, and return what the first of them returns.

    Exits as a training does that was stopped when one of them did. Raises InputError that one of them raised.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # each would warn that no parameter is unused
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
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


def _end_with_parent() -> None:
    """One of a killed training does not train on beside that which goes on from its checkpoint."""
    if parent := parent_process():
        parent.join()
        os._exit(1)


def averaging_gradients(model: nn.Module, share: Share) -> nn.Module:
    """The model, of which every backward pass averages the gradients of all processes, always in one order.

    Unless told of parameters that may be unused, torch orders gradients anew after a process's first step: a
    training that was started again would then add those of three or more in another order.
    """
    if share.ranks == 1:
        return model
    return DistributedDataParallel(model, find_unused_parameters=True)


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


def from_all(mine: Tensor, share: Share) -> Tensor:
    """What each process has, [ranks, ...]; of one that is alone, as it is."""
    if share.ranks == 1:
        return mine
    found = [torch.empty_like(mine) for _ in range(share.ranks)]
    distributed.all_gather(found, mine)
    return torch.stack(found)


def own(of_all: Tensor, share: Share) -> Tensor:
    """This process's part of what `from_all` gave."""
    if share.ranks == 1:
        return of_all
    return of_all[share.rank].clone()  # torch reads a generator's state from where the memory begins


def agreed(wish: bool, share: Share) -> bool:
    """Whether any process wishes it."""
    if share.ranks == 1:
        return wish
    wishes = torch.tensor(int(wish))
    distributed.all_reduce(wishes, distributed.ReduceOp.MAX)
    return bool(wishes)
