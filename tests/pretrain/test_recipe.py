import pytest

from helpers.errors import UserError
from helpers.pretrain import DAPT, TAPT, Recipe, scaled, tapt_recipe


def test_the_papers_values():
    assert (DAPT.steps, DAPT.batch_size, DAPT.learning_rate) == (12_500, 2048, 5e-4)
    assert (TAPT.epochs, TAPT.batch_size, TAPT.learning_rate) == (100, 256, 1e-4)
    assert (tapt_recipe(4999).batch_size, tapt_recipe(4999).learning_rate) == (256, 1e-4)
    assert (tapt_recipe(5000).batch_size, tapt_recipe(5000).learning_rate) == (2048, 5e-4)


def test_updates_match_the_arithmetic_of_table_9():
    # 500 documents, 100 epochs, batch 256: the paper prints 0.2K steps; 185K documents at 2048: 9.0K
    assert TAPT.updates(500) == 196
    assert tapt_recipe(185_000).updates(185_000) == pytest.approx(9_034, abs=1)


def test_learning_rate_warms_up_linearly_and_falls_to_nearly_zero():
    recipe = Recipe("r", learning_rate=1.0, batch_size=1, steps=100)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert rates[:6] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0])
    assert rates[6] == pytest.approx(1.0) and rates[-1] == pytest.approx(1 / 94)
    assert max(rates) == 1.0


def test_a_decay_of_the_last_part_holds_the_peak_until_then():
    recipe = Recipe("r", learning_rate=2.0, batch_size=1, steps=100, warmup=0.1, decay=0.2)
    rates = [recipe.learning_rate_at(step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert set(rates[10:81]) == {2.0} and rates[80:] == pytest.approx([2 - 0.1 * step for step in range(20)])
    # what a checkpoint is keyed by does not change for recipes that were there before
    assert recipe.as_dict()["decay"] == 0.2 and "decay" not in DAPT.as_dict()


def test_steps_and_epochs_exclude_each_other():
    with pytest.raises(UserError, match="either steps or epochs"):
        Recipe("r", learning_rate=1.0, batch_size=1, steps=1, epochs=1)
    assert scaled(DAPT, epochs=2).steps is None
    assert scaled(TAPT, steps=5).epochs is None
    with pytest.raises(UserError, match="either steps or epochs, not both"):
        scaled(DAPT, steps=5, epochs=2)


@pytest.mark.parametrize(
    "name, value",
    [("steps", 0), ("max_length", 2), ("learning_rate", float("nan")), ("learning_rate", float("inf")),
     ("epochs", -1), ("epochs", float("nan")), ("batch_size", 0), ("mask_probability", 1.0), ("dropout", 1.0),
     ("warmup", -0.1), ("clip", 0), ("decay", 0), ("decay", 0.95)],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(UserError, match=f"^recipe dapt: {name} [^\n]* is out of range$"):
        scaled(DAPT, **{name: value})
