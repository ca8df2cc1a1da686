"""Every command line of the README, typed into a fresh shell beside the files it names."""

import csv
import gzip
import json
import re
import shutil
import subprocess
import sys
from itertools import islice, permutations
from pathlib import Path

import pytest

from tests.test_readme import BOTH, ROOT

COMMAND = re.compile(r"^ {4}((?:[A-Z_]+=\S+ )*(?:make|dsp|papermill|torchrun) [^#\n]+)", re.M)
COMMANDS = list(dict.fromkeys(command.strip() for command in COMMAND.findall(BOTH)))
# What would take hours is told what to do and stops there; test_smoke_study.py runs the notebooks.
CUT = (
    (r"^make ", "make --dry-run "),
    (r"(dsp run .*)", r"\1 --dry-run"),
    (r"(dsp trial .*)", r"\1 --preset smoke --sequences 128"),
    (r"^papermill (.*)", r"papermill --prepare-only \1"),
    (r"--nproc-per-node 8 (.*)", r"--nproc-per-node 2 \1 --steps 2 --batch-size 8"),
)
LAW = "court claim contract breach damages judge appeal statute counsel evidence".split()
SEA = "ship harbour tide crew sail storm anchor cargo deck voyage".split()


def texts(words, count):
    """Texts of three words, each a choice of its own."""
    return [" ".join(some) for some in islice(permutations(words, 3), 0, 7 * count, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with everything that the commands name, as the README describes it."""
    folder = tmp_path_factory.mktemp("reader")
    rows = [(text, kind) for kind, words in (("law", LAW), ("sea", SEA)) for text in texts(words, 60)]
    with open(folder / "notes.csv", "w", newline="") as file:
        csv.writer(file).writerows([("text", "kind"), *rows])
    (folder / "law.txt").write_text("\n".join(texts(LAW, 200)))
    for task in ("chemprot", "citation_intent"):
        (folder / "my_root/tasks" / task).mkdir(parents=True)
        for split, some in (("train", rows[::3]), ("dev", rows[1::3]), ("test", rows[2::3])):
            lines = [json.dumps({"text": f"{text} {task}", "label": kind}) for text, kind in some]
            (folder / "my_root/tasks" / task / f"{split}.jsonl").write_text("\n".join(lines))
    (folder / "my_root/domains").mkdir()
    for domain in ("biomed", "cs", "news", "reviews", "generic"):
        lines = [json.dumps({"text": f"{text} {domain}"}) for text in texts(SEA, 200)]
        (folder / "my_root/domains" / f"{domain}.jsonl").write_text("\n".join(lines))
    with gzip.open(folder / "biomed.jsonl.gz", "wt") as file:
        file.write((folder / "my_root/domains/biomed.jsonl").read_text())
    shutil.copytree(ROOT / "helpers/mini/weights", folder / "roberta-base")  # the hub's is out of reach here
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    shutil.copy(ROOT / "Makefile", folder)
    (folder / "pyproject.toml").touch(), (folder / "constraints.txt").touch()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_in_a_fresh_shell(command, folder, own_cache):
    for pattern, instead in CUT:
        command = re.sub(pattern, instead, command)
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(own_cache), "DSP_CACHE": str(own_cache),
        "DSP_DATA": str(folder / "my_root"), "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "LANG": "C.UTF-8",
    }  # fmt: skip
    done = subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stdout + done.stderr


def test_no_command_was_overlooked():
    assert {command.split()[0].split("=")[0] for command in COMMANDS} == {
        "make", "dsp", "papermill", "torchrun", "DSP_DATA",
    }  # fmt: skip
