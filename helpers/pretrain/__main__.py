"""`python -m helpers.pretrain`: one adaptation from the command line, alone or under torchrun on many GPUs.

    torchrun --nproc-per-node 8 -m helpers.pretrain --model roberta-base --texts biomed.jsonl.gz \\
        --recipe dapt --output biomed-roberta
"""

import argparse
import sys
from pathlib import Path

from helpers.data import load_domain
from helpers.errors import UserError
from helpers.pretrain import DAPT, TAPT, adapt, processes, scaled


def main(arguments: list[str] | None = None) -> None:
    """Adapt a masked LM to a JSONL file of text; every option left out keeps the recipe's value."""
    parser = argparse.ArgumentParser(prog="python -m helpers.pretrain", description=main.__doc__)
    parser.add_argument("--model", default="mini", help="mini, a hub name or a folder")
    parser.add_argument("--texts", required=True, type=Path, help="JSON lines with `text`, .gz or not")
    parser.add_argument("--output", required=True, type=Path, help="folder of the adapted model; resumes there")
    parser.add_argument("--recipe", choices=("dapt", "tapt"), default="dapt")
    parser.add_argument("--seed", type=int, default=0)
    kinds = {
        "steps": int, "epochs": float, "batch-size": int, "learning-rate": float, "max-length": int,
        "mask-probability": float, "dropout": float, "packing": str,
    }  # fmt: skip
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind)
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, help="by the length of the run if left out")
    options = vars(parser.parse_args(arguments))
    source = {name: options.pop(name) for name in ("model", "texts", "output", "recipe", "seed", "compile")}
    changes = {name: value for name, value in options.items() if value is not None}
    recipe = scaled({"dapt": DAPT, "tapt": TAPT}[source["recipe"]], **changes)
    corpus = load_domain(source["texts"].name.split(".")[0], domain_file=str(source["texts"]))
    adapt(source["model"], corpus, recipe, source["output"], seed=source["seed"], compile=source["compile"])
    processes.leave()


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
