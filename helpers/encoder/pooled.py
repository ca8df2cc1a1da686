"""Sentence vectors of a transformer: the mean of its last hidden states."""

from collections.abc import Sequence

import numpy as np

from helpers import compute


def mean_pooled(texts: Sequence[str], model: str, max_length: int = 128, batch_size: int = 64) -> np.ndarray:
    """[n, hidden] float32: last hidden states, mean over the tokens that are not padding.

    model: 'mini', 'minilm', a folder or a hub name AutoModel can load. Raises UserError when it cannot be loaded.
    """
    import torch

    from helpers.encoder.load import encoder_of

    device = compute.device()
    network, tokenizer = encoder_of(model)
    network = network.to(device)
    network.eval()
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    order = np.argsort([-len(ids) for ids in encoded], kind="stable")  # like lengths together: little padding
    vectors = np.empty((len(encoded), network.config.hidden_size), np.float32)
    with torch.inference_mode(), compute.autocast(device):
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt").to(device)
            hidden = network(**batch).last_hidden_state.float()
            mask = batch["attention_mask"][:, :, None]
            vectors[rows] = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()
    return vectors
