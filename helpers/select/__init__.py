"""Data selection for TAPT: VAMPIRE neighbours, random, and rivals at an equal budget (paper, section 5.2).

    from helpers.select import select_text
    selection = select_text(task_sentences, domain_sentences, "vampire", k=50, exclude=dev_and_test)

Names are loaded when first used: only VAMPIRE and the embedding selector need torch.
"""

from importlib import import_module

_WHERE = {
    "Vampire": "vampire", "load_vampire": "vampire", "save_vampire": "vampire",
    "VampireConfig": "vampire_config", "MENDED": "vampire_config", "FAITHFUL": "vampire_config",
    "QUIRKS": "vampire_config", "neighbours": "nearest", "SELECTORS": "rivals",
    "Selection": "pool", "select_text": "pool", "write_selection": "pool", "join_with_task": "pool",
    "kl_reduction": "ngrams", "neighbours_table": "views", "map_2d": "views", "selection_overlap": "views",
    "word_cover": "views", "compare_selections": "views",
}  # fmt: skip
__all__ = sorted(_WHERE)


def __getattr__(name: str):
    if name in _WHERE:
        return getattr(import_module(f"helpers.select.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
