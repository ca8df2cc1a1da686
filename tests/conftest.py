"""Shared by all tests: nobody's cache, outputs, data root or network is touched."""

import os

import pytest

from helpers.compute import cores

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Tests that need an address start a server on this machine.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
# Processes of make test share the cores: threads of each for all of them wait for one another, twice as long.
if (workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))) > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores() // workers)))


def pytest_collection_modifyitems(items):
    """The files that take longest go first, so that the processes end together."""
    items.sort(key=lambda item: item.path.name not in ("test_smoke_study.py", "test_laptop_design.py"))


COUNTS = pytest.StashKey[dict]()


@pytest.fixture(scope="session")
def counts(pytestconfig):
    """What the chaos tests try -> [how often it went well, how often it was tried]; the last lines that are printed."""
    tried = ("resumed runs equal", "damages noticed", "inputs refused or read rightly")
    return pytestconfig.stash.setdefault(COUNTS, {name: [0, 0] for name in tried})


def pytest_unconfigure(config):
    for name, (good, tried) in config.stash.get(COUNTS, {}).items():
        if tried and not hasattr(config, "workerinput"):  # a process of make test has no terminal
            print(f"{good} of {tried} {name}")


@pytest.fixture(autouse=True)
def own_outputs(tmp_path_factory, monkeypatch):
    """Where this test's runs go that name no folder: not among those of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("outputs")
    monkeypatch.setattr("helpers.paths.outputs_root", lambda: folder)
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """An empty cache folder for this test and the processes it starts; no data root."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DSP_CACHE", str(folder))
    monkeypatch.delenv("DSP_DATA", raising=False)
    return folder
