"""What every update of masked-LM training reads: which windows, how masked, in which rows."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from helpers.encoder.packing import Windows, fill_rows, id_count, pack, special_ids
from helpers.pretrain.masking import mask_tokens
from helpers.pretrain.recipe import Recipe

IGNORED = -100  # the target that torch's cross-entropy leaves out


@dataclass(frozen=True)
class Update:
    """One optimiser update: packed and masked rows.

    input_ids, position_ids, segments: [rows, row length] int64. chosen: [masked] indices into the flattened
    rows, ascending. targets: [masked] true tokens. tokens: useful (not padding) tokens. epoch: of its last window.
    """

    input_ids: np.ndarray
    position_ids: np.ndarray
    segments: np.ndarray
    chosen: np.ndarray
    targets: np.ndarray
    tokens: int
    epoch: int

    def tensors(self, device, multiple: int = 1) -> list:
        """Tensors on `device`: input_ids, position_ids, segments, the three of a Reading of `chosen`, targets.

        multiple: cells, places and targets are filled up to a multiple of that many, with the last one and IGNORED,
        since a machine prepares its matrix products anew for every shape.
        """
        import torch

        from helpers.encoder.vectors import Reading

        reading = Reading.of(self.chosen, *self.input_ids.shape)
        extra = (0, -len(self.targets) % multiple)
        arrays = (
            self.input_ids, self.position_ids, self.segments, np.pad(reading.cells, extra, "edge"), reading.asked,
            np.pad(reading.places, extra, "edge"), np.pad(self.targets, extra, constant_values=IGNORED),
        )  # fmt: skip
        tensors = map(torch.from_numpy, arrays)
        # out of ordinary memory a copy would wait until the GPU has nothing to do
        if torch.device(device).type == "cuda":
            tensors = (tensor.pin_memory() for tensor in tensors)
        return [tensor.to(device, non_blocking=True) for tensor in tensors]

    def split(self, rows: int, share: int = 0, shares: int = 1) -> Iterator["Update"]:
        """The update in equal pieces of at most `rows` rows: those of process `share` of `shares`, as many for each."""
        count, length = self.input_ids.shape
        pieces = shares * max(1, -(-count // (shares * rows)))
        rows = max(1, -(-count // pieces))
        for start in range(share * rows, count, shares * rows):
            low, high = np.searchsorted(self.chosen, [start * length, (start + rows) * length])
            part = slice(start, start + rows)
            yield Update(
                self.input_ids[part], self.position_ids[part], self.segments[part],
                self.chosen[low:high] - start * length, self.targets[low:high],
                int((self.segments[part] > 0).sum()), self.epoch,
            )  # fmt: skip


@dataclass(frozen=True)
class Vocabulary:
    """The few facts about a tokenizer and its model that batches need.

    size: one more than the largest id. special: ids never masked and never drawn, those of no token among them.
    packs: whether windows may share a row.
    """

    size: int
    mask_id: int
    pad_id: int
    special: tuple[int, ...]
    position_offset: int
    packs: bool = True

    @classmethod
    def of(cls, tokenizer, position_offset: int, packs: bool = True) -> "Vocabulary":
        size = id_count(tokenizer)
        gaps = set(range(size)).difference(tokenizer.get_vocab().values())
        special = tuple(sorted({*tokenizer.all_special_ids, *special_ids(tokenizer), *gaps}))
        return cls(size, tokenizer.mask_token_id, tokenizer.pad_token_id, special, position_offset, packs)


def full_sentences(windows: Windows, max_length: int) -> Windows:
    """RoBERTa's FULL-SENTENCES packing: running text cut every max_length tokens, across documents.

    Each document's closing token stays between it and the next; a window keeps one opening token. The windows of one
    long document are joined again.
    """
    keep = np.ones(len(windows.tokens), dtype=bool)
    keep[windows.starts[:-1]] = False
    goes_on = windows.document[1:] == windows.document[:-1]
    keep[windows.starts[1:-1][goes_on] - 1] = False
    text = np.asarray(windows.tokens)[keep]
    opening = windows.tokens[windows.starts[0]]
    pieces = [text[start : start + max_length - 1] for start in range(0, len(text), max_length - 1)]
    tokens = np.concatenate([np.concatenate([[opening], piece]) for piece in pieces]).astype(text.dtype)
    starts = np.concatenate([[0], np.cumsum([len(piece) + 1 for piece in pieces])]).astype(np.int64)
    return Windows(tokens, starts, np.arange(len(pieces)))


def mask_rows(
    windows: Windows, chosen_windows, epoch, recipe: Recipe, vocabulary: Vocabulary, seed: int
) -> tuple[Update, np.ndarray]:
    """Some windows packed and masked, and the window each target stands in.

    chosen_windows: [n] window indices. epoch: [n] the pass each is in. Masks depend on (seed, epoch, window,
    position) only, so the same windows packed otherwise get the same masks.
    """
    chosen_windows, epoch = np.asarray(chosen_windows), np.asarray(epoch)
    # of these windows alone: all lengths of ten million windows took 50 ms an update
    first = windows.starts[chosen_windows]
    lengths = windows.starts[chosen_windows + 1] - first
    starts = np.concatenate([[0], np.cumsum(lengths)])
    cells = np.repeat(first - starts[:-1], lengths) + np.arange(starts[-1])
    picked = Windows(windows.tokens[cells], starts, chosen_windows)
    if vocabulary.packs:
        plan, length = pack(lengths, recipe.max_length), recipe.max_length
    else:
        plan, length = [[window] for window in range(len(lengths))], int(lengths.max())
    rows = fill_rows(picked, plan, length, vocabulary.pad_id, vocabulary.position_offset)
    cells = np.flatnonzero(rows.segments)
    # which window each cell shows: the windows in the order they were laid, by their segment in the row
    first_of_row = np.searchsorted(rows.row, np.arange(len(rows.segments)))
    laid = first_of_row[cells // length] + rows.segments.reshape(-1)[cells] - 1
    shown = rows.window[laid]
    flat = rows.input_ids.reshape(-1)
    place = rows.position_ids.reshape(-1)[cells] - vocabulary.position_offset
    masked, chosen = mask_tokens(
        flat[cells], epoch[shown], chosen_windows[shown], place,
        seed=seed, probability=recipe.mask_probability, mask_id=vocabulary.mask_id,
        vocabulary=vocabulary.size, special=vocabulary.special,
    )  # fmt: skip
    targets = flat[cells[chosen]]
    flat[cells] = masked
    update = Update(
        rows.input_ids, rows.position_ids, rows.segments, cells[chosen], targets, len(cells), int(epoch.max(initial=0))
    )
    return update, chosen_windows[shown[chosen]]


def updates(
    windows: Windows, recipe: Recipe, vocabulary: Vocabulary, seed: int, first: int = 0, ahead: int = 0
) -> Iterator[Update]:
    """Updates `first`, first + 1, … of a run: every window once an epoch, in an order drawn for that epoch.

    A run of E epochs ends with its last window, so the last update may be smaller. ahead: updates made by threads
    while the caller is at work on one.
    """
    n = len(windows)
    steps, last_window = recipe.updates(n), recipe.read(n)
    orders: dict[int, Future] = {}
    waiting: deque[Future] = deque()
    # The order of ten million windows takes most of a second: it is drawn while the epoch before is trained on.
    with ThreadPoolExecutor(1) as drawing, ThreadPoolExecutor(max(1, ahead)) as masking:
        for step in range(first, steps):
            stream = np.arange(step * recipe.batch_size, min((step + 1) * recipe.batch_size, last_window))
            epochs, places = stream // n, stream % n
            # a batch larger than the text spans several epochs
            wanted = range(epochs[0], min(epochs[-1] + 1, (last_window - 1) // n) + 1)
            orders = {
                epoch: orders[epoch] if epoch in orders else drawing.submit(_order, n, seed, epoch) for epoch in wanted
            }
            chosen = np.concatenate([orders[epoch].result()[places[epochs == epoch]] for epoch in np.unique(epochs)])
            waiting.append(masking.submit(mask_rows, windows, chosen, epochs, recipe, vocabulary, seed))
            if len(waiting) > ahead:
                yield waiting.popleft().result()[0]
        while waiting:
            yield waiting.popleft().result()[0]


def _order(n: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(n)
