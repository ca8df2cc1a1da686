import numpy as np
import pytest
import torch

from helpers.encoder.packing import Windows
from helpers.mini import train as mini


@pytest.fixture(scope="module")
def windows():
    """300 windows of 40 random tokens, low ids far more often."""
    generator = np.random.default_rng(0)
    tokens = np.minimum(5 + generator.geometric(0.01, 300 * 40), mini.VOCABULARY - 1)
    return Windows(tokens, np.arange(301) * 40, np.arange(300))


def test_the_starting_model_looks_at_its_neighbours_and_knows_word_frequencies(windows, monkeypatch):
    def random_vectors(windows, width, seed=0):
        return np.random.default_rng(seed).normal(size=(mini.VOCABULARY, width)).astype(np.float32)

    monkeypatch.setattr(mini, "word_vectors", random_vectors)
    model = mini.initial_model(windows).eval()
    model.set_attn_implementation("eager")
    ids = torch.from_numpy(windows[0]).long()[None]
    with torch.inference_mode():
        out = model(input_ids=ids, output_attentions=True)
    for head, distance in enumerate(mini.DISTANCES[0]):
        seen = out.attentions[0][0, head].argmax(dim=-1).numpy()
        wanted = np.arange(40) + distance
        inside = (wanted >= 0) & (wanted < 40)
        assert (seen[inside] == wanted[inside]).mean() > 0.9, f"head {head} does not look {distance} away"
    frequency = np.bincount(windows.tokens, minlength=mini.VOCABULARY) + 1.0
    unigram = -(frequency / frequency.sum() * np.log(frequency / frequency.sum())).sum()
    loss = torch.nn.functional.cross_entropy(out.logits[0], ids[0]).item()
    assert loss < unigram + 0.6 < np.log(mini.VOCABULARY)


def test_word_vectors_put_words_of_like_company_together(monkeypatch):
    monkeypatch.setattr(mini, "VOCABULARY", 60)
    generator = np.random.default_rng(1)
    # tokens 5-24 occur among each other only, and so do 25-44
    groups = [generator.integers(low, low + 20, 4000) for low in (5, 25)]
    tokens = np.concatenate([np.concatenate(pair) for pair in zip(*(np.split(g, 100) for g in groups), strict=True)])
    vectors = mini.word_vectors(Windows(tokens, np.array([0, len(tokens)]), np.zeros(1)), 8)
    one, two = vectors[5:25], vectors[25:45]
    cosine = lambda a, b: (a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)).mean()  # noqa: E731
    assert cosine(one, one) > cosine(one, two) + 0.3
