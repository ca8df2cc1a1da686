"""Examples laid into rows, so that hardly any compute goes to padding."""

from dataclasses import dataclass

import numpy as np
import torch

from helpers import compute
from helpers.encoder import packing
from helpers.encoder.trial import arguments

TOKENS_A_SCORING_BATCH = 8192
# Attention costs a token as much as all else when its row is about this long (measured at widths 128 and 256).
ATTENTION_PARITY = 256
# Few different lengths, because a CPU prepares its matrix products anew for every shape it has not met.
ROW_LENGTHS = (32, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Batch:
    """A batch in rows. window, row, column: [n] the windows and where the first token of each stands."""

    input_ids: torch.Tensor
    position_ids: torch.Tensor
    segments: torch.Tensor
    window: np.ndarray
    row: np.ndarray
    column: np.ndarray
    packed: bool

    def inputs(self, device) -> dict[str, torch.Tensor]:
        """Keyword arguments of the encoder, on `device`."""
        rows = (part.to(device, non_blocking=True) for part in (self.input_ids, self.position_ids, self.segments))
        return arguments(*rows, self.packed, compute.autocast_dtype(device.type))


@dataclass(frozen=True)
class Layout:
    """What laying out windows for a model depends on."""

    pad_id: int
    offset: int
    packs: bool

    @classmethod
    def of(cls, model) -> "Layout":
        return cls(model.tokenizer.pad_token_id or 0, packing.position_offset(model.encoder), model.packs)

    def lay(self, windows: packing.Windows, chosen) -> Batch:
        """The chosen windows as one batch, in rows whose length makes the batch cheapest."""
        lengths = windows.lengths[chosen]
        if self.packs:
            rows, length = cheapest_rows(lengths)
            rows = [[chosen[place] for place in row] for row in rows]
        else:
            rows, length = [[window] for window in chosen], int(lengths.max())
        laid = packing.fill_rows(windows, rows, length, self.pad_id, self.offset)
        tensors = map(torch.from_numpy, (laid.input_ids, laid.position_ids, laid.segments))
        return Batch(*tensors, laid.window, laid.row, laid.column, self.packs)


def cheapest_rows(lengths) -> tuple[list[list[int]], int]:
    """Rows of places in `lengths`, and the row length, of least cost: tokens x (1 + row length / parity).

    Short rows waste room at their ends, long rows waste attention between texts; the next two lengths are tried.
    """
    longest = int(max(lengths))
    best = None
    for length in [length for length in ROW_LENGTHS if length >= longest][:2] or [longest]:
        rows = packing.pack(lengths, length)
        cost = len(rows) * length * (1 + length / ATTENTION_PARITY)
        if best is None or cost < best[0]:
            best = cost, rows, length
    return best[1], best[2]


def batches_for_scoring(windows: packing.Windows, model) -> list[Batch]:
    """All windows, longest first, in batches of some thousand tokens."""
    layout = Layout.of(model)
    order = np.argsort(-windows.lengths, kind="stable")
    batch_of = np.cumsum(windows.lengths[order]) // TOKENS_A_SCORING_BATCH
    return [layout.lay(windows, order[batch_of == number]) for number in np.unique(batch_of)]


def training_order(n: int, batch_size: int, generator: np.random.Generator) -> list[np.ndarray]:
    """One epoch: every example once, in new random order, cut into batches."""
    order = generator.permutation(n)
    return [order[start : start + batch_size] for start in range(0, n, batch_size)]
