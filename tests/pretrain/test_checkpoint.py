"""A training killed at any moment or damaged on disk ends with the undisturbed weights, or says why not."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from helpers.errors import UserError
from helpers.pretrain import Recipe, adapt, checkpoint, processes

RECIPE = Recipe("test", learning_rate=1e-3, batch_size=16, steps=6, max_length=32)


class Killed(Exception):
    pass


pytestmark = pytest.mark.usefixtures("plain_cpu")


@pytest.fixture(scope="module")
def whole(tiny, texts, tmp_path_factory):
    """Weights of the undisturbed training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DSP_PRECISION", "fp32")
        patch.setenv("DSP_DEVICE", "cpu")
        torch.set_num_threads(1)
        out = adapt(tiny, texts, RECIPE, tmp_path_factory.mktemp("whole") / "out", log=lambda line: None).path
    return load_file(out / "model.safetensors")


@pytest.fixture
def cut(tiny, texts, tmp_path, monkeypatch):
    """A training's folder, stopped after its third checkpoint."""
    write, written = checkpoint.write, []

    def write_and_stop(*arguments):
        write(*arguments)
        written.append(arguments)
        if len(written) == 3:
            raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint, "write", write_and_stop)
        adapt(tiny, texts, RECIPE, tmp_path / "out", checkpoint_seconds=0, log=lambda line: None)
    return tmp_path / "out"


def equal(folder, weights):
    found = load_file(folder / "model.safetensors")
    return all(torch.equal(found[name], weights[name]) for name in weights)


def flip(data: bytes) -> bytes:
    place = len(data) * 3 // 4
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGES = {
    "flipped": flip,
    "flipped header": lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
    "another step": lambda data: data.replace(b'\\"step\\": 3', b'\\"step\\": 9'),
    "truncated": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
    "deleted": None,
}


def damage(file, kind):
    if DAMAGES[kind] is None:
        file.unlink()
    else:
        data = file.read_bytes()
        file.write_bytes(DAMAGES[kind](data))
        assert file.read_bytes() != data


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(cut, tiny, texts, whole, kind):
    assert [file.stem for file in sorted((cut / "checkpoint").iterdir())] == ["000000002", "000000003"]
    damage(cut / "checkpoint" / "000000003.safetensors", kind)
    lines = []
    adapt(tiny, texts, RECIPE, cut, log=lines.append)
    assert any("resumed at update 2" in line for line in lines)
    assert kind == "deleted" or "damaged" in lines[0]
    assert equal(cut, whole)


def test_with_every_checkpoint_damaged_the_training_starts_anew(cut, tiny, texts, whole):
    for file in (cut / "checkpoint").iterdir():
        damage(file, "truncated")
    lines = []
    adapt(tiny, texts, RECIPE, cut, log=lines.append)
    assert not any("resumed" in line for line in lines) and equal(cut, whole)


CHILD = """
import os, sys
from helpers.pretrain import Recipe, adapt
moment, tiny, corpus, output = sys.argv[1:]
count, replace = [0], os.replace
def killing(source, target):
    if "checkpoint" in str(target):
        count[0] += 1
        if count[0] == 2 and moment == "before":
            os._exit(9)
    elif moment == "saving" and str(target).endswith("model.safetensors"):
        os._exit(9)
    replace(source, target)
    if count[0] == 2 and moment == "after":
        os._exit(9)
os.replace = killing
recipe = Recipe("test", learning_rate=1e-3, batch_size=16, steps=6, max_length=32)
adapt(tiny, open(corpus).read().split("\\n"), recipe, output, checkpoint_seconds=0)
"""


@pytest.mark.parametrize("moment", ["before", "after", "saving"])
def test_killed_around_a_rename_it_resumes_to_the_same_weights(tiny, texts, tmp_path, whole, moment):
    (tmp_path / "corpus.txt").write_text("\n".join(texts))
    arguments = [sys.executable, "-c", CHILD, moment, tiny, str(tmp_path / "corpus.txt"), str(tmp_path / "out")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in this process: sums of more round otherwise
    assert subprocess.run(arguments, env=one_thread, capture_output=True).returncode == 9
    lines = []
    adapt(tiny, texts, RECIPE, tmp_path / "out", log=lines.append)
    assert any("resumed at update" in line for line in lines)
    assert equal(tmp_path / "out", whole)
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]


def test_a_resumed_training_keeps_its_precision(cut, tiny, texts, whole, monkeypatch):
    monkeypatch.setenv("DSP_PRECISION", "bf16")
    assert adapt(tiny, texts, RECIPE, cut, log=lambda line: None).summary["precision"] == "fp32"
    assert equal(cut, whole)


OTHERS = {
    "learning_rate 0.001 there, 0.002 here": {"recipe": replace(RECIPE, learning_rate=2e-3)},
    "max_length 32 there, 24 here": {"recipe": replace(RECIPE, max_length=24)},
    "seed 0 there, 1 here": {"seed": 1},
    "another text": {"texts": ["gene cell paper", "house of green people"]},
    "another model": {"model": "other"},
}


@pytest.mark.parametrize("message", OTHERS)
@pytest.mark.parametrize("state", ["cut", "finished"])
def test_the_folder_of_another_training_is_refused(cut, tiny, texts, message, state):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    if state == "finished":
        adapt(tiny, texts, RECIPE, cut, log=lambda line: None)
    asked = {"model": tiny, "texts": texts, "recipe": RECIPE, "seed": 0, **OTHERS[message]}
    if asked["model"] == "other":
        asked["model"] = cut.parent / "other"
        net = AutoModelForMaskedLM.from_pretrained(tiny)
        net.lm_head.bias.data += 1
        net.save_pretrained(asked["model"])
        AutoTokenizer.from_pretrained(tiny).save_pretrained(asked["model"])
    with pytest.raises(UserError, match=f"{message}.*another output folder") as caught:
        adapt(**asked, output=cut, log=lambda line: None)
    assert "\n" not in str(caught.value)


def test_a_finished_training_is_returned_and_a_damaged_one_made_again(tiny, texts, tmp_path, whole):
    first = adapt(tiny, texts, RECIPE, tmp_path / "out", log=lambda line: None)
    weights = tmp_path / "out" / "model.safetensors"
    written = weights.stat().st_mtime_ns
    again = adapt(tiny, texts, RECIPE, tmp_path / "out", log=lambda line: None)
    assert weights.stat().st_mtime_ns == written and again.summary == first.summary
    assert again.history["loss"].tolist() == pytest.approx(first.history["loss"].tolist())
    mask = os.umask(0o022)
    os.umask(mask)
    assert weights.stat().st_mode & 0o777 == 0o666 & ~mask
    damage(weights, "flipped")
    adapt(tiny, texts, RECIPE, tmp_path / "out", log=lambda line: None)
    assert equal(tmp_path / "out", whole)


def test_all_processes_have_read_the_text_before_a_finished_trainings_tokens_are_removed(
    tiny, texts, tmp_path, monkeypatch
):
    adapt(tiny, texts, RECIPE, tmp_path / "out", log=lambda line: None)
    there = []
    monkeypatch.setattr(processes.Group, "wait", lambda group: there.extend((tmp_path / "out" / "tokens").iterdir()))
    adapt(tiny, texts, RECIPE, tmp_path / "out", log=lambda line: None)
    assert [folder.name for folder in there] == ["0"] and not (tmp_path / "out" / "tokens").exists()


def test_a_damaged_checkpoint_takes_no_place_of_a_whole_one(tmp_path):
    net = torch.nn.Linear(2, 2)
    optimizer, named = torch.optim.AdamW(net.parameters()), dict(net.named_parameters())
    for step in (100, 200):
        checkpoint.write(tmp_path, step, named, optimizer, {})
    (tmp_path / "000000200.safetensors").write_bytes(b"cut")
    assert checkpoint.read(tmp_path, lambda line: None)[0]["step"] == 100
    for step in (150, 175):
        checkpoint.write(tmp_path, step, named, optimizer, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["000000150.safetensors", "000000175.safetensors"]
