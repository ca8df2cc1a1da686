"""Every kind of artifact of a study, damaged in every way: noticed before use, named, made again as it was."""

import json
import shutil

import pytest

from helpers.store import Store
from tests.chaos.tiny_study import contents, end, make_root, start
from tests.test_store import DAMAGES, MANIFEST_DAMAGES

pytestmark = pytest.mark.chaos


def _flip_manifest(path):
    """Damage to what a manifest vouches for: the sum of its first file."""
    known = json.loads(path.read_text())
    name = next(iter(known["files"]))
    known["files"][name] = "0" * 64
    path.write_text(json.dumps(known))


def _cases(folder):
    """A damage of each way to the first file of each suffix and to the manifest of an artifact."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    firsts = {file.suffix: file for file in reversed(files) if file.name != "manifest.json"}
    for file in firsts.values():
        for name, harm in DAMAGES.items():
            if file.stat().st_size or name not in ("flip", "truncate", "empty"):
                yield name, file, harm
    manifest = folder / "manifest.json"
    yield from ((name, manifest, DAMAGES[name]) for name in ("truncate", "empty", "delete", "folder for file"))
    yield "a sum", manifest, _flip_manifest
    yield from ((name, manifest, harm) for name, harm in MANIFEST_DAMAGES.items())


def test_damage_to_every_kind_of_artifact_is_noticed_named_and_made_good(tmp_path, counts):
    root, run = make_root(tmp_path / "root"), tmp_path / "run"
    end(start(root, run))
    expected, said = contents(run), []
    store = Store(run / "cache" / "store", said.append)
    kinds = {folder.parent.name: folder for folder in sorted(store.root.glob("*/[0-9a-f]*"))}
    assert len(kinds) == 12, sorted(kinds)
    tally = counts["damages noticed"]
    for kind, folder in kinds.items():
        kept = tmp_path / "kept"
        shutil.copytree(folder, kept)
        for name, file, harm in list(_cases(folder)):
            harm(file)
            said.clear()
            tally[1] += 1
            noticed = not store.whole(kind, folder.name) and str(folder) in said[0] and "\n" not in said[0]
            tally[0] += noticed
            assert noticed, f"{name} of {file} went unnoticed"
            shutil.rmtree(folder)
            shutil.copytree(kept, folder)
        shutil.rmtree(kept)
        assert store.whole(kind, folder.name)
    for folder in store.root.glob("*/[0-9a-f]*"):
        next(file for file in folder.rglob("*") if file.is_file() and file.name != "manifest.json").write_bytes(b"x")
    end(start(root, run))  # every artifact is damaged: each is made again
    assert contents(run) == expected
