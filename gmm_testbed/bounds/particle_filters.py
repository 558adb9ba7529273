r"""T16: how far one particle of a filter is from the posterior.

\(\hat Z\) is unbiased for p(y), and \(1/\hat Z\) for 1/p(y) in a filter conditional on an
exact posterior path. By Jensen's inequality both right sides of

\[ KL(\text{posterior} \| \text{particle}) \le E_{cond} \log \hat Z - \log p(y), \qquad
   KL(\text{particle} \| \text{posterior}) \le \log p(y) - E \log \hat Z \]

are positive, and fall with the number of particles; see `smc.kl`. The left sides are
measured from below by T35: one particle is drawn from each of many independent filters, and
the shares of the eight cells of equal mass of the posterior are compared. That the filters
are finitely many adds 7 / (2 filters) on average, so the check is the stricter.
`importance` has the case in which the divergences are those of the whole law.

Source: Andrieu, Doucet and Holenstein 2010, J. R. Stat. Soc. B 72, 269-342.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .. import smc
from .. import testbeds as problems
from ..approximations import PiGDM
from ..divergences import mixture_quantile
from ..estimate import Estimate
from ..paths.grids import time_grid
from .base import BUILT, AbstractBound, Case, Claim, Facts, Limit
from .spaces import OneOf, Targets
from .tools import space

_REPEATS, _STEPS, _MOST = 6000, 12, 32
_CELLS = 8


def grid(steps):
    """Geometric in the noise level of two-modes."""
    return time_grid(
        problems.get("two-modes").path, steps, "log_snr", t_max=0.99, t_min=0.01
    )


class ParticleFilters(AbstractBound):
    """The twisted filter guided by PiGDM on two modes, over the number of particles."""

    facts: ClassVar[Facts] = Facts(
        statement="KL(post || particle) <= E_cond log Z^ - log p(y), KL(particle || post) "
        "<= log p(y) - E log Z^; E Z^ = p(y) = 1 / E_cond 1/Z^",
        assumptions=("multinomial resampling", "exact posterior paths"),
        source="Andrieu, Doucet and Holenstein 2010; arXiv:2306.17775",
        status="proved",
        limits=(Limit("num", 1, _MOST),),
        search={
            "target": Targets(),
            "times": OneOf((_STEPS,), grid),
            "num": OneOf((1, 2, 8)),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple({"num": n} for n in (2, 8, _MOST))

    def setting(self, case):
        target = problems.get("two-modes")
        times = grid(_STEPS)
        return {"target": target, "times": times} | case

    def sides(self, key, target, times, num):
        space.on_the_line(target.problem.prior)
        model = smc.ParticleFilter(smc.TDS(PiGDM()), "multinomial")
        plain, kept = (
            smc.filters(
                jax.random.fold_in(key, follow),
                model,
                target,
                times,
                int(num),
                _REPEATS,
                follow_posterior=bool(follow),
                most=_MOST,
            )
            for follow in (0, 1)
        )
        exact = target.problem.log_evidence()
        free, bound = plain.log_evidence - exact, kept.log_evidence - exact
        forward, reverse = _of_cells(target.posterior(times[-1]), plain.drawn[:, 0])
        kept = model.resampling is smc.SCHEMES["multinomial"], BUILT
        return [
            _claim("E Z^/p(y)", _honest(free, bound), Estimate(1.0), kept, True),
            _claim("E_cond p(y)/Z^", _honest(-bound, -free), Estimate(1.0), kept, True),
            _claim("KL(post || particle), cells", forward, _mean(bound), kept),
            _claim("KL(particle || post), cells", reverse, -_mean(free), kept),
        ]


@eqx.filter_jit
def _shares(posterior, points):
    """Shares of points (n,) in the cells of equal mass, and the cell of each point."""
    levels = jnp.arange(1, _CELLS, dtype=points.dtype) / _CELLS
    edges = jax.vmap(lambda level: mixture_quantile(posterior, level))(levels)
    cells = jnp.searchsorted(edges, points)
    return jnp.bincount(cells, length=_CELLS) / points.shape[0], cells


def _of_cells(posterior, points) -> tuple[Estimate, Estimate]:
    """Divergences of the cells' shares from one another, exact from drawn and back.

    Their errors are those of their derivatives by the shares, at the points.
    """
    shares, cells = _shares(posterior, points)
    ratio = 1.0 / (_CELLS * shares)  # exact / drawn
    forward, reverse = jnp.mean(jnp.log(ratio)), -(shares @ jnp.log(ratio))
    terms = -ratio[cells], -jnp.log(ratio)[cells]
    return tuple(
        Estimate(value, _mean(term).stderr, f"{_REPEATS} filters")
        for value, term in zip((forward, reverse), terms, strict=True)
    )


def _honest(logs, others) -> Estimate:
    """E e^S, with the error that rare large values leave.

    The conditional filters have the density e^S beside the plain ones, so that the second
    moment of e^S is its mean over them; and for -S the other way round.
    """
    found, second = _mean(jnp.exp(logs)), jnp.mean(jnp.exp(others))
    known = jnp.sqrt(jnp.maximum(second - 1.0, 0.0) / _REPEATS)
    return Estimate(found.value, jnp.maximum(found.stderr, known), found.how)


def _mean(values) -> Estimate:
    return Estimate.mean_of(values, how=f"{_REPEATS} filters")


def _claim(label, left, right, kept, equal=False) -> Claim:
    return Claim(label, left, right, equal, assumptions=kept)
