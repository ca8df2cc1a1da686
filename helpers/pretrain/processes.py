"""Several processes on one training."""

import os
import select
import threading
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist

from helpers import compute


@dataclass(frozen=True)
class Group:
    """The processes that share a training: this one's rank and their number. One process alone is 0 of 1."""

    rank: int
    size: int

    def add_gradients(self, parameters) -> None:
        """Sum gradients over the processes, in one message an update. A parameter that has one in no process keeps
        none, as when one process trains alone: the optimiser then leaves it as it is, its decay too."""
        if self.size == 1:
            return
        parameters = list(parameters)
        asked = torch.tensor([float(p.grad is not None) for p in parameters], device=parameters[0].device)
        flat = [(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in parameters]
        dist.all_reduce(flat := torch.cat([*flat, asked]))
        *pieces, asked = flat.split([*(p.numel() for p in parameters), len(parameters)])
        for parameter, piece, anywhere in zip(parameters, pieces, asked.tolist(), strict=True):
            parameter.grad = piece.view_as(parameter).clone() if anywhere else None

    def add(self, value: torch.Tensor) -> torch.Tensor:
        """Sum a number over the processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()

    def own_folder(self, output: Path) -> Path:
        """A folder for this process's token file."""
        folder = output / "tokens" / str(self.rank)
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def join() -> Group:
    """This process's place among those that torchrun or accelerate started, or alone."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Group(0, 1)
    if not dist.is_initialized():
        on_gpu = compute.device().type == "cuda"
        if on_gpu:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if on_gpu else "gloo")
    return Group(dist.get_rank(), dist.get_world_size())


def end_with_starter() -> None:
    """End this process when torchrun is gone, or standard input ends, which whoever started torchrun holds open."""
    torchrun = os.getppid()

    def watch() -> None:
        # not by sys.stdin, whose lock a thread must not hold when Python ends
        while os.getppid() == torchrun and not (select.select([0], [], [], 1.0)[0] and not os.read(0, 4096)):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def leave() -> None:
    """End what `join` began; without it a process may wait for its network threads for ever."""
    if dist.is_initialized():
        dist.destroy_process_group()
