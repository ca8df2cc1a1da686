"""`python -m helpers.pretrain`: one adaptation from the command line, alone or under torchrun on many GPUs.

    torchrun --nproc-per-node 8 -m helpers.pretrain --model roberta-base --texts biomed.jsonl.gz \\
        --recipe dapt --output biomed-roberta
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from helpers.compute import keep_memory
from helpers.data import load_domain
from helpers.data.raw import stem
from helpers.errors import UserError
from helpers.files import read_json
from helpers.pretrain import DAPT, TAPT, Recipe, adapt, processes, scaled

RECIPES = {"dapt": DAPT, "tapt": TAPT}

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    texts: Annotated[Path, typer.Option(help="JSON lines with `text`, .gz or not")],
    output: Annotated[Path, typer.Option(help="folder of the adapted model; resumes there")],
    model: Annotated[str, typer.Option(help="mini, a hub name or a folder")] = "mini",
    recipe: Annotated[
        str, typer.Option(help="dapt, tapt or a JSON file of a Recipe's values; every option left out keeps its value")
    ] = "dapt",
    seed: int = 0,
    compile: Annotated[bool | None, typer.Option(help="by the length of the run if left out")] = None,
    steps: int | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    max_length: int | None = None,
    mask_probability: float | None = None,
    dropout: float | None = None,
    packing: str | None = None,
    decay: Annotated[float | None, typer.Option(help="share of updates at the end over which the rate falls")] = None,
    as_child: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Adapt a masked LM to a JSONL file of text."""
    changes = dict(
        steps=steps, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, max_length=max_length,
        mask_probability=mask_probability, dropout=dropout, packing=packing, decay=decay,
    )  # fmt: skip
    changes = {name: value for name, value in changes.items() if value is not None}
    keep_memory()
    if as_child:
        processes.end_with_starter()
    corpus = load_domain(texts, name=stem(texts))
    adapt(model, corpus, scaled(read_recipe(recipe), **changes), output, seed=seed, compile=compile)
    processes.leave()


def read_recipe(name: str) -> Recipe:
    """The recipe of that name, or in that JSON file. Raises UserError where it is neither."""
    if name in RECIPES:
        return RECIPES[name]
    try:
        return Recipe(**read_json(name))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"recipe {name}: expected dapt, tapt or a JSON file of a Recipe's values ({error})") from None


if __name__ == "__main__":
    try:
        app()
    except (UserError, OSError) as error:
        sys.exit(f"error: {error}")
