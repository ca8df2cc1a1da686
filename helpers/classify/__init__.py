"""Fine-tuning: the paper's classifier and recipe, scores, and a TF-IDF baseline (Tables 3, 5, 6 and 14)."""

from importlib import import_module

_HOMES = {
    "metrics": ("scores", "degenerate", "log_losses"),
    "recipes": ("Recipe", "PAPER", "STRONG", "recipe_for"),
    "inputs": ("Encoded", "check_task", "encode"),
    "model": ("Classifier", "new_classifier"),
    "saved": ("save_classifier", "load_classifier", "predict"),
    "loop": ("Result", "fine_tune", "evaluate"),
    "baselines": ("BASELINES", "baseline", "text_vectors", "read_out"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
__all__ = sorted(_HOME_OF)


def __getattr__(name: str):
    # Loaded on first use: scores and recipes are wanted where torch is not.
    if name in _HOME_OF:
        return getattr(import_module(f"helpers.classify.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module 'helpers.classify' has no attribute {name!r}")
