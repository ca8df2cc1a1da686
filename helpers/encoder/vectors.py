"""A BERT-like encoder's vectors at chosen tokens, in fewer passes over memory: same weights, same function.

Training reads few vectors of the last layer: a classifier each text's first, a masked LM those of its masked tokens.
So that layer's queries, output and feed-forward part run for these tokens only, which saves a sixth of the work of a
masked LM of four layers and a fifth of a classifier's. BERT and RoBERTa (and their kin, which share these modules)
take this road; every other encoder runs as it is.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import library
from torch.nn import functional

BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert")
SLOTS = 8  # places a row are a multiple of this, so that a compiled step meets few shapes


@dataclass(frozen=True)
class Reading:
    """The tokens whose last vectors are read, as flat cells and as places in rows.

    cells: [n] indices into the flattened rows, ascending. asked: [rows, slots] the same cells row by row, filled up
    with the row's first cell. places: [n] where in the flattened `asked` each of `cells` stands.
    """

    cells: np.ndarray
    asked: np.ndarray
    places: np.ndarray

    @classmethod
    def of(cls, cells, rows: int, length: int, slots: int = SLOTS) -> "Reading":
        """Reading of the flat `cells` (ascending) of that many rows of `length` tokens."""
        cells = np.asarray(cells, dtype=np.int64)
        row = cells // length
        counts = np.bincount(row, minlength=rows)
        most = max(slots, -(-int(counts.max(initial=0)) // slots) * slots)
        places = row * most + np.arange(len(cells)) - (np.cumsum(counts) - counts)[row]
        asked = np.repeat(np.arange(rows) * length, most)
        asked[places] = cells
        return cls(cells, asked.reshape(rows, most), places)

    def to(self, device) -> "Reading":
        """The same as tensors on `device`, which `read_vectors` wants."""
        return Reading(*(torch.from_numpy(part).to(device) for part in (self.cells, self.asked, self.places)))


def is_bert_like(config) -> bool:
    """Whether `read_vectors` knows the modules of a model of this configuration."""
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    return config.model_type in BERT_LIKE and positions == "absolute" and not getattr(config, "is_decoder", False)


def read_vectors(encoder, input_ids, position_ids, segments, reading: Reading, low, masked=True) -> torch.Tensor:
    """[n, width] fp32 vectors of the last layer at the cells of `reading`.

    encoder: a BERT-like model of transformers. input_ids, position_ids, segments: [rows, length] of packed windows,
    see helpers.encoder.packing. reading: as tensors. low: dtype of products and attention. masked: False says that
    every row is one window without padding, so nothing is masked.
    """
    hidden = _embed(encoder.embeddings, input_ids, position_ids)
    together = segments[:, None, :, None] == segments[:, None, None, :] if masked else None
    *layers, last = encoder.encoder.layer
    for layer in layers:
        hidden = _layer(layer, hidden, together, low)
    own = segments.flatten()[reading.asked][:, None, :, None] == segments[:, None, None, :] if masked else None
    return _layer(last, hidden, own, low, reading)


def _embed(embeddings, input_ids, position_ids):
    words, positions, kinds = (
        table.weight
        for table in (embeddings.word_embeddings, embeddings.position_embeddings, embeddings.token_type_embeddings)
    )
    summed = _Lookup.apply(words, input_ids) + _Lookup.apply(positions, position_ids) + kinds[0]
    return embeddings.dropout(embeddings.LayerNorm(summed))


def _layer(layer, hidden, allowed, low, reading: Reading | None = None):
    """One transformer layer over `hidden` [rows, length, width] in fp32, at all tokens or at those of `reading`.

    allowed: boolean, which tokens see which; None for all. Products and attention run in `low`, sums and LayerNorm
    in fp32.
    """
    own, output = layer.attention.self, layer.attention.output
    reads = [own.query, own.key, own.value] if reading is None else [own.key, own.value]
    weight = torch.cat([part.weight for part in reads]).to(low)
    bias = torch.cat([part.bias for part in reads]).to(low)
    rows, length, width = hidden.shape
    heads = (rows, -1, len(reads), own.num_attention_heads, own.attention_head_size)
    parts = functional.linear(hidden.to(low), weight, bias).view(heads).permute(2, 0, 3, 1, 4).unbind()
    if reading is None:
        context = _attention(*parts, allowed, own.dropout).transpose(1, 2).flatten(2)
    else:
        flat = hidden.view(rows * length, width)
        asking = flat.index_select(0, reading.asked.flatten())
        query = _linear(own.query, asking, low).view(rows, -1, *heads[3:]).transpose(1, 2)
        context = _attention(query, *parts, allowed, own.dropout).transpose(1, 2).reshape(-1, width)
        context, hidden = context.index_select(0, reading.places), flat.index_select(0, reading.cells)
    seen = output.LayerNorm(output.dropout(_linear(output.dense, context, low)) + hidden)
    inner = layer.intermediate.intermediate_act_fn(_linear(layer.intermediate.dense, seen, low))
    return layer.output.LayerNorm(layer.output.dropout(_linear(layer.output.dense, inner, low)) + seen)


def _linear(module, x, low):
    return functional.linear(x.to(low), module.weight.to(low), module.bias.to(low))


def _attention(query, key, value, allowed, dropout):
    """Softmax attention with dropout on its weights; [rows, heads, tokens, head width] in and out."""
    rate = dropout.p if dropout.training else 0.0
    # On a CPU torch's fused attention is quick forwards only; its backward pass is slower than these products'.
    if query.device.type != "cpu" or not torch.is_grad_enabled():
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed, dropout_p=rate)
    rows, heads, asking, width = query.shape
    query, key, value = (part.reshape(rows * heads, -1, width) for part in (query, key, value))
    scores, weight_of_mask = query.new_empty(1), 0
    if allowed is not None:
        scores, weight_of_mask = torch.zeros(allowed.shape, dtype=query.dtype), 1
        scores = scores.masked_fill_(~allowed, torch.finfo(query.dtype).min)
        scores = scores.expand(rows, heads, -1, -1).reshape(rows * heads, asking, -1)
    scores = torch.baddbmm(scores, query, key.transpose(1, 2), beta=weight_of_mask, alpha=width**-0.5)
    return (dropout(scores.softmax(dim=-1)) @ value).view(rows, heads, asking, width)


class _Lookup(torch.autograd.Function):
    """Rows of a table; a compiler leaves its gradient to torch's own kernel, which adds without atomics."""

    @staticmethod
    def forward(ctx, table, ids):
        ctx.save_for_backward(ids)
        ctx.size = len(table)
        return functional.embedding(ids, table)

    @staticmethod
    def backward(ctx, gradient):
        return _gradient_of_table(gradient, ctx.saved_tensors[0], ctx.size), None


@library.custom_op("dsp::gradient_of_table", mutates_args=())
def _gradient_of_table(gradient: torch.Tensor, ids: torch.Tensor, size: int) -> torch.Tensor:
    return torch.ops.aten.embedding_dense_backward(gradient.contiguous(), ids, size, -1, False)


@_gradient_of_table.register_fake
def _(gradient, ids, size):
    return gradient.new_empty(size, gradient.shape[-1])
