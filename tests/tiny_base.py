"""A base model that costs nothing: mini's tokenizer, one layer of width 8, random weights."""

from pathlib import Path


def make_base(folder: Path, **changes) -> Path:
    """Write the model to `folder` and return that. changes: of its configuration."""
    import torch
    from transformers import AutoTokenizer, RobertaConfig, RobertaForMaskedLM

    from helpers.paths import MINI

    tokenizer = AutoTokenizer.from_pretrained(MINI)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    shape = dict(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    config = RobertaConfig(vocab_size=len(tokenizer), max_position_embeddings=66, **shape, **ids, **changes)
    RobertaForMaskedLM(config).save_pretrained(folder)
    return folder
