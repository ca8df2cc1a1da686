"""Names beside points, placed so that they cover neither each other nor a point."""

import numpy as np

_SIZE = 7.5
_PLACES = [
    (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 2), (1, -2), (-1, 2), (-1, -2),
    (1, 3), (1, -3), (-1, 3), (-1, -3), (0, 3), (0, -3), (1, 5), (1, -5), (-1, 5), (-1, -5), (1, 7), (-1, 7), (1, -7),
]  # fmt: skip


def name_points(ax, x, y, names, colours=None, obstacles=()) -> None:
    """Write each name next to its point, with a thin line to it when it had to move away.

    x, y: points in data coordinates [n], log axes included. obstacles: further points (x, y) to keep clear of.
    The axes' limits are fixed first, since placing depends on them.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return
    ax.autoscale_view()
    ax.set_xlim(ax.get_xlim())
    ax.set_ylim(ax.get_ylim())
    inches = ax.get_position().size * ax.figure.get_size_inches() * 0.95
    letter, line = 0.6 * _SIZE / 72 / inches[0], 1.25 * _SIZE / 72 / inches[1]
    marker = np.array([0.055 / inches[0], 0.055 / inches[1]])

    def fraction(points):
        return ax.transAxes.inverted().transform(ax.transData.transform(np.reshape(points, (-1, 2))))

    points = fraction(np.column_stack([x[known], y[known]]))
    others = fraction(obstacles) if len(obstacles) else np.empty((0, 2))
    boxes = [(*(p - marker), *(p + marker)) for p in [*points, *others]]
    colours = ["#222222"] * len(x) if colours is None else list(colours)
    for place, index in enumerate(np.flatnonzero(known)):
        name, point, wide = str(names[index]), points[place], letter * len(str(names[index]))
        best = None
        for across, up in _PLACES:
            left = point[0] + (2.0 * marker[0] if across > 0 else -2.0 * marker[0] - wide if across < 0 else -wide / 2)
            middle = point[1] + up * 0.8 * line
            box = (left, middle - line / 2, left + wide, middle + line / 2)
            outside = max(-box[0], 0) + max(box[2] - 1.12, 0) + max(-box[1], 0) + max(box[3] - 1, 0)
            cost = 100 * outside + sum(_common(box, other) for i, other in enumerate(boxes) if i != place)
            if best is None or cost < best[0] - 1e-12:
                best = (cost, box, across, up)
            if cost == 0:
                break
        _, box, across, up = best
        boxes.append(box)
        middle = (box[1] + box[3]) / 2
        if abs(up) > 1:
            end = box[0] if box[0] > point[0] else box[2] if box[2] < point[0] else point[0]
            ax.plot([point[0], end], [point[1], middle], color="#aaaaaa", lw=0.6, transform=ax.transAxes, zorder=2)
        # a box is as wide as the name may be, so the name is fixed at the side next to its point
        side, ha = {1: (box[0], "left"), -1: (box[2], "right"), 0: (point[0], "center")}[across]
        ax.text(side, middle, name, transform=ax.transAxes, fontsize=_SIZE, ha=ha, va="center", color=colours[index])


def _common(first, second) -> float:
    """Area that two boxes (left, bottom, right, top) share."""
    wide = min(first[2], second[2]) - max(first[0], second[0])
    high = min(first[3], second[3]) - max(first[1], second[1])
    return max(wide, 0.0) * max(high, 0.0)
