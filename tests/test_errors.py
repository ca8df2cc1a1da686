"""What a caller gives, looked at where it comes in: whole numbers, seeds."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import DAPT, adapt, fine_tune, load_task
from helpers.classify import Recipe
from helpers.errors import UserError, real, whole
from helpers.select import Vampire, select_text


@pytest.mark.parametrize("number", [0, -1, 2.0, True, "3", None, float("nan"), np.float64(2)])
def test_what_is_no_whole_number_is_refused(number):
    with pytest.raises(UserError, match="^k=.*: expected a whole number of at least 1"):
        whole(number, "k")
    assert whole(np.int64(2), "k") == 2


@pytest.mark.parametrize("number", [True, "0.5", None, float("nan"), float("inf"), [0.5]])
def test_what_is_no_finite_number_is_refused(number):
    with pytest.raises(UserError, match="^b=.*: expected a finite number"):
        real(number, "b")
    assert real(np.float32(0.5), "b", 0, 1) == 0.5 and real(1, "b", 0, 1) == 1.0
    with pytest.raises(UserError, match="^b=1.5: expected a number of at least 0 and at most 1"):
        real(1.5, "b", 0, 1)


@pytest.mark.parametrize("seed", [-1, 1.5, True, 2**63])
def test_what_is_no_seed_is_refused_before_anything_is_made(seed, tmp_path):
    task = load_task("toy_cs", data_dir="toy", max_train=16, max_dev=8, max_test=8)
    recipe = replace(DAPT, steps=1, batch_size=2, max_length=16)
    calls = (
        lambda: adapt("mini", ["the kinase binds"], recipe, tmp_path / "model", seed=seed),
        lambda: fine_tune("mini", task, Recipe("paper", epochs=1, max_length=16), seed=seed),
        lambda: task.draw(8, seed),  # Python's own generator gives -1 the draws of 1
        lambda: select_text(["the kinase binds"], ["a kinase", "it binds"], "random", k=1, seed=seed),
        lambda: Vampire.fit(["the kinase binds"] * 4, seed=seed),
    )
    for call in calls:
        with pytest.raises(UserError, match="^seed=.*: expected a whole number of at (least 0|most)"):
            call()
    assert not list(tmp_path.iterdir())
