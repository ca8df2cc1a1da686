"""What a study is made of: each name of the paper as a step that knows what it reads. Nothing is computed here."""

import dataclasses
import functools
from itertools import chain, islice

from helpers.config import Config
from helpers.data import DOMAINS, domain_names, load_domain, load_task
from helpers.encoder.named import base_files, has_masked_lm_head
from helpers.errors import UserError
from helpers.hashing import fingerprint
from helpers.methods import BASELINES, METHODS, check, split_selection
from helpers.study import makers, scripts
from helpers.study.opening import own_domain, with_draws
from helpers.study.steps import Step

COUNTED = tuple(name for name in BASELINES if name != "static")  # baselines that count words
GENERIC = "generic"  # the sample of the base model's own pretraining sources, "PT" in the paper
AGAIN = 100  # the first seed that no other adaptation has: ADAPTATION_SEEDS are at most as many
# asked for in a task's dev text: its sentences are short, and effects on it a tenth of those on a domain's documents
MASKED_TOKENS = 20_000


class NothingToCompare(UserError):
    """A method that this study has no text for: no other task, no other domain, no unlabelled text."""


class Plan:
    """The steps of one configuration. Reading tasks and fingerprinting sources is the most it does.

    config: a helpers.config.Config. Equal steps are one object, so a plan can be asked again and again.
    """

    def __init__(self, config: Config):
        self.config = config
        given = ("data_dir", "task_file", "label_column", "max_train", "max_dev", "max_test")
        # TEXT_COLUMN is of TASK_FILE, else of DOMAIN_FILE, else of what a data root holds
        column = "" if config.domain_file and not config.task_file else config.text_column
        self.source = (("domain", own_domain(config)), ("text_column", column),
                       *((name, getattr(config, name)) for name in given))  # fmt: skip
        self.tasks = tuple(dict.fromkeys((*config.tasks, *config.selection_tasks)))

    # Texts ---------------------------------------------------------------------------------------------

    @functools.cache  # noqa: B019 - lives as long as the study
    def task(self, name: str):
        """The task as read: train, dev, test, labels, spec."""
        return with_draws(load_task(name, **dict(self.source)), self.config)

    @functools.cache  # noqa: B019
    def task_fingerprint(self, name: str) -> str:
        return makers.content(self.task(name))

    @functools.cached_property
    def domains(self) -> tuple[str, ...]:
        """Domains to adapt to: those asked for, else the tasks' own and, for not-DAPT, the paper's other ones."""
        chosen = list(self.config.domains)
        if not chosen:
            own = dict.fromkeys(map(self.domain_of, self.config.tasks))
            paired = dict.fromkeys(DOMAINS[name].not_dapt for name in own if name in DOMAINS)
            chosen = [name for name in DOMAINS if name in own or name in paired]
            chosen += [name for name in own if name not in chosen]
        return tuple(dict.fromkeys([*chosen, *domain_names(self.config.domain_file)]))

    @functools.cached_property
    def held(self) -> Step:
        """Dev and test texts of every task."""
        return self._held(*self.tasks)

    def _held(self, *names: str) -> Step:
        settings = {"tasks": [self.task_fingerprint(name) for name in names]}
        return Step(makers.held, settings, {}, {"source": self.source, "names": list(names)}, "dev and test")

    @functools.cache  # noqa: B019
    def domain(self, name: str) -> Step:
        """A domain's whole text, to train on and held out. Raises UserError where its text cannot be had."""
        here = {"name": name, "source": self._source_of_domain(name)}
        text = makers.content_of_domain(self.corpus(name))
        return Step(makers.domain, {"text": text}, {"held": self.held}, here, name)

    def corpus(self, name: str):
        """A domain's text as it lies where it comes from. Raises UserError where it cannot be had."""
        return load_domain(name, **self._source_of_domain(name))

    def _source_of_domain(self, name: str) -> dict:
        config = self.config
        own = not config.domain_file or name in domain_names(config.domain_file)
        column = config.text_column if own and not config.task_file else ""
        return {"data_dir": config.data_dir, "domain_file": config.domain_file, "text_column": column}

    @functools.cache  # noqa: B019
    def task_text(self, name: str, split: str = "train") -> Step:
        """A task's text to train on ('train', or 'unlabeled' with train), or its dev text to measure loss on."""
        if split == "unlabeled" and not self.task(name).unlabeled:
            raise NothingToCompare(f"curated_tapt: task {name} has no unlabelled text (unlabeled.jsonl)")
        settings = {"task": self.task_fingerprint(name), "split": split}
        if split == "unlabeled":
            settings["unlabeled"] = fingerprint(self.task(name).unlabeled)
        # a partner may be no task of the study: its own dev text is what its loss is told on
        held = self.held if name in self.tasks else self._held(*self.tasks, name)
        reads = {} if split == "dev" else {"held": held}
        return Step(makers.task_text, settings, reads, {"source": self.source, "name": name}, name)

    def can_be_had(self, read, name: str) -> bool:
        """Whether `read`, this plan's `task` or `domain`, finds a text of that name."""
        try:
            return bool(read(name))
        except UserError:
            return False

    # Which domain or task a method borrows from --------------------------------------------------------

    def domain_of(self, task: str) -> str:
        return self.task(task).spec.domain

    def unrelated_domain(self, task: str) -> str:
        """The domain that not-DAPT adapts to: the paper's pair where its text can be had, else another of the study."""
        own = self.domain_of(task)
        paired = DOMAINS[own].not_dapt if own in DOMAINS else ""
        if paired and (paired in self.domains or self.can_be_had(self.domain, paired)):
            return paired
        others = [name for name in self.domains if name != own]
        if not others:
            raise NothingToCompare(f"not_dapt for {task}: the study has no domain besides {own}; add one to DOMAINS")
        return others[-1]

    def partner(self, task: str) -> str:
        """The task that Transfer-TAPT adapts to: the paper's pair where it can be had, one of the domain, any other."""
        spec = self.task(task).spec
        others = [name for name in self.tasks if name != task]
        same = [name for name in others if self.domain_of(name) == spec.domain]
        if spec.partner and (spec.partner in others or (not same and self.can_be_had(self.task, spec.partner))):
            return spec.partner
        if not others:
            raise NothingToCompare(f"transfer_tapt for {task}: the study has no other task; add one to TASKS")
        after = self.tasks.index(task) if task in self.tasks else 0
        return same[0] if same else others[after % len(others)]

    # Models --------------------------------------------------------------------------------------------

    @functools.cached_property
    def base(self) -> dict:
        """The base model as every step takes it: its fingerprint, which is in keys, and its folder, which is not."""
        folder, files = base_files(self.config.base_model)
        digest = fingerprint([part for file in files for part in (file.name, fingerprint(file))])
        return {"base": digest, "base_path": str(folder)}

    @functools.cached_property
    def head(self) -> Step | None:
        """The base with a masked-LM head fitted on general text, where adaptations start; None where it has one."""
        if has_masked_lm_head(self.base["base_path"]):
            return None
        from helpers.pretrain import HEAD

        if not self.can_be_had(self.domain, GENERIC):
            raise UserError(f"BASE_MODEL={self.config.base_model} has no masked-LM head, and there is no general text "
                            "(domain 'generic') to fit one on")  # fmt: skip
        config = self.config
        # a fresh head needs more text than a trained one: four DAPTs, at most the head's own recipe
        recipe = dataclasses.replace(HEAD, steps=min(HEAD.steps, 4 * config.dapt_steps), batch_size=config.dapt_batch,
                                     max_length=config.max_length)  # fmt: skip
        return self._adapted("head", recipe.as_dict(), self.domain(GENERIC), None)

    def turn(self, seed: int) -> int:
        """The number of the adaptation whose turn it is at a seed of fine-tuning or a draw."""
        return (seed - self.config.first_seed) % self.config.adaptation_seeds

    @functools.cache  # noqa: B019
    def model(self, method: str, task: str, number: int = 0) -> Step | None:
        """The checkpoint that a method means for a task; None for the base itself and for methods without a model.

        number: which of the ADAPTATION_SEEDS adaptations, from 0, counted round; see `turn`. Selected text is drawn
        once, as in the paper. Raises UserError for an unknown method, NothingToCompare where the study has no text
        for it.
        """
        check(method)
        number %= self.config.adaptation_seeds
        if picked := split_selection(method):
            return self.tapt(task, selected=self.selection(task, *picked), seed=number)
        step = None
        for text in METHODS[method].texts:
            step = self._on(text, task, step, number)
        return step

    def _on(self, text: str, task: str, parent: Step | None, seed: int) -> Step:
        """Adaptation of `parent` to one of the texts that methods name, for a task."""
        match text:
            case "domain":
                return self.dapt(self.domain_of(task), parent, seed=seed)
            case "again":
                return self.dapt(self.domain_of(task), parent, seed=AGAIN + seed)
            case "shuffled":
                return self.dapt(self.domain_of(task), parent, shuffle=True, seed=seed)
            case "unrelated":
                return self.dapt(self.unrelated_domain(task), parent, seed=seed)
            case "general":
                return self.dapt(GENERIC, parent, seed=seed)
            case "task":
                return self.tapt(task, parent, seed=seed)
            case "partner":
                return self.tapt(self.partner(task), parent, seed=seed)
            case "unlabeled":
                return self.tapt(task, parent, split="unlabeled", seed=seed)
        raise ValueError(f"text {text!r} of a method: helpers.study.plan knows no such text")

    @functools.cache  # noqa: B019
    def dapt(
        self, domain: str, parent: Step | None = None, shuffle: bool = False, seed: int = 0,
        size: tuple[int, int, int] | None = None,
    ) -> Step:  # fmt: skip
        """DAPT on a domain, or on its words in random order. Paper: section 3.1.

        size: updates, sequences an update and documents of a trial; None: as configured, a document a sequence.
        """
        from helpers.pretrain import DAPT

        c = self.config
        steps, batch, documents = size or (c.dapt_steps, c.dapt_batch, c.dapt_steps * c.dapt_batch)
        recipe = dataclasses.replace(DAPT, steps=steps, batch_size=batch, learning_rate=c.dapt_learning_rate,
                                     max_length=c.max_length)  # fmt: skip
        about = f"{steps:,} updates of {batch:,} sequences, peak learning rate {c.dapt_learning_rate:g}"
        more = {"documents": documents} | ({"shuffle": True} if shuffle else {})
        name = "shuffled DAPT" if shuffle else "DAPT"
        return self._adapted(name, recipe.as_dict(), self.domain(domain), parent or self.head, seed=seed, about=about,
                             **more)  # fmt: skip

    @functools.cache  # noqa: B019
    def tapt(
        self, task: str, parent: Step | None = None, split: str = "train", selected: Step | None = None, seed: int = 0,
        size: tuple[int, int, int] | None = None,
    ) -> Step:  # fmt: skip
        """TAPT on the task's text, joined with what was selected, in about TAPT_TOKENS or DAPT's. Paper: section 4.1.

        size: texts, passes and sequences an update of a trial; None: as configured, all texts.
        """
        c = self.config
        documents, passes, batch = size or (0, c.tapt_epochs, c.tapt_batch)
        most = c.tapt_tokens or c.dapt_steps * c.dapt_batch * c.max_length
        recipe = {"name": "tapt", "epochs": passes, "batch_size": batch,
                  "learning_rate": c.tapt_learning_rate, "max_length": c.max_length}  # fmt: skip
        name = ("DAPT+" if parent else "") + ("Curated-TAPT" if split == "unlabeled" else "TAPT")
        if selected:
            name = f"{selected.settings['selector']}-{selected.settings['k']}-TAPT"
        return self._adapted(
            name, recipe, self.task_text(task, split), parent or self.head, selected, seed,
            about=f"at most {passes:,} passes and about {most:,} tokens", most_tokens=most,
            **({"documents": documents} if documents else {}),
        )  # fmt: skip

    def _adapted(
        self, what: str, recipe: dict, texts: Step, parent: Step | None, selected: Step | None = None, seed: int = 0,
        about="", **more,
    ) -> Step:  # fmt: skip
        reads = {"texts": texts, "parent": parent, "selected": selected}
        seed += self.config.first_seed
        settings = {"recipe": recipe, "seed": seed, "base": self.base["base"], **more}
        name = f"{what} on {texts.name}" + (f", seed {seed}" if seed else "")
        return Step(
            makers.model, settings, {role: step for role, step in reads.items() if step},
            {"base_path": self.base["base_path"], "processes": self.config.adaptation_processes}, name, about,
        )  # fmt: skip

    # Selection -----------------------------------------------------------------------------------------

    @functools.cache  # noqa: B019
    def pool(self, domain: str) -> Step:
        """Distinct sentences of a domain's training text, to select from."""
        settings = {"sentences": self.config.pool_sentences}
        return Step(makers.pool, settings, {"domain": self.domain(domain)}, name=domain)

    @functools.cache  # noqa: B019
    def vampire(self, task: str) -> Step:
        """VAMPIRE for a task, shared by every k."""
        reads = {"pool": self.pool(self.domain_of(task)), "task": self.task_text(task)}
        settings = {"epochs": self.config.vampire_epochs, "seed": self.config.first_seed} | self._segmented(task)
        return Step(makers.vampire, settings, reads, name=task)

    @functools.cache  # noqa: B019
    def selection(self, task: str, selector: str, k: int) -> Step:
        """Text for a task by one selector. VAMPIRE's rivals get as many words as it found at the same k."""
        reads = {"pool": self.pool(self.domain_of(task)), "task": self.task_text(task), "held": self.held}
        settings, here = {"selector": selector, "k": k, "seed": self.config.first_seed}, {}
        if selector == "vampire":
            reads["vampire"] = self.vampire(task)
        elif "vampire" in self.config.selectors:
            reads["leader"] = self.selection(task, "vampire", k)
        settings |= self._segmented(task)
        if selector == "embedding":
            settings["base"], here["base_path"] = self.base["base"], self.base["base_path"]
        return Step(makers.selection, settings, reads, here, f"{selector} {k} for {task}")

    @functools.cache  # noqa: B019
    def quality(self, task: str, selector: str, k: int) -> Step:
        """What a selection is worth before anything is trained on it."""
        chosen = self.selection(task, selector, k)
        reads = {"selection": chosen, "pool": chosen.reads["pool"]}
        if selector == "vampire":
            reads["vampire"] = chosen.reads["vampire"]
        settings = {"task": self.task_fingerprint(task), "selector": selector} | self._segmented(task)
        return Step(makers.quality, settings, reads, {"source": self.source, "name": task}, chosen.name)

    # Measurements --------------------------------------------------------------------------------------

    def sample(self, method: str, task: str) -> Step:
        """The text a method's loss is told on: its domain's held-out documents, or dev text of the task it read."""
        match METHODS[method].texts[-1:] if method in METHODS else ():
            case ("domain" | "again" | "shuffled",):
                return self.domain(self.domain_of(task))
            case ("unrelated",):
                return self.domain(self.unrelated_domain(task))
            case ("general",):
                return self.domain(GENERIC)
            case ("partner",):
                return self.task_text(self.partner(task), "dev")
        return self.task_text(task, "dev")

    def losses(self, model: Step | None, sample: Step) -> Step:
        """Masked-LM loss of every document of a sample under a model (None: what adaptations start from)."""
        c, start = self.config, model or self.head
        settings = {"max_length": c.max_length, "documents": c.heldout_documents, "base": self.base["base"]}
        if sample.kind == "task_text":
            settings["masked_tokens"] = MASKED_TOKENS
        reads = {"sample": sample} | ({"model": start} if start else {})
        name = f"{start.name if start else 'base'}, loss on {sample.name}"
        return Step(makers.losses, settings, reads, {"base_path": self.base["base_path"]}, name)

    def record(self, task: str, method: str, seed: int, recipe: str = "paper") -> Step:
        """One fine-tuning, or one fit of a baseline."""
        from helpers.classify import recipe_for

        c, loaded, model = self.config, self.task(task), self.model(method, task, self.turn(seed))
        settings = self._scored(task) | {"seed": seed, "labels": c.labels, "recipe": {}, "base": ""}
        if method in BASELINES:
            settings["baseline"] = method
        else:
            settings["recipe"] = dataclasses.asdict(recipe_for(c, recipe).sized(c.labels or len(loaded.train)))
        if method != "tfidf":  # the only one that looks at no model
            settings["base"] = self.base["base"]
        if method in BASELINES and method != "tfidf":
            settings["max_length"] = c.max_length
        settings |= self._cut_by_script(task) if method in COUNTED else {}
        here = {"source": self.source, "name": task, "base_path": self.base["base_path"]}
        return Step(makers.record, settings, {"model": model} if model else {}, here, f"{task} {method} seed {seed}")

    def _scored(self, task: str) -> dict:
        return {"task": self.task_fingerprint(task), "metric": self.task(task).spec.metric}

    @functools.cache  # noqa: B019
    def _cut_by_script(self, task: str) -> dict:
        """A part of the key of baselines that count words, where the texts' script says what a word is."""
        rows = self.task(task)
        return scripts.of_rows(text for split in (rows.train, rows.dev, rows.test) for text in split["text"])

    @functools.cache  # noqa: B019
    def _segmented(self, *names: str, selects: bool = True) -> dict:
        """A part of the key of what counts words of these tasks (with their domains) or domains, from their first."""
        texts = (self.task(name).train["text"] for name in names if name in self.tasks)
        corpora = (self.corpus(self.domain_of(name) if name in self.tasks else name) for name in names)
        return scripts.of_sample(chain.from_iterable(islice(some, 500) for some in chain(texts, corpora)), selects)

    def read_outs(self, task: str, method: str, labels: int, draws: int) -> list[Step]:
        """Frozen read-outs of a method on a task from as many labels: a step for each of its checkpoints, with the
        draws whose turn it is. A baseline reads the same draws."""
        c, steps = self.config, []
        here = {"source": self.source, "name": task}
        for number in range(1 if method in BASELINES else min(c.adaptation_seeds, draws)):
            every = range(c.first_seed, c.first_seed + draws)
            seeds = [seed for seed in every if method in BASELINES or self.turn(seed) == number]
            settings = self._scored(task) | {"labels": labels, "seeds": seeds}
            name = f"{task} {method}, {labels or 'all'} labels"
            if method in BASELINES:
                more = {"baseline": method, "base": self.base["base"], "max_length": c.max_length}
                more |= self._cut_by_script(task) if method in COUNTED else {}
                path = {"base_path": self.base["base_path"]}
                steps.append(Step(makers.read_outs, settings | more, {}, here | path, name))
            else:
                reads = {"vectors": self.vectors(self.model(method, task, number), task)}
                steps.append(Step(makers.read_outs, settings, reads, here, name))
        return steps

    def vectors(self, model: Step | None, task: str) -> Step:
        """Mean vectors of a task's texts under a model (None: the base as it is)."""
        length = self.config.max_length
        settings = {"task": self.task_fingerprint(task), "max_length": length, "base": self.base["base"]}
        here = {"source": self.source, "name": task, "base_path": self.base["base_path"]}
        name = f"{task} by {model.name if model else 'base'}"
        return Step(makers.vectors, settings, {"model": model} if model else {}, here, name)

    def overlap(self) -> Step:
        """Vocabulary overlap of PT and every domain. Paper: Figure 2."""
        settings = {"documents": self.config.overlap_documents, "top": self.config.top_words}
        # a domain may have the name of a setting
        reads = {f"of_{name}": self.domain(name) for name in (GENERIC, *self.domains)}
        return Step(
            makers.overlap, settings | self._segmented(GENERIC, *self.domains, selects=False), reads, name="domains"
        )

    def audit(self, task: str) -> Step:
        """Texts that a task shares between its splits and with the corpora."""
        reads = {"general_text": self.domain(GENERIC), "domain_text": self.domain(self.domain_of(task)),
                 "own": self.task_text(task)}  # fmt: skip
        here = {"source": self.source, "name": task}
        return Step(makers.audit, {"task": self.task_fingerprint(task)}, reads, here, task)
