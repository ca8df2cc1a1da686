"""Names beside points: how near they stand."""

import matplotlib.pyplot as plt
import pytest

from helpers.figures.labels import name_points


def named(name, obstacles=()):
    """The point's place and the name's box, in pixels."""
    ax = plt.subplots(figsize=(6, 4), dpi=100)[1]
    ax.set(xlim=(0, 1), ylim=(0, 1))
    name_points(ax, [0.5], [0.5], [name], obstacles=obstacles)
    ax.figure.canvas.draw()
    return ax.transData.transform((0.5, 0.5)), ax.texts[0].get_window_extent()


@pytest.mark.parametrize("name", ["il", "not-DAPT", "illicit filling", "MWMWMWMW"])
def test_a_name_is_as_near_to_its_point_on_either_side(name):
    point, box = named(name)
    right = box.x0 - point[0]
    point, box = named(name, obstacles=[(0.55, y / 100) for y in range(40, 61)])
    assert point[0] - box.x1 == pytest.approx(right, abs=2)
    assert right == pytest.approx(0.11 / 0.95 * 100, abs=2)  # two of the marker's 0.055 inches; the axes hold 95 %


def test_a_name_above_its_point_is_centred_on_it():
    point, box = named("il il", obstacles=[(x, y / 100) for x in (0.43, 0.57) for y in range(40, 61)])
    assert (box.x0 + box.x1) / 2 == pytest.approx(point[0], abs=2) and box.y0 > point[1]
