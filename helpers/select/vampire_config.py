"""VAMPIRE's settings: a mended default, the public code's own, and every difference between the two."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from helpers.errors import UserError, nearest, real, whole

_CHOICES = {
    "weighting": ("tfidf", "counts"),
    "activation": ("relu", "none"),
    "noise": ("fresh", "repeated"),
    "background": ("after", "cancelled"),
    "annealing": ("linear", "sigmoid", "constant"),
    "annealing_unit": ("update", "authors_epoch"),
    "embed_input": ("same", "whitespace_counts"),
}


@dataclass(frozen=True)
class VampireConfig:
    """What VAMPIRE computes. Paper: section 5.2; the paper gives no hyperparameters, these are its code's.

    Raises UserError for a value that is of another kind or out of range.
    """

    vocabulary: int = 30_000  # most words kept
    min_texts: int = 2  # fewest texts a word must stand in
    weighting: str = "tfidf"  # rows of the input: tfidf (unit length) or counts
    units: int = 81  # width of the encoder
    layers: int = 2  # layers of the encoder
    topics: int = 81  # size of the latent
    activation: str = "relu"  # quirk a
    embedding_weights: tuple[float, ...] = (1.0, 0.0, 1.0)  # of first layer, last layer, topic shares: quirk b
    unit_activations: bool = True  # activations scaled to length 1 (shares less their mean) first: quirk b
    noise: str = "fresh"  # quirk c
    background: str = "after"  # quirk d
    annealing: str = "linear"  # how the weight of the KL term rises
    annealing_unit: str = "update"  # quirk f
    annealing_share: float = 0.5  # share of all updates until a linear rise reaches 1
    kl_weight: float = 0.02  # weight of the KL term once risen: quirk f
    first_std: float = 0.1  # standard deviation of the encoder's first weights
    decoder_std: float = 0.02  # standard deviation of the decoder's first weights
    start_log_variance: float = -2.0  # of the latent before training: sigma = 0.37
    min_row_sum: float = 0.0  # rows whose values sum to this or less are not trained on: quirk g
    embed_input: str = "same"  # quirk h
    npmi_background: bool = False  # quirk i
    kl_clamp: float = 1000.0  # bound on each dimension's KL term
    largest_sigma: float = 10.0
    dropout: float = 0.49  # on the latent
    batch_size: int = 256  # texts an update, fewer (but 32) where an epoch would have less than:
    least_updates: int = 20
    learning_rate: float = 1e-2
    gradient_norm: float = 5.0  # 0: no clipping
    epochs: int = 50
    patience: int = 5  # epochs without a better NPMI
    heldout_share: float = 0.1  # of the texts, for NPMI

    def __post_init__(self):
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise UserError(f"VAMPIRE {name}={getattr(self, name)!r}: expected one of {', '.join(choices)}.")
        for field in fields(self):
            name, value = f"VAMPIRE {field.name}", getattr(self, field.name)
            if field.type is int:
                object.__setattr__(self, field.name, whole(value, name))
            elif field.type is float:
                signed = field.name in ("start_log_variance", "min_row_sum")
                object.__setattr__(self, field.name, real(value, name, -math.inf if signed else 0))
        if not (self.dropout < 1 and 0 < self.heldout_share < 1 and self.learning_rate > 0 and self.largest_sigma > 0):
            raise UserError("VAMPIRE: expected 0 <= dropout < 1, 0 < heldout_share < 1, learning_rate > 0 and "
                            "largest_sigma > 0.")  # fmt: skip
        if not isinstance(self.embedding_weights, Sequence) or len(self.embedding_weights) != 3:
            raise UserError("VAMPIRE embedding_weights: expected three numbers (first layer, last layer, topics).")
        weights = tuple(real(weight, "VAMPIRE embedding_weights") for weight in self.embedding_weights)
        object.__setattr__(self, "embedding_weights", weights)
        if weights[2] and self.units != self.topics:
            raise UserError(f"VAMPIRE units={self.units}, topics={self.topics}: expected equals, vectors add both.")


def changed(config: VampireConfig, **changes) -> VampireConfig:
    """The settings with single fields replaced; raises UserError for a field that there is none of.

    >>> changed(MENDED, epochs=15).epochs
    15
    """
    names = [field.name for field in fields(config)]
    for name in changes:
        if name not in names:
            raise UserError(f"VAMPIRE {name}: there is no setting of that name.{nearest(name, names)}")
    return replace(config, **changes)


MENDED = VampireConfig()

# Its first weights: torch's default for linear layers, uniform in +-1/sqrt(30,000) and +-1/sqrt(81).
FAITHFUL = replace(
    MENDED, min_texts=1, activation="none", embedding_weights=(1.0, -20.0, 1.0), unit_activations=False,
    noise="repeated", background="cancelled", annealing="linear", annealing_unit="authors_epoch", min_row_sum=3.0,
    embed_input="whitespace_counts", npmi_background=True, batch_size=512, least_updates=1, gradient_norm=0.0,
    learning_rate=1e-3, kl_weight=1.0, first_std=0.0033, decoder_std=0.064, start_log_variance=0.0,
)  # fmt: skip

# letter of the public code's quirk -> (option, its value there, what the code does, why the default differs)
QUIRKS: dict[str, tuple[str, object, str, str]] = {
    "a": ("activation", "none", "The encoder's ReLU is never applied: two linear layers in a row.",
          "A stack of linear layers is one linear layer; the stated model is a perceptron."),
    "b": ("embedding_weights", (1.0, -20.0, 1.0),
          "The start value -20 of a softmax mixture is used as a plain weight: h0 - 20 h1 + theta.",
          "The vector is then the last layer almost alone; the mixture meant gives that layer no weight. "
          "Activations are scaled to one length first (unit_activations), or the first layer hides the topics."),
    "c": ("noise", "repeated", "The seed is set inside every training step: one noise sample, one dropout mask.",
          "A variational bound needs fresh noise; the fixed one can be learned by heart."),
    "d": ("background", "cancelled",
          "Background log-frequencies are added just before a batch normalisation that subtracts them again.",
          "Added after it they do what they are for: topics need not learn which words are common."),
    "e": ("", None, "1e-10 is added to the logits before the log-softmax.",
          "Adding one number to all logits changes no probability; left out in both variants."),
    "f": ("annealing_unit", "authors_epoch",
          "KL weight 1 in the first epoch, 0 in the second, then epoch/1000: at most 0.05 in 50 epochs.",
          "Here it rises smoothly by update. Its top is 0.02, within what the code reaches: a TF-IDF row sums to about "
          "3, so a full KL term outweighs the words and the topics collapse (measured: KL 0.001, NPMI 0)."),
    "g": ("min_row_sum", 3.0,
          "Rows with a sum of 3 or less are dropped: with TF-IDF every text of fewer than ten distinct words.",
          "Sentences are short; only texts without any known word are left out."),
    "h": ("embed_input", "whitespace_counts",
          "Trained on TF-IDF of regular-expression words, but embeds raw counts of whitespace-split words.",
          "Embedding sees what training saw; punctuation no longer hides a word."),
    "i": ("npmi_background", True, "The background counts as a topic in the mean NPMI.",
          "Its words are the commonest ones and say nothing of the topics; it never changes while training."),
    "j": ("", None, "A column for unknown words, always 0, takes part in the softmax.",
          "It can only take probability from real words; left out in both variants."),
    "k": ("start_log_variance", 0.0,
          "Starts with sigma 1 and weights of about 0.01, learning rate 1e-3: a hundred thousand updates to learn.",
          "Less noise, a first layer at 0.1 and 1e-2 with clipped gradients learn topics in a few hundred updates."),
}  # fmt: skip
