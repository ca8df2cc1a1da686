"""Advice on invented studies whose truth is known: the outcome, and no advice without evidence."""

import numpy as np
import pandas as pd
import pytest

from helpers.methods import METHODS, split_selection
from helpers.results import advise
from helpers.results.advice import OUTCOMES, QUESTIONS, _surely_ahead, _words_win, outcome_of
from helpers.results.label_worth import COLUMNS
from helpers.results.stats import t_comparison


def outcome(study, **accuracy):
    return outcome_of(study({("imdb", method): value for method, value in accuracy.items()}, seeds=6, rows=1500))


@pytest.mark.parametrize("expected, accuracy", [
    (("tapt", "tapt"), dict(base=0.6, tapt=0.7, dapt=0.6, dapt_tapt=0.7)),  # DAPT adds nothing to it
    (("dapt", "dapt"), dict(base=0.6, tapt=0.6, dapt=0.7, dapt_tapt=0.7)),
    (("dapt_tapt", "dapt_tapt"), dict(base=0.6, tapt=0.65, dapt=0.65, dapt_tapt=0.75)),
    (("borrow", "vampire_5_tapt"), dict(base=0.6, tapt=0.6, dapt=0.7, vampire_5_tapt=0.7, random_5_tapt=0.6)),
    (("words", ""), dict(tfidf=0.9, base=0.6, tapt=0.7, dapt=0.7)),  # a gain that counting words makes idle
    (("none", ""), dict(base=0.98, tapt=0.97, dapt=0.97)),
    (("tapt", "tapt"), dict(tfidf=0.7, base=0.6, tapt=0.7)),  # counting words is no better
])  # fmt: skip
def test_the_outcome_is_the_cheapest_thing_that_surely_helps(study, expected, accuracy):
    assert outcome(study, **accuracy) == expected


def test_few_rows_cannot_tell_and_say_how_far_they_see(study):
    records = study({("imdb", "base"): 0.6, ("imdb", "tapt"): 0.6}, rows=60)
    found = advise(records).set_index("question")
    assert (
        found.loc["so", "answer"] == OUTCOMES["untold"]
        and "No adaptation is surely above" in found.loc["so", "evidence"]
    )
    assert "3 draws of 90 labels, 60 test rows" in found.loc["sure", "evidence"]


def test_two_read_outs_that_disagree_surely_are_no_advice(study, record):
    study({("imdb", method): value for method, value in dict(base=0.6, tapt=0.7).items()}, seeds=6, rows=1500)
    records = study({("imdb", "base"): 0.7, ("imdb", "tapt"): 0.6}, seeds=6, rows=1500, recipe="frozen")
    assert set(records["recipe"]) == {"paper", "frozen"} and outcome_of(records) == ("untold", "")


def test_a_dearer_adaptation_that_one_read_out_is_sure_of_goes_before_a_lucky_draw_of_another(study, record):
    told = dict(base=0.6, tapt=0.65, dapt=0.65, dapt_tapt=0.75)
    study({("imdb", method): value for method, value in told.items()}, seeds=20, rows=3000, recipe="frozen")
    records = study(
        {("imdb", m): value for m, value in dict(base=0.5, tapt=0.75, dapt=0.8, dapt_tapt=0.75).items()}, rows=100
    )
    assert set(records["recipe"]) == {"paper", "frozen"} and outcome_of(records) == ("dapt_tapt", "dapt_tapt")


@pytest.mark.parametrize("wins, found", [
    (True, dict(paper=(10.0, 5.0), frozen=(7.0, 1.0))),  # three draws of fine-tuning cannot veto forty of a read-out
    (True, dict(paper=(7.0, 1.0), frozen=(7.0, 1.0))),
    (False, dict(paper=(10.0, 5.0), frozen=(1.0, 1.0))),
    (False, dict(paper=(-7.0, 1.0), frozen=(7.0, 1.0))),  # behind the best fine-tuned model
    (False, {}),
])  # fmt: skip
def test_counting_words_wins_by_one_sure_read_out_that_no_other_contradicts(wins, found):
    compared = {recipe: ("tapt", t_comparison(effect, error, 30, 40)) for recipe, (effect, error) in found.items()}
    assert _words_win(compared) is wins


def test_counting_words_is_judged_by_documents_where_rows_come_from_documents(study):
    records = study({("imdb", method): 0.5 for method in ("tfidf", "base", "tapt")}, seeds=6)
    groups = np.repeat(np.arange(20), 20)
    right = {"tfidf": groups < 15, "base": (groups >= 5) & (groups < 17), "tapt": groups >= 20}
    hits = [np.where(right[row.method], row.test_gold, (row.test_gold + 1) % 3) for row in records.itertuples()]
    scores = [{"tfidf": 75.0, "base": 60.0, "tapt": 0.0}[method] for method in records["method"]]
    alone = records.assign(test_predictions=hits, score=scores)  # 400 rows that know nothing of each other
    assert advise(alone).set_index("question").loc["words", "answer"] == "yes, better than the base and its adaptations"
    together = alone.assign(test_groups=[groups] * len(records))
    assert advise(together).set_index("question").loc["words", "answer"] == "this run cannot tell"


def test_what_it_buys_is_the_surest_gain_and_not_the_luckiest(study):
    few = study({("imdb", method): value for method, value in dict(base=0.5, dapt=0.8).items()}, seeds=2, rows=20)
    surest = study({("imdb", method): value for method, value in dict(base=0.5, dapt=0.6).items()}, seeds=6, rows=1500,
                   recipe="frozen")  # fmt: skip
    told = advise(pd.concat([few, surest]).drop_duplicates(["method", "recipe", "seed"])).set_index("question")
    assert told.loc["buys", "answer"].endswith("(DAPT, frozen read-out)")


def test_a_gain_of_one_seed_is_told_beside_the_read_out_that_decides(study):
    study({("imdb", method): value for method, value in dict(base=0.6, tapt=0.8).items()}, seeds=1)
    records = study({("imdb", method): value for method, value in dict(base=0.6, tapt=0.7).items()}, seeds=6,
                    recipe="frozen")  # fmt: skip
    scores = records.query("recipe == 'paper'").set_index("method")["score"]
    told = advise(records).set_index("question").loc["buys"]
    one = f"fine-tuned: TAPT {scores['tapt'] - scores['base']:+.1f} (of 1 draw, too few for an interval)."
    assert told["answer"].endswith("(TAPT, frozen read-out)") and told["evidence"].endswith(one)


def test_each_task_gets_every_answer_its_data_can_give(study):
    cost = {
        "corpus": "reviews",
        "steps": 10,
        "documents": 9,
        "tokens": 1000.0,
        "bytes": 5,
        "seconds": 2.0,
        "seed": 0,
        "epochs": 2.5,
    }
    records = study({("imdb", method): 0.6 for method in ("base", "tapt", "dapt", "tfidf")}, adaptation=cost)
    overlap = pd.DataFrame(
        [("generic", "reviews", "text", 34.5, 33.0, 36.0)], columns=["a", "b", "definition", "mean", "low", "high"]
    )
    losses = pd.DataFrame([("base", "generic", 2.7, 2.6, 2.8, 0), ("base", "reviews", 3.2, 3.1, 3.3, 0),
                           ("dapt_reviews", "reviews", 2.9, 2.8, 3.0, -0.3)],
                          columns=["model", "sample", "mean", "low", "high", "change"])  # fmt: skip
    worth = pd.DataFrame([("imdb", name, 100, 60.0, 55.0, 40.0, -np.inf, np.inf, 6) for name in ("tapt", "dapt")],
                         columns=list(COLUMNS))  # fmt: skip
    wording = pd.DataFrame({"domain": ["generic", "reviews"], "tokens_a_word": [1.3, 1.5], "words": ["", "film, plot"]})
    found = advise(records, overlap, losses, worth, wording).set_index("question")
    assert list(found.index) == list(QUESTIONS) and set(found["task"]) == {"imdb"}
    assert (
        "34 % of its frequent words" in found.loc["distance", "answer"]
        and "+0.50 nats" in found.loc["distance", "answer"]
    )
    assert (
        "film, plot" in found.loc["distance", "evidence"] and "1.50 tokens a word" in found.loc["distance", "evidence"]
    )
    assert "with 100 labels +40 [none to more than were tried]" in found.loc["labels", "evidence"]
    # 13.1e9 tokens at 500 a second are 2.6e7 seconds
    assert "each text 2.5 times" in found.loc["cost", "evidence"]
    assert "would take 303 days" in found.loc["cost", "evidence"]
    assert list(advise(records)["question"]) == ["so", "buys", "words", "cost", "sure"]


@pytest.mark.parametrize(
    "seconds, said", [(1.4, "1 second"), (0.3, "0 seconds"), (1.6, "2 seconds"), (89, "89 seconds")]
)
def test_one_second_is_no_seconds(study, seconds, said):
    cost = {"corpus": "imdb", "steps": 10, "documents": 9, "tokens": 1000.0, "bytes": 5, "seconds": seconds, "seed": 0}
    records = study({("imdb", method): 0.6 for method in ("base", "tapt")}, adaptation=cost | {"epochs": 2.5})
    found = advise(records).set_index("question").loc["cost"]
    assert found["answer"] == f"TAPT {said}" and f"in {said} (" in found["evidence"]


def test_every_adaptation_to_own_text_has_an_outcome():
    from helpers.results.advice import _kind

    assert split_selection("dsir_5_tapt") and _kind("dsir_5_tapt") == "borrow" and _kind("random_5_tapt") == ""
    own = {name for name, method in METHODS.items() if set(method.texts) & {"domain", "task", "unlabeled"}}
    assert all(_kind(name) in OUTCOMES for name in own)


@pytest.mark.parametrize(
    "worth, said",
    [(-np.inf, "TAPT is worth no labels beside 32"), (np.inf, "TAPT is worth more labels than were tried beside 32")],
)
def test_an_adaptation_worth_nothing_or_beyond_what_was_tried_is_said_in_words(study, worth, said):
    records = study({("imdb", method): 0.6 for method in ("base", "tapt")})
    rows = pd.DataFrame([("imdb", "tapt", 32, 60.0, 60.0, worth, worth, worth, 6)], columns=list(COLUMNS))
    assert advise(records, worth=rows).set_index("question").loc["labels", "answer"] == said


def test_tfidf_of_fewer_labels_is_not_compared_with_fine_tuning_on_all(study):
    """LABELS=0: fine-tuning and one TF-IDF on all 900 rows, read-outs and TF-IDF's draws on 32."""
    all_rows, few = ({"train": size, "dev": 50, "test": 400} for size in (900, 32))
    study({("imdb", "base"): 0.6, ("imdb", "tapt"): 0.65}, seeds=5, sizes=all_rows)
    study({("imdb", "tfidf"): 0.9}, seeds=1, sizes=all_rows)
    read = study({("imdb", "base"): 0.5, ("imdb", "tapt"): 0.5}, seeds=5, recipe="frozen", sizes=few)
    words = read[(read["method"] == "base") & (read["recipe"] == "frozen")].assign(method="tfidf")
    for records in (pd.concat([read, words]), pd.concat([words, read])):
        said = advise(records).set_index("question").loc["words"]
        assert said["answer"] == "yes, better than the base and its adaptations"
        assert "fine-tuned" in said["evidence"] and "frozen" in said["evidence"]


def test_equal_prices_are_told_apart_by_name_and_each_has_its_own_words(study):
    cells = {("imdb", m): v for m, v in {"base": 0.5, "dapt_tapt": 0.5, "dapt_curated_tapt": 0.8}.items()}
    assert outcome_of(study(cells, seeds=6, rows=1500)) == ("dapt_curated", "dapt_curated_tapt")
    rivals = ("bm25_2_tapt", "dsir_2_tapt", "moore_lewis_2_tapt")
    cells = {("ag", method): 0.8 for method in rivals} | {("ag", "base"): 0.5}
    records = study(cells, seeds=6, rows=1500)
    assert outcome_of(records[records["task"] == "ag"]) == ("borrow", "bm25_2_tapt")


def test_what_cannot_be_told_is_not_called_alike(study):
    records = study({("imdb", "tfidf"): 0.62, ("imdb", "base"): 0.6, ("imdb", "tapt"): 0.6}, rows=60)
    assert advise(records).set_index("question").loc["words", "answer"] == OUTCOMES["untold"]


def test_contradicting_read_outs_are_said(study):
    study({("imdb", "base"): 0.6, ("imdb", "tapt"): 0.7}, seeds=6, rows=1500)
    records = study({("imdb", "base"): 0.7, ("imdb", "tapt"): 0.6}, seeds=6, rows=1500, recipe="frozen")
    said = advise(records).set_index("question").loc["so", "evidence"]
    assert said.startswith("The read-outs contradict each other on TAPT;")


def test_draws_of_all_labels_are_one_draw(study):
    records = study({("imdb", "base"): 0.6, ("imdb", "tapt"): 0.7}, seeds=6)
    first = records.drop_duplicates("method").set_index("method")
    names = ("test_predictions", "test_log_loss")
    same = records.assign(**{name: [first.loc[method, name] for method in records["method"]] for name in names})
    assert "one draw, all the 90 labels" in advise(same).set_index("question").loc["sure", "evidence"]
    assert "6 draws of 90 labels" in advise(records).set_index("question").loc["sure", "evidence"]


class Told:
    """Cells of one read-out whose contrasts are given: (one, other) -> (effect, standard error)."""

    def __init__(self, **contrasts):
        self.contrasts, self.domains = contrasts, {"t": "law"}
        self.cells = {("t", name): None for pair in contrasts for name in pair.split("__")}

    def compare(self, task, one, other):
        return t_comparison(*self.contrasts[f"{one}__{other}"], 1000, 40)


def test_a_dearer_adaptation_is_ahead_only_beyond_holm_over_the_pairs_and_read_outs():
    pair = ("dapt_tapt", "tapt")
    once = {"frozen": Told(dapt_tapt__tapt=(0.9, 0.41))}  # p = 0.028
    assert _surely_ahead(once, [pair], 0.05) == {pair}
    twice = once | {"paper": Told(dapt_tapt__tapt=(-0.5, 6.0))}
    assert _surely_ahead(twice, [pair], 0.05) == set()
    assert _surely_ahead(once | {"paper": Told(dapt_tapt__tapt=(-9.0, 1.0))}, [pair], 0.05) == set(), "contradicted"
    assert _surely_ahead({}, [pair], 0.05) == set()


def test_what_is_named_is_what_is_bought_and_counted_in_labels(study):
    """TAPT is named, the cheapest that helps; DAPT gains as much and is dearer."""
    accuracy = dict(base=0.6, tapt=0.7, dapt=0.71, generic_dapt=0.6, shuffled_dapt=0.65)
    records = study({("imdb", method): value for method, value in accuracy.items()}, seeds=6, rows=1500)
    size = int(records["train_size"].iloc[0])
    rows = [("imdb", "tapt", labels, 60.0, 58.0, worth, low, worth + 50, 6)
            for labels, worth, low in ((32, 30, 10), (size, 122, -3))]  # fmt: skip
    found = advise(records, worth=pd.DataFrame(rows, columns=list(COLUMNS))).set_index("question")["answer"]
    assert found["so"] == OUTCOMES["tapt"] and found["buys"].endswith("points (TAPT, fine-tuned)")
    assert found["labels"] == f"TAPT is worth +122 labels beside {size}, not surely any"


def test_dapt_is_advised_beside_its_controls(study):
    accuracy = dict(base=0.6, dapt=0.7, generic_dapt=0.6, shuffled_dapt=0.65)
    records = study({("imdb", method): value for method, value in accuracy.items()}, seeds=6, rows=1500)
    said = advise(records).set_index("question").loc["so", "evidence"]
    assert "DAPT against as much general text: +" in said and "against the domain's shuffled words: +" in said
