"""Which tokens are masked: a pure function of seed, epoch, window and position.

No generator runs through the training, so masks are the same whatever the batch split, the number of
processes or the point a run was resumed from, and they are redrawn every epoch (dynamic masking).
"""

import numpy as np

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_STEP = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: np.ndarray) -> np.ndarray:
    """The finaliser of SplitMix64: a bijection of 64-bit integers that behaves like random numbers."""
    x = (x ^ (x >> np.uint64(30))) * _MIX[0]
    x = (x ^ (x >> np.uint64(27))) * _MIX[1]
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, epoch, window, position, stream: int) -> np.ndarray:
    """Numbers in [0, 1), one for each (epoch, window, position); arrays broadcast. Streams are independent."""
    with np.errstate(over="ignore"):  # 64-bit wrap-around is the arithmetic meant
        state = _mix(np.asarray([seed * 8 + stream + 1], dtype=np.uint64) * _STEP)
        for part in (epoch, window, position):
            state = _mix((state ^ np.asarray(part, dtype=np.uint64)) + _STEP)
    return (state >> np.uint64(11)) * 2.0**-53


def mask_tokens(
    tokens, epoch, window, position, *, seed: int, probability: float, mask_id: int, vocabulary: int, special
) -> tuple[np.ndarray, np.ndarray]:
    """Masked copy of `tokens` and the indices to predict.

    tokens, epoch, window, position: integer arrays [n] (epoch may be a number): where each token stands.
    probability: chance of a token to be chosen; of the chosen 80 % become `mask_id`, 10 % a random ordinary
    token, 10 % stay. special: token ids never chosen and never drawn. Paper: section 3.1 by way of RoBERTa.
    """
    tokens = np.asarray(tokens)
    ordinary = ~np.isin(tokens, special)
    chosen = np.flatnonzero(ordinary & (uniform(seed, epoch, window, position, 0) < probability))
    epoch = np.broadcast_to(epoch, tokens.shape)[chosen]
    window, position = np.asarray(window)[chosen], np.asarray(position)[chosen]
    fate = uniform(seed, epoch, window, position, 1)
    drawable = np.delete(np.arange(vocabulary), special)
    drawn = drawable[(uniform(seed, epoch, window, position, 2) * len(drawable)).astype(np.int64)]
    masked = tokens.copy()
    masked[chosen] = np.where(fate < 0.8, mask_id, np.where(fate < 0.9, drawn, tokens[chosen]))
    return masked, chosen
