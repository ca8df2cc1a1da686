"""How each artifact of the study is made: a function a kind, its version on it. They run in worker processes.

A maker's first words are the title of its jobs. Raise its version when its code changes what it computes: artifacts
made before are then left aside. The numbers start above those of artifacts that older plans keyed otherwise.
"""

import dataclasses
import functools
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from helpers.data.raw import form
from helpers.errors import UserError
from helpers.files import read_json, write_json
from helpers.hashing import fingerprint
from helpers.study.steps import makes
from helpers.study.texts import Lines, Thinned, distinct_sentences, logger, shuffled_words, write_lines
from helpers.words import word_count

HELDOUT_SHARE = 0.05  # of a domain's documents, never trained on
MANY_LEFT_OUT = 0.1  # share of a domain's documents above which their loss is said
TRAIN, HELDOUT, TEXTS, META = "train.jsonl", "heldout.jsonl", "texts.jsonl", "meta.json"


@functools.lru_cache(maxsize=4)
def load(name: str, source: tuple, wanted: str):
    """The task, read once a process however many jobs ask for it. wanted: `content` of it when the step was planned.

    Raises UserError where its rows are others by now: under this key they would be taken for those.
    """
    from helpers.data import load_task

    task = load_task(name, **dict(source))
    if content(task) != wanted:
        raise UserError(f"task {name}: its rows changed while the study was at work; run it again")
    return task


def content(task) -> str:
    """Fingerprint of a task's rows."""
    return fingerprint([fingerprint(split[["text", "label"]]) for split in (task.train, task.dev, task.test)])


@makes(version=1)
def held(folder: Path, tasks: list, source: tuple, names: list) -> None:
    """Held-out text: dev and test of every task of the study, which nothing may train on."""
    loaded = (load(name, source, wanted) for name, wanted in zip(names, tasks, strict=True))
    texts = (text for task in loaded for split in ("dev", "test") for text in getattr(task, split).text)
    write_json(folder / META, write_lines(folder / TEXTS, texts))


@makes(version=2)
def task_text(
    folder: Path, task: str, split: str, source: tuple, name: str, held: Path | None = None, unlabeled: str = ""
) -> None:  # fmt: skip
    """Task text: 'train' or 'unlabeled' (with train) without held-out text, or 'dev' as it is, to measure loss on."""
    from helpers.data import exclude

    loaded = load(name, source, task)
    texts = list(loaded.dev.text if split == "dev" else loaded.train.text)
    if split == "unlabeled":
        if fingerprint(loaded.unlabeled) != unlabeled:
            raise UserError(f"task {name}: its unlabelled text changed while the study was at work; run it again")
        texts += loaded.unlabeled
    kept = texts if held is None else exclude(texts, Lines(held / TEXTS))
    write_json(folder / META, write_lines(folder / TEXTS, kept))


def content_of_domain(corpus) -> str:
    """Fingerprint of a domain's text: of its bytes and how they are read, where it is a file or folder."""
    if not corpus.path:
        return fingerprint(corpus)
    text = fingerprint(Path(corpus.path))
    # the same bytes are other texts by another ending or column
    return text if corpus.source == "sample" else fingerprint([text, form(corpus.path), corpus.text_column])


@makes(version=3)
def domain(folder: Path, text: str, held: Path, name: str, source: dict) -> None:
    """Domain text: the whole of it, streamed, as a side to train on and one held out; no dev or test text in either."""
    from helpers.data import exclude, load_domain, split_heldout

    corpus = load_domain(name, **source)
    if content_of_domain(corpus) != text:
        raise UserError(f"domain {name}: its text ({corpus.source}) changed while the study was at work, or is another "
                        "in this process than where it was planned; DSP_DATA must be the same there")  # fmt: skip
    clean = folder / "clean.jsonl"
    kept = write_lines(clean, exclude(corpus, list(Lines(held / TEXTS))))["documents"]
    train, heldout = split_heldout(Lines(clean), HELDOUT_SHARE)
    meta = {
        "domain": name,
        "source": corpus.source,
        "read": len(corpus),
        "held_text_left_out": len(corpus) - kept,
        "train": write_lines(folder / TRAIN, train),
        "heldout": write_lines(folder / HELDOUT, heldout),
    }
    if not meta["train"]["documents"] or not meta["heldout"]["documents"]:
        raise UserError(f"domain {name}: {kept} documents are too few to set some apart; give it a few hundred")
    clean.unlink()
    write_json(folder / META, meta)


def domain_row(name: str, source: str, meta: dict) -> dict:
    """What a domain's artifact says of itself, as a row of `Study.prepare_domains`.

    name, source: the domain's in this study; equal text is made once, whatever it was called then.
    """
    train = meta["train"]
    return {"domain": name, "documents": train["documents"], "words": train["words"],
            "megabytes": train["bytes"] / 1e6, "heldout": meta["heldout"]["documents"],
            "held_text_left_out": meta["held_text_left_out"], "source": source}  # fmt: skip


def much_left_out(name: str, meta: dict) -> str:
    """A line where many of a domain's documents held dev or test text, else ''."""
    if (lost := meta["held_text_left_out"]) <= MANY_LEFT_OUT * meta["read"]:
        return ""
    return (
        f"{name}: {lost:,} of {meta['read']:,} documents hold a dev or test text and are left out; "
        "if that is a paragraph they share, take it out of the task's rows"
    )


@makes(version=4)
def model(
    folder: Path, recipe: dict, base: str, base_path: str, seed: int, texts: Path, documents: int = 0,
    shuffle: bool = False, most_tokens: int = 0, selected: Path | None = None, parent: Path | None = None,
    processes: int = 1,
) -> None:  # fmt: skip
    """Adaptation: masked-LM training of the parent (or the base) on texts; the folder becomes an ordinary checkpoint.

    documents: as many of the domain or task; 0 all. most_tokens: TAPT makes fewer passes where it would read more, by
    an estimate; see `tapt_recipe_within`.
    processes: under torchrun where there are several. As the device and the threads, they say where the same updates
    of the same sequences are computed: no part of the key, so that a cluster finds what a laptop made, but of the
    summary, since they change how sums are rounded and dropout is drawn.
    """
    from helpers.pretrain import Recipe, adapt, adapt_under_torchrun
    from helpers.select import join_with_task

    start = str(parent or base_path)
    if (texts / TRAIN).exists():
        source: Iterable[str] = Thinned(Lines(texts / TRAIN), documents)
        chosen = Recipe(**recipe)
    else:
        source = list(Thinned(Lines(texts / TEXTS), documents))
        if selected:
            source = join_with_task(list(Lines(selected / TEXTS)), source)
        chosen = tapt_recipe_within(recipe, source, start, most_tokens)
    given = shuffled_words(source, seed) if shuffle else source
    divided = functools.partial(adapt_under_torchrun, processes=processes) if processes > 1 else adapt
    adapted = divided(start, given, chosen, folder, seed=seed, log=logger(folder))
    size = sum(len(text.encode()) for text in source)
    write_json(folder / "summary.json", {**adapted.summary, "bytes": size, "recipe": chosen.as_dict()})


def tapt_recipe_within(given: dict, texts: list[str], model: str, most_tokens: int):
    """The paper's TAPT recipe for that many texts with what is `given` (0: the paper's), in about that many tokens.

    The tokens of a pass are estimated from the words, at the tokens a word that the first 500 texts have: a task's own,
    where selected text comes after them. Where that has more a word, more are read; the summary counts them. Returns a
    helpers.pretrain.Recipe of at least one pass. Paper: section 4.1, Table 13; the bound is this study's.
    """
    from transformers import AutoTokenizer

    from helpers.pretrain import tapt_recipe

    recipe = dataclasses.replace(tapt_recipe(len(texts)), **{name: value for name, value in given.items() if value})
    first = texts[:500]
    ids = AutoTokenizer.from_pretrained(model)(first, add_special_tokens=False, verbose=False)["input_ids"]
    tokens_a_word = sum(map(len, ids)) / max(1, sum(map(word_count, first)))
    tokens = tokens_a_word * sum(map(word_count, texts)) + 2 * len(texts)
    return dataclasses.replace(recipe, epochs=max(1, min(recipe.epochs, int(most_tokens / max(tokens, 1)))))


@makes(version=2)
def losses(
    folder: Path, max_length: int, documents: int, base: str, base_path: str, sample: Path, model: Path | None = None,
    masked_tokens: int = 0,
) -> None:  # fmt: skip
    """Held-out loss: masked-LM loss of every document of a sample, by the fixed masks of the authors' study.

    masked_tokens: asked for by further draws of masks, where one draw asks for fewer.
    """
    from helpers.pretrain import masked_lm_loss

    file = sample / (HELDOUT if (sample / HELDOUT).exists() else TEXTS)
    texts = list(Thinned(Lines(file), documents))
    found = masked_lm_loss(str(model or base_path), texts, max_length=max_length, masked_tokens=masked_tokens)
    found.to_csv(folder / "losses.csv", index=False)


@makes(version=2)
def record(
    folder: Path, task: str, metric: str, recipe: dict, seed: int, base: str, base_path: str, source: tuple, name: str,
    labels: int = 0, baseline: str = "tfidf", max_length: int = 0, model: Path | None = None, words: str = "",
) -> None:  # fmt: skip
    """Fine-tuning: one classifier, or a baseline where there is no recipe; its scores as JSON.

    labels: training rows, another draw each seed; 0: all. words: for the key alone, here and below: how words are cut
    in scripts that say how, by which installed segmenters.
    """
    from helpers import classify

    loaded = load(name, source, task).draw(labels, seed)
    if recipe:
        chosen = classify.Recipe(**recipe)
        result = classify.fine_tune(str(model or base_path), loaded, chosen, seed=seed, log=logger(folder))
    else:
        result = classify.baseline(loaded, baseline, model=base_path, max_length=max_length, seed=seed)
    write_json(folder / "record.json", result.record() | _made())


@makes(version=1)
def vectors(
    folder: Path, task: str, max_length: int, base: str, base_path: str, source: tuple, name: str,
    model: Path | None = None,
) -> None:  # fmt: skip
    """Vectors of a frozen model: of a task's texts, for the frozen read-out."""
    from helpers.classify import text_vectors

    np.savez(folder / "vectors.npz", **text_vectors(load(name, source, task), str(model or base_path), max_length))


@makes(version=1)
def read_outs(
    folder: Path, task: str, metric: str, labels: int, seeds: list[int], source: tuple, name: str,
    vectors: Path | None = None, baseline: str = "", base: str = "", base_path: str = "", max_length: int = 0,
    words: str = "",
) -> None:  # fmt: skip
    """Frozen read-outs: of one model, or a baseline, on one task from as many labels, a record for each seed."""
    from helpers import classify

    loaded, features = load(name, source, task), {}
    if vectors:
        with np.load(vectors / "vectors.npz") as found:
            features = dict(found)

    def read(seed: int):
        if features:
            return classify.read_out(features, loaded, labels=labels, seed=seed)
        drawn = loaded.draw(labels, seed)
        return classify.baseline(drawn, baseline, model=base_path, max_length=max_length, seed=seed)

    write_json(folder / "records.json", [read(seed).record() | _made() for seed in seeds])


def _made() -> dict:
    """What a record says of how it came about."""
    from helpers import compute

    made = {"versions": compute.versions(), "git_commit": compute.git_commit(), "threads": compute.threads()}
    made |= {"device": compute.device().type, "precision": compute.precision()}
    return made | {"created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


@makes(version=2)
def pool(folder: Path, sentences: int, domain: Path) -> None:
    """Domain sentences: distinct ones from all over the domain's training text, to select from."""
    write_json(folder / META, write_lines(folder / TEXTS, distinct_sentences(Lines(domain / TRAIN), sentences)))


@makes(version=2)
def vampire(folder: Path, epochs: int, seed: int, pool: Path, task: Path, words: str = "") -> None:
    """VAMPIRE: fitted on the domain's sentences and the task's text, shared by every k."""
    from helpers.compute import Meter
    from helpers.select import Vampire, save_vampire

    with Meter() as meter:
        texts = [*Lines(pool / TEXTS), *Lines(task / TEXTS)]
        fitted = Vampire.fit(texts, epochs=epochs, seed=seed, log=logger(folder))
    save_vampire(fitted, folder)
    write_json(folder / "summary.json", {"seconds": meter.seconds, "peak_memory_mb": meter.peak_mb})


@makes(version=4)
def selection(
    folder: Path, selector: str, k: int, seed: int, pool: Path, task: Path, held: Path, base: str = "",
    base_path: str = "", vampire: Path | None = None, leader: Path | None = None, words: str = "",
) -> None:  # fmt: skip
    """Selection: text for one task by one selector; rivals get as many words as VAMPIRE found (`leader`)."""
    from helpers.select import load_vampire, select_text

    # words and not sentences: TAPT reads tokens, and some selectors like long sentences
    budget = read_json(leader / "summary.json")["words"] if leader else None
    found = select_text(
        Lines(task / TEXTS), Lines(pool / TEXTS), selector, k, seed, exclude=Lines(held / TEXTS), budget=budget,
        unit="words", model=load_vampire(vampire) if vampire else base_path or None, log=logger(folder),
    )  # fmt: skip
    write_lines(folder / TEXTS, found.texts)
    arrays = {
        "indices": found.indices, "similarities": found.similarities,
        "neighbour_indices": found.neighbour_indices, "neighbour_similarities": found.neighbour_similarities,
    }  # fmt: skip
    np.savez(folder / "arrays.npz", **{name: array for name, array in arrays.items() if array is not None})
    write_json(folder / "summary.json", found.summary)


def load_selection(folder: Path):
    """What `selection` left, as `helpers.select.Selection` without its VAMPIRE."""
    from helpers.select import Selection

    summary = read_json(folder / "summary.json")
    with np.load(folder / "arrays.npz") as arrays:
        return Selection(list(Lines(folder / TEXTS)), seconds=summary["seconds"], summary=summary, **arrays)


@makes(version=2)
def quality(
    folder: Path, task: str, selector: str, source: tuple, name: str, selection: Path, pool: Path,
    vampire: Path | None = None, words: str = "",
) -> None:  # fmt: skip
    """Selections judged: by the task's dev text, which none of them saw; VAMPIRE's cost includes its training."""
    from helpers.select import compare_selections

    dev, chosen = load(name, source, task).dev["text"], load_selection(selection)
    row = compare_selections({selector: chosen}, dev, list(Lines(pool / TEXTS)))
    if vampire:
        fit = read_json(vampire / "summary.json")
        row["seconds"] += fit["seconds"]
        row["peak_memory_mb"] = row["peak_memory_mb"].clip(lower=fit["peak_memory_mb"])
    row.to_csv(folder / "table.csv", index=False)


@makes(version=3)
def overlap(folder: Path, documents: int, top: int, words: str = "", **domains: Path) -> None:
    """Vocabulary overlap: of as many documents from all over each domain ('of_<name>'). Paper: Figure 2."""
    from helpers.overlap import overlap_matrix

    texts = {
        role.removeprefix("of_"): list(Thinned(Lines(domain / TRAIN), documents)) for role, domain in domains.items()
    }
    overlap_matrix(texts, top=top).to_csv(folder / "table.csv", index=False)


@makes(version=1)
def audit(folder: Path, task: str, source: tuple, name: str, own: Path, **corpora: Path) -> None:
    """Leak audit: texts that a task's splits share with each other and with the corpora."""
    from helpers.data import audit as audit_task

    texts = {title.replace("_", " "): Lines(corpus / TRAIN) for title, corpus in corpora.items()}
    found = audit_task(load(name, source, task), texts | {"tapt text": Lines(own / TEXTS)})
    found.to_csv(folder / "table.csv", index=False)
