"""What would adaptation buy me? Told in minutes, before a long run: a small DAPT, read out on dev rows.

The trial repeats its text as often as the planned DAPT would: of the sequences planned it reads a part, from the same
part of the documents. One that repeats less misjudges. Half a trial, made alike, gives the slope.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from helpers.config import Config
from helpers.data import drawn_rows
from helpers.errors import UserError
from helpers.files import read_json
from helpers.paths import outputs_dir
from helpers.progress import duration
from helpers.results.advice import OUTCOMES
from helpers.results.loss_claims import paired
from helpers.results.numbers import said_gain
from helpers.results.stats import Comparison, holm, paired_combined, t_comparison
from helpers.study.makers import META, tapt_recipe_within
from helpers.study.opening import open_config
from helpers.study.outlook import TOKENS_A_WORD
from helpers.study.plan import Plan
from helpers.study.study import Study
from helpers.study.texts import groups_of_thinned
from helpers.words import word_count

COLUMNS = ("task", "question", "value", "low", "high", "said")
PART, MOST = 4, 12_800  # a trial reads the planned sequences' fourth, at most so many
UPDATES = 100  # fewer teach little: a large batch is made smaller, down to LEAST_BATCH, before there are fewer
LEAST_BATCH, LEAST_DOCUMENTS, LEAST_DRAWS = 8, 10, 20


def trial(
    PRESET: str = "demo", *, sequences: int = 0, labels: int = 100, draws: int = 40, least: float = 1.0, **planned
) -> pd.DataFrame:
    """What the planned adaptation would buy, cost and leave to labels: a trial on each task of a planned run.

    PRESET, planned: the run as planned in full, as for `Study.open`: TASK_FILE, DOMAIN_FILE, BASE_MODEL, DAPT_STEPS,
    DAPT_BATCH, MAX_LENGTH. sequences: read by the trial; 0: a fourth of those planned, at most 12,800. labels: rows of
    a frozen read-out, at most half of the task's. draws: of them, 20 or more, the same for all models. least: points
    below which a gain is not worth while. Only dev rows are scored. Models are kept in the store.

    Returns COLUMNS, a row a task and question: 'gain' of the trial's DAPT over the base, 'half' that of half of it,
    'doubling' what the second half added, 'planned' the gain if each further doubling adds as much, 'tapt' that of TAPT
    on all of the task's text or, where that takes more than twice the trial, on a part of it as often (all points of
    F1), 'fall' of the masked-LM loss on dev text (nats a token), all with 95 % intervals; 'passes' over the text,
    'speed' (tokens a second), 'hours' of the planned DAPT on this machine, 'labels' (points for twice as many), 'words'
    (points of TF-IDF over the base), and 'so', the advice in a sentence. `said` has each in words.
    Raises UserError where a trial that repeats its text as often would read fewer than ten documents.

    >>> small = dict(TASKS="toy_cs", MAX_TRAIN=30, MAX_DEV=20, MAX_LENGTH=16, TAPT_EPOCHS=1, OUTPUT_DIR=str(tmp))
    >>> found = trial("smoke", sequences=64, draws=20, **small)
    Held-out text: 1 to make...
    >>> found["question"].tolist()
    ['gain', 'half', 'doubling', 'planned', 'tapt', 'fall', 'passes', 'speed', 'hours', 'labels', 'words', 'so']
    """
    if draws < LEAST_DRAWS:
        raise UserError(f"trial: {draws} draws are too few for an interval; give {LEAST_DRAWS} or more")
    study = Study(open_config(PRESET, {"OUTPUT_DIR": str(outputs_dir("trial"))} | planned))
    study.plan.base  # noqa: B018 - a base that is not there is refused before anything is computed
    rows = [(task, *row) for task in study.tasks for row in _rows(study, task, sequences, labels, draws, least)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def sizes(config: Config, documents: int, sequences: int = 0) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """(half of the trial, the trial), each as updates, sequences an update and documents.

    documents: of the domain's training side. sequences: of the trial, see `trial`. The documents are to the sequences
    as in the planned DAPT, which reads a document a sequence at most. Raises UserError where they are too few.

    >>> from helpers.config import make_config
    >>> sizes(make_config("demo"), documents=6400)
    ((100, 32, 800), (200, 32, 1600))
    """
    planned = config.dapt_steps * config.dapt_batch
    wanted = min(sequences or min(planned // PART, MOST), planned)
    batch = min(config.dapt_batch, max(LEAST_BATCH, wanted // UPDATES))
    half = max(1, wanted // (2 * batch))
    share = min(documents, planned) / planned  # documents a sequence
    if half * batch * share < LEAST_DOCUMENTS:
        enough = 2 * math.ceil(LEAST_DOCUMENTS / share / batch) * batch
        way = "make the planned run itself"
        if enough <= planned:
            way = f"give it {enough} sequences or more, or plan fewer DAPT_STEPS"
        raise UserError(f"trial: to repeat the {documents} documents as often as planned, {2 * half * batch} sequences "
                        f"would read too few of them; {way}")  # fmt: skip
    small, whole = ((part, batch, round(part * batch * share)) for part in (half, 2 * half))
    return small, whole


def _rows(study: Study, name: str, sequences: int, labels: int, draws: int, least: float) -> list[tuple]:
    """(question, value, low, high, said) of one task."""
    plan, config = study.plan, study.config
    domain, planned = plan.domain_of(name), config.dapt_steps * config.dapt_batch
    study.prepare_domains([domain])
    half, whole = sizes(config, read_json(study.folder(plan.domain(domain)) / META)["train"]["documents"], sequences)
    models = {"base": None, "half": plan.dapt(domain, size=half), "dapt": plan.dapt(domain, size=whole)}
    read, texts = whole[0] * whole[1], study.task_texts(name)
    some, passes, batch = _tapt_size(plan, name, texts, read)
    models["tapt"] = plan.tapt(name) if some == len(texts) else plan.tapt(name, size=(some, passes, batch))
    losses = {key: plan.losses(model, plan.task_text(name, "dev")) for key, model in models.items()}
    for step in losses.values():
        study.make([step])  # one after the other, since the seconds of its model are told
    fallen = {key: study.table(step, "losses.csv").set_index("document")["loss"] for key, step in losses.items()}
    summary = read_json(study.folder(models["dapt"]) / "summary.json")
    hours = summary["seconds"] * planned / read / 3600

    folders = {key: study.folder(model) if model else plan.base["base_path"] for key, model in models.items()}
    few, best, compare = _read_out(study, name, folders, labels, draws)
    gains = {key: compare(key, "base") for key in models if key != "base"}
    slope, twice, words = compare("dapt", "half"), compare("twice", "base"), compare("words", "base")
    at_plan = extrapolated(gains["dapt"], slope, math.log2(planned / read))
    drawn = f"macro-F1 on {len(study.task(name).dev):,} dev rows, {draws} draws of {few} labels, frozen read-out"
    drawn = drawn.replace("macro-F1", "micro-F1") if study.task(name).spec.metric == "micro_f1" else drawn
    fall = paired(
        (fallen["base"] - fallen["dapt"]).dropna(), groups_of_thinned(study.task(name).dev, config.heldout_documents)
    )
    speed = summary["tokens"] / summary["seconds"]
    rows = [
        ("gain", gains["dapt"], f"{said_gain(gains['dapt'])} points over the base: DAPT, {whole[0]} updates of "
         f"{whole[1]} sequences ({drawn})"),
        ("half", gains["half"], f"{said_gain(gains['half'])} points over the base: half of that trial"),
        ("doubling", slope, f"{said_gain(slope)} points more by the second half"),
        ("planned", at_plan, f"{said_gain(at_plan)} points over the base by the planned {planned:,} sequences, if each "
         "doubling adds as much"),
        ("tapt", gains["tapt"], f"{said_gain(gains['tapt'])} points over the base: TAPT, {passes} passes as planned, "
         f"over {some:,} of {len(texts):,} texts"),
        ("fall", fall, f"{fall.effect:.2f} [{fall.low:.2f}, {fall.high:.2f}] nats a token, masked-LM loss on dev text"),
        ("passes", summary["epochs"], f"{summary['epochs']:.2f} passes over {whole[2]:,} documents, as planned"),
        ("speed", speed, f"{speed:,.0f} tokens a second on this machine"),
        ("hours", hours, f"{duration(3600 * hours)} for the planned DAPT at that rate"),
        ("labels", twice, f"{said_gain(twice)} points by twice as many labels, no adaptation"),
        ("words", words, f"{said_gain(words)} points over the base: TF-IDF of the whole texts on the same labels"),
    ]  # fmt: skip
    sentence = advice(
        {key: gains[key] for key in ("tapt", "dapt")}, slope, at_plan, twice, duration(3600 * hours),
        words, compare("words", best), least,
    )  # fmt: skip
    told = [(question, *_numbers(value), said) for question, value, said in rows]
    return [*told, ("so", np.nan, np.nan, np.nan, sentence)]


def _numbers(value) -> tuple[float, float, float]:
    return (value.effect, value.low, value.high) if isinstance(value, Comparison) else (value, np.nan, np.nan)


def _tapt_size(plan: Plan, name: str, texts: list[str], sequences: int) -> tuple[int, int, int]:
    """Texts of a trial's TAPT, how often each is read, as in TAPT as planned, and sequences an update.

    All of them where that is at most twice `sequences`, about; else as many as are read in those.
    """
    planned, length = plan.tapt(name).settings, plan.config.max_length
    recipe = tapt_recipe_within(planned["recipe"], texts, plan.base["base_path"], planned["most_tokens"])
    windows = [math.ceil(TOKENS_A_WORD * word_count(text) / (length - 2)) for text in texts]
    wanted = recipe.epochs * sum(max(1, count) for count in windows)
    if wanted <= 2 * sequences:
        return len(texts), recipe.epochs, recipe.batch_size
    # a large batch would be filled up by further passes
    batch = min(recipe.batch_size, max(LEAST_BATCH, sequences // UPDATES))
    return max(1, round(len(texts) * sequences / wanted)), recipe.epochs, batch


def _read_out(study: Study, name: str, folders: Mapping, labels: int, draws: int):
    """(labels a draw, the best model, a function that compares two): read-outs of folders, scored on dev rows alone.

    'twice' is the base with twice the labels, 'words' TF-IDF, its strength chosen on training rows that are not drawn.
    """
    from helpers.classify import baseline, read_out, text_vectors

    task = study.task(name)
    task = replace(task, test=task.dev)  # what is scored; test rows are not looked at
    few, first = min(labels, len(task.train) // 2), study.config.first_seed
    seeds = range(first, first + draws)
    found, vectors, means = {}, {}, {}

    def read(key: str, rows: int) -> None:
        made = [read_out(vectors, task, labels=rows, seed=seed) for seed in seeds]
        found[key] = np.array([one.test_predictions for one in made])
        means[key] = np.mean([one.score for one in made])

    for key, folder in folders.items():
        vectors = text_vectors(task, str(folder), study.config.max_length)
        read(key, few)
        if key == "base":
            read("twice", 2 * few)
    best = max(folders, key=means.get)
    drawn = [drawn_rows(task.train["label"], few, seed) for seed in seeds]
    apart = [replace(task, train=task.train.iloc[rows], dev=task.train.drop(task.train.index[rows])) for rows in drawn]
    found["words"] = np.array([baseline(one).test_predictions for one in apart])
    number = {label: place for place, label in enumerate(task.labels)}
    gold = task.dev["label"].map(number).to_numpy()

    def compare(better: str, worse: str) -> Comparison:
        return paired_combined(
            gold, found[better], found[worse], len(task.labels), task.spec.metric, groups=task.groups()
        )

    return few, best, compare


def extrapolated(gain: Comparison, slope: Comparison, doublings: float) -> Comparison:
    """The gain after further doublings, if each adds the slope; its error is the largest that theirs allow."""
    error = gain.standard_error + doublings * slope.standard_error
    return t_comparison(gain.effect + doublings * slope.effect, error, min(gain.degrees, slope.degrees), gain.n)


def advice(
    gains: Mapping[str, Comparison], slope: Comparison, planned: Comparison, twice: Comparison, time: str,
    words: Comparison, over_best: Comparison, least: float = 1.0, alpha: float = 0.05,
) -> str:  # fmt: skip
    """One sentence: adapt or not, with the numbers it rests on.

    gains: 'dapt' of the trial and, if tried, 'tapt'. planned: foretold of the planned DAPT. twice: of twice the
    labels. time: of the planned DAPT, in words. words, over_best: of TF-IDF over the base, and over the best model.
    Counting words is named where TF-IDF is surely above the best model and the planned DAPT is not surely foretold to
    beat it; TAPT where it surely helps (Holm over the gains) and the same holds; DAPT where the trial or what it
    foretells surely helps; none where every interval ends below `least` points.
    """
    sure = dict(zip(gains, holm([found.p for found in gains.values()]) < alpha, strict=True))
    helps = [key for key, found in gains.items() if sure[key] and found.effect > 0]
    if over_best.low > 0 and not planned.low > words.effect:
        outcome = "words"
    elif "tapt" in helps and not planned.low > gains["tapt"].effect:
        outcome = "tapt"
    elif "dapt" in helps or planned.low > 0:
        outcome = "dapt"
    elif all(found.high < least for found in (*gains.values(), planned)):
        outcome = "none"
    else:
        outcome = "untold"
    parts = [f"TAPT brings {said_gain(gains['tapt'])} points"] if "tapt" in gains else []
    parts += [f"the trial of DAPT {said_gain(gains['dapt'])}, {said_gain(slope)} of it by its second half",
              f"the planned DAPT, {time} here, may so bring {said_gain(planned)}",
              f"twice the labels bring {said_gain(twice)}, TF-IDF on the same labels {said_gain(words)}"]  # fmt: skip
    best = max(found.high for found in (*gains.values(), planned))
    more = ", surely more than any of these: label first" if twice.low > best else ""
    title = OUTCOMES[outcome]
    return f"{title[0].upper()}{title[1:]}: {'; '.join(parts)}{more}."
