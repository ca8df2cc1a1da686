"""The encoder's <s> vectors in fewer passes over memory: same weights, same function, same dropout rates.

A classifier reads one vector a text, so the last layer computes that vector only: its queries, output and
feed-forward part run for one token of each text instead of all. That is a fifth of a 4-layer model's work.
BERT and RoBERTa (and their kin, which share these modules) take this road; every other encoder runs as it is.
"""

import torch
from torch.nn import functional

from helpers import compute
from helpers.classify.batches import Batch

BERT_LIKE = ("bert", "roberta", "xlm-roberta", "camembert")


def first_vectors(encoder, batch: Batch) -> torch.Tensor:
    """[windows, width] fp32 vectors of each window's first token in the last layer, in the batch's order."""
    device = encoder.device
    row, column = (torch.from_numpy(place).to(device) for place in (batch.row, batch.column))
    if not batch.packed or not _has_bert_layers(encoder.config):
        with compute.autocast(device):
            return encoder(**batch.inputs(device)).last_hidden_state[row, column].float()
    segments = batch.segments.to(device)
    hidden = encoder.embeddings(batch.input_ids.to(device), position_ids=batch.position_ids.to(device))
    low = torch.bfloat16 if compute.precision(device) == "bf16" else torch.float32
    alone = bool((batch.segments == 1).all())  # every row is one window without padding: nothing to mask
    together = None if alone else segments[:, None, :, None] == segments[:, None, None, :]
    layers = encoder.encoder.layer
    for layer in layers[:-1]:
        hidden = _layer(layer, hidden, hidden, together, low)
    # From here on a row is a window's first token, which looks at the tokens of its window.
    own = None if alone else segments[row, column][:, None, None, None] == segments[row][:, None, None, :]
    return _layer(layers[-1], hidden, hidden[row, column][:, None], own, low, row)[:, 0]


def _has_bert_layers(config) -> bool:
    positions = getattr(config, "position_embedding_type", None) or "absolute"
    return config.model_type in BERT_LIKE and positions == "absolute" and not getattr(config, "is_decoder", False)


def _layer(layer, hidden, asking, allowed, low, row=None):
    """One transformer layer. hidden: [rows, length, width] attended to; asking: what attends, fp32 both.

    allowed: boolean, which cells see which; None for all. row: the row of `hidden` that each row of `asking`
    looks at, None for its own. Products and attention run in `low`, sums and LayerNorm in fp32.
    """
    own, output = layer.attention.self, layer.attention.output
    reads = [own.key, own.value] if row is not None else [own.query, own.key, own.value]
    weight = torch.cat([part.weight for part in reads]).to(low)
    bias = torch.cat([part.bias for part in reads]).to(low)
    heads = (*hidden.shape[:2], len(reads), own.num_attention_heads, own.attention_head_size)
    parts = functional.linear(hidden.to(low), weight, bias).view(heads).permute(2, 0, 3, 1, 4).unbind()
    if row is not None:
        query = _linear(own.query, asking, low).view(len(row), 1, heads[3], heads[4]).transpose(1, 2)
        parts = query, parts[0][row], parts[1][row]
    context = _attention(*parts, allowed, own.dropout).transpose(1, 2).flatten(2)
    seen = output.LayerNorm(output.dropout(_linear(output.dense, context, low)) + asking)
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
    rows, heads, length, width = query.shape
    query, key, value = (part.reshape(rows * heads, -1, width) for part in (query, key, value))
    scores, weight_of_mask = query.new_empty(1), 0
    if allowed is not None:
        scores, weight_of_mask = torch.zeros(allowed.shape, dtype=query.dtype), 1
        scores = scores.masked_fill_(~allowed, torch.finfo(query.dtype).min)
        scores = scores.expand(rows, heads, -1, -1).reshape(rows * heads, length, -1)
    scores = torch.baddbmm(scores, query, key.transpose(1, 2), beta=weight_of_mask, alpha=width**-0.5)
    return (dropout(scores.softmax(dim=-1)) @ value).view(rows, heads, length, width)
