"""Several processes on one training."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Group:
    """The processes that share a training: this one's rank and their number. One process alone is 0 of 1."""

    rank: int
    size: int

    def add_gradients(self, parameters) -> None:
        """Sum gradients over the processes, in one message an update."""
        if self.size == 1:
            return
        parameters = list(parameters)
        flat = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).reshape(-1) for p in parameters])
        dist.all_reduce(flat)
        for parameter, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = piece.view_as(parameter).clone()

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
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    return Group(dist.get_rank(), dist.get_world_size())


def leave() -> None:
    """End what `join` began; without it a process may wait for its network threads for ever."""
    if dist.is_initialized():
        dist.destroy_process_group()
