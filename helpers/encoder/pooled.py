"""Sentence vectors of a transformer: the mean of its last hidden states, or of its word embeddings."""

from collections.abc import Sequence

import numpy as np

from helpers import compute


def mean_pooled(
    texts: Sequence[str], model: str, max_length: int = 128, batch_size: int = 64, layer: str = "last"
) -> np.ndarray:
    """[n, hidden] float32: last hidden states, mean over the tokens that are not padding.

    model: 'mini', 'minilm', a folder or a hub name AutoModel can load. layer: 'words' takes the input embeddings, which
    know neither order nor context, instead of the 'last' hidden states. Raises UserError when it cannot be loaded.
    """
    import torch

    from helpers.encoder.load import encoder_of

    device = compute.device()
    network, tokenizer = encoder_of(model)
    network = network.to(device)
    network.eval()
    encoded = tokenizer(list(texts), truncation=True, max_length=max_length)["input_ids"]
    order = np.argsort([-len(ids) for ids in encoded], kind="stable")  # like lengths together: little padding
    words = network.get_input_embeddings()
    width = words.embedding_dim if layer == "words" else network.config.hidden_size
    vectors = np.empty((len(encoded), width), np.float32)
    with torch.inference_mode(), compute.autocast(device):
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            batch = tokenizer.pad({"input_ids": [encoded[row] for row in rows]}, return_tensors="pt").to(device)
            hidden = words(batch["input_ids"]) if layer == "words" else network(**batch).last_hidden_state
            hidden = hidden.float()
            mask = batch["attention_mask"][:, :, None]
            vectors[rows] = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()
    return vectors
