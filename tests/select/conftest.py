"""Texts with known themes."""

import numpy as np
import pytest

THEMES = {
    "cells": "protein cell gene enzyme membrane kinase receptor binding mutation tumor tissue plasma".split(),
    "money": "market shares profit bank investor stocks dividend earnings quarter revenue analyst bonds".split(),
    "films": "film actor scene plot director screen comedy drama script camera audience sequel".split(),
    "codes": "algorithm compiler kernel parser runtime thread memory cache pointer syntax module binary".split(),
}
COMMON = "often found shown rather large small number different recent general second later".split()


def themed(theme: str, count: int, seed: int) -> list[str]:
    """Sentences of six words of one theme and three that all themes share."""
    draw = np.random.default_rng([seed, len(theme), sorted(THEMES).index(theme)])
    return [" ".join(draw.permutation([*draw.choice(THEMES[theme], 6), *draw.choice(COMMON, 3)])) for _ in range(count)]


@pytest.fixture(scope="session")
def themes() -> dict[str, list[str]]:
    return {theme: themed(theme, 150, 0) for theme in THEMES}
