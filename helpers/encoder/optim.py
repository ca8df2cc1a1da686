"""The optimiser of every training here, AdamW with decoupled decay, and its learning rate."""


def adamw(model, recipe):
    """AdamW over the model's trainable parameters, no decay on biases and LayerNorm.

    recipe: anything with learning_rate, weight_decay, adam_betas and adam_epsilon. Paper: Tables 13 and 14.
    """
    import torch

    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=tuple(recipe.adam_betas), eps=recipe.adam_epsilon, fused=True
    )


def warmed_linear(update: int, updates: int, warm: float, peak: float = 1.0, fall: float | None = None) -> float:
    """Learning rate at `update`, 0 .. updates - 1: up to `peak` over the first `warm` updates, then down towards 0.

    fall: over how many updates at the end it goes down, the peak held until then; None: over all after `warm`.

    >>> [warmed_linear(update, 6, warm=2) for update in range(6)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25]
    >>> [warmed_linear(update, 6, warm=2, fall=2) for update in range(6)]
    [0.5, 1.0, 1.0, 1.0, 1.0, 0.5]
    """
    if update + 1 <= warm:
        return peak * (update + 1) / warm
    fall = updates - warm if fall is None else fall
    if update < updates - fall:
        return peak
    return peak * (updates - update) / max(1, fall)
