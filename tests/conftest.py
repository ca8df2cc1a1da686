"""Shared by all tests: nobody's cache, data root or network is touched."""

import os

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Tests that need an address start a server on this machine.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


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
def own_cache(tmp_path_factory, monkeypatch):
    """An empty cache folder for this test and the processes it starts; no data root."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("DSP_CACHE", str(folder))
    monkeypatch.delenv("DSP_DATA", raising=False)
    return folder
