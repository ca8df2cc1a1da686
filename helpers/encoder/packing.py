"""Texts as token windows, and windows packed into rows so that no compute goes to padding.

A window is one document, or a stretch of a long one, with its own <s> and </s>. Several windows share a
row; a block-diagonal attention mask and restarting positions keep each as if it stood alone.
"""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from helpers.data.text import checked

TEXTS_A_CALL = 2048  # texts handed to the tokenizer at once: enough to keep its threads busy


@dataclass(frozen=True)
class Windows:
    """Token windows of many documents in one flat array.

    tokens: ids of all windows after each other (may be memory-mapped). starts: [n + 1] offsets, int64.
    document: [n] index of the document that each window comes from.
    """

    tokens: np.ndarray
    starts: np.ndarray
    document: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        return self.tokens[self.starts[index] : self.starts[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """[n] tokens of each window, its <s> and </s> included."""
        return np.diff(self.starts)


@dataclass(frozen=True)
class Rows:
    """Windows laid into rows of equal length.

    input_ids, position_ids, segments: [rows, row length] int64; a segment number is 0 on padding and else
    counts the row's windows from 1. window, row, column: [n] the windows in the order they were laid, and
    where the first token of each stands.
    """

    input_ids: np.ndarray
    position_ids: np.ndarray
    segments: np.ndarray
    window: np.ndarray
    row: np.ndarray
    column: np.ndarray


def special_ids(tokenizer) -> tuple[int, int]:
    """Ids of the tokens that open and close a window: <s> </s>, or [CLS] [SEP]."""
    first = tokenizer.cls_token_id if tokenizer.cls_token_id is not None else tokenizer.bos_token_id
    last = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
    return first, last


def id_count(tokenizer) -> int:
    """One more than a tokenizer's largest id: its tokens, where their ids have no gaps."""
    return max(tokenizer.get_vocab().values()) + 1


def tokenize(
    texts: Iterable[str], tokenizer, max_length: int = 512, overflow: str = "windows", folder: Path | None = None
) -> Windows:
    """Token windows of `texts`, each of at most `max_length` tokens.

    tokenizer: a fast Hugging Face tokenizer. overflow: 'windows' cuts a long document into consecutive
    windows, 'truncate' keeps its first. folder: write the tokens there and memory-map them, for text that
    does not fit in memory. Documents without a token are left out of the windows, not of the numbering.
    """
    first, last = special_ids(tokenizer)
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()  # an earlier call of the tokenizer may have left these on
    backend.no_padding()
    body = max_length - 2
    kind = np.uint16 if id_count(tokenizer) <= 2**16 else np.int32
    chunks, lengths, documents, seen = [], [], [], 0
    texts = checked(texts)
    with open(folder / "tokens.bin", "wb") if folder else nullcontext() as stream:
        while batch := list(islice(texts, TEXTS_A_CALL)):
            flat, sizes, owners = [], [], []
            for number, encoding in enumerate(backend.encode_batch_fast(batch, add_special_tokens=False), seen):
                ids = encoding.ids
                for start in range(0, len(ids) if overflow == "windows" else min(len(ids), 1), body):
                    piece = ids[start : start + body]
                    flat += [first, *piece, last]
                    sizes.append(len(piece) + 2)
                    owners.append(number)
            seen += len(batch)
            lengths.append(np.asarray(sizes, dtype=np.int32))
            documents.append(np.asarray(owners, dtype=np.int64))
            chunk = np.asarray(flat, dtype=kind)
            stream.write(chunk.tobytes()) if stream else chunks.append(chunk)
    starts = np.zeros(sum(map(len, lengths)) + 1, dtype=np.int64)
    if len(starts) > 1:
        np.cumsum(np.concatenate(lengths), dtype=np.int64, out=starts[1:])
    if folder:
        tokens = np.memmap(folder / "tokens.bin", dtype=kind, mode="r") if starts[-1] else np.empty(0, kind)
    else:
        tokens = np.concatenate(chunks) if chunks else np.empty(0, kind)
    return Windows(tokens, starts, np.concatenate(documents) if documents else np.empty(0, np.int64))


def pack(lengths: Sequence[int], row_length: int) -> list[list[int]]:
    """Rows of window indices by best-fit decreasing: each window goes where it leaves the least room.

    lengths: tokens of each window, 1 .. row_length. Returns one list of indices a row; every index once.
    Deterministic: equal lengths keep their order.
    """
    lengths = np.asarray(lengths)
    if len(lengths) and lengths.max() > row_length:
        raise ValueError(f"a window of {lengths.max()} tokens does not fit a row of {row_length}")
    rows: list[list[int]] = []
    open_rows: list[list[int]] = [[] for _ in range(row_length + 1)]  # by room left
    rooms = 0  # bit r is set while a row with room r is open
    for index in np.argsort(-lengths, kind="stable").tolist():
        length = int(lengths[index])
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = open_rows[room].pop()
            if not open_rows[room]:
                rooms ^= 1 << room
            rows[row].append(index)
        else:
            room, row = row_length, len(rows)
            rows.append([index])
        left = room - length
        if left:
            open_rows[left].append(row)
            rooms |= 1 << left
    return rows


def fill_rows(
    windows: Windows, rows: Sequence[Sequence[int]], row_length: int, pad_id: int, position_offset: int
) -> Rows:
    """Lay windows into rows.

    rows: window indices of each row, from `pack`. position_offset: the position id of a first token, see
    `position_offset`. Padding gets `pad_id`, position 0 and segment 0.
    """
    order = np.fromiter((w for row in rows for w in row), dtype=np.int64)
    row = np.repeat(np.arange(len(rows)), [len(r) for r in rows])
    lengths = windows.lengths[order]
    ends = np.cumsum(lengths)
    # column = tokens laid before it in all rows, less those laid in earlier rows
    before = ends - lengths
    first_of_row = np.searchsorted(row, np.arange(len(rows)))
    column = before - before[first_of_row][row] if len(order) else before
    segment = np.arange(len(order)) - first_of_row[row] + 1 if len(order) else order
    inside = np.arange(ends[-1] if len(ends) else 0) - np.repeat(before, lengths)  # 0, 1, 2 … within its window
    cells = np.repeat(row * row_length + column, lengths) + inside
    shape = (len(rows), row_length)
    input_ids = np.full(shape, pad_id, dtype=np.int64)
    position_ids, segments = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    input_ids.reshape(-1)[cells] = windows.tokens[np.repeat(windows.starts[order], lengths) + inside]
    position_ids.reshape(-1)[cells] = inside + position_offset
    segments.reshape(-1)[cells] = np.repeat(segment, lengths)
    return Rows(input_ids, position_ids, segments, order, row, column)


def attention_mask(segments, dtype):
    """Additive mask [rows, 1, length, length]: 0 within a window, the least finite number across windows.

    segments: tensor [rows, length] of segment numbers. Padding sees padding only, so no row of the softmax
    is empty. Hugging Face encoders take a four-dimensional mask as it is.
    """
    import torch

    same = segments[:, None, :, None] == segments[:, None, None, :]
    return torch.where(same, 0.0, torch.finfo(dtype).min).to(dtype)


def position_offset(model) -> int:
    """Position id of a window's first token: padding id + 1 in RoBERTa-like models, 0 in BERT-like ones."""
    for module in model.modules():
        padding = getattr(getattr(module, "position_embeddings", None), "padding_idx", None)
        if padding is not None:
            return padding + 1
    return 0


def within_positions(model, max_length: int) -> int:
    """Tokens a text: `max_length`, or as many as the model has positions for where those are fewer."""
    return min(max_length, longest_sequence(model) or max_length)


def longest_sequence(model) -> int | None:
    """Tokens, special ones included, that the model has positions for; None where its configuration does not say."""
    known = getattr(model.config, "max_position_embeddings", None)
    return known - position_offset(model) if known else None
