"""pyproject.toml, environment.yml and constraints.txt say the same, and all of it is installed."""

import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def normal(requirement):
    requirement = Requirement(requirement)
    return canonicalize_name(requirement.name), requirement.specifier, frozenset(requirement.extras)


def test_environment_yml_is_in_step_with_pyproject():
    conda = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip[-1] == "-e ."
    assert {normal(entry) for entry in pip[:-1]} == {normal(entry) for entry in PROJECT["dependencies"]}
    assert "prefix" not in ENVIRONMENT


def test_floors_are_floors_and_constraints_are_exact():
    assert not any("==" in entry for entry in PROJECT["dependencies"])
    for entry in CONSTRAINTS:
        (specifier,) = entry.specifier
        assert specifier.operator == "==" and "+" not in specifier.version, entry
    pinned = {canonicalize_name(entry.name): Version(str(entry.specifier).lstrip("=")) for entry in CONSTRAINTS}
    assert pinned["torch"] == Version("2.13.0")
    extras = [entry for name in ("cluster", "dev") for entry in PROJECT["optional-dependencies"][name]]
    for entry in map(Requirement, PROJECT["dependencies"] + extras):
        if entry.name != PROJECT["name"]:
            assert entry.specifier.contains(pinned[canonicalize_name(entry.name)]), entry


@pytest.mark.parametrize("entry", PROJECT["dependencies"])
def test_every_dependency_is_installed_and_new_enough(entry):
    requirement = Requirement(entry)
    assert requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)


def test_this_python_is_one_we_support():
    assert SpecifierSet(PROJECT["requires-python"]).contains(".".join(map(str, sys.version_info[:3])))


def test_citation_names_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["preferred-citation"]["doi"] == "10.18653/v1/2020.acl-main.740"
    assert citation["license"] == PROJECT["license"] == "MIT"
