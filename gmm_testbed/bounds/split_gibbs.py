r"""T31: where split Gibbs sampling (PnP-DM, DPnP) stands still, and how fast it gets there.

Alternate z | x ~ N(y; A z, G) N(z; x, r^2 I), normalised, and x | z, the exact denoising
posterior at noise r. The joint law is proportional to
p_0(x) N(y; A z, G) N(z; x, r^2 I), so the x-marginal is

\[ p_r(x) \propto p_0(x) N(y; Ax, G + r^2 A A^T) : \]

the posterior with inflated noise, a mixture. Its divergence from the posterior is a closed
form (`prior_baseline`), and \(O(r^4)\): KL is quadratic in a tilt of order r^2. The order
is measured between r and r/2, up to twice \(r^2 |A^T G^{-1} A|\) where that is below one.

For one Gaussian of variance s^2 and y = a x + N(0, g^2), the mean contracts in each sweep
by \(1/((1 + r^2 a^2/g^2)(1 + r^2/s^2))\): slow where the bias is small.

Sources: Xu and Chi 2024 (arXiv:2403.17042); Wu et al. 2024 (arXiv:2405.18782).
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp

from ..divergences import line_rule
from ..mixture import GaussianMixture
from .base import BUILT, AbstractBound, Case, Facts, Limit, computed, outside
from .prior_baseline import expected_log_likelihood
from .tools import line_pairs, split_gibbs_space

_SLOPE, _NOISE, _Y = 1.3, 0.4, 0.6
_DIGITS = 1e-9
_MIXES = 0.5  # coupling from which the sampler forgets its start


class SplitGibbs(AbstractBound):
    """Stationary law, bias and contraction for two modes, over the coupling r and d."""

    facts: ClassVar[Facts] = Facts(
        statement="stationary law = posterior with G + r^2 A A^T; KL O(r^4) as r -> 0",
        assumptions=("exact conditionals", "r > 0"),
        source="here, proof in the docstring; arXiv:2403.17042, arXiv:2405.18782",
        status="proved",
        limits=(Limit("dim", only=(1, 3)),),
    )
    cases: ClassVar[tuple[Case, ...]] = (
        *({"coupling": r, "dim": 1} for r in (0.02, 0.05, 0.1, 0.3, 1.0)),
        *({"coupling": r, "dim": 3} for r in (0.02, 0.05, 0.1, 0.5, 1.0)),
    )

    def setting(self, case):
        return case

    def sides(self, key, coupling, dim):
        kept = BUILT, coupling > 0.0
        if not kept[1]:
            return outside(kept)
        coupling, line = jnp.asarray(coupling), dim == 1
        if line:
            claims, (slope, reach) = _on_the_line(coupling)
        else:
            mixes = coupling >= _MIXES
            claims = split_gibbs_space.claims(key, coupling) if mixes else []
            slope, reach = split_gibbs_space.order(coupling)
        if reach < 1.0:
            four = jnp.full_like(slope, 4.0)
            found = computed(
                "order", slope, four, equal=True, tolerance=2.0 * float(reach)
            )
            claims.append(found._replace(status="asymptotic"))
        return [claim._replace(assumptions=kept) for claim in claims]


def _on_the_line(coupling):
    """What is proved, and the order with how far from small r is."""
    *sides, (slope, reach) = _sides(coupling)
    claims = [computed(*some, equal=True, tolerance=_DIGITS) for some in sides]
    return claims, (slope, reach)


@eqx.filter_jit
def _sides(coupling):
    prior = GaussianMixture.isotropic([0.4, 0.6], [[-1.0], [1.5]], [0.16, 0.36])
    posterior = _posterior(prior, jnp.zeros_like(coupling))
    stationary = _posterior(prior, coupling)
    bias, finer = _bias(prior, coupling), _bias(prior, 0.5 * coupling)
    x, weights = line_rule(stationary)
    first, second = weights @ jax.vmap(lambda x: _swept(prior, coupling, x))(x)
    variance = stationary.total_variance()
    one = GaussianMixture.isotropic([1.0], [[0.3]], 0.5)
    slope = jax.grad(lambda x: _swept(one, coupling, x[None])[0])(coupling)
    rate = (1.0 + (coupling * _SLOPE / _NOISE) ** 2) * (1.0 + coupling**2 / 0.5)
    return [
        ("mean after a sweep", first, stationary.mean()[0]),
        ("variance after a sweep", second - first**2, variance),
        ("bias", bias, line_pairs.kl(posterior, stationary)),
        ("contraction, one Gaussian", slope, 1.0 / rate),
        (jnp.log2(bias / finer), (coupling * _SLOPE / _NOISE) ** 2),
    ]


def _scales(coupling):
    """Of the measurement with inflated noise."""
    noise = jnp.sqrt(_NOISE**2 + (coupling * _SLOPE) ** 2)
    return jnp.full_like(noise, _SLOPE), noise


def _posterior(prior, coupling):
    """The stationary law with this coupling; the posterior with coupling 0."""
    return prior.denoised(jnp.asarray([_Y]), *_scales(coupling))


def _bias(prior, coupling):
    """KL(posterior || stationary law) in closed form."""

    def log_ratio(coupling):
        (slope, noise), y = _scales(coupling), jnp.asarray(_Y)
        exact = _posterior(prior, jnp.zeros_like(coupling))
        mean = expected_log_likelihood(exact, slope, noise**2, y)
        return mean - prior.noised(slope, noise).log_prob(y[None])

    return log_ratio(jnp.zeros_like(coupling)) - log_ratio(coupling)


def _swept(prior, coupling, x):
    """E[x'] and E[x'^2] after one sweep from x (1,): z from a Gaussian, x' given z."""
    variance = 1.0 / (1.0 / coupling**2 + (_SLOPE / _NOISE) ** 2)
    mean = variance * (x / coupling**2 + _SLOPE * _Y / _NOISE**2)
    z = GaussianMixture.isotropic([1.0], mean[None], variance)
    points, weights = line_rule(z)

    def moments(z):
        law = prior.denoised(z, jnp.ones_like(coupling), coupling)
        first = law.mean()[0]
        return jnp.stack([first, law.total_variance() + first**2])

    return weights @ jax.vmap(moments)(points)
