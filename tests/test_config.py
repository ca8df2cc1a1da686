import pytest
from pydantic import ValidationError

from helpers.config import PRESETS, make_config
from helpers.errors import UserError


def test_paper_preset_is_the_papers_recipe():
    config = make_config("paper")
    assert (config.dapt_steps, config.dapt_batch, config.dapt_learning_rate) == (12_500, 2048, 5e-4)
    assert (config.tapt_epochs, config.learning_rate, config.batch_size, config.patience) == (100, 2e-5, 16, 3)
    assert (config.base_model, config.seeds, config.max_length, len(config.tasks)) == ("roberta-base", 5, 512, 8)
    assert config.neighbours == (50, 150, 500)


def test_overrides_take_lists_as_a_command_line_writes_them_and_none_keeps_the_preset():
    config = make_config("demo", {"TASKS": "bbc, arxiv_cs", "NEIGHBOURS": "5,15", "SEEDS": None})
    assert config.tasks == ("bbc", "arxiv_cs") and config.neighbours == (5, 15)
    assert config.seeds == PRESETS["demo"]["seeds"]


def test_text_is_selected_for_a_task_of_the_study():
    assert make_config("demo").selection_tasks == ("rct_nlm",)
    assert make_config("demo", {"TASKS": "chemprot,sciie"}).selection_tasks == ("chemprot",)
    assert make_config("demo", {"TASKS": "bbc", "SELECTION_TASKS": "sciie"}).selection_tasks == ("sciie",)


@pytest.mark.parametrize(
    ("preset", "given", "said"),
    [
        ("demoo", {}, "Did you mean demo"),
        ("demo", {"SEDS": 1}, "Did you mean SEEDS"),
        ("demo", {"SEEDS": "x"}, "SEEDS='x'"),
        ("demo", {"SEEDS": True}, "SEEDS=True"),
        ("demo", {"TASKS": ""}, "TASKS"),
        ("demo", {"MAX_LENGTH": 4096}, "MAX_LENGTH=4096"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(preset, given, said):
    with pytest.raises(UserError, match=said) as caught:
        make_config(preset, given)
    assert "\n" not in str(caught.value)


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError):
        make_config("demo").seeds = 9
