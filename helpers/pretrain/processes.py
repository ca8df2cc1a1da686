"""Several processes on one training, and its checkpoints."""

import json
import os
import shutil
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


def save_checkpoint(folder: Path, parameters: dict, optimizer, step: int, progress: dict) -> None:
    """Write weights, optimiser moments and progress so that `load_checkpoint` goes on bit for bit."""
    from safetensors.torch import save_file

    aside = folder.with_name(folder.name + ".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    tensors = {}
    for name, parameter in parameters.items():
        tensors[f"weight/{name}"] = parameter.detach().contiguous()
        for kind in ("exp_avg", "exp_avg_sq"):
            tensors[f"{kind}/{name}"] = optimizer.state[parameter][kind].contiguous()
    save_file(tensors, aside / "state.safetensors")
    (aside / "state.json").write_text(json.dumps({"step": step, "progress": progress}))
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        os.replace(folder, old)
    os.replace(aside, folder)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, parameters: dict, optimizer) -> tuple[int, dict]:
    """Put a checkpoint's state into the model and optimiser; returns the update to go on with and the progress."""
    from safetensors.torch import load_file

    state = json.loads((folder / "state.json").read_text())
    tensors = load_file(folder / "state.safetensors")
    step = state["step"]
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            optimizer.state[parameter] = {
                "step": torch.tensor(float(step), device=parameter.device),
                **{kind: tensors[f"{kind}/{name}"].to(parameter.device) for kind in ("exp_avg", "exp_avg_sq")},
            }
    return step, state["progress"]
