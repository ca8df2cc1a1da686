"""The optimiser of every training here: AdamW with decoupled decay."""

import torch


def adamw(model: torch.nn.Module, recipe) -> torch.optim.Optimizer:
    """AdamW over the model's trainable parameters, no decay on biases and LayerNorm.

    recipe: anything with learning_rate, weight_decay, adam_betas and adam_epsilon. Paper: Tables 13 and 14.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=tuple(recipe.adam_betas), eps=recipe.adam_epsilon, fused=True
    )
