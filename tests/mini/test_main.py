"""The bundled model's own making, end to end on a small vocabulary: a first stage, a resumed call, a further stage."""

import json

import pytest
from safetensors.numpy import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from helpers.data import toy
from helpers.errors import UserError
from helpers.mini import train as mini
from helpers.mini.card import read_stages


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folder of a model after two stages, and the weights after the first, after its repeated call and at the end."""
    folder = tmp_path_factory.mktemp("mini")
    texts = folder / "text.jsonl"
    rows = [{"text": text, "src": "ab"[n % 100 == 0]} for n, text in enumerate(toy.domain_texts("biomed", 240))]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first = dict(texts=[texts], output=folder / "one", work=folder / "work", start="", steps=3, learning_rate=1e-3,
                 max_length=32, mask_probability=0.25, batch_size=8)  # fmt: skip
    weights = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mini, "VOCABULARY", 320)
        for call in (first, first, first | {"start": str(folder / "one"), "output": folder / "two",
                                            "work": folder / "more", "max_length": 48}):  # fmt: skip
            mini.main(**call)
            weights.append(load_file(call["output"] / "model.safetensors"))
    return folder, weights


def test_it_is_an_ordinary_masked_lm_with_its_tokenizer(made):
    folder, _ = made
    model, tokenizer = (kind.from_pretrained(folder / "two") for kind in (AutoModelForMaskedLM, AutoTokenizer))
    assert model.config.vocab_size == 320 and tokenizer.model_max_length == 48
    assert model(**tokenizer("the cell <mask> it", return_tensors="pt")).logits.shape[-1] == 320


def test_the_same_call_again_gives_the_same_weights_and_a_stage_changes_them(made):
    _, (first, again, further) = made
    assert all((first[name] == again[name]).all() for name in first)
    assert any((first[name] != further[name]).any() for name in first)


def test_a_further_stage_in_the_work_folder_of_another_is_refused(made):
    folder, _ = made
    call = dict(texts=[folder / "text.jsonl"], output=folder / "three", work=folder / "work", steps=3)
    with pytest.raises(UserError, match=r"work: holds a stage begun from new weights, not from mini; give this one a"):
        mini.main(**call, start="mini")
    other = folder / "other.jsonl"
    other.write_text((folder / "text.jsonl").read_text().replace('{"text": "', '{"text": "Another '))
    with pytest.raises(UserError, match="work: holds a stage begun on other text; give this one a --work folder"):
        mini.main(**call | {"texts": [other]}, start="")
    assert not (folder / "three").exists()


@pytest.mark.parametrize(
    "text, said", [(None, "gone.jsonl"), ('{"text": "one"}\n{"body": "two"}\n', "row 2: expected")]
)
def test_general_text_that_will_not_do_is_one_line(tmp_path, text, said):
    file = tmp_path / ("gone.jsonl" if text is None else "text.jsonl")
    if text:
        file.write_text(text)
    with pytest.raises(UserError, match=said) as caught:
        mini.main(texts=[file], output=tmp_path / "out", work=tmp_path / "work", start="")
    assert "\n" not in str(caught.value) and not (tmp_path / "work").exists()


def test_the_card_tells_both_stages(made):
    folder, _ = made
    one, two = read_stages(folder / "two")
    assert [one["steps"], two["steps"], one["max_length"], two["max_length"]] == [3, 3, 32, 48]
    assert "heldout_before" in two and {row["source"] for row in two["heldout"]} == {"a", "b", "all"}
    assert "converged" in (folder / "two" / "README.md").read_text()
