"""Sentence vectors of a transformer: the mean of its last hidden states, or of its word embeddings."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers import compute
from helpers.data.text import checked
from helpers.encoder.packing import special_ids, within_positions
from helpers.files import write_json


def mean_pooled(
    texts: Sequence[str], model: str, max_length: int = 128, batch_size: int = 64, layer: str = "last"
) -> np.ndarray:
    """[n, hidden] float32: last hidden states, mean over the tokens that are not padding.

    model: 'mini', 'minilm', a folder or a hub name AutoModel can load. max_length: tokens a text, at most as many
    as the model has positions; longer ones are cut. layer: 'words' takes the input embeddings, which know neither order
    nor context, instead of the 'last' hidden states. Raises UserError when it cannot be loaded, and when a text's
    neighbours would change its vector.
    """
    import torch

    from helpers.encoder.load import encoder_of

    device = compute.device()
    network, tokenizer = encoder_of(model)
    network = network.to(device)
    network.eval()
    backend = tokenizer.backend_tokenizer
    backend.no_padding()
    if layer != "words":
        max_length = within_positions(network, max_length)
    bare = not tokenizer.num_special_tokens_to_add()  # without a post-processor; adaptation adds them all the same
    backend.enable_truncation(max_length - 2 * bare, direction=tokenizer.truncation_side)
    encoded = [one.ids for one in backend.encode_batch_fast(list(checked(texts)))]
    if bare:
        first, last = special_ids(tokenizer)
        encoded = [[first, *ids, last] for ids in encoded]
    lengths = np.array([len(ids) for ids in encoded])
    order = np.argsort(-lengths, kind="stable")  # like lengths together: little padding
    words = network.get_input_embeddings()
    width = words.embedding_dim if layer == "words" else network.config.hidden_size
    vectors = np.empty((len(encoded), width), np.float32)
    with torch.inference_mode(), compute.autocast(device):
        for first in range(0, len(order), batch_size):
            rows = order[first : first + batch_size]
            # tokenizer.pad does this cell by cell, and where it pads on the left it moves absolute positions
            filled = np.arange(lengths[rows[0]]) < lengths[rows, None]
            ids = np.full(filled.shape, tokenizer.pad_token_id or 0)
            ids[filled] = np.concatenate([encoded[row] for row in rows])
            ids, mask = (torch.from_numpy(part.astype(np.int64)).to(device) for part in (ids, filled))
            hidden = words(ids) if layer == "words" else network(ids, attention_mask=mask).last_hidden_state
            hidden, mask = hidden.float(), mask[:, :, None]
            vectors[rows] = ((hidden * mask).sum(1) / mask.sum(1)).cpu().numpy()
    return vectors


def write_sentence_encoder(model: str | Path, folder: str | Path, max_length: int = 128) -> Path:
    """Write an adapted model's encoder as a folder that sentence-transformers loads: mean over the tokens' vectors.

    model: 'mini', 'minilm', a folder or a hub name. max_length: tokens a text, longer ones are cut. Returns the folder,
    which is an ordinary Hugging Face encoder too. Its vectors are those of `mean_pooled`; nothing has taught them yet
    that like texts lie near each other. Raises UserError when the model cannot be loaded.
    """
    from helpers.encoder.load import encoder_of, save_tokenizer

    folder = Path(folder)
    network, tokenizer = encoder_of(str(model))
    folder.mkdir(parents=True, exist_ok=True)
    network.save_pretrained(folder)
    save_tokenizer(tokenizer, folder, within_positions(network, max_length))
    library = "sentence_transformers.models"
    steps = [("0", "", f"{library}.Transformer"), ("1", "1_Pooling", f"{library}.Pooling")]
    modules = [{"idx": int(name), "name": name, "path": path, "type": kind} for name, path, kind in steps]
    write_json(folder / "modules.json", modules)
    told = {"max_seq_length": within_positions(network, max_length), "do_lower_case": False}
    write_json(folder / "sentence_bert_config.json", told)
    (folder / "1_Pooling").mkdir(exist_ok=True)
    pooling = {"word_embedding_dimension": network.config.hidden_size, "pooling_mode_mean_tokens": True,
               "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False}  # fmt: skip
    write_json(folder / "1_Pooling" / "config.json", pooling)
    return folder
