r"""C23: W2 between two mixtures from moments and from components.

\[ \|m_q - m_p\|^2 + \operatorname{tr}(S_q + S_p - 2 (S_q^{1/2} S_p S_q^{1/2})^{1/2})
   \;\le\; W_2^2(q, p) \;\le\; MW_2^2(q, p)
   = \min_\pi \sum_{ij} \pi_{ij} W_2^2(N_i, M_j) , \]

over couplings of the weights. The left is Gelbrich's bound: it needs means m and
covariances S only, and is attained by Gaussians and by images under a linear map
\(x \mapsto Mx + b\) with M positive definite, which move at the least cost. The right moves
components to components (Delon and Desolneux, SIAM J. Imaging Sci. 13 (2020), 936-970); for
two components each the couplings are an interval, and the minimum is at one of its ends.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._checks import require
from ..divergences import closed_form
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed
from .spaces import Mixtures, OneOf
from .tools import space
from .tools.assumptions import finite_moments

_MAP = ((1.3, 0.3, -0.2), (0.3, 0.7, 0.1), (-0.2, 0.1, 0.9))
_DIGITS = 1e-9


class TransportBrackets(AbstractBound):
    """W2 squared and its two bounds, over how far apart the mixtures are, and d."""

    facts: ClassVar[Facts] = Facts(
        statement="Gelbrich <= W2^2 <= transport of components",
        assumptions=("finite second moments",),
        source="Gelbrich (1990); Delon and Desolneux (2020)",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
        search={
            "q": Mixtures(components=2),
            "p": Mixtures(components=2),
            "shift": OneOf((0.0,)),
        },
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"shift": shift, "dim": dim} for dim in (1, 3) for shift in (0.0, 0.3, 1.0, 3.0)
    )

    def setting(self, case):
        shift, dim = case["shift"], case["dim"]
        p = space.two_modes(dim)
        line = GaussianMixture.isotropic([0.55, 0.45], p.line.means + shift, [0.5, 0.1])
        q = space.beside(line, dim, (0.4, -0.3), (0.1, 1.6))
        return {"q": q, "p": p, "shift": shift}

    def sides(self, key, q, p, shift):
        q, p = space.together(q, p)
        two_components(q.line, p.line)
        kept = (finite_moments(q.whole()) and finite_moments(p.whole()),)
        claims = _claims(q, p, jnp.asarray(shift))
        return [claim._replace(assumptions=kept) for claim in claims]


@eqx.filter_jit
def _claims(q, p, shift):
    exact = space.transport(q, p)
    two, one = q.whole(), p.whole()
    claims = [
        computed("Gelbrich", gelbrich(two, one), exact),
        computed("components", exact, between_components(two, one)),
    ]
    if p.dim == 1:
        return claims
    # x -> M x + shift with M > 0 is the best map, and both bounds are attained.
    M = jnp.asarray(_map_in(p.dim), shift.dtype)
    image = one.affine(M, jnp.full(p.dim, shift, shift.dtype))
    rest = M - jnp.eye(p.dim, dtype=M.dtype)
    moved = rest @ one.mean() + shift
    cost = jnp.sum(moved**2) + jnp.trace(rest @ one.covariance() @ rest.T)
    same = {"equal": True, "tolerance": _DIGITS}
    return [
        *claims,
        computed("Gelbrich, linear map", gelbrich(image, one), cost, **same),
        computed(
            "components, linear map", between_components(image, one), cost, **same
        ),
    ]


def _map_in(dim: int) -> np.ndarray:
    """The map of the sweep on the first three coordinates, (d, d)."""
    matrix, few = np.eye(dim), min(dim, 3)
    matrix[:few, :few] = np.asarray(_MAP)[:few, :few]
    return matrix


def two_components(*mixtures: GaussianMixture) -> None:
    """Refuses mixtures of another number of components, whose coupling is a program."""
    for mixture in mixtures:
        require(
            mixture.num_components == 2,
            "the transport of components is computed for two and two of them",
            got=f"{mixture.num_components} components",
            expected="2",
            hint="the statement holds for any number",
        )


def gelbrich(q: GaussianMixture, p: GaussianMixture):
    """Squared W2 of the Gaussians of the same moments, (), in any d."""
    return closed_form.w2_squared(q.mean(), q.covariance(), p.mean(), p.covariance())


def between_components(q: GaussianMixture, p: GaussianMixture):
    """The least cost of moving two components to two components, (), in any d."""
    over_p = jax.vmap(closed_form.w2_squared, in_axes=(None, None, 0, 0))
    over_both = jax.vmap(over_p, in_axes=(0, 0, None, None))
    costs = over_both(q.means, q.covariances(), p.means, p.covariances())
    first, second = jnp.exp(q.log_weights[0]), jnp.exp(p.log_weights[0])
    ends = jnp.stack(
        [jnp.maximum(first + second - 1.0, 0.0), jnp.minimum(first, second)]
    )
    coupling = [[ends, first - ends], [second - ends, 1.0 - first - second + ends]]
    totals = sum(costs[i, j] * coupling[i][j] for i in range(2) for j in range(2))
    return jnp.min(totals)
