"""Room on the disks is asked before a run: nothing is read where it is ample, one line where it is not enough."""

from collections import namedtuple
from pathlib import Path

import pytest

from helpers.errors import UserError
from helpers.paths import MINI
from helpers.study import disk
from helpers.study.disk import check_disk
from helpers.study.outlook import outlook

MINI_MEGABYTES = (MINI / "model.safetensors").stat().st_size / 1e6


@pytest.fixture
def free(monkeypatch):
    """Free megabytes by the folder they are in; a folder's files lie on the disk of that name."""
    room = {}

    def usage(place):
        inside = [megabytes for folder, megabytes in room.items() if Path(place).is_relative_to(folder)]
        return namedtuple("usage", "total used free")(10**15, 0, int(inside[-1] * 1e6))

    monkeypatch.setattr(disk.shutil, "disk_usage", usage)
    return room


def test_where_there_is_ample_room_nothing_is_read(open_study, free, monkeypatch):
    monkeypatch.setattr("helpers.study.outlook.outlook", lambda study: pytest.fail("the plan was reckoned"))
    free["/"] = 10**6
    check_disk(open_study(BASE_MODEL="mini").config)


def test_the_most_that_a_run_takes_is_more_than_what_it_is_reckoned_to_take(open_study):
    for change in ({}, {"ADAPTATION_SEEDS": 3}, {"MAX_TRAIN": 40, "MAX_DEV": 12, "MAX_TEST": 12, "READ_OUTS": 0}):
        study = open_study(BASE_MODEL="mini", **change)
        assert disk._most(study.config) > outlook(study)["megabytes"].sum() > MINI_MEGABYTES


def test_a_disk_without_room_is_refused_in_one_line_and_a_store_that_has_it_all_is_not(
    open_study, free, tmp_path, monkeypatch
):
    study = open_study(BASE_MODEL="mini")
    wanted = outlook(study)["megabytes"].sum()
    free["/"] = wanted + disk.RESULTS + 1
    check_disk(study.config)
    free["/"] = wanted + disk.RESULTS - 1
    with pytest.raises(UserError) as caught:
        check_disk(study.config)
    assert str(caught.value) == (
        f"{tmp_path / 'cache' / 'store'}: the run wants about {wanted + disk.RESULTS:,.0f} MB there and "
        f"{wanted + disk.RESULTS - 1:,.0f} are free; set DSP_CACHE to a larger disk, or dsp store prune --older-than 30"
    )
    made = outlook(study).assign(megabytes=0.0)
    monkeypatch.setattr("helpers.study.outlook.outlook", lambda study: made)
    check_disk(study.config)
    free[tmp_path / "out"] = 1.0
    with pytest.raises(UserError, match="out: the run wants about 100 MB there and 1 are free; give another OUTPUT_DI"):
        check_disk(study.config)


@pytest.mark.parametrize("known", ["", "[]", "{}", '{"hidden_size": "x"}', '{"hidden_size": null}', "[" * 100_000])
def test_a_base_that_cannot_be_read_is_left_to_its_loading(open_study, base, free, known):
    config = open_study().config
    (base / "config.json").write_text(known)
    free["/"] = 10**6
    check_disk(config.model_copy(update={"output_dir": "x" * 5000}))


def test_a_base_still_on_the_hub_is_not_fetched_for_it(open_study, free, monkeypatch):
    monkeypatch.setattr(disk, "base_files", lambda name: pytest.fail("fetched"))
    config = open_study().config.model_copy(update={"base_model": "roberta-base"})
    assert disk._most(config) > 500 * 8
