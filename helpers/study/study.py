"""The paper's steps, cached: a notebook asks for a result and it is found in the store or computed."""

import dataclasses
import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from helpers import paths
from helpers.config import Config, check_places, make_config
from helpers.hashing import MANIFEST
from helpers.results.records import split_selection
from helpers.store import Store
from helpers.study import grid, measures, selection
from helpers.study.corpora import Corpora
from helpers.study.models import Model, Models
from helpers.study.steps import Step, make_step, read_json


class Study:
    """One run of the study: a frozen configuration, the store it computes into, the folder it writes to.

    Every result is found by what it was computed from, so notebooks share their work, a changed setting
    recomputes only what depends on it, and any notebook can be run alone.
    """

    def __init__(self, config: Config, log=print):
        self.config, self.log = config, log
        self.output = paths.outputs_dir(config.preset, config.output_dir)
        self.store = Store(paths.cache_dir() / "store", log)
        self.corpora = Corpora(config, self.store)
        self.models = Models(self.corpora, functools.partial(selection.selection_step, self))
        self._written: dict[Path, None] = {}

    @classmethod
    def open(cls, PRESET: str = "demo", **overrides) -> "Study":
        """The study of a preset; overrides are a notebook's parameters, None for the preset's own value.

        Raises UserError for an unknown preset, parameter or task and for a base model that is not there.
        """
        from helpers.data import domain_spec, task_spec

        study = cls(make_config(PRESET, overrides))
        config = study.config
        check_places(config)
        for task in study.corpora.audited:
            task_spec(task, config.task_file)
        for domain in config.domains:
            domain_spec(domain, config.domain_file)
        study.models.base  # noqa: B018 - a base model that is not there is refused before anything is computed
        study.write("config.json", study.config.model_dump_json(indent=1) + "\n")
        return study

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.config.tasks

    @property
    def domains(self) -> tuple[str, ...]:
        return self.corpora.domains

    def settings(self) -> pd.DataFrame:
        """Every parameter with this run's value, the paper's and what it means."""
        paper = make_config("paper")
        rows = [
            {"parameter": name.upper(), "this run": _show(getattr(self.config, name)),
             "paper": _show(getattr(paper, name)), "meaning": field.description}
            for name, field in Config.model_fields.items()
        ]  # fmt: skip
        return pd.DataFrame(rows).set_index("parameter")

    # Texts ---------------------------------------------------------------------------------------------

    def task(self, name: str):
        """A labelled task, read and checked: train, dev, test, labels, source."""
        return self.corpora.task(name)

    def domain_texts(self, name: str, limit: int = 0) -> Iterable[str]:
        """Training side of a domain, no dev or test text of any task in it; read anew by every loop."""
        self.prepare_domains([name])
        return self.corpora.train_texts(name, limit)

    def heldout(self, name: str) -> Iterable[str]:
        """Held-out documents of a domain: never trained on."""
        self.prepare_domains([name])
        return self.corpora.heldout_texts(name)

    def prepare_domains(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Read, clean and split domains. Returns one row a domain: documents, words, what was left out."""
        names = list(names) or list(self.domains)
        self.carry_out([self.corpora.domain_step(name) for name in names], "domain text")
        rows = []
        for name in names:
            meta = self.corpora.domain_meta(name)
            rows.append({
                "domain": name, "documents": meta["train"]["documents"], "words": meta["train"]["words"],
                "megabytes": meta["train"]["bytes"] / 1e6, "heldout": meta["heldout"]["documents"],
                "held_text_left_out": meta["held_text_left_out"], "source": meta["source"],
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("domain")

    def task_sizes(self) -> pd.DataFrame:
        """One row a task: domain, metric, sizes, classes and the source that answered."""
        rows = []
        for name in self.corpora.audited:
            task = self.task(name)
            rows.append({
                "task": name, "domain": task.spec.domain, "metric": task.spec.metric, "train": len(task.train),
                "dev": len(task.dev), "test": len(task.test), "unlabeled": len(task.unlabeled),
                "classes": len(task.labels), "source": task.source,
            })  # fmt: skip
        return pd.DataFrame(rows).set_index("task")

    # Steps of the paper --------------------------------------------------------------------------------

    def overlap(self) -> pd.DataFrame:
        """Vocabulary overlap of PT and every domain, both definitions. Paper: section 3.1, Figure 2."""
        return measures.overlap(self)

    def audit(self) -> pd.DataFrame:
        """Texts that train, dev, test and the corpora share, one row a pair, exact and near."""
        return measures.audit(self)

    def adapt(self, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
        """Make every checkpoint the methods need for the tasks, independent ones side by side.

        Returns one row a checkpoint: method, corpus, documents, steps, epochs, tokens, seconds, loss before
        and after on held-out text of its own kind. Paper: sections 3 and 4, Tables 1 and 13.
        """
        tasks = self.tasks if tasks is None else tasks
        models = self._models(methods, tasks)
        found = {model.key: model for model in models if model.step}
        try:
            self.make_models(models)
        finally:  # what did not fail is measured all the same
            made = [model for model in found.values() if self.made(model)]
            self.make_losses([pair for model in made for pair in self._own_loss(model)])
        return pd.DataFrame([self.adaptation_row(model) for model in found.values()])

    def adapted(self, method: str, task: str) -> Path:
        """Folder of the checkpoint that a method means for a task: an ordinary Hugging Face model."""
        self.adapt([method], [task])
        return self.folder(self.models.model(method, task))

    def histories(self, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
        """Learning curves of the checkpoints: method, corpus, step, loss (training) and heldout_loss at both ends."""
        frames = []
        for row in self.adapt(methods, tasks).to_dict("records"):
            curve = pd.read_csv(self.store.root / "model" / row["checkpoint_key"] / "history.csv")
            ends = {"step": [0, row["steps"]], "heldout_loss": [row["mlm_loss_before"], row["mlm_loss_after"]]}
            frames.append(pd.concat([curve, pd.DataFrame(ends)]).assign(method=row["method"], corpus=row["corpus"]))
        return pd.concat(frames, ignore_index=True).assign(preset=self.config.preset)

    def fine_tune(
        self, methods: Sequence[str], tasks: Sequence[str] | None = None, recipe: str = "paper"
    ) -> pd.DataFrame:
        """Fine-tune every (task, method, seed) that is not in the store yet; leave one record each.

        methods: see METHODS, and '<selector>_<k>_tapt'. recipe: 'paper', or 'strong' for warm-up, bias
        correction and more epochs. Returns the records as `helpers.results.load_records` does, these
        tasks, methods and seeds only. Paper: Tables 3, 5, 6, 8.
        """
        tasks = self.tasks if tasks is None else tasks
        from helpers.jobs import JobsFailed

        failure = None
        try:
            self.adapt(methods, tasks)
        except JobsFailed as error:
            failure = error
        records = grid.fine_tune(self, methods, tasks, recipe)
        if failure:
            raise failure
        return records

    def losses(self) -> pd.DataFrame:
        """Masked-LM loss of the base and every DAPT model on PT and every domain. Paper: Table 12."""
        return measures.losses(self)

    def selection_methods(self) -> tuple[str, ...]:
        """Methods of Table 8: every k for VAMPIRE, its rivals at the smallest k."""
        config = self.config
        return tuple(
            f"{selector}_{k}_tapt"
            for selector in config.selectors
            for k in (config.neighbours if selector == "vampire" else config.neighbours[:1])
        )

    def select(self, task: str, selector: str, k: int):
        """Domain text selected for a task: `helpers.select.Selection`. Paper: section 5.2."""
        selection.prepare(self, [(task, selector, k)])
        return selection.load(self, task, selector, k)

    def vampire(self, task: str):
        """The VAMPIRE behind a task's selections: `topics()`, `embed(texts)`, `history`."""
        return selection.fitted(self, task)

    def neighbour_table(self, task: str, queries: int = 3, k: int = 5) -> pd.DataFrame:
        """Nearest domain sentences of a few task sentences. Paper: Table 21."""
        return selection.neighbour_table(self, task, queries, k)

    def compare_selections(self, task: str, k: int) -> pd.DataFrame:
        """Selectors side by side without training: words, cover and KL reduction on dev text, seconds, memory."""
        return selection.comparison(self, task, k)

    def closeness(self, task: str, k: int) -> dict:
        """Cosine of every selected sentence to its nearest task sentence: selector -> numbers."""
        return selection.closeness(self, task, k)

    def text_map(self, task: str, k: int) -> pd.DataFrame:
        """Task, selected, random and other domain sentences in two dimensions: kind, text, x, y."""
        return selection.text_map(self, task, k)

    @functools.cache  # noqa: B019 - lives as long as the study
    def leaked_test_rows(self, task: str) -> list[int]:
        """Rows of the test set whose text is in train too."""
        from helpers.data import leaked_rows

        return leaked_rows(self.task(task))["test"].tolist()

    def transfer_pairs(self) -> pd.DataFrame:
        """The task each task borrows text from, and whether both are of one domain. Paper: Table 6."""
        rows = []
        for task in self.tasks:
            partner = self.models.partner(task)
            own, other = self.models.domain_of(task), self.models.domain_of(partner)
            rows.append({"task": task, "domain": own, "partner": partner, "partner_domain": other,
                         "pair": "same" if own == other else "cross"})  # fmt: skip
        return pd.DataFrame(rows).set_index("task")

    # Carrying out --------------------------------------------------------------------------------------

    @functools.cached_property
    def _executor(self):
        from helpers import compute
        from helpers.jobs import executor

        # Jobs on one GPU would only share it, and its memory.
        workers = self.config.workers or (1 if compute.device().type == "cuda" else 0)
        return executor(workers, self.config.cluster)

    def carry_out(self, wanted: Iterable[Step], what: str) -> None:
        """Make the steps that are not in the store, as jobs. Raises JobsFailed after all have run."""
        from helpers.jobs import InProcess, JobsFailed, run_jobs

        unique = {step.digest: step for step in wanted}
        missing = [step for step in unique.values() if not self.store.find(step.kind, step.parts)]
        if not missing:
            return
        self.log(f"{what}: {len(missing)} to make, {len(unique) - len(missing)} found in the store")
        for step in missing:
            if step.about:
                self.log(f"  {step.name}: {step.about}")
        jobs = [(str(self.store.root), step) for step in missing]
        try:
            run_jobs(
                make_step, jobs, executor=self._executor if len(jobs) > 1 else InProcess(), title=what,
                workers=self.config.workers, describe=lambda job: job[1].name,
                log=self.output / "logs" / f"{what.replace(' ', '_')}_failures.log",
            )  # fmt: skip
        except JobsFailed:
            if executor := self.__dict__.pop("_executor", None):
                executor.shutdown(wait=False)  # one of its processes may have died: the next call starts new ones
            raise

    def _models(self, methods: Sequence[str], tasks: Sequence[str]) -> list[Model]:
        """The models of a grid; what is needed to name them (domain text, selections) is made first."""
        needed = {"generic"} if self.corpora.has_domain("generic") else set()
        for task in tasks:
            needed |= {self.models.domain_of(task)} | (
                {self.models.unrelated_domain(task)} if "not_dapt" in methods else set()
            )
        if any(method not in ("base", "tfidf") for method in methods):
            self.prepare_domains(sorted(needed))
        chosen = [split_selection(method) for method in methods]
        selection.prepare(self, [(task, *pick) for task in tasks for pick in chosen if pick])
        return [self.models.model(method, task) for method in methods if method != "tfidf" for task in tasks]

    def make_models(self, models: Sequence[Model]) -> None:
        """Parents before children; models of one generation side by side. Failures are raised at the end."""
        from helpers.jobs import JobsFailed

        todo = {m.key: m for model in models for m in _lineage(model) if m.step}
        failure = None
        for depth in sorted({model.depth for model in todo.values()}):
            generation = [m for m in todo.values() if m.depth == depth and self.made(m.parent)]
            try:
                self.carry_out([self._with_parent(model) for model in generation], "adaptation")
            except JobsFailed as error:
                failure = failure or error
        if failure:
            raise failure

    def made(self, model: Model) -> bool:
        """Whether the checkpoint is there."""
        return not model.step or (self.folder(model) / MANIFEST).exists()

    def _with_parent(self, model: Model) -> Step:
        """The model's step with the folder its training starts from."""
        step = model.step
        return dataclasses.replace(step, inputs=step.inputs | {"model": str(self.folder(model.parent))})

    def folder(self, model: Model) -> Path:
        if not model.step:
            return Path(model.path)
        return self.store.root / "model" / model.key

    def _own_loss(self, model: Model) -> list[tuple[Model, tuple[str, str]]]:
        return [(model.parent, model.sample), (model, model.sample)]

    def _loss_step(self, model: Model, sample: tuple[str, str]) -> Step:
        length, digest = self.config.max_length, self.models.sample_fingerprint(sample)
        key = {"model": model.key, "texts": digest, "max_length": length}
        texts = str(self.models.sample_path(sample))
        inputs = {"model": str(self.folder(model)), "texts": texts, "max_length": length}
        return Step("losses", key, inputs, f"{model.method} {model.corpus} on {sample[1]}")

    def make_losses(self, pairs: Iterable[tuple[Model, tuple[str, str]]]) -> None:
        self.carry_out([self._loss_step(model, sample) for model, sample in pairs], "held-out loss")

    def document_losses(self, model: Model, sample: tuple[str, str]) -> pd.DataFrame:
        step = self._loss_step(model, sample)
        return pd.read_csv(self.store.find(step.kind, step.parts) / "losses.csv")

    def adaptation_row(self, model: Model) -> dict:
        """What a checkpoint cost and did: the `adaptation` part of a record."""
        summary = read_json(self.folder(model) / "summary.json")
        before, after = (float(self.document_losses(*pair)["loss"].mean()) for pair in self._own_loss(model))
        row = {"method": model.method, "corpus": model.corpus, "selector": model.selector or None, "k": model.k or None}
        if model.selector:
            found = selection.quality(self, model.corpus, model.selector, model.k).iloc[0]
            row |= {"selected_words": int(found["words"]), "word_cover": float(found["word_cover"]),
                    "kl_reduction": float(found["kl_reduction"]), "selection_seconds": float(found["seconds"]),
                    "selection_mb": float(found["peak_memory_mb"])}  # fmt: skip
        if any(one.method == "head" for one in _lineage(model)):
            row["head_fitted"] = True  # the base came without a masked-LM head
        row |= {name: summary[name] for name in ("steps", "epochs", "documents", "tokens", "bytes", "seconds")}
        return row | {"mlm_loss_before": before, "mlm_loss_after": after, "checkpoint_key": model.key}

    # Files ---------------------------------------------------------------------------------------------

    def save_table(self, name: str, frame: pd.DataFrame) -> Path:
        """Write tables/<name>.csv."""
        return self.write(f"tables/{name}.csv", frame.to_csv(index=False))

    def save_figure(self, name: str, axes) -> list[Path]:
        """Write figures/<name>.png, .pdf and the .csv it was drawn from."""
        from helpers.figures import save_figure

        written = save_figure(axes, self.output / "figures", name)
        self._written |= dict.fromkeys(written)
        return written

    def files(self) -> pd.DataFrame:
        """Files this notebook wrote, relative to the run's folder, with their sizes."""
        rows = [{"file": str(path.relative_to(self.output)), "bytes": path.stat().st_size} for path in self._written]
        return pd.DataFrame(rows, columns=["file", "bytes"])

    def write(self, name: str, text: str) -> Path:
        path = self.output / name
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}")
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, path)
        self._written[path] = None
        return path


def _lineage(model: Model) -> list[Model]:
    return [*(_lineage(model.parent) if model.parent else ()), model]


def _show(value) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
