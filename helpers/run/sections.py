"""What the report shows where: the sections in the paper's order, each naming its tables and figures by file name."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """figures/<name>.png. table: the name of the table its caption is computed from when no CSV lies beside it."""

    name: str
    title: str
    table: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the report: title, the paper's item, what is asked, the notebook that answers, what is shown."""

    title: str
    paper: str
    question: str
    notebook: str
    tables: tuple[str, ...]
    figures: tuple[Figure, ...] = ()

    @property
    def anchor(self) -> str:
        return (self.tables or ("further",))[0].replace("_", "-")


SECTIONS = (
    Section(
        "What to do with text like this", "not in the paper",
        "For each task: adapt or not, to what, at what price, and how surely this run can tell. Below it, how often "
        "cheaper looks foretold the gain that was found: of every adaptation at the run's number of labels, of those "
        "of the label curve at each of its numbers.",
        "06_report", ("advice", "hit_rates", "calibration"),
    ),
    Section(
        "How far apart are the domains?", "section 3.1, Figure 2",
        "The share of the most frequent words that two domains have in common. The further a domain is "
        "from the base model's own text (PT), the more adaptation has to gain.",
        "01_overlap", ("overlap",),
        (Figure("overlap", "Vocabulary that two domains share", "overlap"),
         Figure("overlap_script_definition", "The same under the official script's definition"),
         Figure("overlap_typical_words", "Words that tell each domain from general text")),
    ),
    Section(
        "Does adapting to a domain lower its masked-LM loss?", "section 3.2, Tables 1 and 12",
        "The loss of the base model and of each adapted model on held-out text of every domain.",
        "02_dapt", ("mlm_loss",),
        (Figure("mlm_loss_matrix", "Masked-LM loss of each model on each domain", "mlm_loss"),
         Figure("mlm_loss_curves", "Masked-LM loss while adapting")),
    ),
    Section(
        "Domain-adaptive pretraining", "section 3.3, Table 3",
        "Fine-tuning after DAPT, beside the base model and a model adapted to an unrelated domain (not-DAPT).",
        "02_dapt", ("dapt",),
        (Figure("dapt_scores", "Scores with and without DAPT", "dapt"),
         Figure("mlm_loss_against_gain", "Gain in F1 against the fall of the loss"),
         Figure("overlap_against_gain", "Gain in F1 against the shared vocabulary")),
    ),
    Section(
        "Task-adaptive pretraining", "section 4, Table 5",
        "Further pretraining on the task's own unlabelled text (TAPT), alone and after DAPT.",
        "03_tapt", ("tapt",),
        (Figure("tapt_scores", "Scores with TAPT, DAPT and both", "tapt"),
         Figure("tapt_confusion", "Where the test rows of each label go, before and after TAPT")),
    ),
    Section(
        "How many labels is an adaptation worth?", "not in the paper",
        "Scores of a logistic regression on each model left as it is, against the number of labelled rows.",
        "03_tapt", ("label_worth",),
        (Figure("label_curve", "Frozen read-out against labelled rows"),),
    ),
    Section(
        "Does it transfer between tasks?", "section 4.2, Table 6",
        "TAPT on the text of another task (Transfer-TAPT). If it helps less than TAPT, the gain is the task's own.",
        "04_transfer", ("transfer",),
        (Figure("transfer", "TAPT beside Transfer-TAPT", "transfer"),),
    ),
    Section(
        "Selecting more text for the task", "section 5.2, Table 8",
        "Neighbours of the task's sentences in the domain, by VAMPIRE embeddings, against as much random text.",
        "05_augment", ("selection",),
        (Figure("vampire_curves", "The two terms of VAMPIRE's loss while it trains"),
         Figure("selection_similarity", "Similarity of the selected text to the task"),
         Figure("selection_map", "Task, selected and random text in two dimensions"),
         Figure("selection_curve", "Score against the number of neighbours", "selection")),
    ),
    Section(
        "What it costs", "section 5.3, Table 9",
        "Steps, text read and seconds of each kind of adaptation, beside the score it brings.",
        "05_augment", ("cost",),
        (Figure("cost", "Score against the cost of adaptation", "cost"),),
    ),
    Section(
        "Verdicts", "the paper's claims",
        "Does each claim of the paper hold in this run? An effect counts when its interval leaves zero out, "
        "corrected for the number of claims.",
        "06_report", ("claims", "adaptation_chance", "claims_with_chance"),
        (Figure("claims", "Effect of each claim with its interval", "claims"),
         Figure("claims_text_loss", "The same claims by the masked-LM loss of the tasks' dev text"),
         Figure("claims_frozen", "The same claims by the frozen read-out"),
         Figure("claims_loss", "Claims on the masked-LM loss of the domains"),
         Figure("claims_seed_spread", "How far the seeds lie apart")),
    ),
    Section(
        "Who has seen the test?", "not in the paper",
        "Dev and test texts found again in training text or in a corpus, exactly or nearly.",
        "03_tapt", ("tapt_leaks",),
        (Figure("tapt_leaks", "Repeated texts by task and split", "tapt_leaks"),
         Figure("tapt_without_leaks", "Scores with and without the repeated texts", "tapt")),
    ),
)  # fmt: skip

# By file name: the title of a table that is not its section's first, and what its columns hold.
TABLES = {
    "hit_rates": (
        "How often a cheaper look was right",
        "Pairs: gains that were foretold and found. Called: foretold surely above or below zero; decided: the called "
        "where what was found is sure too; right: the share of these whose sign was found. Error: mean distance in "
        "points, beside that of foretelling no gain at all. Held: the share of the foretold 95 % intervals that hold "
        "the gain found.",
    ),
    "calibration": (
        "Each gain beside what was foretold of it",
        "Gain: points of F1 over the base with its 95 % interval. Foretold by the frozen read-out of the same model "
        "(frozen), by that from the fewest labels (few), by the mean gain on the other tasks (others) and by the fall "
        "of the loss on dev text (loss); their intervals are in the CSV.",
    ),
    "adaptation_chance": (
        "DAPT made again by another seed",
        "Effect: how far the two lie apart, with 95 %: in points of F1 over n draws of labels, in nats of the dev "
        "text's loss over n documents. Spread: the standard deviation that the chance of one adaptation gives a task's "
        "number; at most: its upper bound at 95 %.",
    ),
    "claims_with_chance": (
        "The claims with the chance of one adaptation counted",
        "The effects by the frozen read-out and by the loss of the tasks' dev text again; the columns with chance add "
        "that spread to every adapted side. Sure up to: the largest spread with which the claim would still be sure, "
        "looked for to 5 points or 0.1 nats.",
    ),
    "label_worth": (
        "",
        "Worth: how many labels more the base would need to score as high, with 95 %; inf (-inf) where it would need "
        "more (fewer) than the curve has.",
    ),
}  # fmt: skip


def further(tables, figures) -> Section:
    """The last section: the tables and figures (names) that no section declares."""
    named_tables = {name for section in SECTIONS for name in section.tables}
    named_figures = {figure.name for section in SECTIONS for figure in section.figures}
    return Section(
        "Further results", "", "", "",
        tuple(name for name in tables if name not in named_tables),
        tuple(Figure(name, _words(name), name) for name in figures if name not in named_figures),
    )  # fmt: skip


def _words(name: str) -> str:
    return name.replace("_", " ").capitalize()
