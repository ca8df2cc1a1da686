"""A study: its plan, the store it is made in, the folder it writes to, and what notebooks ask of it."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from helpers import compute, paths
from helpers.config import HERE, Config
from helpers.data import leaked_rows
from helpers.errors import UserError
from helpers.files import as_json, read_json, read_table, write_text
from helpers.jobs import InProcess, JobsFailed, broken, executor
from helpers.methods import BASELINES, METHODS, check, read_out_methods, split_selection
from helpers.results import load_records, record_path, write_record
from helpers.results.cells import never_learnt
from helpers.store import open_store
from helpers.study import makers
from helpers.study.opening import foreign_rates, open_config
from helpers.study.plan import GENERIC, NothingToCompare, Plan
from helpers.study.steps import Step, make
from helpers.study.texts import Lines, Thinned, grouped, groups_of_thinned


class Study:
    """One run of the study: a frozen configuration, its plan, the store it computes into, the folder it writes to.

    What it returns is found by what it was computed from, or made first; so notebooks share their work, a changed
    setting recomputes only what depends on it, and any notebook can be run alone.

    >>> study = Study.open("smoke", OUTPUT_DIR=str(tmp / "run"))
    >>> study.tasks[0], study.domains
    ('toy_biomed', ('biomed', 'cs', 'news', 'reviews'))
    """

    def __init__(self, config: Config, log=print):
        self.config, self.log, self.plan = config, log, Plan(config)
        self.output = paths.outputs_dir(config.preset, config.output_dir)
        self.store = open_store(log)
        self._written: dict[Path, None] = {}
        self._left_out: set[str] = set()  # reasons that have been said

    @classmethod
    def open(cls, PRESET: str = "demo", **overrides) -> "Study":
        """The study of a preset; overrides are a notebook's parameters, None for the preset's own value.

        Raises UserError for an unknown preset, parameter, task, domain or selector and for a base model that is not
        there: before anything is computed.
        """
        study = cls(open_config(PRESET, overrides))
        study.plan.base  # noqa: B018 - a base that is not there is refused before anything is computed
        if caution := foreign_rates(study.config):
            study.log(caution)
        study.write("config.json", study.config.model_dump_json(indent=1) + "\n")
        return study

    @property
    def tasks(self) -> tuple[str, ...]:
        return self.config.tasks

    @property
    def domains(self) -> tuple[str, ...]:
        return self.plan.domains

    # Making --------------------------------------------------------------------------------------------

    def make(self, steps: Iterable[Step]) -> None:
        """Make the steps and all they read, as jobs. Raises JobsFailed after everything that can be made is."""
        try:
            make(steps, self.store, executor=self._executor, log=self.output / "logs", say=self.log)
        except JobsFailed:
            if pool := self.__dict__.pop("_pool", None):
                pool.shutdown(wait=False)  # one of its processes may have died: the next call starts new ones
            raise

    def _executor(self, jobs: int):
        if jobs == 1:
            return InProcess()
        if broken(self._pool):  # one of its processes died: what it was to do has been done apart
            self.__dict__.pop("_pool").shutdown(wait=False)
        return self._pool

    @functools.cached_property
    def _pool(self):
        # Jobs on one GPU would only share it, and its memory.
        workers = self.config.workers or (1 if compute.device().type == "cuda" else 0)
        return executor(workers, self.config.cluster)

    def folder(self, step: Step) -> Path:
        """Folder of a step's artifact, made first where it is not there whole."""
        if (found := step.folder(self.store)) is None:
            self.make([step])
            found = step.folder(self.store)
        return found

    def table(self, step: Step, name: str = "table.csv") -> pd.DataFrame:
        """The table in a step's artifact."""
        return read_table(self.folder(step) / name)

    def planned(self, methods: Sequence[str], tasks: Sequence[str] | None = None, recipe: str = "paper") -> list[Step]:
        """The steps that fine-tuning the methods asks for: records, and what is measured of their checkpoints."""
        cells, measured = self._cells(methods, tasks, recipe)
        return [*cells.values(), *measured]

    # Texts ---------------------------------------------------------------------------------------------

    def task(self, name: str):
        """A labelled task, read and checked: train, dev, test, labels, source."""
        return self.plan.task(name)

    def task_texts(self, name: str) -> list[str]:
        """Training text of a task without any dev or test text of the study."""
        return list(Lines(self.folder(self.plan.task_text(name)) / makers.TEXTS))

    def domain_texts(self, name: str, limit: int = 0) -> Iterable[str]:
        """Training side of a domain, no dev or test text in it; read anew by every loop.

        limit: as many documents from all over it; 0: all.
        """
        return Thinned(Lines(self.folder(self.plan.domain(name)) / makers.TRAIN), limit)

    def heldout(self, name: str) -> Iterable[str]:
        """Held-out documents of a domain: never trained on."""
        return Thinned(Lines(self.folder(self.plan.domain(name)) / makers.HELDOUT), self.config.heldout_documents)

    def prepare_domains(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """Read, clean and split domains. Returns one row a domain: documents, words, what was left out."""
        steps = {name: self.plan.domain(name) for name in names or self.domains}
        self.make(steps.values())
        rows = []
        for name, step in steps.items():
            meta = read_json(self.folder(step) / makers.META)
            if line := makers.much_left_out(name, meta):
                self.log(line)
            rows.append(makers.domain_row(name, self.plan.corpus(name).source, meta))
        return pd.DataFrame(rows).set_index("domain")

    # Measurements on texts -----------------------------------------------------------------------------

    def overlap(self) -> pd.DataFrame:
        """Vocabulary overlap of PT and every domain, both definitions. Paper: section 3.1, Figure 2."""
        frame = self.table(self.plan.overlap())
        self.write(
            "records/overlap.json", as_json({"key": self.plan.overlap().key, "percent": frame.to_dict("records")})
        )
        return frame

    def audit(self) -> pd.DataFrame:
        """Texts that train, dev, test and the corpora share, one row a pair, exact and near, for every task."""
        steps = {task: self.plan.audit(task) for task in self.plan.tasks}
        self.make(steps.values())
        frames = [self.table(step).assign(task=task, preset=self.config.preset) for task, step in steps.items()]
        return pd.concat(frames, ignore_index=True)

    @functools.cache  # noqa: B019 - lives as long as the study
    def leaked_test_rows(self, task: str) -> list[int]:
        """Rows of the test set, from 0, whose text is in train too."""
        return leaked_rows(self.task(task))["test"].tolist()

    # Adaptation ----------------------------------------------------------------------------------------

    def adapt(self, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
        """Make every checkpoint the methods need for the tasks, independent ones side by side.

        Returns one row a checkpoint: method, corpus, documents, steps, epochs, tokens, seconds, loss before
        and after on held-out text of its own kind. Paper: sections 3 and 4, Tables 1 and 13.
        """
        pairs = [(method, task) for method, task in self.possible(methods, tasks) if self.plan.model(method, task)]
        cells = [(*pair, number) for number in range(self.config.adaptation_seeds) for pair in pairs]
        self.make([step for cell in cells for step in self._measured(*cell)])
        rows = {self.plan.model(*cell).key: self._adaptation(*cell) for cell in reversed(cells)}
        return pd.DataFrame(list(rows.values())[::-1])

    def adapted(self, method: str, task: str) -> Path:
        """Folder of the checkpoint that a method means for a task: an ordinary Hugging Face model."""
        step = self.plan.model(method, task)
        return self.folder(step) if step else Path(self.plan.base["base_path"])

    def _measured(self, method: str, task: str, number: int = 0) -> list[Step]:
        """A checkpoint and its loss after and before, on held-out text of its own kind; nothing for the base."""
        if (model := self.plan.model(method, task, number)) is None:
            return []
        sample = self.plan.sample(method, task)
        steps = [model, self.plan.losses(model, sample), self.plan.losses(model.reads.get("parent"), sample)]
        if picked := split_selection(method):
            steps.append(self.plan.quality(task, *picked))
        return steps

    def adaptation(self, method: str, task: str, seed: int) -> dict:
        """What the checkpoint of a fine-tuning seed cost and did: the `adaptation` part of a record."""
        return self._adaptation(method, task, self.plan.turn(seed))

    @functools.cache  # noqa: B019 - the same for every seed whose turn it is
    def _adaptation(self, method: str, task: str, number: int) -> dict:
        model, after, before, *judged = self._measured(method, task, number)
        summary, picked = read_json(self.folder(model) / "summary.json"), split_selection(method)
        selector, k = picked or (None, None)
        shuffled = " shuffled" if model.settings.get("shuffle") else ""
        # not-DAPT is another domain's DAPT, Transfer-TAPT another task's TAPT: the checkpoint goes by its own name
        texts = METHODS[method].texts if method in METHODS else ()
        own = {("unrelated",): "dapt", ("partner",): "tapt"}.get(texts, method)
        row = {"method": own, "corpus": model.reads["texts"].name + shuffled,
               "seed": model.settings["seed"], "selector": selector, "k": k}  # fmt: skip
        if judged:
            found = self.table(judged[0]).iloc[0]
            row |= {"selected_words": int(found["words"]), "word_cover": float(found["word_cover"]),
                    "kl_reduction": float(found["kl_reduction"]), "selection_seconds": float(found["seconds"]),
                    "selection_mb": float(found["peak_memory_mb"])}  # fmt: skip
        if self.plan.head:
            row["head_fitted"] = True  # the base came without a masked-LM head
        told = ("steps", "epochs", "documents", "tokens", "bytes", "seconds", "device", "precision", "processes")
        row |= {name: summary[name] for name in told if name in summary}
        for name, step in (("mlm_loss_before", before), ("mlm_loss_after", after)):
            row[name] = float(self.table(step, "losses.csv")["loss"].mean())
        return row | {"checkpoint_key": model.key}

    def losses(self) -> pd.DataFrame:
        """Masked-LM loss of the base and every DAPT model on PT and every domain. Paper: Table 12.

        Returns model ('base', 'dapt_<domain>'), sample, loss (mean over documents, nats a token), sd, low, high (95 %
        bootstrap over documents), token_loss (every masked token counts once), n (documents).
        """
        from helpers.pretrain import loss_interval

        rows = [
            {"model": name, "sample": sample} | loss_interval(documents)
            for (name, sample), documents in self._domain_losses().items()
        ]
        keys = {f"dapt_{name}": self.plan.dapt(name).key for name in self.domains}
        self.write("records/mlm_loss.json", as_json({"checkpoints": keys, "losses": rows}))
        return pd.DataFrame(rows)

    def document_losses(self, tasks: Sequence[str] = ()) -> pd.DataFrame:
        """The same, a row a document, for paired comparisons: model, sample, document, loss, masked_tokens, group.

        tasks: dev text of these too (sample 'task_<task>'), under the base, the DAPT of their domain and their TAPT
        ('tapt_<task>').
        """
        plan, found = self.plan, self._domain_losses()
        steps = {
            (name, f"task_{task}"): plan.losses(model, plan.task_text(task, "dev"))
            for task in tasks
            for name, model in {
                "base": None, f"dapt_{plan.domain_of(task)}": plan.model("dapt", task), f"tapt_{task}": plan.tapt(task),
            }.items()
        }  # fmt: skip
        self.make(steps.values())
        most = self.config.heldout_documents
        groups = {f"task_{task}": groups_of_thinned(self.task(task).dev, most) for task in tasks}
        found |= {pair: grouped(self.table(step, "losses.csv"), groups[pair[1]]) for pair, step in steps.items()}
        frames = [frame.assign(model=name, sample=sample) for (name, sample), frame in found.items()]
        return pd.concat(frames, ignore_index=True)

    def _domain_losses(self) -> dict[tuple[str, str], pd.DataFrame]:
        models = {"base": None, **{f"dapt_{name}": self.plan.dapt(name) for name in self.domains}}
        steps = {
            (name, sample): self.plan.losses(model, self.plan.domain(sample))
            for name, model in models.items()
            for sample in (GENERIC, *self.domains)
        }
        self.make(steps.values())
        return {pair: self.table(step, "losses.csv") for pair, step in steps.items()}

    # Fine-tuning ---------------------------------------------------------------------------------------

    def fine_tune(
        self, methods: Sequence[str], tasks: Sequence[str] | None = None, recipe: str = "paper"
    ) -> pd.DataFrame:
        """Fine-tune every (task, method, seed) that is not in the store yet; leave one record each.

        methods: see helpers.methods, and '<selector>_<k>_tapt'. A method that the study has no text for is said and
        left out. recipe: 'paper', or 'strong' for warm-up, bias correction and more epochs. Returns the records as
        `helpers.results.load_records` does, these tasks, methods and seeds only. Paper: Tables 3, 5, 6, 8.
        """
        cells, measured = self._cells(methods, tasks, recipe)
        failure = None
        try:
            self.make([*measured, *cells.values()])
        except JobsFailed as error:
            failure = error
        paths = [
            self._write_record(cell, read_json(self.folder(step) / "record.json"), recipe, step)
            for cell, step in cells.items()
            if step.folder(self.store)
        ]
        records = self._records(paths)
        for line in never_learnt(records):
            self.log(line)
        if failure:
            raise failure
        return records

    def read_out(self, methods: Sequence[str], tasks: Sequence[str] | None = None) -> pd.DataFrame:
        """Frozen read-outs of the methods, READ_OUTS draws of few labels each: records whose recipe is 'frozen'.

        Each draw is of LABELS rows or, where LABELS is 0, of the smallest of LABEL_BUDGETS that is not. TF-IDF is
        fitted to the same draws; other baselines are left out. Returns records as `fine_tune` does, none where
        READ_OUTS is 0. A second read-out beside the paper's fine-tuning; see `helpers.classify.read_out`.
        """
        config, paths = self.config, []
        chosen = read_out_methods(methods)
        if config.read_outs and chosen:
            pairs = self.possible(chosen, tasks)
            for (method, task), made in self.scored_read_outs(pairs, config.read_out_labels, config.read_outs).items():
                paths += [self._write_record((task, method, one["seed"]), one, "frozen", step) for one, step in made]
        return self._records(paths)

    def scored_read_outs(self, pairs, labels: int, draws: int) -> dict[tuple[str, str], list[tuple[dict, Step]]]:
        """The read-outs of each (method, task), made first: their scores, and the step that each is of."""
        steps = {(method, task): self.plan.read_outs(task, method, labels, draws) for method, task in pairs}
        self.make([step for several in steps.values() for step in several])
        return {
            pair: [(one, step) for step in several for one in read_json(self.folder(step) / "records.json")]
            for pair, several in steps.items()
        }

    def _records(self, paths: Iterable[Path]) -> pd.DataFrame:
        """The run's records of these files."""
        return load_records(self.output / "records", paths)

    def _cells(self, methods, tasks, recipe: str) -> tuple[dict[tuple[str, str, int], Step], list[Step]]:
        """The record of each (task, method, seed), and what is measured of their checkpoints."""
        first, count = self.config.first_seed, self.config.strong_seeds if recipe == "strong" else self.config.seeds
        seeds = range(first, first + count)
        pairs = self.possible(methods, tasks)
        cells = {
            (task, method, seed): self.plan.record(task, method, seed, recipe)
            for seed in seeds  # seed by seed, so that an interrupted run has something of everything
            for method, task in pairs
            # without a draw of labels there is no chance in a baseline
            if seed == first or self.config.labels or method not in BASELINES
        }
        numbers = range(min(self.config.adaptation_seeds, len(seeds)))
        return cells, [step for pair in pairs for number in numbers for step in self._measured(*pair, number)]

    def possible(self, methods: Sequence[str], tasks: Sequence[str] | None) -> list[tuple[str, str]]:
        """(method, task) of those that the study has text for; says which are left out, raises when none is left."""
        found, reasons = [], {}
        for task in self.tasks if tasks is None else tasks:
            for method in methods:
                check(method)
                try:
                    self.plan.model(method, task)
                    found.append((method, task))
                except NothingToCompare as error:
                    reasons[str(error)] = None
        if reasons and not found:
            raise UserError("; ".join(reasons))
        for reason in reasons:
            if reason not in self._left_out:
                self.log(f"left out: {reason}")
        self._left_out |= reasons.keys()
        return found

    def _write_record(self, cell: tuple[str, str, int], scored: dict, recipe: str, step: Step) -> Path:
        """Put stored scores and what this run knows of them into the run's record file."""
        task, method, seed = cell
        config, spec = self.config, self.task(task).spec
        base_model = Path(config.base_model).name
        settings = config.model_dump(mode="json", exclude={*HERE})
        record = {
            **scored, "task": task, "domain": spec.domain, "method": method,
            "recipe": recipe, "seed": seed, "preset": config.preset, "base_model": base_model, "metric": spec.metric,
            "test_leaked": self.leaked_test_rows(task), "test_groups": self.task(task).groups(),
            "adaptation": self.adaptation(method, task, seed) if self.plan.model(method, task) else None,
            "config": settings | {"base_model": base_model}, "key": step.key,
        }  # fmt: skip
        path = self.output / "records" / record_path(record)
        if not path.exists() or read_json(path) != record:
            write_record(self.output / "records", record)
        return path

    # Selection -----------------------------------------------------------------------------------------

    def select(self, task: str, selector: str, k: int):
        """Domain text selected for a task: `helpers.select.Selection`. Paper: section 5.2."""
        return makers.load_selection(self.folder(self.plan.selection(task, selector, k)))

    def vampire(self, task: str):
        """The VAMPIRE behind a task's selections: `topics()`, `embed(texts)`, `history`."""
        from helpers.select import load_vampire

        return load_vampire(self.folder(self.plan.vampire(task)))

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
        """Write a text file of the run."""
        path = write_text(self.output / name, text)
        self._written[path] = None
        return path
