"""Both sides once, or again with twice the nodes of every quadrature."""

from collections.abc import Mapping
from typing import Any

from .._types import Key
from ..divergences.expectation import finer
from .base import AbstractBound, Claim


def once(bound: AbstractBound, key: Key, setting: Mapping[str, Any]) -> list[Claim]:
    """The claims of a theorem."""
    return bound.sides(key, **setting)


def twice(bound: AbstractBound, key: Key, setting: Mapping[str, Any]) -> list[Claim]:
    """The claims with twice the nodes, and the changes of right - left as their errors.

    A claim with a side that is sampled keeps its standard errors alone.
    """
    coarse = once(bound, key, setting)
    with finer(2):
        fine = once(bound, key, setting)
    return [
        claim
        if _sampled(claim)
        else claim._replace(error=abs(_slack(claim) - _slack(c)))
        for claim, c in zip(fine, coarse, strict=True)
    ]


def _sampled(claim) -> bool:
    return float(claim.left.stderr) > 0 or float(claim.right.stderr) > 0


def _slack(claim) -> float:
    return float(claim.right.value) - float(claim.left.value)
