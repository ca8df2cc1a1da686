"""Whether texts may share a model's rows: tried on windows longer than any local attention.

Packed windows take restarting positions and a block-diagonal mask. An architecture that gives them the vectors they
have alone is packed; another gets one window a row, with its own positions and an ordinary padding mask, and is
refused where even so its neighbours change a text's vectors.
"""

from pathlib import Path

import numpy as np
import torch

from helpers.encoder import packing
from helpers.errors import UserError

TOLERANCE = 1e-4  # of vectors of about unit size; another order of the same sums differs by 1e-6
# What a padded batch may change: neighbours that are seen change 0.003 to 5, rounding under odd weights up to 0.0004.
MOVED = 1e-3
SHORT = 24
# What an architecture calls the reach of its local attention, and how many times that makes a window see it.
REACHES = {"local_attention": 1, "sliding_window": 1, "attention_window": 1, "block_size": 12}


def trial_windows(model) -> packing.Windows:
    """Two windows longer than any local attention as far as the model has positions, and a short one beside them.

    Some architectures attend otherwise where the longest window of a batch is short.
    """
    config, reach = model.config, 0
    for name, times in REACHES.items():
        value = getattr(config, name, None)
        value = max(value, default=0) if isinstance(value, list | tuple) else value
        reach = max(reach, times * value if isinstance(value, int) else 0)
    longest = packing.longest_sequence(model)
    length = min(reach + SHORT, longest or reach + SHORT)
    named = ("pad", "bos", "eos", "cls", "sep", "mask")
    special = {getattr(config, f"{name}_token_id", None) for name in named}
    ordinary = [number for number in range(5, config.vocab_size) if number not in special]
    lengths = [length, max(1, length - 5), min(length, SHORT // 2)]
    tokens = np.random.default_rng(0).choice(ordinary, sum(lengths))
    return packing.Windows(tokens, np.array([0, *np.cumsum(lengths)]), np.arange(3))


def arguments(ids, positions, segments, packs: bool, dtype) -> dict:
    """An encoder's keyword arguments for rows, packed or one window a row; [rows, length] ids, positions, segments."""
    if not packs:
        return {"input_ids": ids, "attention_mask": (segments > 0).long()}
    return {"input_ids": ids, "position_ids": positions, "attention_mask": packing.attention_mask(segments, dtype)}


def lay(windows: packing.Windows, packs: bool, model) -> packing.Rows:
    """All windows in one row, or in a row each."""
    length = int(windows.lengths.sum() if packs else windows.lengths.max())
    rows = [list(range(len(windows)))] if packs else [[window] for window in range(len(windows))]
    pad = getattr(model.config, "pad_token_id", None) or 0
    return packing.fill_rows(windows, rows, length, pad, packing.position_offset(model))


def packs_windows(encoder, name: str | Path) -> bool:
    """Whether windows may share this encoder's rows; where False each needs a row of its own.

    Raises UserError where a padded batch gives windows other vectors than they have alone, so that no score and no
    vector would be a text's own.
    """
    if not gives_vectors_of_alone(encoder, False, MOVED):
        raise UserError(
            f"model {name}: {encoder.config.model_type} gives a text other vectors in a batch than alone, so it can be "
            "neither fine-tuned nor read out here; give another base model"
        )
    return gives_vectors_of_alone(encoder, True)


def gives_vectors_of_alone(encoder, packs: bool, tolerance: float = TOLERANCE) -> bool:
    """Whether windows get the vectors they get alone: sharing a row where `packs`, else in a padded batch."""
    training = encoder.training
    encoder.eval()
    try:
        with torch.inference_mode():
            windows = trial_windows(encoder)
            rows = lay(windows, packs, encoder)
            parts = (
                torch.from_numpy(part).to(encoder.device) for part in (rows.input_ids, rows.position_ids, rows.segments)
            )
            together = encoder(**arguments(*parts, packs, torch.float32))[0]
            for window, row, column in zip(rows.window, rows.row, rows.column, strict=True):
                ids = torch.from_numpy(windows[window])[None].to(encoder.device)
                alone = encoder(input_ids=ids, attention_mask=torch.ones_like(ids))[0][0]
                mine = together[row, column : column + ids.shape[1]]
                if mine.shape != alone.shape or not torch.allclose(mine, alone, rtol=tolerance, atol=tolerance):
                    return False
    except Exception:  # what an architecture does with arguments it was not made for is anyone's guess
        return False
    finally:
        encoder.train(training)
    return True
