"""Claims about how far the domains lie from the base model's own text (Paper: section 3.1, Figure 2, Table 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri

from helpers import paper
from helpers.errors import counted
from helpers.results.stats import Comparison, t_comparison
from helpers.results.verdicts import UNKNOWN, Row, in_all, judge, least_sure, mean_effect

FARTHER = "farther_domains_gain_more"
ORDER = "overlap_in_the_papers_order"


def farther_domains(
    gains: Mapping[str, Comparison], printed_gains: Mapping[str, float], overlap: pd.DataFrame | None
) -> Row:
    """Whether DAPT gains more where the domain shares fewer words with PT, not yet judged: a slope over domains.

    gains: domain -> gain of DAPT over the base. printed_gains: the paper's on like tasks, {} for none. overlap:
    `overlap_matrix` or `overlap_table`. Fewer than three domains with both leave the row excluded.
    """
    distance = {} if overlap is None else {name: 100 - share for name, share in shared_with_pt(overlap).items()}
    known = [domain for domain in gains if domain in distance]
    comparison = "the slope of dapt - base on the words not shared with PT"
    row = Row(FARTHER, "all", comparison, "3.1, Figure 2, Table 3", UNKNOWN, unit="points for 10 % fewer shared words")
    if len(printed_gains) > 2:
        theirs = {name: 100 - share for name, share in paper_shares().items()}
        row.paper_effect = float(_slope(theirs, list(printed_gains)) @ list(printed_gains.values()))
    if len(known) < 3:
        both = f"{counted(len(known), 'domain')} with both"
        need = "No overlap of the domains with PT was given" if overlap is None else both
        row.excluded = f"{need}: a trend needs DAPT gains and overlaps of three domains."
        return row
    row.found = mean_effect([gains[domain] for domain in known], _slope(distance, known))
    ranks = pd.DataFrame([(distance[d], gains[d].effect) for d in known]).rank()
    row.note = f" About these {len(known)} domains only, rank correlation {ranks[0].corr(ranks[1]):+.2f}."
    return row


def overlap_order(overlap: pd.DataFrame, alpha: float = 0.05) -> Row:
    """Whether the domains share words with PT in the paper's order (news, reviews, biomed, cs), judged.

    overlap: `overlap_matrix` or `overlap_table` with low and high. The effect is the least sure step between two
    neighbours of the paper's order, in points of percent; both share PT's sample, so its error is a little wide.
    """
    shares, printed = shared_with_pt(overlap), paper_shares()
    ordered = [name for name in sorted(printed, key=printed.get, reverse=True) if name in shares]
    row = Row(ORDER, "all", "", "3.1, Figure 2", UNKNOWN, measure="overlap", unit="% of the top words")
    row.common = {"recipe": "", "base_model": "", "preset": ""}
    if len(ordered) < 2 or not {"low", "high"} <= set(overlap):
        row.excluded = "The order needs overlaps of two of the paper's domains with PT, with their intervals."
        return row
    wide = _with_pt(overlap).set_index("b")
    error = (wide["high"] - wide["low"]) / (2 * ndtri(0.975))
    documents = wide["documents_b"].min() if "documents_b" in wide else 1000
    steps = [
        t_comparison(shares[a] - shares[b], float(np.hypot(error[a], error[b])), documents - 1, int(documents))
        for a, b in zip(ordered[:-1], ordered[1:], strict=True)
    ]
    place = least_sure(steps)
    row.comparison = f"{ordered[place]} - {ordered[place + 1]}, the least sure step of the paper's order,"
    row.found, row.parts = in_all(steps), steps
    row.paper_effect = min(printed[a] - printed[b] for a, b in zip(ordered[:-1], ordered[1:], strict=True))
    judge([row], alpha)
    return row


def shared_with_pt(overlap: pd.DataFrame, column: str = "") -> dict[str, float]:
    """Percent of the top words that each domain shares with PT, or that row's number in another column."""
    rows = _with_pt(overlap)
    return dict(zip(rows["b"], rows[column or ("mean" if "mean" in rows else "percent")], strict=True))


def _with_pt(overlap: pd.DataFrame) -> pd.DataFrame:
    return overlap[(overlap["definition"] == "text") & (overlap["a"] == "generic") & (overlap["b"] != "generic")]


def paper_shares() -> dict[str, float]:
    """The same as the paper prints it in Figure 2."""
    return shared_with_pt(paper.table("figure2").assign(definition="text").rename(columns={"value": "mean"}))


def _slope(distance: Mapping[str, float], domains: Sequence[str]) -> np.ndarray:
    """Weights [domains] that turn gains into their least-squares slope for a step of 10 points of distance."""
    x = np.array([distance[domain] for domain in domains]) / 10
    centred = x - x.mean()
    return centred / (centred**2).sum()
