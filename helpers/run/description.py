"""One TOML file that describes a run: its preset and the parameters that differ from it; kept, rerun, compared."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path

from helpers import files
from helpers.config import PRESETS, make_config
from helpers.errors import UserError, nearest

NAME = "run.toml"


def read_run(path: str | Path) -> tuple[str, dict]:
    """Preset and parameters (NAME -> value) of a run's description.

    path: a TOML file with `preset = "demo"` and, if wanted, a table [parameters] of NAME = value.
    Raises UserError, with file and line where it is no TOML, for anything else in it.

    >>> path = files.write_text(tmp / "run.toml", 'preset = "smoke"\\n\\n[parameters]\\nSEEDS = 3\\n')
    >>> read_run(path)
    ('smoke', {'SEEDS': 3})
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); expected a run's TOML file") from None
    except (ValueError, RecursionError) as error:
        reason = (str(error).splitlines() or ["nested too deeply"])[0][:200]
        raise UserError(f"{path}: not TOML ({reason}); expected preset = ... and [parameters]") from None
    for name in found:
        if name not in ("preset", "parameters"):
            raise UserError(f"{path}, {name[:60]!r}: expected preset and [parameters] only"
                            f"{nearest(name, ('preset', 'parameters'))}")  # fmt: skip
    preset, parameters = found.get("preset", "demo"), found.get("parameters", {})
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UserError(f"{path}, preset: expected one of {', '.join(PRESETS)}")
    if not isinstance(parameters, dict):
        raise UserError(f"{path}, parameters: expected a table, [parameters]")
    try:
        make_config(preset, parameters)
    except UserError as error:
        raise UserError(f"{path}, {error}") from None
    return preset, {name.upper(): value for name, value in parameters.items()}


def write_run(run: Path, preset: str, parameters: Mapping) -> Path:
    """Write a run's description into its folder; `dsp run --file` takes it. parameters: NAME -> number, words or list.

    >>> read_run(write_run(tmp, "smoke", {"TASKS": ["toy_cs"], "WARMUP": 0.1}))
    ('smoke', {'TASKS': ['toy_cs'], 'WARMUP': 0.1})
    """
    # plain values of JSON are values of TOML
    lines = [f"preset = {json.dumps(preset)}", "", "[parameters]"]
    lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in sorted(parameters.items())]
    return files.write_text(run / NAME, "\n".join(lines) + "\n")
