"""What was understood of a file of your own, and what will be done about it: `dsp data check FILE`."""

import re
import warnings
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.leaks import audit, unchecked
from helpers.data.records import ALONE, GROUP_COLUMN, LABEL_COLUMNS, find_column, records
from helpers.data.tasks import Task, load_domain, load_task, rows_of
from helpers.words import PAIRS, Words, length, normalised, script

_LOOKED_AT = 2000  # texts that script and lengths are told from
_MOST_LABELS = 30
_FEW_TESTED = 100  # 95 % of a share near one half over n rows: 98 / sqrt(n) points either way
_LANGUAGES = {"Japanese": "Japanese", "Han": "Chinese", "Hangul": "Korean", "Thai": "Thai", "Greek": "Greek",
              "Hebrew": "Hebrew", "Lao": "Lao", "Khmer": "Khmer", "Myanmar": "Burmese"}  # fmt: skip
_NUMBER = re.compile(r"[-+]?\d*\.?\d+")
_ENGLISH = set("the of and to in is that for it with as was on be are this by from or an".split())


def describe(path: str | Path, text_column: str = "", label_column: str = "", tokenizer=None) -> pd.DataFrame:
    """A row for each thing found in a file or folder of your own, and what will be done about it.

    path: as for load_task and load_domain; rows with a label are taken for a task, others for a domain's documents.
    text_column, label_column: where the usual names do not serve. tokenizer: of a base model (Hugging Face), to count
    tokens as well. Returns a DataFrame of what, found and done. Raises UserError, with file and row, for what cannot
    be used.

    >>> from helpers.files import write_text
    >>> path = write_text(tmp / "mails.txt", "One mail of seven words, all told.\\nAnother.\\n")
    >>> describe(path).set_index("what").loc["documents", "found"]
    '2'
    """
    _, _, first = next(records(rows_of(path)), ("", 0, {}))
    if label_column or find_column(first, "", LABEL_COLUMNS, str(path)):
        table = _task(load_task(Path(path), text_column=text_column, label_column=label_column), first, tokenizer)
    else:
        table = _domain(path, first, text_column, tokenizer)
    return pd.DataFrame(table, columns=("what", "found", "done"))


def check_report(path: str | Path, text_column: str = "", label_column: str = "", tokenizer=None) -> str:
    """`describe` as lines of text, one a row: what, found, and what is done behind an arrow."""
    table = describe(path, text_column, label_column, tokenizer)
    width = table["what"].str.len().max()
    rows = table.itertuples(index=False)
    return "\n".join(f"{what:<{width}}  {found}{f'  -> {done}' if done else ''}" for what, found, done in rows)


def _task(task: Task, first, tokenizer) -> list[tuple[str, str, str]]:
    frames = {"train": task.train, "dev": task.dev, "test": task.test}
    every = pd.concat(frames.values())
    sizes = ", ".join(f"{split} {len(rows)}" for split, rows in frames.items())
    counts = every["label"].value_counts()
    labels = ", ".join(f"{label} {count}" for label, count in counts.head(_MOST_LABELS).items())
    rare = counts[counts < 10]
    few = f"{len(rare)} with fewer than ten rows: expect wide intervals" if len(rare) else ""
    told = filter(None, (few, _doubtful([str(label) for label in counts.index])))
    tested = len(task.test)
    used = "the text, the label and the group" if GROUP_COLUMN in every else "the text and the label"
    table = [
        ("kind", f"a task of {len(task.labels)} labels", f"named {task.name}, scored by {task.spec.metric}"),
        ("rows", sizes, task.source),
        *([("test rows", f"{tested}", f"a score of so few is good to {98 / tested**0.5:.0f} points or so either way")]
          if tested < _FEW_TESTED else []),
        ("columns", ", ".join(map(str, first)), f"all but {used} are left aside"),
        ("labels", labels + (", ..." if len(counts) > _MOST_LABELS else ""), "; ".join(told)),
        *_texts(every["text"].tolist(), tokenizer),
    ]  # fmt: skip
    grouped = {split: rows[GROUP_COLUMN] for split, rows in frames.items() if GROUP_COLUMN in rows}
    grouped = {split: groups[~groups.str.fullmatch(ALONE)] for split, groups in grouped.items()}
    seen = audit(task).set_index(["held", "against"])
    for (held, against), row in seen.iterrows():
        torn = grouped[held].isin(grouped[against]).sum() if held != against and {held, against} <= set(grouped) else 0
        if torn:
            table.append((f"{held} rows of a group in {against}", f"{torn} of {row['rows']}",
                          "kept; a group stays on one side where dev and test are set apart from train"))  # fmt: skip
        if row["exact"] or row["near"]:
            what = "duplicates in train" if held == against else f"{held} rows that are in {against}"
            other = row["exact"] - row["same_label"]
            found = f"{row['exact']} equal ({other} with another label), {row['near']} nearly"
            table.append((what, found, "kept" if held == against else "kept, and scored with and without them"))
    short = int(unchecked([*task.dev["text"], *task.test["text"]]).sum())
    table.append(("leaks", "dev and test text is kept out of everything adapted to",
                  f"{short} of them are under five words: compared whole only" if short else ""))  # fmt: skip
    return table


def _doubtful(labels: list[str]) -> str:
    """What may have been meant otherwise: numbers of a scale, several labels in one."""
    if all(_NUMBER.fullmatch(label) for label in labels) and (len(labels) > 10 or any("." in one for one in labels)):
        return "numbers are taken for classes without an order: cut a scale into a few labels"
    if joined := [label for label in labels if set(label) & set("|;")]:
        return f"{joined[0]!r} is taken for one class of its own: a text has one label here"
    return ""


def _domain(path, first, text_column: str, tokenizer) -> list[tuple[str, str, str]]:
    corpus = load_domain(Path(path), text_column=text_column)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table says it
        copies = Counter(map(normalised, corpus))
    repeated = sum(copies.values()) - len(copies)
    empty = f"{corpus.left_out} empty ones are left out" if corpus.left_out else ""
    few = "too few to set some apart: give it a few hundred" if len(corpus) < 100 else ""
    return [
        ("kind", "documents without labels: a domain", f"named {corpus.name}"),
        ("documents", str(len(corpus)), "; ".join(filter(None, (empty, few)))),
        ("columns", ", ".join(map(str, first)), corpus.source),
        *_texts(list(islice(corpus, _LOOKED_AT)), tokenizer),
        ("duplicates", f"{repeated} documents repeat another", "kept" if repeated else ""),
    ]


def _texts(texts: list[str], tokenizer) -> list[tuple[str, str, str]]:
    some = texts[:: max(1, len(texts) // _LOOKED_AT)]
    scripts = Counter(map(script, some))
    split = Words()
    words = [word for text in some for word in split(text)]
    pairs = "pairs of characters stand for words, but for the extra languages" if split.unit == PAIRS else ""
    shown = ", ".join(f"{name or 'no letters'} {count / len(some):.0%}" for name, count in scripts.most_common(4))
    lengths = np.array([length(normalised(text)) for text in some])
    rows = [
        ("script", shown, "; ".join(filter(None, (_language(scripts.most_common(1)[0][0], words), pairs)))),
        ("words a text", _spread(lengths), ""),
    ]
    if tokenizer is not None:
        tokens = np.array([len(ids) for ids in tokenizer(some)["input_ids"]])
        most = min(getattr(tokenizer, "model_max_length", 512), 512)
        long = int((tokens > most).sum())
        rows.append(("tokens a text", f"{_spread(tokens)}; {tokens.sum() / max(lengths.sum(), 1):.1f} a word",
                     f"{long / len(some):.0%} are longer than {most} and are cut" if long else ""))  # fmt: skip
    return rows


def _spread(values: np.ndarray) -> str:
    return f"median {np.median(values):.0f}, 95 % up to {np.quantile(values, 0.95):.0f}, longest {values.max()}"


def _language(script: str, words: list[str]) -> str:
    if script == "Latin":
        share = sum(word in _ENGLISH for word in words) / max(len(words), 1)
        return "looks like English" if share > 0.1 else "no English: English stop words will not help"
    return f"looks like {_LANGUAGES[script]}" if script in _LANGUAGES else ""
