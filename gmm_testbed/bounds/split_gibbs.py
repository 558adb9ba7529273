r"""T31: where split Gibbs sampling (PnP-DM, DPnP) stands still, and how fast it gets there.

Alternate z | x ~ N(y; A z, G) N(z; x, r^2 I), normalised, and x | z, the exact denoising
posterior at noise r. The joint law is proportional to
p_0(x) N(y; A z, G) N(z; x, r^2 I), so the x-marginal is

\[ p_r(x) \propto p_0(x) N(y; Ax, G + r^2 A A^T) : \]

the posterior with inflated noise, a mixture. Its divergence from the posterior is a closed
form (`prior_baseline`), and \(O(r^4)\): KL is quadratic in a tilt of order r^2. The order
is measured between r and r/2, up to twice \(r^2 |A^T G^{-1} A|\) where that is below one.

For one Gaussian of variance s^2 and y = a x + N(0, g^2), the mean contracts in each sweep
by \(1/((1 + r^2 a^2/g^2)(1 + r^2/s^2))\): slow where the bias is small. Measured on the
line for a Gaussian beside the prior; in space the sampler itself is run, where it forgets
its start.

Sources: Xu and Chi 2024 (arXiv:2403.17042); Wu et al. 2024 (arXiv:2405.18782).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from .._checks import require
from ..divergences import line_rule
from ..mixture import GaussianMixture
from .base import AbstractBound, Case, Facts, Limit, computed, outside
from .prior_baseline import expected_log_likelihood
from .tools import line_pairs, space, split_gibbs_space
from .tools.measured_gaussian import has_inverse

_SLOPE, _NOISE, _Y = 1.3, 0.4, 0.6
_BESIDE = 0.3, 0.5  # mean and variance of the one Gaussian
_DIGITS = 1e-9


class SplitGibbs(AbstractBound):
    """Stationary law, bias and contraction for two modes, over the coupling r and d."""

    facts: ClassVar[Facts] = Facts(
        statement="stationary law = posterior with G + r^2 A A^T; KL O(r^4) as r -> 0",
        assumptions=("exact conditionals, of noise with a density", "r > 0"),
        source="here, proof in the docstring; arXiv:2403.17042, arXiv:2405.18782",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
    )
    cases: ClassVar[tuple[Case, ...]] = (
        *({"coupling": r, "dim": 1} for r in (0.02, 0.05, 0.1, 0.3, 1.0)),
        *({"coupling": r, "dim": 3} for r in (0.02, 0.05, 0.1, 0.5, 1.0)),
    )

    def setting(self, case):
        """A prior, its measurement, and the coupling r."""
        if case["dim"] == 1:
            prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
            measurement = jnp.full((1, 1), _SLOPE), jnp.full((1, 1), _NOISE**2)
            given = prior, *measurement, jnp.full(1, _Y)
        else:
            given = space.observed(_NOISE)
        named = dict(zip(("prior", "A", "R", "y"), given, strict=True))
        return named | {"coupling": case["coupling"]}

    def sides(self, key, prior, A, R, y, coupling):
        """The stationary law, its bias, and the order of that.

        Args:
            key: of the sampler in space.
            prior: any mixture.
            A: (m, d).
            R: (m, m) covariance of the noise.
            y: (m,).
            coupling: r.
        """
        kept = has_inverse(R), coupling > 0.0
        if not all(kept):
            return outside(kept)
        given = split_gibbs_space.Posed(prior, A, R, y), jnp.asarray(coupling)
        if A.shape == (1, 1):
            claims, (slope, reach) = _on_the_line(*given)
        else:
            mixes = split_gibbs_space.mixes(*given)
            claims = split_gibbs_space.claims(key, *given) if mixes else []
            slope, reach = split_gibbs_space.order(*given)
        if reach < 1.0:
            four = jnp.full_like(slope, 4.0)
            found = computed(
                "order", slope, four, equal=True, tolerance=2.0 * float(reach)
            )
            claims.append(found._replace(status="asymptotic"))
        require(
            claims,
            "nothing is known of split Gibbs sampling at this coupling in space",
            got=f"coupling {float(coupling):g}, r^2 |A^T R^-1 A| = {float(reach):.3g}",
            expected="a larger one, which forgets its start, or one that is small",
            hint="a coupling as large as the prior is wide forgets it in some sweeps",
        )
        return [claim._replace(assumptions=kept) for claim in claims]


def _on_the_line(posed, coupling):
    """What is proved, and the order with how far from small r is."""
    *sides, (slope, reach) = _sides(posed, coupling)
    claims = [computed(*some, equal=True, tolerance=_DIGITS) for some in sides]
    return claims, (slope, reach)


@eqx.filter_jit
def _sides(posed, coupling):
    posterior, stationary = (
        _posterior(posed, 0.0 * coupling),
        _posterior(posed, coupling),
    )
    bias, finer = _bias(posed, coupling), _bias(posed, 0.5 * coupling)
    x, weights = line_rule(stationary)
    first, second = weights @ jax.vmap(lambda x: _swept(posed, coupling, x))(x)
    variance = stationary.total_variance()
    mean, beside = _BESIDE
    one = posed._replace(prior=GaussianMixture.isotropic([1.0], [[mean]], beside))
    slope = jax.grad(lambda x: _swept(one, coupling, x[None])[0])(coupling)
    reach = coupling**2 * posed.A[0, 0] ** 2 / posed.R[0, 0]
    rate = (1.0 + reach) * (1.0 + coupling**2 / beside)
    return [
        ("mean after a sweep", first, stationary.mean()[0]),
        ("variance after a sweep", second - first**2, variance),
        ("bias", bias, line_pairs.kl(posterior, stationary)),
        ("contraction, one Gaussian", slope, 1.0 / rate),
        (jnp.log2(bias / finer), reach),
    ]


def _scales(posed, coupling):
    """Of the measurement with inflated noise."""
    slope = posed.A[0, 0]
    return slope, jnp.sqrt(posed.R[0, 0] + (coupling * slope) ** 2)


def _posterior(posed, coupling):
    """The stationary law with this coupling; the posterior with coupling 0."""
    return posed.prior.denoised(posed.y, *_scales(posed, coupling))


def _bias(posed, coupling):
    """KL(posterior || stationary law) in closed form."""

    def log_ratio(coupling):
        slope, noise = _scales(posed, coupling)
        exact = _posterior(posed, jnp.zeros_like(coupling))
        mean = expected_log_likelihood(exact, slope, noise**2, posed.y[0])
        return mean - posed.prior.noised(slope, noise).log_prob(posed.y)

    return log_ratio(jnp.zeros_like(coupling)) - log_ratio(coupling)


def _swept(posed, coupling, x):
    """E[x'] and E[x'^2] after one sweep from x (1,): z from a Gaussian, x' given z."""
    slope, noise = posed.A[0, 0], posed.R[0, 0]
    variance = 1.0 / (1.0 / coupling**2 + slope**2 / noise)
    mean = variance * (x / coupling**2 + slope * posed.y / noise)
    z = GaussianMixture.isotropic([1.0], mean[None], variance)
    points, weights = line_rule(z)

    def moments(z):
        law = posed.prior.denoised(z, jnp.ones_like(coupling), coupling)
        first = law.mean()[0]
        return jnp.stack([first, law.total_variance() + first**2])

    return weights @ jax.vmap(moments)(points)
