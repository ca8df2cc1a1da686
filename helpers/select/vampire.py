"""VAMPIRE in plain torch: a variational topic model whose activations embed sentences.

    model = Vampire.fit(sentences, epochs=15)
    vectors = model.embed(sentences)        # [n, 81]
    model.topics(10)                        # each topic's ten words

Input rows are sparse and the decoder's 30,000 logits exist for one batch only, so memory follows the words
present. Batch normalisation of the logits B theta is computed without touching them: a column's mean over
the batch is B mean(theta) and its variance B cov(theta) B', so it folds into the decoder's weights.
`QUIRKS` in vampire_config lists what the public code does differently and why the default does not.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import nn
from torch.nn import functional as F

from helpers.data.text import checked
from helpers.errors import UserError, whole
from helpers.files import aside, read_json, write_json
from helpers.select.coherence import mean_npmi
from helpers.select.vampire_config import FAITHFUL, MENDED, QUIRKS, VampireConfig, changed
from helpers.select.words import Vocabulary, batches

__all__ = ["FAITHFUL", "MENDED", "QUIRKS", "Vampire", "VampireConfig", "load_vampire", "save_vampire"]

BATCH_NORM_EPSILON, BATCH_NORM_MOMENTUM = 1e-3, 1e-3


class WordLoss(torch.autograd.Function):
    """-sum_v x_v log p_v of each row, p = softmax(theta W' + bias): only the present words are gathered.

    theta [n, K], weights [V, K], bias [V]; rows, columns, values: the non-zero x. Returns [n].
    scratch: a matrix [>= n, V] to work in, valid until the backward pass; None makes one.
    """

    @staticmethod
    def forward(ctx, theta, weights, bias, rows, columns, values, scratch=None):
        n = len(theta)
        logits = theta.new_empty(n, len(weights)) if scratch is None else scratch[:n]
        torch.addmm(bias, theta, weights.T, out=logits)
        largest = logits.amax(1)
        total, fit = theta.new_zeros(n), theta.new_zeros(n)
        total.index_add_(0, rows, values)
        fit.index_add_(0, rows, values * (logits[rows, columns] - largest[rows]))
        normaliser = logits.sub_(largest[:, None]).exp_().sum(1)
        ctx.logits = logits
        ctx.save_for_backward(theta, weights, rows, columns, values, normaliser, total)
        return total * normaliser.log() - fit

    @staticmethod
    def backward(ctx, gradient):
        theta, weights, rows, columns, values, normaliser, total = ctx.saved_tensors
        # d loss_i / d logits_i = total_i / normaliser_i * (exp(logits_i) - x_i * normaliser_i / total_i)
        slope = ctx.logits
        slope[rows, columns] -= values * (normaliser / total)[rows]
        factor = (gradient * total / normaliser)[:, None]
        narrow = slope.T @ (torch.cat([theta, theta.new_ones(len(theta), 1)], 1) * factor)
        return slope @ weights * factor, narrow[:, :-1], narrow[:, -1], None, None, None, None


class Network(nn.Module):
    """Encoder, logistic-normal latent and decoder over V words."""

    def __init__(self, words: int, config: VampireConfig, background: np.ndarray):
        super().__init__()
        self.config = config
        self.first = nn.Parameter(torch.empty(words, config.units))
        self.first_bias = nn.Parameter(torch.zeros(config.units))
        self.hidden = nn.ModuleList(nn.Linear(config.units, config.units) for _ in range(config.layers - 1))
        self.mean = nn.Linear(config.units, config.topics)
        self.log_variance = nn.Linear(config.units, config.topics)
        self.decoder = nn.Parameter(torch.empty(words, config.topics))
        self.bias = nn.Parameter(torch.zeros(words))
        # Rows of the input have length 1, so this first layer starts at 0.1: loud enough to pass on, faint enough
        # to be overwritten. Logits start far below batch normalisation's epsilon, so rare words stay quiet.
        nn.init.normal_(self.first, std=config.first_std)
        nn.init.normal_(self.decoder, std=config.decoder_std)
        for layer in (*self.hidden, self.mean):
            nn.init.xavier_normal_(layer.weight, gain=nn.init.calculate_gain("relu"))
        nn.init.constant_(self.log_variance.bias, config.start_log_variance)
        self.register_buffer("background", torch.as_tensor(background, dtype=torch.float32))
        self.register_buffer("running_mean", torch.zeros(words))
        self.register_buffer("running_variance", torch.ones(words))

    def encode(self, columns, offsets, values) -> list[torch.Tensor]:
        """The encoder's activations, first layer to last, of a batch of sparse rows."""
        act = F.relu if self.config.activation == "relu" else lambda x: x
        layers = [act(F.embedding_bag(columns, self.first, offsets, mode="sum", per_sample_weights=values)
                      + self.first_bias)]  # fmt: skip
        for layer in self.hidden:
            layers.append(act(layer(layers[-1])))
        return layers

    def latent(self, encoded, generator: torch.Generator | None):
        """Topic shares theta and the KL term of each row; noise and dropout only with a generator."""
        mean, log_variance = self.mean(encoded), self.log_variance(encoded)
        log_variance = log_variance.clamp(max=2 * math.log(self.config.largest_sigma))
        terms = 1 + log_variance - mean**2 - log_variance.exp()
        divergence = -0.5 * terms.clamp(-self.config.kl_clamp, self.config.kl_clamp).sum(1)
        if generator is None:
            return mean.softmax(1), divergence
        if self.config.noise == "repeated":
            generator.manual_seed(generator.initial_seed())
        noise = torch.randn(mean.shape, generator=generator)
        kept = torch.rand(mean.shape, generator=generator) >= self.config.dropout
        drawn = (mean + (log_variance / 2).exp() * noise) * kept / (1 - self.config.dropout)
        return drawn.softmax(1), divergence

    def word_loss(self, theta, rows, columns, values, scratch=None) -> torch.Tensor:
        """Reconstruction loss of each row, with the batch normalisation of the logits folded in."""
        if self.training:
            mean = theta.mean(0)
            centred = theta - mean
            covariance = centred.T @ centred / len(theta)
            column_mean, variance = self.decoder @ mean, ((self.decoder @ covariance) * self.decoder).sum(1)
            self._track(column_mean.detach(), variance.detach() * len(theta) / max(1, len(theta) - 1))
            shift = -column_mean
        else:
            variance, shift = self.running_variance, self.before() - self.running_mean
        scale = torch.rsqrt(variance + BATCH_NORM_EPSILON)
        return WordLoss.apply(
            theta, self.decoder * scale[:, None], shift * scale + self.bias + self.after(), rows, columns, values,
            scratch,
        )  # fmt: skip

    def before(self) -> torch.Tensor:
        """What is added to the logits before batch normalisation (while training it cancels there)."""
        return self.background if self.config.background == "cancelled" else torch.zeros_like(self.background)

    def after(self) -> torch.Tensor:
        return self.background if self.config.background == "after" else torch.zeros_like(self.background)

    @torch.no_grad()
    def _track(self, mean, variance) -> None:
        self.running_mean.lerp_(mean + self.before(), BATCH_NORM_MOMENTUM)
        self.running_variance.lerp_(variance, BATCH_NORM_MOMENTUM)


def kl_weight(config: VampireConfig, epoch: int, update: int, updates: int) -> float:
    """Weight of the KL term at update `update` of `updates` in epoch `epoch`, both from 0; in [0, config.kl_weight]."""
    if config.annealing_unit == "authors_epoch":
        # Their callback knows the epoch that ended: the first epoch keeps its start value of 1.
        risen = {"linear": (epoch - 1) / 1000, "sigmoid": _logistic(0.25 * (epoch - 16)), "constant": 1.0}
        return config.kl_weight * (1.0 if epoch == 0 else min(1.0, risen[config.annealing]))
    share = update / max(1.0, config.annealing_share * updates)
    risen = {"linear": share, "sigmoid": _logistic(12 * (share - 0.5)), "constant": 1.0}
    return config.kl_weight * min(1.0, risen[config.annealing])


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


class Vampire:
    """A fitted VAMPIRE: `fit`, `embed`, `topics`; `history` has one row an epoch."""

    def __init__(self, config: VampireConfig, vocabulary: Vocabulary, network: Network, history: pd.DataFrame):
        self.config, self.vocabulary, self.network, self.history = config, vocabulary, network.eval(), history

    @classmethod
    def fit(cls, texts: Iterable[str], config: VampireConfig = MENDED, *, seed: int = 0, log=None, **changes):
        """Train on sentences.

        texts: any iterable of strings, read once. config: MENDED, FAITHFUL or your own; `changes` replace
        single fields (epochs=15). seed: fixes weights, order and noise. log: called with a line an epoch.
        Raises UserError when no word can be learned or the loss stops being finite, for a change of no field, seed < 0.
        Paper: section 5.2, Appendix; `QUIRKS` for what the public code does otherwise.
        """
        whole(seed, "seed", 0)
        config = changed(config, **changes)
        vocabulary, counts = Vocabulary.fit(texts, size=config.vocabulary, min_texts=config.min_texts)
        rows = counts if config.weighting == "counts" else vocabulary.tfidf(counts)
        totals = np.asarray(rows.sum(axis=0), np.float64).ravel()
        background = np.log(np.maximum(totals / totals.sum(), 1e-12))
        order = np.random.default_rng([seed, 1])
        shuffled = order.permutation(rows.shape[0])
        heldout, trained = np.split(shuffled, [max(1, int(config.heldout_share * len(shuffled)))])
        usable = np.asarray(rows.sum(axis=1)).ravel() > config.min_row_sum
        trained = trained[usable[trained]]
        if len(trained) < 2:
            raise UserError(
                f"VAMPIRE: {len(trained)} of {len(shuffled)} texts are left to train on (row sum above "
                f"{config.min_row_sum:g}); expected at least 2: give more or longer texts."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = Network(len(vocabulary), config, background)
        history = _train(network, config, rows, trained, counts[heldout], order, seed, log)
        return cls(config, vocabulary, network, history)

    def embed(self, texts: Iterable[str]) -> np.ndarray:
        """Vectors [n, units] float32 of sentences; a text without any known word gets the zero vector."""
        blocks = list(self.embed_blocks(texts))
        return np.concatenate(blocks) if blocks else np.zeros((0, self.config.units), np.float32)

    def embed_blocks(self, texts: Iterable[str], size: int = 8192) -> Iterator[np.ndarray]:
        """`embed` as a stream: one block of vectors for every `size` texts."""
        for block in batches(checked(texts), size):
            yield self._embed(block)

    @torch.inference_mode()
    def _embed(self, texts: list[str]) -> np.ndarray:
        if self.config.embed_input == "whitespace_counts":
            rows = _whitespace_counts(texts, self.vocabulary.numbers)
        else:
            counts = self.vocabulary.counts(texts)
            rows = counts if self.config.weighting == "counts" else self.vocabulary.tfidf(counts)
        layers = self.network.encode(*_tensors(rows)[:3])
        theta, _ = self.network.latent(layers[-1], None)
        vectors = torch.zeros(len(texts), self.config.units)
        parts = layers[0], layers[-1], theta
        if self.config.unit_activations:
            # Shares are all positive: unless their mean goes, any two texts are at a cosine near 1.
            parts = [F.normalize(part, dim=1) for part in (*parts[:2], theta - 1 / self.config.topics)]
        for weight, part in zip(self.config.embedding_weights, parts, strict=True):
            if weight:
                vectors += weight * part
        if self.config.embed_input == "same":
            vectors[torch.as_tensor(np.diff(rows.indptr) == 0)] = 0
        return vectors.numpy()

    def topics(self, n: int = 10) -> list[list[str]]:
        """The n strongest words of each topic, strongest first."""
        return [[self.vocabulary.words[number] for number in row] for row in _topic_words(self.network, n)]

    def save(self, folder: str | Path) -> Path:
        """See `save_vampire`."""
        return save_vampire(self, folder)


def _tensors(rows: sparse.csr_matrix):
    """columns, offsets and values for embedding_bag, and the row of each value."""
    row = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    return (
        torch.from_numpy(rows.indices.astype(np.int64)),
        torch.from_numpy(rows.indptr[:-1].astype(np.int64)),
        torch.from_numpy(np.asarray(rows.data, np.float32)),
        torch.from_numpy(row),
    )


def _whitespace_counts(texts: list[str], numbers: dict[str, int]) -> sparse.csr_matrix:
    found = [[numbers[word] for word in text.lower().split() if word in numbers] for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
    ids = np.array([number for row in found for number in row], np.int32)
    rows = sparse.csr_matrix((np.ones(len(ids), np.float32), ids, starts), shape=(len(texts), len(numbers)))
    rows.sum_duplicates()
    return rows


@torch.no_grad()
def _topic_words(network: Network, n: int) -> np.ndarray:
    """Word numbers [topics, n], strongest first."""
    return network.decoder.topk(min(n, len(network.decoder)), dim=0).indices.T.numpy()


def _train(network, config, rows, trained, reference, order, seed, log) -> pd.DataFrame:
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate, fused=True)
    noise = torch.Generator().manual_seed(seed)
    size = min(config.batch_size, len(trained), max(32, len(trained) // config.least_updates))
    scratch = torch.empty(size, len(network.bias))  # the largest tensor of a step, touched once and reused
    each = max(1, len(trained) // size)  # a short last batch would have unsteady batch statistics
    best, best_state, waited, records, update = -np.inf, None, 0, [], 0
    background_words = np.argsort(-network.background.numpy(), kind="stable")[None, :10]
    for epoch in range(config.epochs):
        began, network_losses = perf_counter(), []
        network.train()
        shuffled = order.permutation(trained)
        for number in range(each):
            batch = rows[np.sort(shuffled[number * size : (number + 1) * size])]
            columns, offsets, values, row = _tensors(batch)
            theta, divergence = network.latent(network.encode(columns, offsets, values)[-1], noise)
            words = network.word_loss(theta, row, columns, values, scratch).mean()
            weight = kl_weight(config, epoch, update, each * config.epochs)
            loss = words + weight * divergence.mean()
            if not torch.isfinite(loss):
                raise UserError(
                    f"VAMPIRE: the loss is {loss.item()} at epoch {epoch + 1}, update {update + 1}; lower "
                    f"learning_rate (now {config.learning_rate:g}) or set gradient_norm and weighting='tfidf'."
                )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            if config.gradient_norm:
                nn.utils.clip_grad_norm_(network.parameters(), config.gradient_norm)
            optimiser.step()
            network_losses.append((words.item(), divergence.mean().item()))
            update += 1
        network.eval()
        topics = _topic_words(network, 10)
        npmi = mean_npmi(np.concatenate([topics, background_words]) if config.npmi_background else topics, reference)
        words_loss, divergence = np.mean(network_losses, axis=0)
        records.append(dict(epoch=epoch + 1, word_loss=words_loss, kl=divergence, kl_weight=weight, npmi=npmi,
                            seconds=perf_counter() - began))  # fmt: skip
        if log:
            log(f"epoch {epoch + 1}: word loss {words_loss:.3f}, KL {divergence:.3f} x {weight:.3f}, NPMI {npmi:.3f}")
        if npmi > best:
            best, waited = npmi, 0
            best_state = {name: value.clone() for name, value in network.state_dict().items()}
        else:
            waited += 1
            if waited >= config.patience:
                break
    network.load_state_dict(best_state)
    return pd.DataFrame(records)


def save_vampire(model: Vampire, folder: str | Path) -> Path:
    """Write a fitted model as vampire.safetensors, vampire.json and history.csv; returns the folder."""
    from safetensors.torch import save_file

    folder = Path(folder)
    tensors = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    tensors["idf"] = torch.from_numpy(model.vocabulary.idf)
    described = {"config": asdict(model.config), "words": model.vocabulary.words}
    with aside(folder / "vampire.safetensors") as new:
        save_file(tensors, new)
    with aside(folder / "history.csv") as new:
        model.history.to_csv(new, index=False)
    write_json(folder / "vampire.json", described)
    return folder


def load_vampire(folder: str | Path) -> Vampire:
    """Read what `save_vampire` wrote. Raises UserError when the folder does not hold a whole model."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    folder = Path(folder)
    try:
        described = read_json(folder / "vampire.json")
        tensors = load_file(folder / "vampire.safetensors")
        history = pd.read_csv(folder / "history.csv")
        config = VampireConfig(**described["config"])
        vocabulary = Vocabulary(described["words"], tensors.pop("idf").numpy())
        network = Network(len(vocabulary), config, tensors["background"].numpy())
        network.load_state_dict(tensors)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{folder}: no readable VAMPIRE model ({error}); fit one and save it first.") from None
    return Vampire(config, vocabulary, network, history)
