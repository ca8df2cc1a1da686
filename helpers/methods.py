from helpers.errors import UserError, nearest
from helpers.results.records import METHODS, split_selection


def check_method(name):
    from helpers.select import SELECTORS

    picked = split_selection(name)
    if picked and picked[0] not in SELECTORS:
        raise UserError(f"SELECTORS: {picked[0]!r} is none of {', '.join(SELECTORS)}.{nearest(picked[0], SELECTORS)}")
    if not picked and name not in METHODS:
        raise UserError(f"method {name!r}: expected one of {', '.join(METHODS)}.{nearest(name, METHODS)}")
