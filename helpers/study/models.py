"""Which model a method of the paper means: a chain of adaptations from the base, each on named text."""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path

from helpers.encoder.named import has_masked_lm_head, resolve_model
from helpers.errors import UserError
from helpers.hashing import fingerprint
from helpers.methods import METHODS, split_selection
from helpers.study.corpora import Corpora
from helpers.study.steps import Lines, Step, read_json

SEED = 0  # of the one adaptation each model has, as in the paper; seeds vary in fine-tuning
_WEIGHTS = ("*.safetensors", "*.bin", "config.json", "*token*", "vocab*", "merges*", "*.model")


@dataclass(frozen=True)
class Model:
    """A checkpoint of the study.

    method: how it was made. corpus: name of the text it was made on. sample: (kind, name) of the held-out
    text its masked-LM loss is told on: ('domain', name) or ('task', name). path: of a base model only.
    """

    method: str
    corpus: str
    key: str
    sample: tuple[str, str] | None = None
    parent: "Model | None" = None
    step: Step | None = None
    path: str = ""
    selector: str = ""
    k: int = 0

    @property
    def depth(self) -> int:
        return 1 + self.parent.depth if self.parent else 0


def resolve_base(name: str) -> Path:
    """Folder of the base model: 'mini', 'minilm', a path, or a hub name, fetched if need be."""
    folder = Path(resolve_model(name)).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.is_absolute() or name.startswith(("./", "../", "~")) or name.count("/") > 1:
        raise UserError(f"BASE_MODEL={name}: there is no such folder")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=list(_WEIGHTS)))
    except Exception as error:
        raise UserError(
            f"BASE_MODEL={name}: not a folder, and the Hugging Face hub did not give it ({type(error).__name__}); "
            f"name a folder with a masked LM, or 'mini'"
        ) from None


class Models:
    """The models of one study, by method and task. Making them is the study's work."""

    def __init__(self, corpora: Corpora, selection_step):
        self.corpora, self.config, self.store = corpora, corpora.config, corpora.store
        self.selection_step = selection_step

    @functools.cached_property
    def base(self) -> Model:
        folder = resolve_base(self.config.base_model)
        if not (folder / "config.json").exists():
            raise UserError(f"BASE_MODEL={self.config.base_model}: {folder} holds no config.json, so no model")
        files = sorted({file for pattern in _WEIGHTS for file in folder.glob(pattern) if file.is_file()})
        digest = fingerprint([part for file in files for part in (file.name, fingerprint(file))])
        return Model("base", "", digest, path=str(folder))

    @functools.cached_property
    def start(self) -> Model:
        """What adaptations start from: the base, or the base with a masked-LM head fitted on general text."""
        if has_masked_lm_head(self.base.path):
            return self.base
        from helpers.adapt import HEAD

        if not self.corpora.has_domain("generic"):
            raise UserError(f"BASE_MODEL={self.config.base_model} has no masked-LM head, and there is no general text "
                            "(domain 'generic') to fit one on")  # fmt: skip
        folder, meta = self.corpora.domain("generic"), self.corpora.domain_meta("generic")
        # a fresh head needs more text than a trained one: four DAPTs, at most the head's own recipe
        recipe = dataclasses.replace(
            HEAD, steps=min(HEAD.steps, 4 * self.config.dapt_steps), batch_size=self.config.dapt_batch,
            max_length=self.config.max_length,
        )  # fmt: skip
        return self._adapted("head", "generic", self.base, recipe, folder / "train.jsonl", meta["train"],
                             sample=("domain", "generic"))  # fmt: skip

    @functools.cache  # noqa: B019 - lives as long as the study
    def model(self, method: str, task: str) -> Model:
        """The model that `method` means for `task`. Raises UserError for an unknown method."""
        domain = self.domain_of(task)
        if method == "base":
            return self.base
        if method == "dapt":
            return self.dapt(domain)
        if method == "shuffled_dapt":
            return self.dapt(domain, shuffle=True)
        if method == "not_dapt":
            return self.dapt(self.unrelated_domain(task))
        if method == "tapt":
            return self.tapt(task)
        if method == "dapt_tapt":
            return self.tapt(task, self.dapt(domain))
        if method == "transfer_tapt":
            return self.tapt(self.partner(task))
        if method in ("curated_tapt", "dapt_curated_tapt"):
            return self.tapt(task, self.dapt(domain) if method.startswith("dapt") else None, unlabeled=True)
        if selected := split_selection(method):
            return self.selected_tapt(task, *selected)
        from helpers.errors import nearest

        raise UserError(f"method {method!r}: expected one of {', '.join(METHODS)}.{nearest(method, METHODS)}")

    def domain_of(self, task: str) -> str:
        return self.corpora.task(task).spec.domain

    def unrelated_domain(self, task: str) -> str:
        """The domain that not-DAPT adapts to: the paper's pair where its text can be had, else another of the study."""
        from helpers.data import DOMAINS

        own = self.domain_of(task)
        paired = DOMAINS[own].not_dapt if own in DOMAINS else ""
        if paired and (paired in self.corpora.domains or self.corpora.has_domain(paired)):
            return paired
        others = [name for name in self.corpora.domains if name != own]
        if not others:
            raise UserError(f"not_dapt for {task}: the study has no domain besides {own}; add one to DOMAINS")
        return others[-1]

    def partner(self, task: str) -> str:
        """The task that Transfer-TAPT adapts to: the paper's pair where it can be had, one of the domain, any other."""
        spec, audited = self.corpora.task(task).spec, self.corpora.audited
        others = [name for name in audited if name != task]
        same = [name for name in others if self.domain_of(name) == spec.domain]
        if spec.partner and (spec.partner in others or (not same and self.corpora.has_task(spec.partner))):
            return spec.partner
        if not others:
            raise UserError(f"transfer_tapt for {task}: the study has no other task; add one to TASKS")
        after = audited.index(task) if task in audited else 0
        return same[0] if same else others[after % len(others)]

    @functools.cache  # noqa: B019
    def dapt(self, domain: str, shuffle: bool = False) -> Model:
        from helpers.adapt import DAPT

        config = self.config
        recipe = dataclasses.replace(
            DAPT, steps=config.dapt_steps, batch_size=config.dapt_batch, learning_rate=config.dapt_learning_rate,
            max_length=config.max_length,
        )  # fmt: skip
        folder, meta = self.corpora.domain(domain), self.corpora.domain_meta(domain)
        return self._adapted(
            "shuffled_dapt" if shuffle else "dapt", f"{domain} shuffled" if shuffle else domain, self.start, recipe,
            folder / "train.jsonl", meta["train"], limit=config.dapt_steps * config.dapt_batch,
            shuffle=shuffle, sample=("domain", domain),
        )  # fmt: skip

    def tapt(self, task: str, parent: Model | None = None, unlabeled: bool = False) -> Model:
        method = ("dapt_" if parent else "") + ("curated_tapt" if unlabeled else "tapt")
        return self._on_texts(method, task, self.corpora.tapt_texts(task, unlabeled), parent)

    def selected_tapt(self, task: str, selector: str, k: int) -> Model:
        """TAPT on the task's text joined with what the selector found. Paper: section 5.2."""
        folder = self.store.find("selection", self.selection_step(task, selector, k).parts)
        if folder is None:
            raise UserError(f"{selector}_{k}_tapt: nothing was selected for {task} yet")
        texts = self.corpora.tapt_texts(task) + list(Lines(folder / "texts.jsonl"))
        return self._on_texts(f"{selector}_{k}_tapt", task, texts, selector=selector, k=k)

    def _on_texts(self, method, task, texts, parent=None, **known) -> Model:
        from helpers.adapt import tapt_recipe

        config = self.config
        folder = self.corpora.folder(self.corpora.texts_step(texts))
        meta = read_json(folder / "meta.json")
        recipe = dataclasses.replace(tapt_recipe(len(texts)), epochs=config.tapt_epochs, max_length=config.max_length)
        if config.tapt_batch:
            recipe = dataclasses.replace(recipe, batch_size=config.tapt_batch)
        if config.tapt_learning_rate:
            recipe = dataclasses.replace(recipe, learning_rate=config.tapt_learning_rate)
        # DAPT's tokens at most; at the paper's sizes this does not bind.
        tokens = self._tokens_a_word(folder / "texts.jsonl") * meta["words"] + 2 * meta["documents"]
        budget = config.dapt_steps * config.dapt_batch * config.max_length
        recipe = dataclasses.replace(recipe, epochs=max(1, min(recipe.epochs, int(budget / max(tokens, 1)))))
        return self._adapted(
            method, task, parent or self.start, recipe, folder / "texts.jsonl", meta,
            sample=("task", task), **known,
        )  # fmt: skip

    @functools.cached_property
    def _tokenizer(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.base.path)

    def _tokens_a_word(self, texts: Path) -> float:
        """Tokens that the base's tokenizer makes of a word, over the first documents of a text."""
        first = list(Lines(texts, limit=500))
        encoded = self._tokenizer(first, add_special_tokens=False)["input_ids"]
        return sum(map(len, encoded)) / max(1, sum(len(text.split()) for text in first))

    def _adapted(
        self, method, corpus, parent, recipe, texts, meta, *, sample, limit=0, shuffle=False, **known
    ) -> Model:
        parts = {
            "parent": parent.key, "texts": meta["fingerprint"], "shuffle": shuffle,
            "recipe": dataclasses.asdict(recipe), "seed": SEED,
        }  # fmt: skip
        inputs = {
            "model": parent.path, "texts": str(texts), "limit": limit, "shuffle": shuffle, "recipe": parts["recipe"],
            "seed": SEED,
        }  # fmt: skip
        share = min(1.0, limit / meta["documents"]) if limit else 1.0
        amount = f"{recipe.steps:,} updates" if recipe.steps else f"{recipe.epochs:g} passes"
        about = (
            f"{share * meta['documents']:,.0f} documents, {share * meta['words']:,.0f} words, {amount} "
            f"of {recipe.batch_size:,} sequences, peak learning rate {recipe.learning_rate:g}"
        )
        step = Step("model", parts, inputs, f"{method} on {corpus}", about)
        return Model(method, corpus, step.digest, sample, parent, step, **known)

    def sample_path(self, sample: tuple[str, str]) -> Path:
        """File of held-out text: a domain's held-out documents, or a task's dev texts."""
        kind, name = sample
        if kind == "domain":
            return self.corpora.domain(name) / "heldout.jsonl"
        return self._dev(name) / "texts.jsonl"

    def sample_fingerprint(self, sample: tuple[str, str]) -> str:
        kind, name = sample
        if kind == "domain":
            return self.corpora.domain_meta(name)["heldout"]["fingerprint"]
        return read_json(self._dev(name) / "meta.json")["fingerprint"]

    def _dev(self, task: str) -> Path:
        texts = list(self.corpora.task(task).dev.text)[: self.config.heldout_documents]
        return self.corpora.folder(self.corpora.texts_step(texts))
