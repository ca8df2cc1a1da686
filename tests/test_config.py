import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers import config as configs
from helpers.config import PRESETS, Config, check_places, make_config
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
        ("demo", {"SELECTORS": "vampir"}, "'vampir' is none of .* Did you mean vampire"),
        ("demo", {"NEIGHBOURS": 0}, "NEIGHBOURS=0"),
        ("demo", {"NEIGHBOURS": "5,-5"}, "NEIGHBOURS='-5'"),
        ("demo", {"NEIGHBOURS": "5,5"}, "5 is named twice"),
        ("demo", {"LEARNING_RATE": "inf"}, "LEARNING_RATE='inf'"),
        ("demo", {"DAPT_LEARNING_RATE": math.nan}, "DAPT_LEARNING_RATE=nan"),
        ("demo", {"WARMUP": "nan"}, "WARMUP='nan'"),
        ("demo", {"SEEDS": 10**20}, "SEEDS=1000"),
        ("demo", {"SEEDS": 10**5000}, "SEEDS=int too long to print"),
        ("demo", {"WORKERS": 100_000}, "WORKERS=100000"),
        ("demo", {"DAPT_STEPS": 10**12}, "DAPT_STEPS=1000"),
        ("demo", {"DAPT_STEPS": True}, "DAPT_STEPS=True"),
        ("demo", {"TASKS": "bbc,bbc"}, "'bbc' is named twice"),
        ("demo", {"DOMAINS": "cs,news,cs"}, "'cs' is named twice"),
        ("demo", {"TASKS": "b" * 300}, "TASKS="),
        ("demo", {"TASKS": "b\x1b]0;x"}, "without control characters"),
        ("demo", {"TASKS": ["b\nc"]}, "without control characters"),
        ("demo", {"DATA_DIR": "a\0b"}, "without control characters"),
        ("demo", {"PRESET": "paper"}, "chosen by --preset"),
    ],
)
def test_a_wrong_value_is_named_in_one_line(preset, given, said):
    with pytest.raises(UserError, match=said) as caught:
        make_config(preset, given)
    assert "\n" not in str(caught.value)


def test_a_config_cannot_be_changed():
    with pytest.raises(ValidationError):
        make_config("demo").seeds = 9


def test_the_selectors_that_may_be_named_are_those_there_are():
    from helpers.select import SELECTORS

    assert set(configs.SELECTORS) == set(SELECTORS)


@pytest.fixture
def places(tmp_path):
    for name in ("data/tasks", "empty", "model"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "law.jsonl").write_text('{"text": "x"}')
    return tmp_path


def test_places_that_are_there_are_taken(places, monkeypatch):
    monkeypatch.setenv("DSP_DATA", str(places / "data"))
    monkeypatch.setenv("DSP_DEVICE", "cuda:1")
    monkeypatch.setenv("DSP_PRECISION", "fp32")
    file, folder, model = (str(places / name) for name in ("law.jsonl", "data", "model"))
    for base in ("mini", "minilm", "roberta-base", "allenai/cs_roberta_base", model):
        check_places(make_config("demo", {"BASE_MODEL": base, "DATA_DIR": folder, "DOMAIN_FILE": file}))
    check_places(make_config("smoke", {"OUTPUT_DIR": str(places / "new"), "CLUSTER": "tcp://127.0.0.1:8786"}))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DATA_DIR", "{}/none", "no such folder"),
        ("DATA_DIR", "{}/law.jsonl", "no such folder"),
        ("DATA_DIR", "/", "no tasks/ and no domains/ in it"),
        ("DATA_DIR", "{}/empty", "no tasks/ and no domains/ in it"),
        ("DATA_DIR", "~nobody-of-that-name/x", "no such user"),
        ("DATA_DIR", "x" * 5000, "no such folder"),
        ("DSP_DATA", "{}/none", "no such folder"),
        ("TASK_FILE", "{}/none.json", "no such file"),
        ("DOMAIN_FILE", "{}/none.jsonl", "no such file"),
        ("BASE_MODEL", "{}/none", "there is no such folder"),
        ("BASE_MODEL", "./none", "there is no such folder"),
        ("BASE_MODEL", "a b", "there is no such folder"),
        ("BASE_MODEL", "{}/empty", "the folder holds no config.json"),
        ("OUTPUT_DIR", "{}/law.jsonl", "a file lies there"),
        ("DSP_CACHE", "{}/law.jsonl", "a file lies there"),
        ("CLUSTER", "everywhere", "expected local, slurm, pbs, sge, lsf, or the address"),
        ("DSP_DEVICE", "gpu", "expected cpu, cuda"),
        ("DSP_DEVICE", "xpu", "expected cpu, cuda or mps"),
        ("DSP_PRECISION", "fp16", "expected bf16 or fp32"),
    ],
)
def test_a_place_or_setting_that_will_not_do_is_named_in_one_line(places, monkeypatch, name, value, said):
    value, given = value.format(places), {}
    if name.startswith("DSP_"):
        monkeypatch.setenv(name, value)
    else:
        given[name] = value
    with pytest.raises(UserError, match=said) as caught:
        check_places(make_config("demo", given))
    assert str(caught.value).startswith(f"{name}=") and "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


_numbers = st.integers() | st.floats() | st.booleans() | st.sampled_from([10**20, -(10**5000), 0, "0", "1e9", "nan"])
_words = st.text(max_size=20) | st.sampled_from(["toy", "mini", "~", "/", "cs,cs", "vampire", "a" * 300, "\x1b[2J"])
_values = _numbers | _words | st.none() | st.lists(_numbers | _words, max_size=3) | st.dictionaries(_words, _words)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([*PRESETS, "dmeo", ""]),
    st.dictionaries(st.sampled_from([*Config.model_fields, "seed"]).map(str.upper), _values, max_size=3),
)
def test_any_assignment_is_taken_or_refused_in_one_line(preset, parameters):
    try:
        check_places(make_config(preset, parameters))
    except UserError as error:
        assert str(error).isprintable() and len(str(error)) < 600
