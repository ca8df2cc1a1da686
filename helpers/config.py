"""Presets and parameters: one frozen, validated `Config` a run.

A preset sets how much is computed, never what: notebooks, command line and tests share this table.
"""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from helpers.errors import UserError, nearest
from helpers.methods import SELECTORS

SAMPLE_TASKS = ("rct_nlm", "arxiv_cs", "bbc", "imdb_sample")
TOY_TASKS = ("toy_biomed", "toy_cs", "toy_news", "toy_reviews")
PAPER_TASKS = ("chemprot", "rct", "citation_intent", "sciie", "hyperpartisan_news", "ag", "helpfulness", "imdb")


class Config(BaseModel):
    """Everything a run depends on; a notebook's UPPER_CASE parameter is the field of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)

    preset: str = Field(description="smoke, demo, laptop or paper")
    tasks: tuple[str, ...] = Field(min_length=1, description="labelled tasks")
    domains: tuple[str, ...] = Field(
        (), description="domains to adapt to; empty: the tasks' own, and those not-DAPT needs"
    )
    base_model: str = Field(min_length=1, description="mini, minilm, a hub name or the path of a masked-LM folder")
    seeds: int = Field(ge=1, description="fine-tuning seeds 0 .. seeds-1")
    data_dir: str = Field("", description="a data root tried before every other source; 'toy' generates text")
    output_dir: str = Field("", description="where results go; empty: outputs/<preset>")
    task_file: str = Field("", description="a file that registers further tasks")
    domain_file: str = Field("", description="a JSONL file of your own domain's text, named by its stem")
    workers: int = Field(0, ge=0, description="processes for independent jobs; 0: one a core")
    max_train: int = Field(0, ge=0, description="training rows a task; 0: all")
    max_dev: int = Field(0, ge=0, description="dev rows a task; 0: all")
    max_test: int = Field(0, ge=0, description="test rows a task; 0: all")
    max_length: int = Field(512, ge=8, le=512, description="tokens a sequence")
    top_words: int = Field(10_000, ge=1, description="words a vocabulary in Figure 2")
    overlap_documents: int = Field(50_000, ge=1, description="documents a domain in Figure 2")
    heldout_documents: int = Field(50_000, ge=1, description="held-out documents a domain for masked-LM loss")
    dapt_steps: int = Field(12_500, ge=1, description="updates of DAPT")
    dapt_batch: int = Field(2048, ge=1, description="sequences an update of DAPT")
    dapt_learning_rate: float = Field(5e-4, gt=0, description="peak learning rate of DAPT")
    tapt_epochs: int = Field(100, ge=1, description="passes over the task's text in TAPT")
    tapt_batch: int = Field(0, ge=0, description="sequences an update of TAPT; 0: the paper's 256 or 2048")
    tapt_learning_rate: float = Field(0.0, ge=0, description="peak learning rate of TAPT; 0: the paper's")
    epochs: int = Field(0, ge=0, description="fine-tuning epochs; 0: the paper's 10 or 3 by task size")
    learning_rate: float = Field(2e-5, gt=0, description="learning rate of fine-tuning")
    warmup: float = Field(0.0, ge=0, lt=1, description="share of fine-tuning that warms up; 0: the paper's schedule")
    batch_size: int = Field(16, ge=1, description="examples an update of fine-tuning")
    patience: int = Field(3, ge=1, description="epochs without a better dev score before stopping")
    selection_tasks: tuple[str, ...] = Field(description="tasks that text is selected for in Table 8")
    selectors: tuple[str, ...] = Field(min_length=1, description="ways of selecting text, see helpers.select")
    neighbours: tuple[int, ...] = Field(min_length=1, description="neighbours a task sentence (k)")
    pool_sentences: int = Field(1_000_000, ge=1, description="domain sentences to select from")
    vampire_epochs: int = Field(50, ge=1, description="most epochs of VAMPIRE")
    strong_seeds: int = Field(0, ge=0, description="seeds under the stronger fine-tuning recipe; 0: leave it out")

    @field_validator("tasks", "domains", "selection_tasks", "selectors", "neighbours", mode="before")
    @classmethod
    def _split_words(cls, value):
        """Accept 'a,b' and '50,150' as a command line gives them, and a lone number."""
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        return (value,) if isinstance(value, int) else value

    @field_validator("seeds", "workers", "max_train", "max_dev", "max_test", mode="before")
    @classmethod
    def _refuse_booleans(cls, value):
        if isinstance(value, bool):
            raise ValueError("expected a whole number, not true or false")
        return value


PRESETS: dict[str, dict] = {
    # Seconds: generated text, to see that everything works.
    "smoke": dict(
        tasks=TOY_TASKS, base_model="mini", seeds=2, data_dir="toy", max_train=64, max_dev=48,
        max_test=48, max_length=64, top_words=300, overlap_documents=200, heldout_documents=40, dapt_steps=12,
        dapt_batch=32, dapt_learning_rate=5e-4, tapt_epochs=4, tapt_batch=32, tapt_learning_rate=5e-4, epochs=2,
        learning_rate=5e-4, batch_size=16, patience=2, selection_tasks=("toy_biomed",),
        selectors=("vampire", "random"), neighbours=(2,), pool_sentences=600, vampire_epochs=5,
    ),
    # Half an hour on two cores: real text out of pinned PyPI wheels, no hub. Fine-tuning was chosen by dev score of
    # the unadapted base over the four tasks (seeds 0 to 2, 16 settings): 69.0 with 800 rows and these, 68.0 at half
    # the rate with batches of 16, 67.4 so and at a constant rate, 59.7 so with 400 rows in 4 epochs.
    "demo": dict(
        tasks=SAMPLE_TASKS, base_model="mini", seeds=3, max_train=800, max_dev=400,
        max_test=1000, max_length=96, overlap_documents=2000, heldout_documents=200, dapt_steps=500, dapt_batch=32,
        dapt_learning_rate=5e-4, tapt_epochs=8, tapt_batch=32, tapt_learning_rate=5e-4, epochs=5,
        learning_rate=1e-3, warmup=0.1, batch_size=8, patience=5, selection_tasks=("rct_nlm",),
        selectors=("vampire", "random"), neighbours=(5, 15), pool_sentences=20_000, vampire_epochs=15,
    ),
    # The paper's eight tasks from a data root or the hub, in a night on two cores by mini's measured speeds: about
    # 400M tokens of adaptation at 17,000 a second, 700 fine-tunings of a minute a core. mini knows 128 positions.
    "laptop": dict(
        tasks=PAPER_TASKS, base_model="mini", seeds=5, max_train=2000, max_dev=2000,
        max_test=2000, max_length=128, overlap_documents=10_000, heldout_documents=1000, dapt_steps=400, dapt_batch=128,
        dapt_learning_rate=1e-3, tapt_epochs=30, tapt_batch=128, tapt_learning_rate=5e-4, epochs=10,
        learning_rate=5e-4, batch_size=16, patience=3,
        selection_tasks=("chemprot", "rct-sample", "citation_intent"), selectors=tuple(SELECTORS),
        neighbours=(50, 150, 500), pool_sentences=200_000, vampire_epochs=50, strong_seeds=3,
    ),
    # The paper's own recipe, for GPUs.
    "paper": dict(
        tasks=PAPER_TASKS, base_model="roberta-base", seeds=5,
        selection_tasks=("chemprot", "rct-sample", "citation_intent"), selectors=tuple(SELECTORS),
        neighbours=(50, 150, 500), strong_seeds=5,
    ),
}  # fmt: skip


def make_config(preset: str = "demo", overrides: Mapping | None = None) -> Config:
    """The preset's configuration with overrides applied.

    preset: a name in PRESETS. overrides: field name in any case -> value; None keeps the preset's value.
    Raises UserError for an unknown preset or parameter and for a value of the wrong kind.
    """
    if preset not in PRESETS:
        raise UserError(f"PRESET {preset!r}: expected one of {', '.join(PRESETS)}.{nearest(str(preset), PRESETS)}")
    chosen = {key.lower(): value for key, value in (overrides or {}).items() if value is not None}
    for key in chosen:
        if key not in Config.model_fields:
            names = [name.upper() for name in Config.model_fields]
            raise UserError(f"parameter {key.upper()}: there is none of that name.{nearest(key.upper(), names)}")
    chosen.pop("preset", None)
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
        raise UserError(f"parameter {name}={first['input']!r}: {first['msg']} ({hint})") from None
