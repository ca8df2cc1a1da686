"""Where the time of an update of masked-LM training goes, by torch's own profiler."""

from collections.abc import Iterator
from time import perf_counter

import torch
import torch._inductor.config
from torch.profiler import ProfilerActivity, profile, record_function

from benchmarks.common import row
from helpers.encoder.load import load_masked_lm
from helpers.encoder.packing import position_offset, tokenize
from helpers.pretrain import Recipe, processes
from helpers.pretrain.batches import Vocabulary, updates
from helpers.pretrain.training import Training, can_compile

WARM = 6  # updates not counted, in which the step is compiled
# kind of work -> what the names of its operators hold; a fused kernel, named after all it does, is of the first kind
KINDS = {
    "packing and masking": ("packing",),
    "loss": ("log_softmax", "nll_loss", "cross_entropy"),
    "optimiser": ("adamw", "_foreach", "optimizer", "vector_norm"),
    "attention": ("bmm", "softmax", "masked_fill"),
    "normalisation and activation": ("layer_norm", "gelu", "dropout", "draw"),
    "products": ("mm", "linear", "mkldnn"),
    "embeddings": ("embedding", "gradient_of_table"),
    "sums, copies and casts": ("aten::", "cpp_fused"),
}


def where_time_goes(model: str, texts: list[str], length: int, count: int) -> Iterator[dict]:
    """Share of the time of `count` updates of 4,096 tokens a kind of work, and the time of one."""
    net, tokenizer, _ = load_masked_lm(model)
    windows = tokenize(texts, tokenizer, length)
    recipe = Recipe("profile", 1e-4, 4096 // length, steps=WARM + count, max_length=length)
    width = float(windows.starts[-1]) / len(windows)
    run = Training(net, recipe, recipe.steps, 0, can_compile(), width, True, processes.join())
    stream = updates(windows, recipe, Vocabulary.of(tokenizer, position_offset(net)), seed=0)
    with torch._inductor.config.patch({"cpp.enable_kernel_profile": True}):  # kernels tell the profiler their names
        for step in range(WARM):
            run.update(step, next(stream))
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        began = perf_counter()
        for step in range(WARM, recipe.steps):
            with record_function("packing"):
                update = next(stream)
            run.update(step, update)
        seconds = perf_counter() - began
    spent = dict.fromkeys(KINDS, 0.0)
    for event in profiler.key_averages():
        kinds = (kind for kind, parts in KINDS.items() if any(part in event.key.lower() for part in parts))
        if kind := next(kinds, None):
            spent[kind] += event.self_cpu_time_total / 1e6
    spent["Python"] = seconds - sum(spent.values())  # between operators
    yield row(f"profile, {model}, {length} tokens: an update", "ms", 1e3 * seconds / count, None, "profiled")
    for kind, part in sorted(spent.items(), key=lambda item: -item[1]):
        yield row(f"profile, {model}, {length} tokens: {kind}", "share", part / seconds, None, "of an update")
