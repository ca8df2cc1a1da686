"""Rows of text and labels out of whatever people keep them in: files, folders, DataFrames, `datasets`."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from textwrap import shorten

import pandas as pd

from helpers.data.archive import laid_out
from helpers.data.jsonl import read_rows
from helpers.data.raw import FORMS, form, lines, opened
from helpers.data.text import EMPTY, fault
from helpers.errors import UserError, nearest
from helpers.paths import expanded
from helpers.words import clean

# Looked for in this order where no column is named.
TEXT_COLUMNS = ("text", "sentence", "content", "body", "abstract", "review", "document", "article", "passage",
                "paragraph", "comment", "message", "post", "tweet", "description", "utterance", "question")  # fmt: skip
LABEL_COLUMNS = ("label", "labels", "class", "category", "target", "sentiment", "topic", "intent", "stars", "rating")
GROUP_COLUMN = "group_id"
ALONE = r"row \d+( of all)?"  # the group of a row that names none
_WORDS_OF_A_NAME = 4  # at most, of a column
_CHUNK = 20_000  # rows of a table read together
Record = tuple[str, int, Mapping]


def records(source) -> Iterator[Record]:
    """(file, row number from 1, columns) of every row of a source.

    source: a file (.jsonl, .json holding an array, .csv or .tsv with a header, .parquet, .txt with a document a line;
    the text formats also as .gz, .zip or .zst), a folder of such files (each .txt in it one document) or one saved by
    `datasets`, a .zip of such a folder, a list of files, a DataFrame, or a `datasets.Dataset`. Rows of CSV count the
    header as row 1. Raises UserError, with file and row, for what cannot be read.

    >>> list(records(pd.DataFrame({"text": ["one"], "label": ["a"]})))
    [('DataFrame', 1, {'text': 'one', 'label': 'a'})]
    """
    if isinstance(source, str | Path):
        path = laid_out(expanded(source))
        return _folder(path) if path.is_dir() else _file(path)
    if isinstance(source, pd.DataFrame):
        return _frame("DataFrame", source, 1)
    if isinstance(source, Mapping) and hasattr(source, "column_names"):
        raise UserError(f"data: a DatasetDict of {', '.join(source)}; give one of its splits")
    if hasattr(source, "column_names") and hasattr(source, "features"):
        return _dataset("Dataset", source)
    if isinstance(source, list) and not any(isinstance(part, str | Path) for part in source[:1]):
        return (("texts", row, value) for row, value in enumerate(source, 1))
    if isinstance(source, list | tuple):
        return chain.from_iterable(map(records, source))
    raise UserError(f"data: expected a file, a folder, a DataFrame or a datasets.Dataset, got {type(source).__name__}")


def _file(path: Path) -> Iterator[Record]:
    kind = form(path)
    where = str(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder")
    if kind in (".csv", ".tsv"):
        yield from _table(path, kind)
    elif kind == ".parquet":
        yield from _parquet(path)
    elif kind == ".json":
        yield from ((where, row, value) for row, value in _array(path))
    elif kind == ".txt":
        yield from ((where, row, {"text": line.strip("\r\n")}) for row, line in lines(path) if line.strip())
    elif kind:
        yield from ((where, row, value) for row, value in read_rows(path))
    else:
        raise UserError(f"{path}: unknown kind of file; expected a name that ends in {', '.join(FORMS)}, .zip")


def _folder(path: Path) -> Iterator[Record]:
    if saved_by_datasets(path):
        saved = load_saved(path)
        if isinstance(saved, Mapping):
            raise UserError(f"{path}: a DatasetDict of {', '.join(saved)}; give one of its splits, such as "
                            f"{path / next(iter(saved), '')}")  # fmt: skip
        yield from _dataset(str(path), saved)
        return
    inside = {file: file.relative_to(path).parts for file in sorted(path.rglob("*"))}
    # .ipynb_checkpoints holds older copies; a folder may be called law.parquet
    seen = [file for file, parts in inside.items() if not any(part.startswith(".") for part in parts)]
    for file in seen:
        if file.is_symlink() and file.is_dir():
            raise UserError(f"{file}: a link to a folder, which would be passed over; give what it leads to as a "
                            "domain of its own, or copy it here")  # fmt: skip
    files = [file for file in seen if form(file) and file.is_file()]
    if not files:
        raise UserError(f"{path}: no data in this folder; expected files that end in {', '.join(FORMS)}")
    for file in files:
        if form(file) == ".txt":
            yield str(file), 1, {"text": "".join(line for _, line in lines(file))}
        else:
            yield from records(file)


def saved_by_datasets(folder: Path) -> bool:
    """Whether a folder was written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def load_saved(folder: Path):
    """The `datasets.Dataset` or `DatasetDict` of a folder; raises UserError for a damaged one."""
    from datasets import load_from_disk

    try:
        return load_from_disk(str(folder))
    except Exception as error:
        raise UserError(f"{folder}: datasets cannot load this folder ({str(error).splitlines()[0]})") from None


def _dataset(where: str, source) -> Iterator[Record]:
    names = {column: feature.names for column, feature in (source.features or {}).items() if hasattr(feature, "names")}
    for row, value in enumerate(source, 1):
        for column, labels in names.items():
            if isinstance(value[column], int) and value[column] >= 0:
                value[column] = labels[value[column]]
        yield where, row, value


def _frame(where: str, frame: pd.DataFrame, first: int) -> Iterator[Record]:
    columns = [str(column) for column in frame.columns]
    _refuse_twice(where, columns)
    for row, values in enumerate(frame.itertuples(index=False, name=None), first):
        yield where, row, dict(zip(columns, values, strict=True))


def _table(path: Path, kind: str) -> Iterator[Record]:
    how = dict(sep="," if kind == ".csv" else "\t", dtype=str, keep_default_na=False, encoding="utf-8-sig",
               skip_blank_lines=True, quoting=csv.QUOTE_MINIMAL)  # fmt: skip
    try:
        _refuse_header(path, how)
        with opened(path) as file:
            chunks = pd.read_csv(file, chunksize=_CHUNK, **how)
            row, looked_at = 2, _closed_rows(path, how["sep"])
            for chunk in chunks:
                if not isinstance(chunk.index, pd.RangeIndex):
                    raise UserError(f"{path}, row {row}: more fields than the header has; quote texts with commas")
                if kind == ".tsv":
                    _refuse_swallowed(path, chunk, row)
                last = row + len(chunk) - 1
                next((one for one in looked_at if one >= last), None)
                yield from _frame(str(path), chunk, row)
                row += len(chunk)
    except UnicodeDecodeError:
        for _ in lines(path):  # names the row
            pass
        raise
    except pd.errors.EmptyDataError:
        raise UserError(f"{path}: no rows; expected a header line and rows") from None
    except pd.errors.ParserError as error:
        raise UserError(f"{path}: malformed table ({' '.join(str(error).split())}); check its quotes") from None


def _refuse_header(path: Path, how: Mapping) -> None:
    """UserError for a header of which pandas would make other columns in silence, or one column of several."""
    with opened(path) as file:
        head = pd.read_csv(file, nrows=1, header=None, index_col=False, **how)
    names = [str(name) for name in head.iloc[0]]
    _refuse_twice(str(path), filter(None, names))
    ways = {"\t": "tabs; name it .tsv", ",": "commas; name it .csv", ";": "semicolons; save it with commas",
            "|": "bars; save it with commas"}  # fmt: skip
    del ways[how["sep"]]  # in the one name there is, it is quoted
    if found := [said for mark, said in ways.items() if mark in names[0] and len(names) == 1]:
        raise UserError(f"{path}: its columns are parted by {found[0]}")
    if len(names) == 1 and names[0].strip().lower() not in TEXT_COLUMNS and len(names[0].split()) > _WORDS_OF_A_NAME:
        raise UserError(f"{path}, row 1: {shorten(names[0], 60)!r} reads as a text and not as a column's name; "
                        "put a line 'text' above it")  # fmt: skip


def _refuse_twice(where: str, columns: Iterable[str]) -> None:
    for name, times in Counter(columns).items():
        if times > 1:
            raise UserError(f"{where}: column {name!r} is there twice; rename one of them")


_REQUOTE = "where a text begins with a quotation mark, put the text in quotation marks and double those inside"


def _closed_rows(path: Path, mark: str) -> Iterator[int]:
    """The number of each row of a table; UserError for a cell of several lines that goes on after its quotes.

    Of two texts that begin with a quotation mark, the second one's closes the first, with all the rows between in it.
    """
    blank = " \t\r\n".replace(mark, "")
    opens = re.compile(rf'(?:^|{mark})"[^"]*+(?:""[^"]*+)*+("?)[^{mark}]*')
    closes = re.compile(rf'[^"]*+(?:""[^"]*+)*+"([^{mark}]*)')
    row, is_open = 0, False
    with opened(path) as file:
        for line in io.TextIOWrapper(file, encoding="utf-8-sig", newline=""):
            begin = 0
            if is_open:
                closed = closes.match(line)
                if not closed:
                    continue
                if closed[1].strip():
                    raise UserError(f"{path}, row {row}: a cell of several lines goes on after its closing quotes: it "
                                    f"has swallowed rows, or its own marks are not doubled; {_REQUOTE}")  # fmt: skip
                begin = closed.end()
            elif line.strip(blank):
                row += 1
            is_open = any(not cell[1] for cell in opens.finditer(line, begin))
            if not is_open:
                yield row


def _refuse_swallowed(path: Path, chunk: pd.DataFrame, first: int) -> None:
    """UserError for a field with tabs and line breaks: most TSV is unquoted, and a text may begin with a quote."""
    for column in chunk:
        swallowed = chunk[column].str.contains(r"\t[^\n]*\n|\n[^\n]*\t", regex=True)
        if swallowed.any():
            row = first + int(swallowed.to_numpy().argmax())
            raise UserError(f"{path}, row {row}: {column} holds tabs and line breaks, so it has swallowed rows; "
                            f"{_REQUOTE}")  # fmt: skip


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow
    from pyarrow import parquet

    with opened(path) as file:
        try:
            row, whole = 1, parquet.ParquetFile(file)
            _refuse_twice(str(path), whole.schema_arrow.names)
            for batch in whole.iter_batches(_CHUNK):
                for value in batch.to_pylist():
                    yield str(path), row, value
                    row += 1
        except pyarrow.ArrowException as error:
            raise UserError(f"{path}: no Parquet file, or a damaged one ({str(error).splitlines()[0]})") from None


def _array(path: Path) -> Iterator[tuple[int, dict]]:
    with opened(path) as file:
        try:
            values = json.loads(file.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            values = None
        except RecursionError:
            raise UserError(f"{path}: nested too deeply; expected a list of objects") from None
        except ValueError as error:
            if "Extra data" not in str(error):
                raise UserError(f"{path}: malformed JSON ({error}); expected a list of objects") from None
            values = None  # one object a line, under another name
    if values is None:
        yield from read_rows(path)
        return
    if not isinstance(values, list):
        raise UserError(f"{path}: expected a list of objects, found a {type(values).__name__}")
    for row, value in enumerate(values, 1):
        if type(value) is not dict:
            raise UserError(f"{path}, row {row}: expected an object with a text, found {str(value)[:40]!r}")
        yield row, value


def find_column(columns: Iterable[str], asked: str, usual: tuple[str, ...], where: str) -> str:
    """The column asked for, else the first of the usual names that is there in any case, else "".

    Raises UserError where the column asked for is not there.
    """
    columns = [str(column) for column in columns]
    if asked:
        if asked not in columns:
            raise UserError(f"{where}: no column {asked!r}.{nearest(asked, columns)} Columns: {', '.join(columns)}")
        return asked
    folded = {column.strip().lower(): column for column in reversed(columns)}
    return next((folded[name] for name in usual if name in folded), "")


class Texts:
    """The texts of a source, one pass after the other: empty ones are left out and counted.

    source: see `records`. column: the text's, found by itself where not given. After a whole pass read holds the
    rows seen, left_out the empty ones, first_empty where the first is.
    """

    def __init__(self, source, column: str = ""):
        self.source, self.column = source, column
        self.read = self.left_out = 0
        self.first_empty = ""

    def __iter__(self) -> Iterator[str]:
        read, empty, first = 0, 0, ""
        column = ""
        for where, row, value in records(self.source):
            read += 1
            if column not in value:
                renamed = " (beside a TASK_FILE these name its column: rename this one)"
                column = _text_column(value, self.column, where, row, renamed)
            text = value[column]
            if found := fault(text):
                if found != EMPTY:
                    raise UserError(f"{where}, row {row}: text is {found}; give it a text or delete the row")
                empty, first = empty + 1, first or f"{where}, row {row}"
                continue
            yield text
        self.read, self.left_out, self.first_empty = read, empty, first


def _text_column(value: Mapping, asked: str, where: str, row: int, more: str = "") -> str:
    column = find_column(value, asked, TEXT_COLUMNS, f"{where}, row {row}")
    if not column and len(value) == 1:
        return next(iter(value))
    if not column:
        raise UserError(f"{where}, row {row}: {_missing('text', value, 'text_column')}{more}")
    return column


def _missing(what: str, value: Mapping, option: str) -> str:
    """What to say where a row lacks what a column should hold, and how each way in names that column."""
    ways = f"-p {option.upper()}=, --{option.replace('_', '-')} or {option}="
    return f"{what} is missing; found {_keys(value)}; name its column by {ways}"


def _keys(value: Mapping) -> str:
    return "the keys " + ", ".join(repr(str(key)) for key in list(value)[:12]) if value else "no keys"


def labelled(source, text_column: str = "", label_column: str = "") -> tuple[pd.DataFrame, str]:
    """(DataFrame of text and label, both str, in the source's order; a few words on columns found by themselves).

    Rows that belong together (sentences of one document) may say so by a column group_id, in any case, which is then
    kept under that name; a row without one stands alone. The index holds the rows' numbers in the file. Labels and
    groups lose the spaces around them; whole numbers and true/false serve by their JSON spelling. Raises UserError,
    with file and row, for a row without text, a missing label or one of another kind, labels that are alike (see
    `folded`), and a source without rows.

    >>> labelled(pd.DataFrame({"body": ["one"], "class": [3]}))[1]
    "text from 'body', label from 'class'"
    """
    texts, labels, groups, rows, note = [], [], [], [], ""
    text_name = label_name = ""
    spelt: dict[str, tuple[str, int]] = {}
    group_names: dict[tuple, str] = {}  # rows of JSON may differ in their columns
    for where, row, value in records(source):
        if not rows:
            text_name = _text_column(value, text_column, where, row)
            label_name = find_column(value, label_column, LABEL_COLUMNS, f"{where}, row {row}") or "label"
        if text_name not in value:
            raise UserError(f"{where}, row {row}: {text_name} is missing; found {_keys(value)}")
        if found := fault(value[text_name]):
            raise UserError(f"{where}, row {row}: {text_name} is {found}; give it a text or delete the row")
        label = _label(value, label_name, where, row)
        known, first = spelt.setdefault(folded(label), (label, row))
        if known != label:
            raise UserError(
                f"{where}: labels {known!r} (row {first}) and {label!r} (row {row}) {ALIKE}; spell them alike"
            )
        texts.append(value[text_name])
        labels.append(label)
        columns = tuple(value)
        if columns not in group_names:
            group_names[columns] = find_column(columns, "", (GROUP_COLUMN,), where) or GROUP_COLUMN
        group = value.get(group_names[columns])
        groups.append(None if fault(group) == EMPTY or fault(group).startswith("missing") else str(group).strip())
        rows.append(row)
    if not texts:
        said = source if isinstance(source, str | Path) else type(source).__name__
        raise UserError(f"{said}: no rows; expected a text and a label a row")
    if (text_name, label_name) != ("text", "label"):
        note = f"text from {text_name!r}, label from {label_name!r}"
    index = pd.Index(rows, name="row")
    frame = pd.DataFrame({"text": texts, "label": labels}, dtype=object, index=index)
    if groups.count(None) < len(groups):
        taken = set(groups)
        for place, (row, group) in enumerate(zip(rows, groups, strict=True)):
            if group is None:  # row numbers begin anew in every file
                own = f"row {row}"
                groups[place] = own if own not in taken else f"row {place + 1} of all"
                taken.add(own)
        frame[GROUP_COLUMN] = groups
        note = "; ".join(filter(None, [note, f"rows of one {GROUP_COLUMN} belong together"]))
    return frame, note


ALIKE = "differ by case, spacing or signs that look the same only"


def folded(label: str) -> str:
    """What labels that a reader takes for one have in common: case, spacing, composed and unseen signs are left out.

    >>> folded("Cafe\u0301  noir") == folded("caf\u00e9 noir\u200b")
    True
    """
    return " ".join(clean(label).split()).casefold()


def _label(value: Mapping, name: str, where: str, row: int) -> str:
    label = value.get(name)
    if hasattr(label, "item"):
        label = label.item()  # a NumPy scalar
    if isinstance(label, str) and label.strip() and not fault(label):
        return label.strip()
    if isinstance(label, int):  # bool is an int: true and false keep their JSON spelling
        return json.dumps(label)
    if fault(label).startswith("missing"):
        no_value = f"{name} has no value; give it a label or take the row out"
        raise UserError(f"{where}, row {row}: {no_value if name in value else _missing(name, value, 'label_column')}")
    found = "empty" if isinstance(label, str) else f"a {type(label).__name__}"
    raise UserError(f"{where}, row {row}: {name} is {found}; expected a string or a whole number")
