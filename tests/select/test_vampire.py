"""VAMPIRE against dense computations by hand, and each quirk against what its name says."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from helpers.errors import UserError
from helpers.select.coherence import mean_npmi
from helpers.select.vampire import (
    BATCH_NORM_EPSILON,
    BATCH_NORM_MOMENTUM,
    FAITHFUL,
    MENDED,
    QUIRKS,
    Network,
    Vampire,
    VampireConfig,
    WordLoss,
    _tensors,
    kl_weight,
    load_vampire,
)

SMALL = replace(MENDED, units=16, topics=16, batch_size=32, epochs=6)
TEXTS = ["alpha beta gamma delta", "beta gamma epsilon", "alpha zeta zeta", "delta epsilon zeta alpha beta"] * 10


@pytest.fixture(scope="module")
def fitted(themes) -> Vampire:
    return Vampire.fit([text for texts in themes.values() for text in texts], SMALL, seed=1)


def rows_and_dense(seed=0, n=5, words=9):
    dense = np.random.default_rng(seed).poisson(0.6, size=(n, words)).astype(np.float32)
    dense[:, 0] = 1
    return sparse.csr_matrix(dense), torch.from_numpy(dense)


def network(config=SMALL, words=9, seed=0) -> Network:
    torch.manual_seed(seed)
    made = Network(words, config, np.linspace(-4, -1, words))
    torch.nn.init.normal_(made.decoder)
    torch.nn.init.normal_(made.bias)
    return made


def test_word_loss_and_its_gradients_equal_dense_autograd():
    rows, dense = rows_and_dense()
    _, _, values, row = _tensors(rows)
    columns = torch.from_numpy(rows.indices.astype(np.int64))
    torch.manual_seed(0)
    inputs = [torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in ((5, 4), (9, 4), (9,))]
    loss = WordLoss.apply(*inputs, row, columns, values.double())
    by_hand = -(dense.double() * (inputs[0] @ inputs[1].T + inputs[2]).log_softmax(1)).sum(1)
    torch.testing.assert_close(loss, by_hand)
    weights = torch.arange(1.0, 6.0, dtype=torch.double)
    expected = torch.autograd.grad((by_hand * weights).sum(), inputs, retain_graph=True)
    for found, wanted in zip(torch.autograd.grad((loss * weights).sum(), inputs), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("config", [SMALL, replace(SMALL, background="cancelled")])
def test_folded_batch_normalisation_equals_torch_on_all_logits(training, config):
    rows, dense = rows_and_dense()
    columns, _, values, row = _tensors(rows)
    made = network(config).train(training)
    made.running_mean.normal_(), made.running_variance.uniform_(0.5, 2)
    norm = torch.nn.BatchNorm1d(9, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM).train(training)
    norm.running_mean.copy_(made.running_mean), norm.running_var.copy_(made.running_variance)
    norm.bias.data.copy_(made.bias.data)
    theta = torch.rand(5, SMALL.topics)
    loss = made.word_loss(theta, row, columns, values)
    logits = theta @ made.decoder.T
    logits = norm(logits + made.background) if config.background == "cancelled" else norm(logits) + made.background
    torch.testing.assert_close(loss, -(dense * logits.log_softmax(1)).sum(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(made.running_mean, norm.running_mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made.running_variance, norm.running_var, rtol=1e-4, atol=1e-5)


def test_kl_term_by_hand_and_clamped():
    made = network()
    with torch.no_grad():
        made.mean.weight.zero_(), made.log_variance.weight.zero_()
        made.mean.bias.fill_(3.0), made.log_variance.bias.fill_(math.log(4.0))
    _, divergence = made.latent(torch.zeros(2, SMALL.units), None)
    # per dimension KL(N(3, 4) || N(0, 1)) = (4 + 9 - 1 - log 4) / 2
    assert divergence[0].item() == pytest.approx(SMALL.topics * (12 - math.log(4)) / 2, rel=1e-5)
    with torch.no_grad():
        made.mean.bias.fill_(1e6)
    assert made.latent(torch.zeros(2, SMALL.units), None)[1][0].item() == SMALL.topics * SMALL.kl_clamp / 2


def test_encoder_is_linear_only_in_the_faithful_variant():
    rows, _ = rows_and_dense(n=2)
    total = sparse.csr_matrix(rows.sum(axis=0))
    for config, linear in ((SMALL, False), (replace(SMALL, activation="none"), True)):
        made = network(config)
        ends = [made.encode(*_tensors(part)[:3])[-1] for part in (rows[0], rows[1], total)]
        origin = made.encode(*_tensors(sparse.csr_matrix((1, 9), dtype=np.float32))[:3])[-1]
        assert torch.allclose(ends[0] + ends[1] - origin, ends[2], atol=1e-6) == linear


def test_noise_is_the_same_every_step_only_in_the_faithful_variant():
    encoded = torch.ones(3, SMALL.units)
    for config, same in ((SMALL, False), (replace(SMALL, noise="repeated"), True)):
        made, generator = network(config), torch.Generator().manual_seed(4)
        first, second = (made.latent(encoded, generator)[0] for _ in range(2))
        assert torch.equal(first, second) == same


def test_background_cancels_in_training_only_in_the_faithful_variant():
    rows, _ = rows_and_dense()
    columns, _, values, row = _tensors(rows)
    for config, cancels in ((SMALL, False), (replace(SMALL, background="cancelled"), True)):
        made, theta = network(config).train(), torch.rand(5, SMALL.topics)
        with_background = made.word_loss(theta, row, columns, values)
        made.background.zero_()
        assert torch.allclose(with_background, made.word_loss(theta, row, columns, values)) == cancels


def test_kl_weight_of_both_variants():
    faithful = [kl_weight(FAITHFUL, epoch, 0, 100) for epoch in (0, 1, 2, 3, 50)]
    assert faithful == pytest.approx([1.0, 0.0, 0.001, 0.002, 0.049])
    sigmoid = replace(FAITHFUL, annealing="sigmoid")
    assert kl_weight(sigmoid, 16, 0, 1) == pytest.approx(0.5)
    top = MENDED.kl_weight
    mended = [kl_weight(MENDED, 0, update, 100) for update in (0, 25, 50, 99)]
    assert mended == pytest.approx([0, top / 2, top, top])
    assert kl_weight(replace(MENDED, annealing="constant"), 0, 0, 100) == top


def test_short_texts_are_dropped_only_by_the_faithful_row_sum():
    with pytest.raises(UserError, match="row sum above 3"):
        Vampire.fit(TEXTS, SMALL, min_row_sum=3.0)  # at most five words: L2 rows sum to at most sqrt(5)
    assert len(Vampire.fit(TEXTS, SMALL, epochs=1).history) == 1


def test_embedding_reads_what_training_read_only_in_the_mended_variant():
    mended = Vampire.fit(TEXTS, SMALL, epochs=1)
    faithful = Vampire.fit(TEXTS, SMALL, epochs=1, embed_input="whitespace_counts", embedding_weights=(1, 0, 0))
    plain, marked, twice = ["alpha beta"], ["Alpha, beta."], ["alpha alpha beta beta"]
    np.testing.assert_allclose(mended.embed(plain), mended.embed(marked))
    np.testing.assert_allclose(mended.embed(plain), mended.embed(twice), atol=1e-6)  # unit TF-IDF rows
    assert not np.allclose(faithful.embed(plain), faithful.embed(marked))  # "alpha," and "beta." are unknown
    assert np.allclose(faithful.embed(marked), faithful.embed([""]))


def test_faithful_vector_is_the_weighted_sum_of_activations():
    model = Vampire.fit(TEXTS, FAITHFUL, units=8, topics=8, epochs=1, min_row_sum=0.0)
    rows = sparse.csr_matrix(model.vocabulary.counts(["alpha beta beta"]))
    x = torch.from_numpy(rows.toarray())
    net = model.network
    with torch.no_grad():
        h0 = x @ net.first + net.first_bias
        h1 = net.hidden[0](h0)
        expected = h0 - 20 * h1 + net.mean(h1).softmax(1)
    np.testing.assert_allclose(model.embed(["alpha beta beta"]), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_every_quirk_with_an_option_differs_between_the_variants():
    for letter, (option, faithful, what, why) in QUIRKS.items():
        assert what and why, letter
        if option:
            assert getattr(FAITHFUL, option) == faithful != getattr(MENDED, option), letter


def test_npmi_by_hand():
    # Four documents over words 0 1 2; word 1 is in three, word 0 in two, together once; 2 is never with 0.
    counts = sparse.csr_matrix(np.array([[1, 2, 0], [0, 1, 0], [0, 1, 3], [5, 0, 0]]))
    with_one = (math.log(4) + math.log(1) - math.log(2) - math.log(3)) / (math.log(4) - math.log(1))
    assert mean_npmi(np.array([[0, 1]]), counts) == pytest.approx(with_one)
    assert mean_npmi(np.array([[0, 2]]), counts) == 0  # never together
    one_two = (math.log(4) - math.log(1) - math.log(3)) / math.log(4)
    assert mean_npmi(np.array([[0, 1, 2]]), counts) == pytest.approx((with_one + 0 + one_two) / 3)
    always = sparse.csr_matrix(np.array([[1, 1], [1, 1], [0, 0]]))
    assert mean_npmi(np.array([[0, 1]]), always) == 0  # exactly 1 counts 0, as in the public code


def test_background_topic_enters_npmi_only_in_the_faithful_variant():
    plain, with_background = (
        Vampire.fit(TEXTS, SMALL, epochs=1, npmi_background=value).history.npmi[0] for value in (False, True)
    )
    assert plain != with_background


def test_topics_and_neighbours_follow_the_themes(fitted, themes):
    from tests.select.conftest import THEMES, themed

    theme_of = {word: theme for theme, words in THEMES.items() for word in words}
    purity = [max(map([theme_of.get(word) for word in topic].count, THEMES)) / 5 for topic in fitted.topics(5)]
    assert np.mean(purity) > 0.6
    from helpers.select import neighbours

    pool = [(theme, text) for theme, texts in themes.items() for text in texts]
    for theme in THEMES:
        found, _ = neighbours(fitted.embed(themed(theme, 20, 9)), fitted.embed([text for _, text in pool]), 20)
        assert np.mean([[pool[i][0] == theme for i in row] for row in found]) > 0.75  # chance is 0.25


def test_training_lowers_the_loss_and_stops_early(themes):
    texts = [text for part in themes.values() for text in part]
    model = Vampire.fit(texts, SMALL, epochs=30, patience=2)
    history = model.history
    assert history.word_loss.iloc[-1] < history.word_loss.iloc[0]
    assert len(history) == 30 or len(history) - (history.npmi.argmax() + 1) == 2


def test_same_seed_same_model_other_seed_another():
    first, again, other = (Vampire.fit(TEXTS, SMALL, epochs=2, seed=seed).embed(TEXTS[:4]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_fitting_leaves_the_global_random_state_alone():
    torch.manual_seed(11)
    expected = torch.rand(1)
    torch.manual_seed(11)
    Vampire.fit(TEXTS, SMALL, epochs=1)
    assert torch.equal(torch.rand(1), expected)


def test_embedding_streams_and_unknown_text_is_zero(fitted):
    texts = ["protein cell gene", "xylophone", "", "market shares"] * 5
    blocks = list(fitted.embed_blocks(iter(texts), size=7))
    assert [len(block) for block in blocks] == [7, 7, 6]
    whole = fitted.embed(texts)
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)
    assert not whole[1].any() and not whole[2].any() and whole[0].any()
    assert fitted.embed([]).shape == (0, SMALL.units)


def test_saved_model_is_the_same_model(fitted, tmp_path):
    folder = fitted.save(tmp_path / "model")
    assert sorted(path.name for path in folder.iterdir()) == ["history.csv", "vampire.json", "vampire.safetensors"]
    again = load_vampire(folder)
    assert again.config == fitted.config and again.topics(5) == fitted.topics(5)
    np.testing.assert_array_equal(again.embed(["protein market"]), fitted.embed(["protein market"]))


def test_folder_without_a_model_is_said(tmp_path):
    with pytest.raises(UserError, match="no readable VAMPIRE model"):
        load_vampire(tmp_path)


@pytest.mark.parametrize("file", ["vampire.json", "vampire.safetensors"])
def test_a_damaged_model_is_said(fitted, tmp_path, file):
    folder = fitted.save(tmp_path / "model")
    (folder / file).write_bytes(b"{}" if file.endswith("json") else (folder / file).read_bytes()[:50])
    with pytest.raises(UserError, match="no readable VAMPIRE model"):
        load_vampire(folder)
    with pytest.raises(UserError):
        fitted.embed("one string")


def test_loss_that_explodes_is_said_not_hidden():
    with pytest.raises(UserError, match="lower learning_rate"):
        Vampire.fit(TEXTS, SMALL, learning_rate=1e30, gradient_norm=0.0)


@pytest.mark.parametrize("weighting", ["tfidf", "counts"])
@pytest.mark.parametrize("annealing", ["linear", "sigmoid", "constant"])
def test_no_nan_whatever_the_weighting_and_annealing(weighting, annealing):
    texts = [*TEXTS, "alpha " * 5000, "beta"]  # one text with a huge count
    model = Vampire.fit(texts, SMALL, weighting=weighting, annealing=annealing, kl_weight=1.0)
    assert np.isfinite(model.history.to_numpy()).all() and np.isfinite(model.embed(texts)).all()


@pytest.mark.parametrize(
    "change",
    [{"activation": "tanh"}, {"epochs": 0}, {"epochs": True}, {"dropout": 1.0}, {"dropout": None}, {"units": 8},
     {"embedding_weights": (1.0,)}, {"embedding_weights": 1.0}, {"embedding_weights": (1.0, "a", 0.0)},
     {"learning_rate": "x"}, {"learning_rate": float("nan")}, {"learning_rate": 0}, {"kl_weight": float("inf")},
     {"first_std": -0.1}, {"largest_sigma": 0.0}],
)  # fmt: skip
def test_impossible_settings_are_refused(change):
    with pytest.raises(UserError, match="expected"):
        VampireConfig(**change)


def test_one_text_is_too_few():
    with pytest.raises(UserError):
        Vampire.fit(["alpha beta"], SMALL, min_texts=1)
