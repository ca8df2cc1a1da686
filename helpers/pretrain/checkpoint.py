"""Training state on disk: one file a checkpoint, whole or absent, checked when read; the one before is kept."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from helpers.errors import UserError
from helpers.files import aside

KEPT = 2  # the newest, and the one before in case the newest is damaged
NAMES = "[0-9]*.safetensors"


def write(folder: Path, step: int, parameters: dict, optimizer, state: dict) -> None:
    """Write weights, optimiser state and `state` as they are before update `step`, and remove what is older.

    parameters: name -> parameter. state: plain data. A process killed in here leaves the checkpoints that were there.
    """
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in parameters.items():
        tensors[f"weight/{name}"] = parameter.detach().contiguous()
        for kind, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{kind}/{name}"] = value.contiguous()
    text = json.dumps({**state, "step": step})
    with aside(folder / f"{step:09d}.safetensors") as new:
        save_file(tensors, new, metadata={"state": text, "sha256": _digest(text, tensors)})
    # one of a later update was passed over as damaged when this training resumed, and is no checkpoint to go back to
    kept = [file for file in sorted(folder.glob(NAMES)) if file.name <= f"{step:09d}.safetensors"][-KEPT:]
    for file in folder.iterdir():
        if file not in kept:
            file.unlink()


def read(folder: Path, log: Callable[[str], None]) -> tuple[dict, dict] | None:
    """State and tensors of the newest checkpoint that is whole; None without one. Damaged ones are named to `log`."""
    for file in sorted(folder.glob(NAMES), reverse=True):
        try:
            return _read(file)
        except Exception as error:  # a damaged header raises whatever the reader stumbles over
            reason = (str(error).splitlines() or [type(error).__name__])[0][:80]
            log(f"{file}: the checkpoint is damaged ({reason}); going back to the one before, or to the start")
    return None


def _read(file: Path) -> tuple[dict, dict]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        metadata = opened.metadata()
    if metadata["sha256"] != _digest(metadata["state"], tensors):
        raise ValueError("its checksum differs")
    return json.loads(metadata["state"]), tensors


def put(tensors: dict, parameters: dict, optimizer) -> None:
    """Put a checkpoint's tensors into the model's parameters and the optimiser."""
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[f"weight/{name}"])
            kinds = [kind for kind in ("step", "exp_avg", "exp_avg_sq") if f"{kind}/{name}" in tensors]
            optimizer.state[parameter] = {kind: tensors[f"{kind}/{name}"].to(parameter.device) for kind in kinds}


def check_same(found: dict, wanted: dict, where: Path) -> None:
    """Raise UserError naming what differs when `where` holds the training of other facts than `wanted`."""
    recipes = found["recipe"], wanted["recipe"]
    differ = [f"{key} {recipes[0].get(key)} there, {value} here" for key, value in recipes[1].items()
              if recipes[0].get(key) != value]  # fmt: skip
    if found["seed"] != wanted["seed"]:
        differ.append(f"seed {found['seed']} there, {wanted['seed']} here")
    differ += [f"another {name}" for name in ("text", "model") if found[name] != wanted[name]]
    if differ:
        raise UserError(f"{where}: it is of another training ({'; '.join(differ)}); "
                        "give another output folder, or remove this one")  # fmt: skip


def digest_of_arrays(*arrays) -> str:
    """24 hex digits of arrays: their types, shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(memoryview(array.reshape(-1)).cast("B") if array.size else b"")
    return digest.hexdigest()[:24]


def digest_of_tensors(tensors: dict) -> str:
    """24 hex digits of tensors under their names."""
    return _digest("", tensors)[:24]


def _digest(text: str, tensors: dict) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
