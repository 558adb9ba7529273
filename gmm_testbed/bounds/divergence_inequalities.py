r"""C24: how KL and total variation bound one another.

With TV the total variation and J = KL(q||p) + KL(p||q),

\[ TV \le \sqrt{KL/2}, \qquad TV \le \sqrt{1 - e^{-KL}}, \qquad
   2\,TV \log\frac{1+TV}{1-TV} \le J, \qquad KL \le \log(1 + \chi^2) : \]

Pinsker; Bretagnolle and Huber, which stays below 1; the same for J, where the two laws on
two points with masses (1 + TV)/2 and (1 - TV)/2 exchanged are the extreme case (data
processing onto the sign of q - p, and symmetry); and Jensen.

q is p with other weights, moved by `shift`.
Sources: Tsybakov, Introduction to Nonparametric Estimation (2009), section 2.4;
Bretagnolle and Huber (1979).
"""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, computed
from .spaces import Mixtures
from .tools import line_pairs, space
from .tools.assumptions import has_density


class DivergenceInequalities(AbstractBound):
    """The four inequalities for two mixtures, over how far apart they are."""

    facts: ClassVar[Facts] = Facts(
        statement="TV <= sqrt(KL/2), sqrt(1 - exp(-KL)); J >= 2 TV log((1+TV)/(1-TV))",
        assumptions=("q absolutely continuous with respect to p",),
        source="Pinsker; Bretagnolle and Huber (1979); Tsybakov (2009), section 2.4",
        status="proved",
        search={"q": Mixtures(), "p": Mixtures()},
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"shift": shift} for shift in (0.0, 0.1, 0.3, 1.0, 3.0)
    )

    def setting(self, case):
        return dict(zip("qp", _pair(jnp.asarray(case["shift"])), strict=True))

    def sides(self, key, q, p):
        space.on_the_line(q, p)
        kept = (has_density(q) and has_density(p),)
        return [claim._replace(assumptions=kept) for claim in _claims(q, p)]


def _pair(shift):
    means = jnp.asarray([[-1.0], [1.5]])
    p = GaussianMixture.isotropic([0.4, 0.6], means, [0.16, 0.36])
    return GaussianMixture.isotropic([0.55, 0.45], means + shift, [0.13, 0.3]), p


@eqx.filter_jit
def _claims(q, p):
    tv, kl, back = line_pairs.tv(q, p), line_pairs.kl(q, p), line_pairs.kl(p, q)
    rest = line_pairs.overlap(q, p)  # 1 - TV, which rounds to 0 for laws far apart
    sides = [
        ("Pinsker", tv, jnp.sqrt(0.5 * kl)),
        ("Bretagnolle-Huber", tv, jnp.sqrt(-jnp.expm1(-kl))),
        ("Jeffreys", 2.0 * tv * jnp.log((2.0 - rest) / rest), kl + back),
        ("KL by chi^2", kl, line_pairs.log_chi2(q, p)),
    ]
    return [computed(label, left, right) for label, left, right in sides]
