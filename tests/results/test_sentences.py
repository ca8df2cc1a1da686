"""What is said of a table is what the table holds."""

import numpy as np
import pandas as pd
import pytest

from helpers.results import caption, sentences


def test_the_tally_counts_each_claim_once_and_says_what_undecided_means():
    claims = pd.DataFrame(
        [("a", "all", "reproduced"), ("b", "all", "smaller"), ("c", "all", "undecided"), ("c", "task", "undecided")],
        columns=["claim", "scope", "verdict"],
    )
    assert sentences.tally(claims) == (
        "By F1, 3 claims: 1 reproduced, 1 smaller than the paper's, 1 undecided. Undecided: the run fits no effect "
        "and the paper's alike, the paper names none, the claim is sure alone and not among the others, or nothing was "
        "compared; see the reasons."
    )
    assert sentences.tally(claims[:1]) == "By F1, 1 claim: 1 reproduced."
    both = claims[:2].assign(measure=["f1", "text_loss"], recipe=["frozen", ""])
    assert sentences.tally(both) == (
        "By F1 (frozen read-out), 1 claim: 1 reproduced; by masked-LM loss of the task's dev text, 1 claim: 1 smaller "
        "than the paper's."
    )


def test_the_summary_opens_with_what_to_do():
    advice = pd.DataFrame(
        [("a", "so", "do not adapt", "x"), ("b", "so", "do not adapt", "x"), ("c", "so", "this run cannot tell", "x"),
         ("a", "buys", "at best 1", "x")], columns=["task", "question", "answer", "evidence"],
    )  # fmt: skip
    assert sentences.summary({"advice": advice}) == ["a, b: do not adapt; c: this run cannot tell."]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"a": ["x", "x"], "b": ["x", "y"], "definition": ["d", "d"], "mean": [100.0, 41.25]},
         "Words shared by two: highest: 41.2 % (x, y); lowest: 41.2 % (x, y)."),
        ({"model": ["base", "base"], "sample": ["cs", "news"], "mean": [3.0, 2.125]},
         "Loss: highest: 3.00 (base, cs); lowest: 2.12 (base, news)."),
        ({"task": ["t", "u"], "method": ["tapt", "50nn"], "effect": [1.0, -2.0]},
         "Effect: highest: 1.0 (t, TAPT); lowest: -2.0 (u, 50nn)."),
        ({"word": ["p", "q"], "weight": [0.5, 1234.0]}, "Weight: highest: 1,234.00 (q); lowest: 0.50 (p)."),
        ({"task": ["t", "t", "t"], "method": ["base", "tfidf", "dapt"], "mean": [50.0, 90.0, 49.5]},
         "Mean change of F1 from the base over 1 task: DAPT -0.5."),
        ({"word": ["p", "q"]}, ""),
        ({"held": ["test"], "rows": [10], "against": ["train"], "exact": [-1]},
         "No dev or test text was found again word for word."),
    ],
)  # fmt: skip
def test_a_caption_names_the_extreme_values(frame, said):
    assert caption(pd.DataFrame(frame)) == said


def overlap(**shares):
    rows = [("generic", domain, "text", share) for domain, share in shares.items()]
    return pd.DataFrame(rows, columns=["a", "b", "definition", "mean"])


def test_the_order_of_the_domains_is_set_beside_the_papers():
    # the paper's order from near to far: news, reviews, biomed, cs
    turned = caption(overlap(biomed=37.0, cs=41.4, news=57.8))
    assert turned.startswith(
        "From near to far from general text: news 57.8 %, cs 41.4 %, biomed 37.0 %; biomed lies farther than cs, "
        "against the paper's order."
    )
    assert "biomed 42.0 %, cs 41.4 %, as in the paper." in caption(overlap(cs=41.4, biomed=42.0))
    table = overlap(biomed=41.0, cs=41.4, news=57.8)
    table["low"], table["high"] = table["mean"] - 0.6, table["mean"] + 0.6  # biomed and cs overlap
    assert "biomed 41.0 %, as in the paper but for domains whose intervals overlap." in caption(table)
    table["low"], table["high"] = table["mean"] - 0.1, table["mean"] + 0.1
    assert "biomed lies farther than cs, against the paper's order." in caption(table)
    assert "From near" not in caption(overlap(law=41.4, sea=42.0))  # the paper has none of these


def test_losses_are_told_at_home():
    losses = [("base", "cs", 3.0), ("dapt_cs", "cs", 2.5), ("base", "news", 2.0), ("dapt_news", "news", 2.1),
              ("dapt_cs", "news", 4.0)]  # fmt: skip
    assert caption(pd.DataFrame(losses, columns=["model", "sample", "mean"])) == (
        "DAPT lowers the masked-LM loss on held-out text of its own domain in 1 of 2 domains, most for cs "
        "(3.00 to 2.50)."
    )


def test_adaptations_are_told_by_how_far_their_loss_fell():
    adapted = pd.DataFrame({"method": ["dapt", "tapt", "dapt"], "corpus": ["cs", "bbc", "law"],
                            "mlm_loss_before": [3.0, 3.0, np.nan], "mlm_loss_after": [2.5, 3.1, 1.0]})  # fmt: skip
    assert caption(adapted) == (
        "The loss on held-out text of what was read fell in 1 of 2 adaptations, most for DAPT on cs (-0.50 nats)."
    )


def test_contrasts_are_counted_by_their_corrected_p():
    claims = pd.DataFrame({"claim": "c", "scope": "task", "verdict": "undecided",
                           "effect": [1.0, 2.0, -1.0, np.nan], "p_holm": [0.04, 0.06, 0.01, np.nan]})  # fmt: skip
    assert caption(claims) == (
        "Of 3 contrasts, 1 surely go the claim's way and 1 against it. The other 1 show neither."
    )


def test_worth_in_labels_names_the_most_that_can_be_counted():
    rows = [("t", "tfidf", 10, 500.0, 400.0), ("t", "dapt", 10, 20.0, 5.0), ("t", "tapt", 10, np.inf, 3.0),
            ("u", "dapt", 10, 90.0, -1.0)]  # fmt: skip
    worth = pd.DataFrame(rows, columns=["task", "method", "labels", "worth", "low"])
    assert caption(worth) == (
        "In 2 of 3 cases (an adaptation at a number of labels) it is surely worth further labels; most that the curve "
        "can tell: DAPT on t at 10, as good as 20 more."
    )
    assert caption(worth[3:]).startswith("In none of 1 case (")


def test_changes_from_the_base_are_taken_at_equal_labels():
    rows = [("t", "base", 10, 40.0), ("t", "base", 100, 60.0), ("t", "dapt", 10, 41.0), ("t", "dapt", 100, 60.5)]
    curve = pd.DataFrame(rows, columns=["task", "method", "labels", "mean"])
    assert caption(curve) == (
        "Mean change of F1 from the base over 1 task and 2 numbers of labels: DAPT +0.8 (+0.5 to +1.0)."
    )


def test_means_over_fewer_tasks_are_not_set_beside_means_over_all():
    """As where text is selected for a task that the study fine-tunes by some methods only."""
    rows = [("t", "base", 40.0), ("t", "dapt", 41.0), ("t", "tapt", 42.0), ("u", "base", 60.0), ("u", "dapt", 70.0)]
    table = pd.DataFrame(rows, columns=["task", "method", "mean"])
    assert caption(table) == (
        "Mean change of F1 from the base over 2 tasks: DAPT +5.5 (+1.0 to +10.0), TAPT +2.0 (1 of them)."
    )
    assert sentences.summary({"dapt": table}) == [
        "Fine-tuned, the mean change of F1 from the base over 1 task: DAPT +1.0, TAPT +2.0."
    ]


def test_what_two_tables_say_of_the_base_is_not_mixed():
    """One notebook run again alone with fewer seeds: its table's base is another number."""
    names = ["task", "method", "mean"]
    dapt = pd.DataFrame([("t", "base", 40.0), ("t", "dapt", 41.0), ("t", "tfidf", 42.0)], columns=names)
    tapt = pd.DataFrame([("t", "base", 50.0), ("t", "tapt", 53.0), ("t", "dapt", 59.0), ("t", "tfidf", 55.0)],
                        columns=names)  # fmt: skip
    assert sentences.summary({"dapt": dapt, "tapt": tapt}) == [
        "Fine-tuned, the mean change of F1 from the base over 1 task: DAPT +1.0, TAPT +3.0.",
        "TF-IDF with a linear classifier scores above every one of these models, fine-tuned, on 1 of 1 task.",
    ]


def test_two_tapts_are_set_beside_each_other():
    rows = [("t", "tapt", 50.0), ("t", "transfer_tapt", 48.0), ("u", "tapt", 60.0), ("u", "transfer_tapt", 61.0)]
    assert caption(pd.DataFrame(rows, columns=["task", "method", "mean"])) == (
        "TAPT on another task's text scores below TAPT on the task's own in 1 of 2 tasks, by -0.5 points on average."
    )


def test_what_figures_were_drawn_from_is_told_in_words():
    bins = pd.DataFrame({"name": ["vampire"] * 4, "from": [0.0, 0.1, 0.2, 0.3], "to": [0.1, 0.2, 0.3, 0.4],
                         "density": [1.0, 3.0, 5.0, 1.0]})  # fmt: skip
    assert caption(bins) == "Half of the sentences lie nearer to the task than: kNN 0.30."
    words = pd.DataFrame({"domain": ["law"] * 4 + ["sea"], "side": list("aaaba"), "z": [1.0, 3.0, 2.0, -9.0, 1.0],
                          "word": ["claim", "court", "judge", "ship", "tide"]})  # fmt: skip
    assert caption(words) == "law: court, judge, claim; sea: tide."
    cells = pd.DataFrame({"method": ["base"] * 4, "true": list("xxyy"), "predicted": list("xyxy"),
                          "percent": [80.0, 20.0, 40.0, 60.0]})  # fmt: skip
    assert caption(cells) == "Right, mean over the labels: base 70 %."
    points = pd.DataFrame({"task": ["bbc", "ag"], "gain": [1.0, 12.4], "whose": ["this run", "the paper"]})
    assert caption(points).startswith("Gain of DAPT in this run: highest: 1.0 points (bbc)")
    seeds = pd.DataFrame({"task": "t", "method": ["base", "base", "tapt", "tapt"], "seed": [0, 1, 0, 1],
                          "score": [50.0, 51.0, 40.0, 60.0]})  # fmt: skip
    assert caption(seeds) == "Farthest apart: the seeds of TAPT on t, 40.0 to 60.0."
    assert caption(seeds[2:3]) == "One seed each: nothing is known of how far seeds lie apart."
    gains = pd.DataFrame({"task": ["bbc", "ag"], "method": ["dapt", "tapt"], "labels": [100, 32], "gain": [-1.0, 12.6],
                          "others": [0.5, 99.0]})  # fmt: skip
    assert caption(gains) == (
        "Gain over the base: highest: 12.6 points (ag, TAPT, 32 labels); lowest: -1.0 points (bbc, DAPT, 100 labels)."
    )


def test_what_fell_nowhere_fell_most_nowhere():
    losses = pd.DataFrame([("base", "law", 3.2), ("dapt_law", "law", 3.45)], columns=["model", "sample", "mean"])
    assert caption(losses).endswith("of its own domain in 0 of 1 domain.")
    adapted = pd.DataFrame({"method": ["dapt"], "mlm_loss_before": [3.0], "mlm_loss_after": [3.25]})
    assert caption(adapted).endswith("fell in 0 of 1 adaptation.")


def test_texts_found_in_several_places_are_not_added_up():
    rows = [("bbc", "test", "train", 9, 2), ("bbc", "test", "dev", 9, 2), ("bbc", "dev", "train", 8, 1)]
    audit = pd.DataFrame(rows, columns=["task", "held", "against", "rows", "exact"])
    assert sentences.leaks(audit) == (
        "3 to 5 dev or test texts were found again word for word, in one place the most: "
        "2 of 9 test rows of bbc in train."
    )
    assert sentences.leaks(audit[1:2]).startswith("2 dev or test texts")
