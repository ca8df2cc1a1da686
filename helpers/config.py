"""Presets and parameters: one frozen, validated `Config` a run.

A preset sets how much is computed and at what rates, never which steps: notebooks, command line and tests share this
table.
"""

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from helpers.errors import UserError, nearest
from helpers.methods import SELECTORS
from helpers.paths import model_folder

SAMPLE_TASKS = ("rct_nlm", "arxiv_cs", "bbc", "imdb_sample")
TOY_TASKS = ("toy_biomed", "toy_cs", "toy_news", "toy_reviews")
PAPER_TASKS = ("chemprot", "rct", "citation_intent", "sciie", "hyperpartisan_news", "ag", "helpfulness", "imdb")

# Parameters that say where on this machine things lie and by what it computes: in no key and in no record.
MACHINE = ("output_dir", "workers", "cluster", "adaptation_processes")  # the numbers are the same by any of them
HERE = (*MACHINE, "data_dir", "task_file", "domain_file")
# Parameters that say what a run is about and by which chance: the rest says how much is computed, and at what rates.
ABOUT = ("preset", "tasks", "domains", "selection_tasks", "selectors", "text_column", "label_column", "first_seed")
REPEATS = ("seeds", "strong_seeds", "read_outs", "adaptation_seeds")  # that say how often: more of them is no other run
# More than any machine can do in a lifetime, and still a number that every library below takes.
MOST = 10**9
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Config(BaseModel):
    """Everything a run depends on; a notebook's UPPER_CASE parameter is the field of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    preset: str = Field(description="smoke, demo, laptop or paper")
    tasks: tuple[Name, ...] = Field(min_length=1, description="labelled tasks")
    domains: tuple[Name, ...] = Field(
        (), description="domains to adapt to; empty: the tasks' own, and those not-DAPT needs"
    )
    base_model: str = Field(min_length=1, description="mini, minilm, a hub name or the path of a masked-LM folder")
    seeds: int = Field(ge=1, le=1000, description="fine-tuning seeds, first_seed and those after it")
    first_seed: int = Field(0, ge=0, le=10**6, description="where all seeds begin; another: the run by other chance")
    data_dir: str = Field("", description="a data root tried before every other source; 'toy' generates text")
    output_dir: str = Field("", description="where results go; empty: outputs/<preset>")
    task_file: str = Field("", description="labelled rows, a folder of splits, or TOML that registers tasks")
    domain_file: str = Field("", description="your own domains: files or folders between commas, named by their stems")
    text_column: str = Field("", description="column of the text in TASK_FILE, else in DOMAIN_FILE; empty: found")
    label_column: str = Field("", description="column of the label in TASK_FILE; empty: found")
    workers: int = Field(0, ge=0, le=1024, description="processes for independent jobs; 0: one a core")
    cluster: str = Field("", description="where jobs run: empty for this machine, slurm, pbs, or a Dask scheduler")
    max_train: int = Field(0, ge=0, le=MOST, description="training rows a task; 0: all")
    max_dev: int = Field(0, ge=0, le=MOST, description="dev rows a task; 0: all")
    max_test: int = Field(0, ge=0, le=MOST, description="test rows a task; 0: all")
    max_length: int = Field(512, ge=8, le=512, description="tokens a sequence")
    top_words: int = Field(10_000, ge=1, le=MOST, description="words a vocabulary in Figure 2")
    overlap_documents: int = Field(50_000, ge=1, le=MOST, description="documents a domain in Figure 2")
    heldout_documents: int = Field(50_000, ge=1, le=MOST, description="held-out documents a domain for masked-LM loss")
    dapt_steps: int = Field(12_500, ge=1, le=MOST, description="updates of DAPT")
    dapt_batch: int = Field(2048, ge=1, le=MOST, description="sequences an update of DAPT")
    dapt_learning_rate: float = Field(5e-4, gt=0, le=1, description="peak learning rate of DAPT")
    tapt_epochs: int = Field(100, ge=1, le=MOST, description="most passes over the task's text in TAPT")
    tapt_tokens: int = Field(0, ge=0, le=10**15, description="tokens of each TAPT, about, in whole passes; 0: DAPT's")
    tapt_batch: int = Field(0, ge=0, le=MOST, description="sequences an update of TAPT; 0: the paper's 256 or 2048")
    tapt_learning_rate: float = Field(0.0, ge=0, le=1, description="peak learning rate of TAPT; 0: the paper's")
    labels: int = Field(0, ge=0, le=MOST, description="labelled rows to fine-tune on, another draw each seed; 0: all")
    epochs: int = Field(0, ge=0, le=MOST, description="fine-tuning epochs; 0: the paper's 10 or 3 by task size")
    learning_rate: float = Field(2e-5, gt=0, le=1, description="learning rate of fine-tuning")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of fine-tuning that warms up; 0: the paper's schedule")
    batch_size: int = Field(16, ge=1, le=MOST, description="examples an update of fine-tuning")
    patience: int = Field(3, ge=1, le=MOST, description="epochs without a better dev score before stopping")
    tested_weights: Literal["best", "last"] = Field(
        "best", description="weights that are tested: of the 'best' dev epoch, as in the paper, or the 'last'"
    )
    read_outs: int = Field(0, ge=0, le=1000, description="draws of the frozen read-out; 0: leave it out")
    label_budgets: tuple[Annotated[int, Field(ge=0, le=MOST)], ...] = Field(
        (0,), min_length=1, description="labelled rows of the frozen read-out's curve; 0: all"
    )
    adaptation_seeds: int = Field(1, ge=1, le=100, description="adaptations of each text; fine-tunings take turns")
    adaptation_processes: int = Field(1, ge=1, le=1024, description="processes an adaptation is divided among")
    selection_tasks: tuple[Name, ...] = Field(description="tasks that text is selected for in Table 8")
    selectors: tuple[Name, ...] = Field(min_length=1, description="ways of selecting text, see helpers.select")
    neighbours: tuple[Annotated[int, Field(ge=1, le=MOST)], ...] = Field(
        min_length=1, description="neighbours a task sentence (k)"
    )
    pool_sentences: int = Field(1_000_000, ge=1, le=MOST, description="domain sentences to select from")
    vampire_epochs: int = Field(50, ge=1, le=MOST, description="most epochs of VAMPIRE")
    strong_seeds: int = Field(0, ge=0, le=1000, description="seeds under the stronger recipe; 0: leave it out")

    @property
    def read_out_labels(self) -> int:
        """Labelled rows a frozen read-out: LABELS, or the smallest of LABEL_BUDGETS where LABELS means all; 0: all."""
        return self.labels or min(filter(None, self.label_budgets), default=0)

    @field_validator("tasks", "domains", "selection_tasks", "selectors", "neighbours", "label_budgets", mode="before")
    @classmethod
    def _split_words(cls, value):
        """Accept 'a,b' and '50,150' as a command line gives them, and a lone number."""
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return (value,) if isinstance(value, int) else value

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_odd_values(cls, value):
        if isinstance(value, bool):
            raise ValueError("expected a number or words, not true or false")
        if isinstance(value, str) and not value.isprintable():
            raise ValueError("expected words without control characters")
        return value

    @field_validator("tasks", "domains", "selection_tasks", "selectors", "neighbours", "label_budgets")
    @classmethod
    def _refuse_repeats(cls, values: tuple):
        for value in values:
            if values.count(value) > 1:
                raise ValueError(f"{value!r} is named twice")
            if isinstance(value, str) and not value.isprintable():
                raise ValueError("expected words without control characters")
        return values

    @field_validator("selectors")
    @classmethod
    def _know_selectors(cls, values: tuple[str, ...]):
        for value in values:
            if value not in SELECTORS:
                raise ValueError(f"{value!r} is none of {', '.join(SELECTORS)}.{nearest(value, SELECTORS)}")
        return values


PRESETS: dict[str, dict] = {
    # Minutes: generated text, to see that everything works.
    "smoke": dict(
        tasks=TOY_TASKS, base_model="mini", seeds=2, data_dir="toy", max_train=32, max_dev=32,
        max_test=32, max_length=48, top_words=300, overlap_documents=200, heldout_documents=24, dapt_steps=10,
        dapt_batch=32, dapt_learning_rate=5e-4, tapt_epochs=3, tapt_batch=32, tapt_learning_rate=5e-4, epochs=2,
        learning_rate=5e-4, batch_size=16, patience=2, selection_tasks=("toy_biomed",),
        selectors=("vampire", "random"), neighbours=(2,), pool_sentences=600, vampire_epochs=5, read_outs=3,
        label_budgets=(16, 0),
    ),
    # Real text out of pinned PyPI wheels, no hub. Few labels, for with hundreds the methods hardly differ here; many
    # draws of them, for one draw says little. Fine-tuning by dev score of the unadapted base at 100 labels, mean over
    # the four tasks (arxiv_cs of ten classes then) and draws 100 and 101: 50.9 with these, 48.5 to 52.0 at other rates
    # (3e-4 to 2e-3), lengths (10 to 30 epochs) and batches (4 and 8), alike within the chance of draws; 34 to 39 at
    # 2e-3 in batches of 4. Six draws, for the t of three has two degrees of freedom and doubles every interval. Every
    # TAPT, on own, another's or selected text, reads the same number of tokens in whole passes: 1.4 to 1.6 million,
    # about half of DAPT's.
    "demo": dict(
        tasks=SAMPLE_TASKS, base_model="mini", seeds=6, max_train=800, max_dev=400, labels=100, tested_weights="last",
        read_outs=40, label_budgets=(32, 100, 320, 0), max_test=2000, max_length=128, overlap_documents=2000,
        heldout_documents=400, dapt_steps=800, dapt_batch=32, dapt_learning_rate=1e-3, tapt_tokens=1_600_000,
        tapt_batch=32, tapt_learning_rate=5e-4, epochs=10, learning_rate=1e-3, warmup=0.1, batch_size=8, patience=10,
        selection_tasks=("rct_nlm",), selectors=("vampire", "random"), neighbours=(2, 8), pool_sentences=20_000,
        vampire_epochs=15,
    ),
    # The paper's eight tasks from a data root or the hub, in a night on two cores: the demo's design, whose fine-tuning
    # it takes over, with a DAPT three times as long, more test rows, every selector and two adaptations of each text.
    "laptop": dict(
        tasks=PAPER_TASKS, base_model="mini", seeds=5, max_train=2000, max_dev=400, labels=100, tested_weights="last",
        read_outs=40, label_budgets=(32, 100, 320, 0), max_test=2000, max_length=128, overlap_documents=10_000,
        heldout_documents=500, dapt_steps=2500, dapt_batch=32, dapt_learning_rate=1e-3, adaptation_seeds=2,
        tapt_tokens=1_600_000, tapt_batch=32, tapt_learning_rate=5e-4, epochs=10, learning_rate=1e-3, warmup=0.1,
        batch_size=8, patience=10, selection_tasks=("chemprot", "rct-sample", "citation_intent"),
        selectors=tuple(SELECTORS), neighbours=(5, 50), pool_sentences=200_000, vampire_epochs=50, strong_seeds=3,
    ),
    # The paper's own recipe, for GPUs.
    "paper": dict(
        tasks=PAPER_TASKS, base_model="roberta-base", seeds=5,
        selection_tasks=("chemprot", "rct-sample", "citation_intent"), selectors=tuple(SELECTORS),
        neighbours=(50, 150, 500), strong_seeds=5, read_outs=20, label_budgets=(100, 500, 0),
    ),
}  # fmt: skip


def make_config(preset: str = "demo", overrides: Mapping | None = None) -> Config:
    """The preset's configuration with overrides applied.

    preset: a name in PRESETS. overrides: field name in any case -> value; None keeps the preset's value.
    Raises UserError for an unknown preset or parameter and for a value of the wrong kind.
    """
    if preset not in PRESETS:
        raise UserError(
            f"PRESET {_short(preset)}: expected one of {', '.join(PRESETS)}.{nearest(str(preset), PRESETS)}"
        )
    chosen = {key.lower(): value for key, value in (overrides or {}).items() if value is not None}
    for key in chosen:
        if key not in Config.model_fields:
            names = [name.upper() for name in Config.model_fields]
            raise UserError(
                f"parameter {_named(key.upper())}: there is none of that name.{nearest(key.upper(), names)}"
            )
    if chosen.pop("preset", preset) != preset:
        raise UserError("parameter PRESET: the preset is chosen by --preset, or in Python by PRESET=, not among others")
    try:
        config = Config(preset=preset, **{**PRESETS[preset], **chosen})
        foreign = not set(config.tasks) & set(config.selection_tasks)
        if "tasks" in chosen and "selection_tasks" not in chosen and foreign:
            # text is selected for a task of this study, not for one the preset had in mind
            config = config.model_copy(update={"selection_tasks": config.tasks[:1]})
        return config
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]).upper()
        hint = Config.model_fields[name.lower()].description
        reason = first["msg"].removeprefix("Value error, ")
        raise UserError(f"parameter {name}={_short(first['input'])}: {reason} ({hint})") from None


def _named(name: str) -> str:
    """A name as it was given where it is one that can be shown."""
    return name if name.isprintable() and len(name) <= 100 else _short(name)


def _short(value) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python refuses to print a number of thousands of digits
        return f"{type(value).__name__} too long to print"
    return text if len(text) <= 100 else f"{text[:100]}..."


def check_places(config: Config) -> None:
    """Refuse what can be known before anything is computed: places that are not there, unknown settings.

    Looks at DATA_DIR, TASK_FILE, DOMAIN_FILE, BASE_MODEL, OUTPUT_DIR and CLUSTER, and at the environment's
    DSP_DATA, DSP_CACHE, DSP_DEVICE and DSP_PRECISION. Raises UserError naming the first that will not do.
    """
    for name, value in (("DATA_DIR", config.data_dir), ("DSP_DATA", os.environ.get("DSP_DATA", ""))):
        folder = _place(name, value)
        if folder and value != "toy" and not any(os.path.isdir(os.path.join(folder, part)) for part in DATA_FOLDERS):
            found = "no tasks/ and no domains/ in it" if os.path.isdir(folder) else "no such folder"
            raise UserError(f"{name}={_short(value)}: {found}; expected a data root with tasks/ and domains/")
    own = [("TASK_FILE", config.task_file), *(("DOMAIN_FILE", part.strip()) for part in config.domain_file.split(","))]
    for name, value in own:
        file = _place(name, value)
        if file and not os.path.exists(file):
            raise UserError(f"{name}={_short(value)}: no such file or folder")
    for name, value in (("OUTPUT_DIR", config.output_dir), ("DSP_CACHE", os.environ.get("DSP_CACHE", ""))):
        folder = _place(name, value)
        if folder and os.path.exists(folder) and not os.path.isdir(folder):
            raise UserError(f"{name}={_short(value)}: a file lies there; expected a folder")
    model_folder(_place("BASE_MODEL", config.base_model), f"BASE_MODEL={_short(config.base_model)[1:-1]}")
    for name, pattern, valid in _SETTINGS:
        value = config.cluster if name == "CLUSTER" else os.environ.get(name, "")
        if value and not re.fullmatch(pattern, value):
            raise UserError(f"{name}={_short(value)}: expected {valid}")


DATA_FOLDERS = ("tasks", "domains")  # of a data root
QUEUES = ("slurm", "pbs", "sge", "lsf")  # batch systems that CLUSTER names, as dask-jobqueue does in capitals
_SETTINGS = (
    (
        "CLUSTER",
        rf"local|{'|'.join(QUEUES)}|(tcp|tls|ucx|inproc|ws|wss)://\S+",
        f"local, {', '.join(QUEUES)}, or the address of a scheduler, as tcp://host:8786",
    ),
    ("DSP_DEVICE", r"(cpu|cuda|mps)(:\d{1,3})?", "cpu, cuda or mps, or one of several as cuda:1"),
    ("DSP_PRECISION", r"bf16|fp32", "bf16 or fp32"),
)


def _place(name: str, value: str) -> str:
    place = os.path.expanduser(value)
    if place.startswith("~"):
        raise UserError(f"{name}={_short(value)}: there is no such user on this machine")
    return place
