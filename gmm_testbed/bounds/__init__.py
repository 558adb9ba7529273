"""Theorems whose two sides are computed: one file each, `CATALOGUE`, and `check`."""

import jax

from .._checks import choose
from .._types import Key
from .base import AbstractBound as AbstractBound
from .base import BoundReport as BoundReport
from .base import Case as Case
from .base import Claim as Claim
from .base import Facts as Facts
from .base import Verdict as Verdict
from .base import judge as judge
from .base import report
from .initialisation import Initialisation as Initialisation

CATALOGUE: dict[str, AbstractBound] = {
    "T6-initialisation": Initialisation(),
}


def check(name: str, key: Key | None = None, **case) -> list[BoundReport]:
    """Both sides of a theorem and the verdict, for one case or its whole sweep.

    Args:
        name: of `CATALOGUE`.
        key: of what is sampled; `jax.random.key(0)` by default.
        **case: labels and numbers of one case; the sweep of the theorem if there are none.

    Returns:
        A `BoundReport` for each claim of each case.

    Raises:
        InputError: for an unknown name; the message has the nearest one.
    """
    bound = choose(name, CATALOGUE, "bound")
    key = jax.random.key(0) if key is None else key
    reports = []
    for index, values in enumerate([case] if case else bound.cases):
        claims = bound.claims(jax.random.fold_in(key, index), values)
        reports += [report(name, bound, values, claim) for claim in claims]
    return reports
