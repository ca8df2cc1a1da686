"""The adapted models of a run, in the order they are offered."""

from helpers import files
from helpers.run.models import adapted_models


def test_a_model_made_to_compare_with_is_not_the_first_offered(tmp_path, monkeypatch):
    run = tmp_path / "demo"
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    for method in ("shuffled_dapt", "generic_dapt", "random_2_tapt", "tapt", "vampire_2_tapt"):
        made = {"checkpoint_key": method, "method": method, "corpus": "news", "seed": 0}
        files.write_json(run / "records" / "bbc" / method / "seed-0.json",
                         {"task": "bbc", "base_model": "mini", "adaptation": made})  # fmt: skip
        files.write_text(tmp_path / "cache/store/model" / method / "config.json", "{}")
    folders = [folder.name for folder in adapted_models(run)["folder"]]
    assert folders == ["tapt", "vampire_2_tapt", "shuffled_dapt", "generic_dapt", "random_2_tapt"]
