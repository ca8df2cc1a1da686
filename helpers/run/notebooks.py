"""Notebook files: finding them, reading what they declare, keeping their sources free of results."""

import ast
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from helpers.config import Config
from helpers.errors import UserError, nearest
from helpers.paths import project_root
from helpers.study.opening import open_config


def notebooks_dir() -> Path:
    """The folder of the six notebooks in the checkout."""
    return project_root() / "notebooks"


def find(names: Sequence[str] = (), folder: Path | None = None) -> list[Path]:
    """Paths of notebooks named by number ('3', '03'), word ('tapt'), stem ('03_tapt') or path; none: all.

    Returned in the order of their numbers. Raises UserError for a name that fits no notebook or several.
    """
    folder = folder or notebooks_dir()
    every = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not every:
        raise UserError(f"{folder}: there are no notebooks here; run from a checkout of the repository")
    if not names:
        return every
    chosen = {_find_one(name, every) for name in names}
    return sorted(chosen, key=lambda path: path.stem)


def _find_one(name: str, every: list[Path]) -> Path:
    if name.endswith(".ipynb"):
        if not Path(name).is_file():
            raise UserError(f"notebook {name}: there is no such file")
        return Path(name).resolve()
    for path in every:
        number, _, word = path.stem.partition("_")
        if name in (path.stem, number, word, number.lstrip("0")):
            return path
    stems = [path.stem for path in every]
    words = [*stems, *(stem.partition("_")[2] for stem in stems)]
    raise UserError(f"notebook {name!r}: expected one of {', '.join(stems)}.{nearest(name, words)}")


def read(path: Path):
    """The notebook as a node of nbformat 4. Raises UserError for a file that is none."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a readable notebook ({reason})") from None


def declared(notebook, name: str = "notebook") -> dict:
    """Parameters of a notebook: name -> default, from the literals in its one cell tagged 'parameters'.

    Raises UserError when there are several such cells, or one holds anything but `NAME = literal`, with or without
    a type.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
    if len(cells) > 1:
        raise UserError(f"{name}: {len(cells)} cells are tagged 'parameters'; keep one")
    found = {}
    try:
        lines = ast.parse(cells[0].source).body if cells else ()
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", 1)
        raise UserError(f"{name}, parameters, line {line}: not Python ({error.args[0]})") from None
    for line in lines:
        targets = [line.target] if isinstance(line, ast.AnnAssign) else getattr(line, "targets", [])
        if not (len(targets) == 1 and isinstance(targets[0], ast.Name) and line.value):
            raise UserError(f"{name}, parameters, line {line.lineno}: expected NAME = value or NAME: type = value")
        try:
            found[targets[0].id] = ast.literal_eval(line.value)
        except (ValueError, TypeError, RecursionError, MemoryError):
            raise UserError(
                f"{name}, parameters, line {line.lineno}: expected a literal; compute from it in a later cell"
            ) from None
    return found


def check(paths: Sequence[Path], preset: str, parameters: Mapping) -> tuple[Config, dict[Path, dict]]:
    """Check parameters before anything runs: the configuration, and for each notebook what to pass to it.

    parameters: name in any case -> value, text as from a command line included. A notebook is given those
    it declares, with the type the configuration gives them, and all of them if it hands `parameters(globals())`
    on: what DAPT_STEPS changes for one notebook it changes for all that use its checkpoints.
    Raises UserError for an unknown name, a value of the wrong kind, a task or domain that is not registered,
    and a name that no notebook declares.
    """
    parameters = {name.upper(): value for name, value in parameters.items() if value is not None}
    config = open_config(preset, parameters)
    names = {path: taken(read(path), path.name) for path in paths}
    for name in parameters:
        if not any(name in known for known in names.values()):
            every = set().union(*names.values())
            stems = ", ".join(path.stem for path in paths)
            raise UserError(f"parameter {name}: not declared by {stems}.{nearest(name, sorted(every))}")
    values = given(config, parameters) | {"PRESET": config.preset}
    passed = {path: {name: values[name] for name in sorted(values) if name in names[path]} for path in paths}
    return config, passed


def taken(notebook, name: str = "notebook") -> set[str]:
    """Names of the parameters that a notebook takes note of, declared or not."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    trees = [_parsed(source, f"{name}, code cell {number}") for number, source in enumerate(sources, 1)]
    calls = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call))
    whole = any(isinstance(call.func, ast.Name) and call.func.id == "parameters" for call in calls)
    return set(declared(notebook, name)) | ({field.upper() for field in Config.model_fields} if whole else set())


def _parsed(source: str, where: str) -> ast.Module:
    """A cell as Python, with what IPython makes of its magics. Raises UserError with the line that is no Python."""
    from IPython.core.inputtransformer2 import TransformerManager

    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{where}, line {line}: not Python ({error.args[0]}); mend the cell") from None


def given(config: Config, parameters: Mapping) -> dict:
    """The parameters that were given, NAME -> value as the configuration has it."""
    names = [name.upper() for name, value in parameters.items() if value is not None and name.upper() != "PRESET"]
    values = {name: getattr(config, name.lower()) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def source_hash(notebook) -> str:
    """Hash of what runs: code and markdown, not outputs or metadata."""
    digest = hashlib.sha256()
    for cell in notebook.cells:
        digest.update(f"{cell.cell_type}\0{cell.source}\0".encode())
    return digest.hexdigest()[:24]


def strip(notebook) -> None:
    """Leave only what an author wrote: no outputs, counts or injected cells; tags and stable ids stay."""
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", ())]
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    notebook.metadata.clear()
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    used = set()
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata.clear()
        if tags:
            cell.metadata["tags"] = tags
        if not cell.get("id") or cell["id"] in used:
            taken = f"{len(used)}\0{cell.source}"
            cell["id"] = hashlib.sha256(taken.encode()).hexdigest()[:8]
        used.add(cell["id"])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def strip_file(path: Path) -> bool:
    """Strip a notebook file in place; returns whether that changed it."""
    import nbformat

    notebook = read(path)
    strip(notebook)
    text = nbformat.writes(notebook, version=4).rstrip("\n") + "\n"
    if path.read_text("utf-8") == text:
        return False
    aside = path.with_name(f".{path.name}.new")
    aside.write_text(text, "utf-8")
    os.replace(aside, path)
    return True
