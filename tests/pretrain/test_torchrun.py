"""An adaptation divided among processes: the weights of one, one line when it fails, nobody left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
import torch
from safetensors.torch import load_file

from helpers.errors import UserError
from helpers.pretrain import DAPT, adapt, adapt_under_torchrun
from helpers.pretrain.__main__ import read_recipe
from helpers.pretrain.processes import Group

RECIPE = replace(DAPT, steps=4, batch_size=24, max_length=32, dropout=0.0)


pytestmark = pytest.mark.usefixtures("plain_cpu")


def test_two_processes_end_with_the_weights_of_one_and_say_that_they_were_two(tiny, texts, tmp_path):
    lines = []
    two = adapt_under_torchrun(tiny, iter(texts[:60]), RECIPE, tmp_path / "two", processes=2, seed=5, log=lines.append)
    one = adapt(tiny, texts[:60], RECIPE, tmp_path / "one", seed=5, log=lambda line: None)
    assert (one.summary["processes"], two.summary["processes"]) == (1, 2)
    assert two.summary["documents"] == 60 and two.summary["tokens"] == one.summary["tokens"]
    assert any("2 process(es)" in line for line in lines)
    assert sorted(path.name for path in one.path.iterdir()) == sorted(path.name for path in two.path.iterdir())
    first, second, base = (load_file(f"{folder}/model.safetensors") for folder in (one.path, two.path, tiny))
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=0, atol=1e-5)
    assert not all(torch.allclose(value, base[name], rtol=0, atol=1e-5) for name, value in first.items())


def test_updates_without_a_masked_token_move_no_weight_in_two_processes_either(tiny, tmp_path):
    """Texts of one or two tokens: most updates of two ask for nothing, and momentum would go on without them."""
    short = ["cell", "the", "gene cell", "house"] * 4
    recipe = replace(RECIPE, batch_size=2, steps=8, learning_rate=1e-2)
    two = adapt_under_torchrun(tiny, short, recipe, tmp_path / "two", processes=2, log=lambda line: None)
    one = adapt(tiny, short, recipe, tmp_path / "one", log=lambda line: None)
    assert len(one.history) < 8
    first, second = (load_file(f"{folder}/model.safetensors") for folder in (one.path, two.path))
    for name, value in first.items():
        assert torch.allclose(value, second[name], rtol=0, atol=1e-5)


def test_a_parameter_that_no_process_asks_stays_without_a_gradient(monkeypatch):
    """With one of zero it would decay, as it does not in one process. The other process here has the second alone."""
    both, other, none = (torch.nn.Parameter(torch.ones(2)) for _ in range(3))
    both.grad = torch.tensor([1.0, 2.0])
    theirs = torch.tensor([0, 0, 3, 4, 0, 0, 0, 1, 0.0])  # the gradients, then who has one
    monkeypatch.setattr("torch.distributed.all_reduce", lambda flat: flat.add_(theirs))
    Group(0, 2).add_gradients([both, other, none])
    assert both.grad.tolist() == [1, 2] and other.grad.tolist() == [3, 4] and none.grad is None


def test_a_failure_is_the_childs_own_line(tiny, tmp_path):
    with pytest.raises(UserError, match=r"^torchrun with 2 processes: .*texts.jsonl: no texts; expected") as caught:
        adapt_under_torchrun(tiny, [""], RECIPE, tmp_path, processes=2, log=lambda line: None)
    assert "\n" not in str(caught.value)


def test_more_processes_than_gpus_are_refused(tiny, texts, tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.compute.device", lambda: torch.device("cuda"))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    with pytest.raises(UserError, match="ADAPTATION_PROCESSES=2: there are 1 GPUs here"):
        adapt_under_torchrun(tiny, texts, RECIPE, tmp_path, processes=2)
    assert not list(tmp_path.iterdir())


STARTER = """
import json, sys
from helpers.errors import UserError
from helpers.pretrain import adapt_under_torchrun
from helpers.pretrain.__main__ import read_recipe

model, texts, recipe, output = sys.argv[1:]
try:
    adapt_under_torchrun(model, json.load(open(texts)), read_recipe(recipe), output, processes=2,
                         log=lambda line: print(line, flush=True))
except UserError as error:
    print("refused:", error)
"""


@pytest.mark.chaos
@pytest.mark.parametrize("killed", ["a process", "torchrun", "who started it"])
def test_whoever_is_killed_the_others_end(tiny, texts, tmp_path, killed):
    for name, value in (("texts", texts[:60]), ("recipe", replace(RECIPE, steps=10**6).as_dict())):
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    environment = {**os.environ, "TEST_MARK": str(tmp_path)}
    arguments = [tiny, tmp_path / "texts.json", tmp_path / "recipe.json", tmp_path / "out"]
    starter = subprocess.Popen([sys.executable, "-c", STARTER, *arguments], env=environment, stdout=-1, text=True)
    while "update 2/" not in (line := starter.stdout.readline()):
        assert line
    family = psutil.Process(starter.pid).children(recursive=True)
    ranks = [one for one in family if "torch.distributed.run" not in one.cmdline() and "--recipe" in one.cmdline()]
    assert len(ranks) == 2
    victim = {"a process": ranks[1], "torchrun": ranks[0].parent(), "who started it": psutil.Process(starter.pid)}
    victim[killed].send_signal(signal.SIGKILL)
    try:
        said = starter.communicate(timeout=60)[0].splitlines()
    finally:
        starter.kill()
    if killed != "who started it":
        (line,) = [line for line in said if line.startswith("refused: torchrun with 2 processes: ")]
        assert "SIGKILL" in line
    limit = time.monotonic() + 15
    while (left := [one for one in family if one.is_running()]) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not left


@pytest.mark.parametrize("text", ["[]", "{", '{"name": "x"}', '{"steps": "a"}', None])
def test_what_is_no_recipe_is_refused_in_one_line(tmp_path, text):
    if text is not None:
        (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(UserError, match="recipe.json: expected dapt, tapt or a JSON file") as caught:
        read_recipe(str(tmp_path / "recipe.json"))
    assert "\n" not in str(caught.value)


def test_a_recipe_comes_back_from_its_file(tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps(RECIPE.as_dict()))
    assert read_recipe(str(tmp_path / "recipe.json")).as_dict() == json.loads(json.dumps(RECIPE.as_dict()))
    assert read_recipe("dapt") == DAPT
