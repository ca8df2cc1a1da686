"""The study's words: methods, selectors, the tables of the paper and its claims, each said once.

Results, figures, notebooks and the report read them here. A new method or selector is one entry of METHODS or
SELECTORS, and then a way to make it (`helpers.study`, `helpers.select.rivals`). A domain is one entry of
`helpers.data.registry`, with its title and colour; a task's domain stands there too.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from helpers.errors import UserError, nearest


@dataclass(frozen=True)
class Method:
    """A way to get a classifier.

    title: as the paper prints it. colour: in every figure. texts: what it is adapted to, in order: the task's
    'domain', 'again' (the domain by another seed), 'shuffled' (its words in another order), 'general', 'unrelated'
    (another domain), 'task', 'partner' (another task) or 'unlabeled' (the task's unlabeled text); () for no adaptation.
    """

    name: str
    title: str
    colour: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selector:
    """A way to select domain text for a task; title and colour as every table and figure shows it."""

    name: str
    title: str
    colour: str


@dataclass(frozen=True)
class Claim:
    """A claim of the paper on F1: `better` scores above each of `worse`.

    better, worse: methods; '{k}' stands for the smallest k that both sides have, '{most}' for the largest k that
    VAMPIRE has. section: where the paper makes it. published: the table that holds the paper's own numbers.
    """

    name: str
    title: str
    better: str
    worse: tuple[str, ...]
    section: str
    published: str

    def pairs(self, methods: Collection[str]) -> list[tuple[str, str]]:
        """(better, worse) for every rival, from the methods at hand; [] where one of them is missing.

        >>> CLAIMS["more_neighbours_help"].pairs({"vampire_5_tapt", "vampire_15_tapt"})
        [('vampire_15_tapt', 'vampire_5_tapt')]
        """
        picks = {split_selection(method) for method in methods} - {None}
        sizes = sorted(k for selector, k in picks if selector == "vampire") or [0]
        for k in sizes:
            better, *worse = (name.format(k=k, most=sizes[-1]) for name in (self.better, *self.worse))
            if better not in worse and {better, *worse} <= set(methods):
                return [(better, one) for one in worse]
        return []


@dataclass(frozen=True)
class Experiment:
    """A table of the paper: which methods on which tasks, beside which of its printed tables.

    name: of our table. methods: in the order they are run. published: tables of `helpers.paper`, searched in
    order for each cell's number. tasks: 'all', 'selection' (those that text is selected for) or 'unlabeled'
    (those with unlabeled text). selects: whether every '<selector>_<k>_tapt' belongs to it too.
    """

    name: str
    methods: tuple[str, ...]
    published: tuple[str, ...]
    tasks: str = "all"
    selects: bool = False

    @property
    def adapted(self) -> tuple[str, ...]:
        """Its methods that adapt the base to some text."""
        return tuple(name for name in self.methods if METHODS[name].texts)

    def holds(self, method: str) -> bool:
        """Whether a record of this method belongs in the table."""
        return method in self.methods or (self.selects and split_selection(method) is not None)


def _named(*entries) -> dict:
    return {entry.name: entry for entry in entries}


# In the order of tables and legends. Colours stay apart for readers with and without colour vision
# (tests/results/test_methods.py).
METHODS: dict[str, Method] = _named(
    Method("tfidf", "TF-IDF", "#b7afa2"),
    Method("tfidf_window", "TF-IDF, same text", "#477cec"),
    Method("static", "static vectors", "#2d3458"),
    Method("base", "base", "#42585e"),
    Method("shuffled_dapt", "shuffled DAPT", "#b3c8e5", ("shuffled",)),
    Method("generic_dapt", "DAPT on PT", "#4b2fa8", ("general",)),
    Method("not_dapt", "not-DAPT", "#c06768", ("unrelated",)),
    Method("dapt", "DAPT", "#0071b0", ("domain",)),
    Method("dapt_again", "DAPT again", "#1e2fe0", ("again",)),
    Method("tapt", "TAPT", "#e39512", ("task",)),
    Method("dapt_tapt", "DAPT+TAPT", "#48892c", ("domain", "task")),
    Method("transfer_tapt", "Transfer-TAPT", "#be72b5", ("partner",)),
    Method("curated_tapt", "Curated-TAPT", "#c89d6a", ("unlabeled",)),
    Method("dapt_curated_tapt", "DAPT+Curated-TAPT", "#3d593b", ("domain", "unlabeled")),
)
# Logistic regression without a transformer: of whole texts, of the tokens that the model reads, of its word embeddings.
BASELINES = ("tfidf", "tfidf_window", "static")
SELECTORS: dict[str, Selector] = _named(
    Selector("vampire", "kNN", "#d44513"),
    Selector("random", "random", "#7b8083"),
    Selector("tfidf", "TF-IDF", "#56b6eb"),
    Selector("bm25", "BM25", "#5ab588"),
    Selector("moore_lewis", "Moore-Lewis", "#c276b9"),
    Selector("dsir", "DSIR", "#9f592d"),
    Selector("embedding", "embedding", "#c79063"),
)

TABLE_3 = Experiment(
    "dapt", (*BASELINES, "base", "dapt", "not_dapt", "generic_dapt", "shuffled_dapt"), ("table3", "table8")
)
TABLE_5 = Experiment("tapt", ("tfidf", "base", "dapt", "tapt", "dapt_tapt"), ("table5", "table7", "table8"))
TABLE_6 = Experiment("transfer", ("tfidf", "base", "tapt", "transfer_tapt"), ("table6", "table3", "table8"))
TABLE_7 = Experiment("curated", ("curated_tapt", "dapt_curated_tapt"), ("table7",), tasks="unlabeled")
TABLE_8 = Experiment("selection", ("tfidf", "base", "tapt", "dapt"), ("table8",), tasks="selection", selects=True)
TABLE_9 = Experiment("cost", tuple(name for name in METHODS if name not in BASELINES), ("table9",), selects=True)
STRONG = Experiment("strong", ("base", "dapt", "tapt", "dapt_tapt"), ())  # what the stronger recipe repeats
CURVE = Experiment("label_curve", ("tfidf", "base", "dapt", "tapt", "dapt_tapt"), ())  # scores against labels
CHANCE = Experiment("adaptation_chance", ("dapt", "dapt_again"), ())  # alike but for the seed, by frozen read-out
EXPERIMENTS: dict[str, Experiment] = _named(TABLE_3, TABLE_5, TABLE_6, TABLE_7, TABLE_8, TABLE_9, STRONG, CURVE, CHANCE)

CLAIMS: dict[str, Claim] = _named(
    Claim("dapt_beats_base", "DAPT beats the base", "dapt", ("base",), "3.2, Table 3", "table3"),
    Claim("not_dapt_below_dapt", "not-DAPT falls behind DAPT", "dapt", ("not_dapt",), "3.3, Table 3", "table3"),
    Claim("tapt_beats_base", "TAPT beats the base", "tapt", ("base",), "4.1, Table 5", "table5"),
    Claim("dapt_tapt_best", "DAPT+TAPT is best", "dapt_tapt", ("dapt", "tapt", "base"), "4.2, Table 5", "table5"),
    Claim("transfer_hurts", "TAPT on another task hurts", "tapt", ("transfer_tapt",), "4.2, Table 6", "table6"),
    Claim("neighbours_beat_random", "neighbours beat random text", "vampire_{k}_tapt", ("random_{k}_tapt",),
          "5.2, Table 8", "table8"),
    Claim("more_neighbours_help", "more neighbours help", "vampire_{most}_tapt", ("vampire_{k}_tapt",),
          "5.2, Table 8", "table8"),
    Claim("dapt_beats_shuffled_words", "DAPT beats shuffled words (control)", "dapt", ("shuffled_dapt",),
          "control, not in the paper", "table3"),
    Claim("dapt_beats_general_text", "DAPT beats general text (control)", "dapt", ("generic_dapt",),
          "control, not in the paper", "table3"),
)  # fmt: skip

_SELECTION = re.compile(r"(?P<selector>[a-z0-9_]+?)_(?P<k>\d+)_tapt")


def split_selection(method: str) -> tuple[str, int] | None:
    """('vampire', 50) for 'vampire_50_tapt'; None for a method that selects nothing."""
    match = _SELECTION.fullmatch(method)
    return (match["selector"], int(match["k"])) if match else None


def check(method: str) -> None:
    """Raise UserError, with the nearest name, unless it is a method or '<selector>_<k>_tapt' of a known selector.

    >>> check("vampire_50_tapt")
    """
    if method in METHODS:
        return
    if selection := split_selection(method):
        if selection[0] not in SELECTORS:
            hint = nearest(selection[0], SELECTORS)
            raise UserError(f"method {method!r}: expected a selector out of {', '.join(SELECTORS)}.{hint}")
    else:
        hint = nearest(method, METHODS)
        raise UserError(f"method {method!r}: expected one of {', '.join(METHODS)} or <selector>_<k>_tapt.{hint}")


def method_order(method: str) -> int:
    """Place of a method in tables and legends: as in METHODS, then selections by k, then anything else."""
    if method in METHODS:
        return list(METHODS).index(method)
    selection = split_selection(method)
    return len(METHODS) + (selection[1] if selection else 10**9)


def method_title(method: str, recipe: str = "paper") -> str:
    """A method as the paper prints it: 'DAPT+TAPT', '50NN-TAPT', 'random-50-TAPT', 'DAPT, strong'."""
    if selection := split_selection(method):
        selector, k = selection
        title = f"{k}NN-TAPT" if selector == "vampire" else f"{selector_title(selector)}-{k}-TAPT"
    else:
        title = METHODS[method].title if method in METHODS else method
    return title if recipe == "paper" else f"{title}, {recipe}"


def selector_title(selector: str) -> str:
    """A selector as tables and figures show it, 'kNN' for 'vampire'."""
    return SELECTORS[selector].title if selector in SELECTORS else selector


def read_out_methods(methods: Iterable[str]) -> list[str]:
    """Those that a frozen read-out reads: models, and beside them TF-IDF on the same draws of labels.

    >>> read_out_methods(["tfidf", "static", "base", "dapt"])
    ['tfidf', 'base', 'dapt']
    """
    return [method for method in methods if method not in BASELINES or method == "tfidf"]


def together(*experiments: Experiment) -> tuple[str, ...]:
    """The methods of several tables, each once.

    >>> together(TABLE_5, TABLE_6)
    ('tfidf', 'base', 'dapt', 'tapt', 'dapt_tapt', 'transfer_tapt')
    """
    return tuple(dict.fromkeys(name for experiment in experiments for name in experiment.methods))
