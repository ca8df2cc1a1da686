"""How an effect becomes a verdict: one rule for F1, for loss, for word overlap and for the paper's own numbers.

'reproduced': sure, in the paper's direction. 'reversed': sure, against it. 'smaller': the 95 % interval holds zero
and ends below the paper's effect. 'undecided': neither zero nor the paper's effect can be ruled out, or the paper
has no effect to compare with. Sure means p < alpha after Holm's correction over the row's family.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np
import pandas as pd
from scipy.special import nctdtr, stdtrit

from helpers.results.numbers import bounds, signed
from helpers.results.stats import Comparison, detectable_effect, holm, satterthwaite, t_comparison, with_shared

VERDICT_TITLES = {
    "reproduced": "reproduced", "smaller": "smaller than the paper's", "undecided": "undecided",
    "reversed": "reversed",
}  # fmt: skip
SURE = ("reproduced", "reversed")
COLUMNS = (
    "claim", "measure", "scope", "task", "domain", "recipe", "comparison", "paper_section", "verdict", "effect", "low",
    "high", "unit", "p", "p_holm", "n", "detectable_effect", "paper_effect", "control_effect", "base_model", "preset",
    "why",
)  # fmt: skip
# What an effect is a difference of. Only F1 is the paper's own; the others ask the same of the same models.
MEASURES = {
    "f1": "F1", "log_loss": "log loss of the right label", "text_loss": "masked-LM loss of the task's dev text",
    "domain_loss": "masked-LM loss", "overlap": "shared words",
}  # fmt: skip
UNKNOWN = Comparison(np.nan, np.nan, np.nan, np.nan, 0, np.nan, np.nan)


@dataclass
class Row:
    """One row of claims: what is compared, what was found, and then the verdict.

    found: the effect, the paper's direction positive. parts: for a claim that must hold of each of several parts
    (every domain), their effects; found is then the least sure one. excluded: why the row can say nothing, else ''.
    note: what else a reader must know.
    """

    claim: str
    scope: str
    comparison: str
    paper_section: str
    found: Comparison
    task: str = ""
    domain: str = ""
    measure: str = "f1"
    unit: str = "points"
    paper_effect: float = np.nan
    control_effect: float = np.nan
    parts: Sequence[Comparison] = ()
    excluded: str = ""
    note: str = ""
    verdict: str = "undecided"
    p_holm: float = np.nan
    detectable_effect: float = np.nan
    why: str = ""
    common: dict = field(default_factory=dict)


def judge(rows: Sequence[Row], alpha: float = 0.05) -> None:
    """Fill in p_holm, detectable_effect, verdict and why of the rows of one family.

    Power is that of the rule applied: at Holm's strictest step, alpha over the size of the family, and for a claim
    about every part the smallest effect common to all that would be found in each of them.
    """
    family = [row for row in rows if not row.excluded and np.isfinite(row.found.p)]
    for row, adjusted in zip(family, holm([row.found.p for row in family]), strict=True):
        row.p_holm = float(adjusted)
        row.detectable_effect = detectable_in_all(row.parts or [row.found], alpha / len(family))
    for row in rows:
        row.verdict = _verdict(row, alpha)
        row.why = (row.excluded or _sentence(row, len(family))) + row.note


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """The rows as a DataFrame with COLUMNS."""
    flat = [{**asdict(row), **asdict(row.found), **row.common} for row in rows]
    return pd.DataFrame(flat, columns=list(COLUMNS))


def mean_effect(effects: Sequence[Comparison], weights: Sequence[float] | None = None) -> Comparison:
    """Weighted sum (default: the mean) of independent effects, by Student's t with Satterthwaite's degrees.

    What a source of chance that several share adds to each (`stats.with_shared`) is added up before it is squared, and
    known as well as the estimates behind it.
    """
    weights = np.full(len(effects), 1 / len(effects)) if weights is None else np.asarray(weights)
    effect = float(sum(w * one.effect for w, one in zip(weights, effects, strict=True)))
    own = [one.own or (one.standard_error**2, one.degrees) for one in effects]
    variances = [w**2 * variance for w, (variance, _) in zip(weights, own, strict=True)]
    n = min(one.n for one in effects)
    if not np.isfinite(variances).all():
        return Comparison(effect, np.nan, np.nan, np.nan, n, np.nan, np.nan)
    degrees = satterthwaite(variances, [each for _, each in own])
    mean = t_comparison(effect, float(np.sqrt(sum(variances))), degrees, n)
    shared = [(w, one) for w, one in zip(weights, effects, strict=True) if one.own]
    if not shared:
        return mean
    found = defaultdict(list)
    for w, one in shared:
        for name, sd in one.sources.items():
            found[name].append((w, sd))
    # one chance, estimated from each task: the root of the mean square is nearer to it than the mean of the roots
    typical = {name: float(np.sqrt(np.mean([sd**2 for _, sd in each]))) for name, each in found.items()}
    sources = {name: typical[name] * sum(w for w, _ in each) for name, each in found.items()}
    known, degrees = Counter(), {}
    for w, one in shared:  # what each estimate contributes to the sum of squares
        known[one.estimate] += sum(sources[name] * w * typical[name] for name in one.sources)
        degrees[one.estimate] = min(one.shared_degrees, degrees.get(one.estimate, np.inf))
    joint = satterthwaite(list(known.values()), list(degrees.values()))
    estimate = shared[0][1].estimate if len(known) == 1 else tuple(known)
    return with_shared(mean, sources, joint, estimate=estimate)


def least_sure(effects: Sequence[Comparison]) -> int:
    """Which effect is the least surely positive: the smallest t, the smallest effect where an error is unknown."""
    known = all(np.isfinite(one.standard_error) for one in effects)
    return int(np.argmin([_t_value(one) if known else one.effect for one in effects]))


def in_all(effects: Sequence[Comparison]) -> Comparison:
    """The least sure of the effects, for a claim that holds only if each of them does.

    That one decides and needs no correction; to be shown negative as the worst of several it does.
    """
    found = effects[least_sure(effects)]
    # an unknown p stays unknown: min(1.0, nan) would be 1.0, and that would be judged
    return replace(found, p=float(np.minimum(1.0, found.p * len(effects)))) if found.effect < 0 else found


def detectable_in_all(effects: Sequence[Comparison], alpha: float, power: float = 0.8) -> float:
    """Smallest effect, common to all, that a t-test at `alpha` would find in every one of them with this power."""
    if len(effects) == 1:
        return detectable_effect(effects[0].standard_error, effects[0].degrees, power, alpha)
    from scipy.optimize import brentq

    alone = [detectable_effect(one.standard_error, one.degrees, power, alpha) for one in effects]
    if not np.isfinite(alone).all() or max(alone) == 0:
        return np.nan

    def missing(effect: float) -> float:
        missed = [
            nctdtr(one.degrees, effect / one.standard_error, stdtrit(one.degrees, 1 - alpha / 2))
            for one in effects
            if one.standard_error > 0
        ]
        # far out, where the chance to miss is below the smallest number, SciPy's answer is now and then nan
        return float(np.prod(1 - np.nan_to_num(missed, nan=0.0))) - power

    upper = max(alone)
    while missing(upper) < 0:
        upper *= 1.5
    return float(brentq(missing, 0.5 * max(alone), upper))


def _t_value(found: Comparison) -> float:
    return found.effect / found.standard_error if found.standard_error > 0 else found.effect * 1e9


def _verdict(row: Row, alpha: float) -> str:
    found = row.found
    if row.excluded or not np.isfinite(found.p) or not found.standard_error > 0:
        return "undecided"
    if row.p_holm < alpha:
        return "reproduced" if found.effect > 0 else "reversed"
    if row.paper_effect > 0 and found.low <= 0 <= found.high < row.paper_effect:
        return "smaller"
    return "undecided"


def _sentence(row: Row, family: int) -> str:
    """The verdict in one plain sentence, its numbers those of the run."""
    found, unit = row.found, row.unit
    if not np.isfinite(found.p):
        if not found.n:
            return "Nothing was compared: the two sides share no seed or document."
        lack = "one seed says nothing about the spread of seeds"
        if found.n > 1:
            lack = "its interval cannot be told, as where all test rows are of one group"
        return f"The effect is {signed(found.effect, 2)} {unit}, but {lack}."
    if not found.standard_error > 0:
        return f"Both sides of {row.comparison} answered alike, whatever the seed: nothing can be told from that."
    effect = f"{row.comparison} is {signed(found.effect, 2)} {unit} {bounds(found.low, found.high, 2)}"
    among = f"p = {row.p_holm:.2g} among {family} claims" if family > 1 else f"p = {row.p_holm:.2g}"
    seen = f"an effect of {row.detectable_effect:.2f} would have been seen"
    whose = "the claim's" if "not" in row.paper_section else "the paper's"
    if row.verdict == "reproduced":
        return f"{effect}, surely in {whose} direction ({among}; {seen})."
    if row.verdict == "reversed":
        return f"{effect}, surely against {whose} direction ({among}; {seen})."
    printed = f"the paper's {signed(row.paper_effect, 2)}"
    if row.verdict == "smaller":
        return f"{effect}: it may be zero and is smaller than {printed} ({among}; {seen})."
    if not found.low <= 0 <= found.high:
        return f"{effect}: alone it differs from zero, among the claims judged with it not surely ({among}; {seen})."
    if not row.paper_effect > 0:
        none = "has no effect to compare with"
        none = f"itself has none ({signed(row.paper_effect, 2)})" if np.isfinite(row.paper_effect) else none
        return f"{effect}: it may be zero, and the paper {none} ({among}; {seen})."
    return f"{effect}: neither zero nor {printed} can be ruled out ({among}; only {seen})."
