"""Which room may read from which: no import goes up the list, none in a circle, hidden inside a function or not."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "helpers"
# From the bottom up; a room reads from rooms before it in this list. Rooms of one line do not read from each other.
ROOMS = (
    ("errors",),
    ("files", "hashing"),
    ("paths",),
    ("compute",),
    ("methods",),
    ("config", "paper", "progress"),
    ("jobs",),
    ("words",),
    ("data",),
    ("overlap", "encoder", "store"),
    ("pretrain", "classify", "select"),
    ("results",),
    ("figures",),
    ("mini",),
    ("study",),
    ("run",),
)
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}


def modules():
    """Module name -> file, of every module of the package."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


MODULES = modules()


def imports(module):
    """Modules of the package that a module imports, at its top or inside a function; lazy tables of names too."""
    tree, found = ast.parse(MODULES[module].read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{name.name}" for name in node.names} | {node.module}
    return {name for name in found if name in MODULES and name != module}


def room(module):
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [name for name in MODULES if room(name)])
def test_no_import_goes_up(module):
    own = room(module)
    assert own in RANK, f"say in ROOMS where {own} stands"
    for other in imports(module):
        assert not room(other) or room(other) == own or RANK[room(other)] < RANK[own], f"{module} reads from {other}"


def test_no_modules_import_each_other_in_a_circle():
    # a package's own __init__ only names what its files hold
    graph = {
        name: {other for other in imports(name) if MODULES[other].name != "__init__.py"}
        for name in MODULES
        if MODULES[name].name != "__init__.py"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_circle_and_an_arrow_up_would_be_found():
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    assert "helpers.data" in imports("helpers.study.plan") and RANK["data"] < RANK["study"]


def test_no_file_outgrows_its_subject():
    long = {name: lines for name, file in MODULES.items() if (lines := len(file.read_text("utf-8").splitlines())) > 410}
    assert not long
