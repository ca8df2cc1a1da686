"""`python -m helpers.pretrain`: one adaptation from the command line, alone or under torchrun on many GPUs.

    torchrun --nproc-per-node 8 -m helpers.pretrain --model roberta-base --texts biomed.jsonl.gz \\
        --recipe dapt --output biomed-roberta
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from helpers.compute import keep_memory
from helpers.data import load_domain
from helpers.data.raw import stem
from helpers.errors import UserError
from helpers.pretrain import DAPT, TAPT, adapt, processes, scaled

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    texts: Annotated[Path, typer.Option(help="JSON lines with `text`, .gz or not")],
    output: Annotated[Path, typer.Option(help="folder of the adapted model; resumes there")],
    model: Annotated[str, typer.Option(help="mini, a hub name or a folder")] = "mini",
    recipe: Annotated[Literal["dapt", "tapt"], typer.Option(help="every option left out keeps its value")] = "dapt",
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
) -> None:
    """Adapt a masked LM to a JSONL file of text."""
    changes = dict(
        steps=steps, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, max_length=max_length,
        mask_probability=mask_probability, dropout=dropout, packing=packing, decay=decay,
    )  # fmt: skip
    changes = {name: value for name, value in changes.items() if value is not None}
    keep_memory()
    corpus = load_domain(stem(texts), domain_file=str(texts))
    adapt(model, corpus, scaled({"dapt": DAPT, "tapt": TAPT}[recipe], **changes), output, seed=seed, compile=compile)
    processes.leave()


if __name__ == "__main__":
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")
