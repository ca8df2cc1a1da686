"""The numbers that the paper prints, each with a grade of confidence; nothing here is measured by this project.

Grades: A the paper and an independent transcription or first-party file agree, A- a transcription of a figure that
is an image in the paper, B the paper alone, C a secondary source alone, D recalled. A number graded C or D is kept
for the record and never asserted as the paper's: `asserted` is False and no table shows it as `paper_mean`.

Sources: S1 the paper; S2 Yao et al. 2021 (arXiv 2111.04130), appendix A; S3 the official repository's scatter.pdf;
S4, S5, S6 independent transcriptions; S7 the Adapticons replication; S8 the official repositories; S9 the model
card of allenai/biomed_roberta_base.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources

import pandas as pd

from helpers.errors import UserError

TABLES = {
    "table1": "domains: size and masked-LM loss before and after DAPT",
    "figure2": "vocabulary overlap in percent",
    "table2": "tasks: sizes and classes",
    "table3": "DAPT and not-DAPT, test F1",
    "table5": "TAPT and DAPT+TAPT, test F1",
    "table6": "Transfer-TAPT, test F1",
    "table7": "Curated-TAPT, test F1",
    "table8": "neighbours, random and TAPT, test F1",
    "table9": "cost on RCT-500",
    "table12": "masked-LM loss of every model on every domain's held-out sample",
    "table15": "Table 3 on dev",
    "table16": "Table 5 on dev",
    "table17": "Table 6 on dev",
    "table18": "Table 7 on dev",
    "table19": "Table 8 on dev",
    "scatter": "masked-LM loss change against DAPT gain (official repository)",
    "reruns": "independent re-runs by others (not the paper's numbers)",
}
TASK_TITLES = {
    "chemprot": "ChemProt", "rct": "RCT", "rct-sample": "RCT-500", "citation_intent": "ACL-ARC", "sciie": "SciERC",
    "hyperpartisan_news": "HyperPartisan", "ag": "AGNews", "helpfulness": "Helpfulness", "imdb": "IMDB",
}  # fmt: skip
ASSERTED_GRADES = ("A", "A-", "B")


@dataclass(frozen=True)
class Number:
    """One printed number: mean, sd (None where none is printed or known), grades, source keys and a remark."""

    mean: float
    sd: float | None
    grade: str
    sd_grade: str
    source: str
    note: str

    @property
    def asserted(self) -> bool:
        """Whether the number may stand as the paper's own (grade B or better)."""
        return self.grade in ASSERTED_GRADES


@cache
def _read(name: str) -> pd.DataFrame:
    if name not in TABLES:
        raise UserError(f"paper table {name!r}: expected one of {', '.join(TABLES)}")
    with resources.files(__name__).joinpath(f"{name}.csv").open(encoding="utf-8") as file:
        frame = pd.read_csv(file, keep_default_na=False)
    for column in ("mean", "sd", "value", "steps", "documents", "bytes"):
        if column in frame:
            frame[column] = pd.to_numeric(frame[column].replace("", None))
    if "grade" in frame:
        frame["asserted"] = frame["grade"].isin(ASSERTED_GRADES)
    return frame


def table(name: str) -> pd.DataFrame:
    """One of the paper's tables in long form, one number a row.

    name: a key of TABLES. The first two columns identify the number; then its value (`mean` and `sd` for F1, else
    `value`), `grade`, `source`, `note` and `asserted`. The re-runs of other people carry no grade.
    """
    return _read(name).copy()


def value(name: str, row: str, column: str) -> Number | None:
    """One number of the paper, or None where the paper has none.

    name: a key of TABLES; row, column: the first two columns of that table, e.g. ('table3', 'chemprot', 'dapt'),
    ('table12', 'biomed', 'dapt_cs'), ('figure2', 'news', 'cs') in either order.
    """
    return _index(name).get((row, column))


@cache
def _index(name: str) -> dict[tuple[str, str], Number]:
    frame = _read(name)
    if "grade" not in frame:
        raise UserError(f"paper table {name!r} holds re-runs by others; read it with table()")
    index = {}
    for entry in frame.to_dict("records"):
        keys = list(entry.values())[:2]
        mean, sd = entry.get("mean", entry.get("value")), entry.get("sd")
        sd = None if sd is None or pd.isna(sd) else float(sd)
        number = Number(float(mean), sd, entry["grade"], entry.get("sd_grade", ""), entry["source"], entry["note"])
        index[tuple(keys)] = number
        if name == "figure2":
            index[tuple(reversed(keys))] = number
    return index
