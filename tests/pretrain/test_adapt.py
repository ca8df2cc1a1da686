import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from helpers.encoder.masked_lm import MaskedLogits
from helpers.encoder.packing import Windows, position_offset, tokenize
from helpers.errors import UserError
from helpers.pretrain import Recipe, adapt, load_masked_lm, loss_interval, loss_matrix, masked_lm_loss
from helpers.pretrain.batches import Vocabulary, full_sentences, mask_rows, updates
from helpers.pretrain.training import Training, can_compile
from helpers.progress import listening

RECIPE = Recipe("test", learning_rate=1e-3, batch_size=16, steps=12, max_length=32)


pytestmark = pytest.mark.usefixtures("plain_cpu")


@pytest.fixture
def loaded(tiny, texts):
    net, tokenizer, _ = load_masked_lm(tiny)
    windows = tokenize(texts, tokenizer, 32)
    return net.eval(), windows, Vocabulary.of(tokenizer, position_offset(net))


def weights(folder):
    return load_file(f"{folder}/model.safetensors")


def same(a, b, tolerance=0.0):
    return all(torch.allclose(a[name], b[name], rtol=0, atol=tolerance) for name in a)


def test_updates_made_ahead_are_those_made_when_asked(loaded):
    _, windows, vocabulary = loaded
    asked, ahead = (list(updates(windows, RECIPE, vocabulary, seed=3, first=2, ahead=many)) for many in (0, 3))
    assert len(asked) == len(ahead) == RECIPE.steps - 2
    for one, other in zip(asked, ahead, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_losses_read_one_update_late_make_the_same_history(tiny, texts, tmp_path, monkeypatch):
    """As on a GPU: the loss of an update is read when the next has been handed over."""
    kept = adapt(tiny, texts, RECIPE, tmp_path / "kept", compile=False, log=lambda line: None)
    begin = Training.__init__

    def late(run, *args):
        begin(run, *args)
        run.ahead, run.behind = 2, 1

    monkeypatch.setattr(Training, "__init__", late)
    read_late = adapt(tiny, texts, RECIPE, tmp_path / "late", compile=False, log=lambda line: None)
    columns = ["step", "tokens", "loss", "learning_rate"]
    assert read_late.history[columns].equals(kept.history[columns])
    assert same(weights(kept.path), weights(read_late.path))


def test_packed_loss_equals_hugging_faces_own_on_the_same_masks(loaded):
    net, windows, vocabulary = loaded
    update, owner = mask_rows(windows, np.arange(40), np.zeros(40, np.int64), RECIPE, vocabulary, seed=3)
    with torch.inference_mode():
        expected = []
        for window in range(40):
            tokens = windows[window].astype(np.int64)
            one, mine = mask_rows(windows, [window], [0], RECIPE, vocabulary, seed=3)
            labels = np.full(len(tokens), -100)
            labels[one.chosen] = one.targets
            if len(one.chosen):
                ids = torch.from_numpy(one.input_ids[:, : len(tokens)])
                out = net(input_ids=ids, attention_mask=torch.ones_like(ids), labels=torch.from_numpy(labels)[None])
                expected.append((window, out.loss.item()))
        *inputs, targets = update.tensors("cpu")
        losses = F.cross_entropy(MaskedLogits(net)(*inputs), targets, reduction="none").numpy()
    for window, loss in expected:
        assert losses[owner == window].mean() == pytest.approx(loss, abs=1e-5)


def test_changing_one_document_changes_no_others_loss(tiny, texts):
    changed = [texts[0], "gene cell gene cell", *texts[2:40]]
    before = masked_lm_loss(tiny, texts[:40], max_length=32).set_index("document")["loss"]
    after = masked_lm_loss(tiny, changed, max_length=32).set_index("document")["loss"]
    others = before.index.intersection(after.index).difference([1])
    assert len(others) > 30
    assert np.abs(before[others] - after[others]).max() < 1e-5


def test_updates_read_every_window_once_an_epoch(loaded):
    _, windows, vocabulary = loaded
    recipe = Recipe("test", learning_rate=1.0, batch_size=30, epochs=2, max_length=32)
    made = list(updates(windows, recipe, vocabulary, seed=0))
    assert len(made) == recipe.updates(len(windows)) == -(-2 * len(windows) // 30)
    assert sum(update.tokens for update in made) == 2 * windows.starts[-1]


def test_a_batch_larger_than_the_text_reads_it_several_times(loaded):
    """7 windows in batches of 20 over 10 epochs: 70 readings in 4 updates, each window ten times."""
    _, windows, vocabulary = loaded
    few = Windows(windows.tokens[: windows.starts[7]], windows.starts[:8], windows.document[:7])
    made = list(updates(few, Recipe("test", learning_rate=1.0, batch_size=20, epochs=10, max_length=32), vocabulary, 0))
    assert len(made) == 4 and sum(update.tokens for update in made) == 10 * few.starts[-1]
    again = list(updates(few, Recipe("test", 1.0, 20, epochs=10, max_length=32), vocabulary, 0, first=2))
    assert (again[0].input_ids == made[2].input_ids).all()


def test_pieces_of_an_update_add_up_to_it(loaded):
    _, windows, vocabulary = loaded
    update, _ = mask_rows(windows, np.arange(50), np.zeros(50, np.int64), RECIPE, vocabulary, seed=0)
    pieces = list(update.split(3))
    assert sum(p.tokens for p in pieces) == update.tokens
    assert np.concatenate([p.targets for p in pieces]).tolist() == update.targets.tolist()
    shares = [p for share in range(2) for p in update.split(3, share, 2)]
    assert sorted(np.concatenate([p.targets for p in shares])) == sorted(update.targets)


def test_processes_get_equal_shares_of_an_update(loaded):
    _, windows, vocabulary = loaded
    update, _ = mask_rows(windows, np.arange(50), np.zeros(50, np.int64), RECIPE, vocabulary, seed=0)
    count = len(update.input_ids)
    for rows in (3, 16, 100):
        for shares in (1, 2, 3):
            sizes = [[len(piece.input_ids) for piece in update.split(rows, share, shares)] for share in range(shares)]
            assert sum(map(sum, sizes)) == count and max(map(max, sizes)) <= rows
            work = [sum(one) for one in sizes]
            assert max(work) - min(work) <= max(map(max, sizes)) <= -(-count // shares)


def test_adaptation_lowers_the_loss_on_its_text_and_saves_a_plain_folder(tiny, texts, tmp_path):
    recipe = Recipe("dapt", learning_rate=3e-3, batch_size=32, steps=40, max_length=32)
    lines = []
    adapted = adapt(tiny, texts[:150], recipe, tmp_path / "out", log=lines.append)
    before = loss_interval(masked_lm_loss(tiny, texts[150:], max_length=32))
    after = loss_interval(masked_lm_loss(adapted.path, texts[150:], max_length=32))
    assert after["loss"] < before["low"]
    assert adapted.history["loss"].iloc[-1] < adapted.history["loss"].iloc[0]
    assert adapted.summary["documents"] == 150 and adapted.summary["steps"] == 40
    assert "40 updates" in lines[0]
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    AutoTokenizer.from_pretrained(adapted.path)
    loaded = AutoModelForMaskedLM.from_pretrained(adapted.path)
    assert loaded.config.num_hidden_layers == 2
    assert not [p for p in adapted.path.iterdir() if p.is_dir()]
    assert json.loads((adapted.path / "adaptation.json").read_text())["recipe"]["steps"] == 40


def test_a_resumed_run_ends_with_the_same_weights_bit_for_bit(tiny, texts, tmp_path):
    adapt(tiny, texts, RECIPE, tmp_path / "whole", log=lambda line: None)

    class Killed(Exception):
        pass

    def die(line):
        if "update 7/" in line or (tmp_path / "cut" / "checkpoint").exists():
            raise Killed

    with pytest.raises(Killed):
        adapt(tiny, texts, RECIPE, tmp_path / "cut", checkpoint_seconds=0, log=die)
    assert list((tmp_path / "cut" / "checkpoint").glob("*.safetensors"))
    lines = []
    adapt(tiny, texts, RECIPE, tmp_path / "cut", log=lines.append)
    assert "resumed at update" in lines[0]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    for left in ("saving", "checkpoint", "head"):  # killed while it cleared up
        (tmp_path / "cut" / left).mkdir()
        (tmp_path / "cut" / left / "000000002.safetensors").write_bytes(b"left")
    adapt(tiny, texts, RECIPE, tmp_path / "cut", log=lines.append)
    assert "nothing to do" in lines[-1] and not [path for path in (tmp_path / "cut").iterdir() if path.is_dir()]


def test_each_update_is_reported(tiny, texts, tmp_path):
    shares = []
    with listening(shares.append):
        adapt(tiny, texts[:40], RECIPE, tmp_path / "a", log=lambda line: None)
    assert shares == [number / 12 for number in range(1, 13)]


def test_a_seed_fixes_the_weights_and_another_changes_them(tiny, texts, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        adapt(tiny, texts[:40], RECIPE, tmp_path / name, seed=seed, log=lambda line: None)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


def test_two_processes_end_with_the_weights_of_one(tiny, texts, tmp_path):
    from helpers.pretrain.__main__ import app

    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts[:120]))
    arguments = ["--model", tiny, "--texts", str(corpus), "--recipe", "dapt", "--steps", "6", "--batch-size", "90",
                 "--max-length", "32", "--dropout", "0"]  # fmt: skip
    app([*arguments, "--output", str(tmp_path / "one")], standalone_mode=False)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DSP_PRECISION": "fp32"}
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m",
         "helpers.pretrain", *arguments, "--output", str(tmp_path / "two")],
        env=environment, check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert same(one, two, tolerance=1e-5)
    assert not same(one, weights(tiny), tolerance=1e-5)


SHARED = """
import json, os, signal, sys
from dataclasses import replace
from helpers.pretrain import DAPT, adapt, processes
from helpers.pretrain.training import Training

model, texts, output, kill = sys.argv[1:]
if kill == "kill" and os.environ["RANK"] == "1":
    whole = Training.update
    def update(self, step, *rest):
        if step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, step, *rest)
    Training.update = update
recipe = replace(DAPT, steps=6, batch_size=24, max_length=32)
adapt(model, json.load(open(texts)), recipe, output, checkpoint_seconds=0)
processes.leave()
"""


@pytest.mark.chaos
def test_two_processes_of_which_one_is_killed_resume_to_the_weights_of_two_undisturbed(tiny, texts, tmp_path, counts):
    (tmp_path / "shared.py").write_text(SHARED)
    (tmp_path / "texts.json").write_text(json.dumps(texts[:60]))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DSP_PRECISION": "fp32"}

    def together(output, kill=""):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        arguments = [tmp_path / "shared.py", tiny, tmp_path / "texts.json", tmp_path / output, kill]
        return subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True)

    assert together("whole").returncode == 0
    assert together("cut", "kill").returncode != 0 and not (tmp_path / "cut" / "model.safetensors").exists()
    again = together("cut")
    assert again.returncode == 0 and re.search("resumed at update [123]", again.stdout)
    equal = same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))
    counts["resumed runs equal"][0] += equal
    counts["resumed runs equal"][1] += 1
    assert equal


@pytest.mark.skipif(not can_compile(), reason="torch.compile needs a C++ compiler")
def test_a_compiled_step_ends_with_the_weights_of_an_eager_one(tiny, texts, tmp_path):
    recipe = replace(RECIPE, steps=4, dropout=0.0)
    found = {
        kind: adapt(tiny, texts[:60], recipe, tmp_path / kind, compile=kind == "compiled", log=lambda line: None)
        for kind in ("eager", "compiled")
    }
    assert [run.summary["compiled"] for run in found.values()] == [False, True]
    eager, compiled = weights(tmp_path / "eager"), weights(tmp_path / "compiled")
    assert eager.keys() == compiled.keys() and same(eager, compiled, tolerance=1e-5)
    assert not same(eager, weights(tiny), tolerance=1e-4)


def test_transformers_fills_masks_with_an_adapted_folder(tiny, texts, tmp_path):
    from transformers import pipeline

    adapt(tiny, texts[:60], RECIPE, tmp_path / "out", log=lambda line: None)
    net, tokenizer, _ = load_masked_lm(tmp_path / "out")
    ids = tokenizer("the old <mask> of", return_tensors="pt")
    with torch.inference_mode():
        logits = net.eval()(**ids).logits[0, (ids["input_ids"][0] == tokenizer.mask_token_id).nonzero().item()]
    found = pipeline("fill-mask", model=str(tmp_path / "out"), device="cpu")("the old <mask> of", top_k=3)
    expected = logits.softmax(0).topk(3)
    assert [one["token"] for one in found] == expected.indices.tolist()
    assert [one["score"] for one in found] == pytest.approx(expected.values.tolist(), rel=1e-4)


def test_full_sentences_keeps_all_text_and_fills_windows(tiny, texts):
    texts = [*texts, " ".join(texts[:9])]
    tokenizer = load_masked_lm(tiny)[1]
    windows = tokenize(texts, tokenizer, 32)
    packed = full_sentences(windows, 32)
    assert (packed.lengths[:-1] == 32).all()
    assert (packed.tokens[packed.starts[:-1]] == windows.tokens[0]).all()
    dropped = np.ones(len(packed.tokens), bool)
    dropped[packed.starts[:-1]] = False
    # each document as the tokenizer gives it whole: one closing token, however many windows it filled
    whole = tokenize(texts, tokenizer, 4096)
    original = np.ones(len(whole.tokens), bool)
    original[whole.starts[:-1]] = False
    assert (packed.tokens[dropped] == np.asarray(whole.tokens)[original]).all() and len(windows) > len(whole)


def test_a_model_is_not_adapted_onto_itself(tiny, texts):
    before = weights(tiny)
    with pytest.raises(UserError, match="the model to adapt lies there and would be overwritten"):
        adapt(tiny, texts, RECIPE, tiny, log=lambda line: None)
    assert same(weights(tiny), before)


def test_updates_without_a_masked_token_have_no_loss(tiny, tmp_path):
    """At a rate of nothing the loss of 32 short texts is about what it is in one batch."""
    short = [f"a word {number}" for number in range(32)]
    recipe = replace(RECIPE, steps=None, epochs=1, learning_rate=1e-12, mask_probability=0.1)
    alone, together = (
        adapt(tiny, short, replace(recipe, batch_size=size), tmp_path / str(size), log=lambda line: None)
        for size in (1, 32)
    )
    assert (alone.history["loss"] > 1).all() and len(alone.history) < 32
    assert alone.history["loss"].mean() == pytest.approx(together.history["loss"].mean(), rel=0.2)
    assert together.summary["epochs"] == 1.0


def test_one_pass_is_one_epoch_whatever_the_batch(tiny, texts, tmp_path):
    made = adapt(
        tiny, texts[:20], replace(RECIPE, steps=None, epochs=1, batch_size=256), tmp_path, log=lambda line: None
    )
    assert made.summary["epochs"] == 1.0 and made.summary["tokens"] == made.summary["corpus_tokens"]


def test_loss_matrix_has_a_row_a_pair_and_intervals_hold_the_mean(tiny, texts):
    table = loss_matrix({"base": tiny}, {"one": texts[:30], "two": texts[30:60]}, max_length=32)
    assert table[["model", "sample"]].to_numpy().tolist() == [["base", "one"], ["base", "two"]]
    assert ((table["low"] <= table["loss"]) & (table["loss"] <= table["high"])).all()


def test_a_model_that_is_no_masked_lm_is_refused_in_one_line(tmp_path):
    from transformers import GPT2Config, GPT2LMHeadModel

    GPT2LMHeadModel(GPT2Config(vocab_size=50, n_layer=1, n_head=1, n_embd=8)).save_pretrained(tmp_path / "gpt")
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "gpt", tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UserError, match="give BASE_MODEL=mini") as caught:
            load_masked_lm(path)
        assert "\n" not in str(caught.value)


def test_an_encoder_without_a_head_gets_one_fitted_and_says_so(tiny, texts, tmp_path, monkeypatch):
    from transformers import AutoTokenizer, RobertaModel

    from helpers.pretrain import loop as engine

    RobertaModel.from_pretrained(tiny, add_pooling_layer=False).save_pretrained(tmp_path / "encoder")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "encoder")
    with pytest.raises(UserError, match="give general_texts"):
        adapt(tmp_path / "encoder", texts, RECIPE, tmp_path / "out", log=lambda line: None)
    monkeypatch.setattr(engine, "HEAD", Recipe("head", learning_rate=1e-3, batch_size=16, steps=3, max_length=32))
    lines = []
    adapted = adapt(
        tmp_path / "encoder", texts[:60], RECIPE, tmp_path / "out", general_texts=texts[60:], log=lines.append
    )
    assert "no masked-LM head" in lines[0]
    assert adapted.summary["untrained_head"]
    torch.rand(5)  # the new head follows the seed, not what was drawn before
    adapt(tmp_path / "encoder", texts[:60], RECIPE, tmp_path / "again", general_texts=texts[60:], log=lines.append)
    assert same(weights(tmp_path / "out"), weights(tmp_path / "again"))


def test_text_without_a_token_is_refused(tiny, tmp_path):
    with pytest.raises(UserError, match="no token"):
        adapt(tiny, ["", ""], RECIPE, tmp_path / "out", log=lambda line: None)


def test_sequences_longer_than_the_models_positions_are_refused(tiny, texts, tmp_path):
    """The tiny model has 66 positions, of which RoBERTa keeps two."""
    with pytest.raises(UserError, match="has 64 positions.*MAX_LENGTH=64"):
        adapt(tiny, texts, replace(RECIPE, max_length=65), tmp_path / "out", log=lambda line: None)
    with pytest.raises(UserError, match="has 64 positions"):
        masked_lm_loss(tiny, texts, max_length=65)
    assert masked_lm_loss(tiny, texts[:3]).equals(masked_lm_loss(tiny, texts[:3], max_length=64))


BAD_TEXTS = {
    "one string": ("gene cell", "expected a list of texts, got one string"),
    "missing": (["gene", None], "texts, item 2: text is missing .None"),
    "a number": (["gene", "cell", float("nan")], "texts, item 3: text is missing .NaN"),
    "bytes": ([b"gene"], "texts, item 1: text is not a string but bytes"),
    "a mapping": ([{"text": "gene"}], "texts, item 1: text is not a string but dict"),
    "half a pair": (["gene", "ce\ud83d"], "texts, item 2: text is damaged at character 3"),
}


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_what_is_no_list_of_texts_is_refused_with_its_number(tiny, tmp_path, kind):
    given, message = BAD_TEXTS[kind]
    for attempt in (lambda: masked_lm_loss(tiny, given), lambda: adapt(tiny, given, RECIPE, tmp_path / "out")):
        with pytest.raises(UserError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_texts_without_a_masked_token_are_left_out_and_none_at_all_is_refused(tiny, texts, tmp_path):
    table = masked_lm_loss(tiny, [*texts[:3], "a", texts[4]], max_length=32, mask_probability=0.05)
    assert 3 not in set(table["document"])
    with pytest.raises(UserError, match="no token of the held-out text was masked"):
        masked_lm_loss(tiny, ["a"], mask_probability=1e-6)
    with pytest.raises(UserError, match="no token of the corpus was masked"):
        adapt(tiny, ["a"], replace(RECIPE, mask_probability=1e-6), tmp_path / "out", log=lambda line: None)
