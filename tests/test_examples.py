"""The examples in docstrings give what they say; each public name has one."""

import doctest
import importlib
import pkgutil

import pytest

import helpers

MODULES = sorted(
    found.name for found in pkgutil.walk_packages(helpers.__path__, "helpers.") if not found.name.endswith("__main__")
)


def examples(name):
    """The examples of one module's own docstrings."""
    module = importlib.import_module(name)
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for test in examples(name):
        test.globs["tmp"] = tmp_path
        said = []
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
        assert not said, "".join(said)


@pytest.mark.parametrize("name", helpers.__all__)
def test_each_public_name_has_an_example_that_runs(name):
    # a constant is told by its class
    found = getattr(helpers, name)
    doc = (type(found) if name.isupper() else found).__doc__
    assert ">>> " in (doc or "") and "+SKIP" not in doc, f"{name}: give its docstring an example"
