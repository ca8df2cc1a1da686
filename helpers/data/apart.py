"""Setting dev and test rows apart from one file: by content, stratified, near-duplicates on one side."""

from hashlib import blake2b

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from helpers.data.leaks import NEAR
from helpers.data.records import GROUP_COLUMN
from helpers.data.shingles import Shingles, containing, words_of
from helpers.errors import UserError, counted

SHARES = {"test": 0.2, "dev": 0.1}


def set_apart(rows: pd.DataFrame, wanted: tuple[str, ...], where: str, *, seed: int = 0) -> dict[str, pd.DataFrame]:
    """{"train": the rest, and each of `wanted`: its rows}, every label by its share, in the file's order.

    rows: text and label, maybe group_id. wanted: "dev" (10 % of the rows), "test" (20 %) or both. A row goes by a hash
    of its words, not by its place; rows of equal words, or of which one holds 80 % of the other's shingles, and rows
    of one group go together, so that no test row has its copy or its neighbour in train. Raises UserError where too
    few rows are given.
    """
    shingles = Shingles(rows["text"].tolist())
    one, other = containing(shingles, shingles, NEAR)
    equal = pd.factorize(np.array(shingles.words, dtype=object))[0]
    alike = [equal, pd.factorize(rows[GROUP_COLUMN])[0]] if GROUP_COLUMN in rows else [equal]
    firsts = [pd.Series(np.arange(len(rows))).groupby(kind).transform("first") for kind in alike]
    ends = np.concatenate([one, *[np.arange(len(rows))] * len(alike)]), np.concatenate([other, *firsts])
    graph = sparse.coo_matrix((np.ones(len(ends[0]), bool), ends), shape=(len(rows),) * 2)
    groups = connected_components(graph, directed=False)[1]
    # not the shingles' words, whose rules grow: a row must not change sides from one version to the next
    codes = [blake2b(f"{seed} {words_of(text)}".encode(), digest_size=8).hexdigest() for text in rows["text"]]
    table = pd.DataFrame({"group": groups, "code": codes, "label": rows["label"].to_numpy()})
    by_group = table.sort_values("code").groupby("group", sort=False).agg(
        label=("label", "first"), size=("label", "size"))  # fmt: skip
    side = _by_label(by_group, wanted)
    trained = table["label"][table["group"].map(side) == "train"]
    mixed = table.groupby("group")["label"].nunique().max() > 1
    # documents mix labels; copies that do go by the first one's, and may take another's last rows along
    if mixed and (GROUP_COLUMN in rows or set(table["label"]) - set(trained)):
        side = _by_documents(pd.crosstab(table["group"], table["label"]).loc[by_group.index], wanted)
    sides = np.array([side[group] for group in groups])
    found = {split: rows[sides == split] for split in ("train", *wanted)}
    for split, some in found.items():
        if not len(some):
            kinds = len(by_group)
            kept = f"near copies of {counted(kinds, 'text')} that stay together"
            if GROUP_COLUMN in rows:
                kept = f"{counted(kinds, 'group')} by {GROUP_COLUMN} and near copies that stay together"
            labels = rows["label"].nunique()
            said = f"{counted(len(rows), 'row')} of {counted(labels, 'label')}"
            said += f", {kept}," if kinds < len(rows) else ""
            raise UserError(
                f"{where}: {said} are too few to set {split} apart; give ten rows a label or more, "
                f"or a file {split} of your own"
            )
    return found


def _by_label(by_group: pd.DataFrame, wanted: tuple[str, ...]) -> dict[int, str]:
    """The split of each group: of every label its share, a group going by the label of its first row."""
    side = {}
    for _, some in by_group.groupby("label"):
        room = {split: round(SHARES[split] * int(some["size"].sum())) for split in wanted}
        for group, size in some["size"].items():
            side[group] = next((split for split in wanted if size <= room[split]), "train")
            if side[group] != "train":
                room[side[group]] -= size
    return side


def _by_documents(counts: pd.DataFrame, wanted: tuple[str, ...]) -> dict[int, str]:
    """The split of each group where groups mix labels, as documents do: the share of all rows, whatever their labels.

    counts: rows by group and label, in the order that groups are taken. The last group of a label stays in train.
    """
    room = {split: SHARES[split] * int(counts.to_numpy().sum()) for split in wanted}
    left, side = counts.sum().to_numpy(), {}
    for group, own in zip(counts.index, counts.to_numpy(), strict=True):
        keeps = bool((left[own > 0] > own[own > 0]).all())
        side[group] = next((split for split in wanted if keeps and own.sum() <= room[split]), "train")
        if side[group] != "train":
            room[side[group]] -= own.sum()
            left = left - own
    return side
