"""The model card of `mini`: the stages of its training, and whether another pass over its text would still gain."""

import json
from pathlib import Path

import pandas as pd

from helpers.figures.style import new_axes, styled
from helpers.mini.shape import HEADS, LAYERS, VOCABULARY, WIDTH
from helpers.pretrain.recipe import Recipe

CONVERGED = 0.02  # nats of held-out loss a pass over the text
FILE = "stages.json"


def stage(
    recipe: Recipe, summary: dict, history: pd.DataFrame, heldout: list[dict], before: list[dict] | None = None
) -> dict:
    """What one stage of the training was and where it ended, as JSON-ready values.

    summary, history: of `adapt`. heldout: rows of source (one of them 'all'), loss, low, high, n. before: the same of
    the weights the stage began with, on the same text, in windows of their own length; None for the first stage.
    """
    kept = ("documents", "corpus_tokens", "steps", "tokens", "epochs", "seconds", "precision", "device")
    return {
        **{name: summary[name] for name in kept},
        "batch_size": recipe.batch_size, "learning_rate": recipe.learning_rate, "max_length": recipe.max_length,
        "mask_probability": recipe.mask_probability,
        "curve": [[int(row.tokens), round(row.loss, 4)] for row in history.itertuples()],
        "heldout": [
            {"source": row["source"], "n": int(row["n"])}
            | {name: round(float(row[name]), 4) for name in ("loss", "low", "high")}
            for row in heldout
        ],
        **({"heldout_before": round(float(_all({"heldout": before})["loss"]), 4)} if before else {}),
    }  # fmt: skip


def read_stages(folder: Path) -> list[dict]:
    """The stages that the model in `folder` went through; none when the folder does not say."""
    file = folder / FILE
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else []


def write(folder: Path, stages: list[dict]) -> None:
    """Write stages, figure and card into the model's folder."""
    (folder / FILE).write_text(json.dumps(stages, indent=1) + "\n", encoding="utf-8")
    training_stages(stages).figure.savefig(folder / "learning_curve.png", dpi=100)
    (folder / "README.md").write_text(card(stages), encoding="utf-8")


@styled
def training_stages(stages: list[dict], ax=None):
    """Training loss over all tokens seen, and the held-out loss at the end of each stage. Returns the Axes."""
    ax = new_axes(ax, (7, 3.6))
    seen, ends = 0, []
    for number, one in enumerate(stages, start=1):
        tokens, losses = zip(*one["curve"], strict=True)
        masked = f"{one['mask_probability']:.0%} masked"
        ax.plot([(seen + t) / 1e6 for t in tokens], losses, label=f"stage {number}: training loss, {masked}")
        seen += one["tokens"]
        ends.append((seen / 1e6, _all(one)["loss"]))
    ax.plot(*zip(*ends, strict=True), "ko--", lw=0.8, label="held-out loss, 15% masked")
    for x, y in ends:
        ax.annotate(f"{y:.3f}", (x, y), xytext=(0, -12), textcoords="offset points", ha="center")
    lowest = min(y for _, y in ends)
    ax.set(xlabel="million tokens seen", ylabel="masked-LM loss (nats)")
    ax.set_ylim(lowest - 0.3, lowest + 2)  # the first million tokens leave the picture
    ax.legend()
    return ax


def card(stages: list[dict]) -> str:
    """The model card in Markdown."""
    last, tokens = stages[-1], sum(one["tokens"] for one in stages)
    epochs, minutes = (sum(one[name] for one in stages) for name in ("epochs", "seconds"))
    lines = [
        "# mini", "",
        f"A RoBERTa of {LAYERS} layers, {WIDTH} wide, {HEADS} heads, with a byte-level BPE of {VOCABULARY:,} tokens, "
        "for machines without a model hub. Trained by this repository's own code; no weights of others are in it.", "",
        "Text: general English: public-domain books, newswire, broadcast transcripts, the Brown corpus, speeches, "
        "Wikipedia, textbooks, encyclopedic and web text, podcasts and stories. It is disjoint from the `generic` and "
        "`news` samples. "
        f"{last['documents']:,} documents, {last['corpus_tokens']:,} tokens; every 50th document is held out.", "",
        f"Training: {tokens:,} tokens seen, {epochs:.1f} passes over the text, {minutes / 60:.0f} minutes. Windows of "
        f"at most {last['max_length']} tokens; positions beyond were never trained. Each stage begins with the weights "
        "of the one before, a new optimiser, a warm-up, and ends at learning rate 0; the starting weights of the first "
        "are described in `helpers/mini/train.py`.", "",
        "| stage | updates x windows | of tokens | tokens | passes | peak learning rate | masked | minutes, on "
        "| held-out loss |",
        "|---|---|---|---|---|---|---|---|---|",
        *(
            f"| {number} | {one['steps']:,} x {one['batch_size']} | {one['max_length']} | {one['tokens']:,} | "
            f"{one['epochs']:.2f} | {one['learning_rate']:g} | {one['mask_probability']:.0%} | "
            f"{one['seconds'] / 60:.1f}, {one['device']} | {_all(one)['loss']:.3f} |"
            for number, one in enumerate(stages, start=1)
        ), "",
        *(f"Stage {number}: {one['note']}\n" for number, one in enumerate(stages, start=1) if "note" in one),
        convergence(stages), "",
        "![training and held-out loss by tokens seen](learning_curve.png)", "",
        "Make it again: `python -m helpers.mini.train --texts FILE` (JSON lines with `text` and `src`), a call a stage "
        "with the table's `--steps`, `--learning-rate`, `--mask-probability` and a `--work` folder of its own, the "
        "later ones with `--start mini`. The same call resumes. The result replaces this folder unless "
        "`--output` names another.", "",
        "## Held-out masked-LM loss (15 % masked, nats a masked token, mean over documents)", "",
        "| source | loss | 95 % interval | documents |", "|---|---|---|---|",
        *(f"| {r['source']} | {r['loss']:.3f} | {r['low']:.3f} to {r['high']:.3f} | {r['n']:,} |"
          for r in last["heldout"]), "",
    ]  # fmt: skip
    return "\n".join(lines)


def convergence(stages: list[dict]) -> str:
    """One sentence or two: what the last stage gained a pass, beside the bound CONVERGED."""
    if len(stages) < 2:
        return "Whether another pass would gain is not known: `--start mini` trains a further stage and says so here."
    last = stages[-1]
    gain = last.get("heldout_before", _all(stages[-2])["loss"]) - _all(last)["loss"]
    a_pass = gain / last["epochs"]
    verdict = "It has converged" if a_pass < CONVERGED else "It has **not converged**"
    return (
        f"{verdict} by the bound of {CONVERGED} nats a pass: the last {last['epochs']:.2f} passes lowered the held-out "
        f"loss by {gain:.3f} nats, {a_pass:.3f} a pass. That is a stage with a warm-up and decay of its own after one "
        "that had decayed; more passes under one longer schedule would gain more."
    )


def _all(one: dict) -> dict:
    return next(row for row in one["heldout"] if row["source"] == "all")
