r"""Every measure of a law at its last time.

What a program of these measures costs is its compilation, one for each number of nodes
and of components. Where many laws are measured, those measures that only need the
distribution function are therefore taken on grids of one fixed size (`shared_grids`), and
all mixtures are written with three components (`shared_reference`). KL and Fisher
divergences, which see far tails and fine detail, are always taken on the law's own grid.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike

from .. import diagnostics, divergences
from .._types import Scalar
from ..divergences import AbstractDensity, LineDensity
from ..mixture import GaussianMixture
from ..problem import Target

_EVEN, _COARSE = 1024, (256, 512)  # nodes for distribution functions, and for W2
_COMPONENTS = 3
_RESOLVED = 1e-9  # of the largest: frequencies that may be left out


class Grids(NamedTuple):
    """One law on three grids.

    Attributes:
        own: its own, for measures that see tails and detail.
        even: for measures of the distribution function.
        coarse: for W2, which costs most and asks least.
    """

    own: AbstractDensity
    even: AbstractDensity
    coarse: AbstractDensity


class Reference(NamedTuple):
    """What laws are compared with.

    Attributes:
        target: the problem along its path.
        t: () the time of the laws.
        posterior: the exact marginal at that time.
        data: the posterior itself, at time 0.
    """

    target: Target
    t: Scalar
    posterior: GaussianMixture
    data: GaussianMixture


def reference(target: Target, t: ArrayLike) -> Reference:
    """The truth at time t > 0.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
    """
    posterior = target.posterior(jnp.asarray(t))
    return Reference(target, jnp.asarray(t), posterior, target.problem.posterior())


def shared_reference(target: Target, t: ArrayLike) -> Reference:
    """The truth at time t, with mixtures on the line written with three components."""
    found = reference(target, t)
    return found._replace(
        posterior=_with_components(found.posterior), data=_with_components(found.data)
    )


def own_grids(density: AbstractDensity) -> Grids:
    """The law on its own grid throughout."""
    return Grids(density, density, density)


def shared_grids(density: LineDensity) -> Grids:
    """The law on its own grid and on others of fixed sizes, which all laws share.

    Total variation and W1 change by 1e-3 of themselves at the very worst, that of a law
    with narrow peaks within a range of 44 units, and by less than 1e-6 as a rule.
    """
    coarse = next((n for n in _COARSE if _resolves(density, n)), _COARSE[-1])
    return Grids(density, resized(density, _EVEN), resized(density, coarse))


def final(grids: Grids, truth: Reference) -> dict[str, float]:
    """All measures of the law of a sampler's output, by name.

    Divergences are from the exact posterior marginal at the same time t; those named
    `..._data` from the posterior itself, at time 0 (of atoms there are W1 and W2 only).
    Errors are law minus exact.

    Args:
        grids: the law at time t; its own grid must cover the posterior.
        truth: at the same time.
    """
    own, even, coarse = grids
    found = {
        "kl": divergences.kl_to(own, truth.posterior),
        "kl_from": divergences.kl_from(own, truth.posterior),
        "tv": divergences.tv(even, truth.posterior),
    }
    if isinstance(even, LineDensity):
        found |= {
            "w1": divergences.w1(even, truth.posterior),
            "w2": divergences.w2(coarse, truth.posterior),
            "w1_to_data": divergences.w1(even, truth.data),
            "w2_to_data": divergences.w2(coarse, truth.data),
        }
    found["fisher"] = divergences.fisher(own, truth.posterior)
    if not truth.data.atomic:
        found |= {
            "kl_to_data": divergences.kl_to(own, truth.data),
            "kl_from_data": divergences.kl_from(own, truth.data),
            "tv_to_data": divergences.tv(even, truth.data),
            "fisher_to_data": divergences.fisher(own, truth.data),
        }
    return scalars(found | _plain(even, truth.target, truth.t))


def scalars(values: dict[str, Any]) -> dict[str, float]:
    """Numbers by name; the entries of an array become name[0], name[1], ..."""
    found = {}
    for name, value in values.items():
        host = np.asarray(value)
        if host.ndim == 0:
            found[name] = float(host)
        else:
            found |= {f"{name}[{i}]": float(v) for i, v in enumerate(host)}
    return found


def resized(density: LineDensity, count: int) -> LineDensity:
    """The law on a uniform grid of `count` nodes.

    Every second, third, ... node is kept, as few as needed; what is then missing is added
    at the upper end, without density.
    """
    position = np.asarray(density.position)
    stride = -(-len(position) // count)
    kept = np.asarray(density.log_density)[::stride]
    spacing = stride * (position[-1] - position[0]) / (len(position) - 1)
    return LineDensity.uniform(
        position[0],
        position[0] + spacing * (count - 1),
        np.pad(kept, (0, count - len(kept)), constant_values=-np.inf),
        density.escaped_mass,
    )


def _resolves(density: LineDensity, count: int) -> bool:
    """Whether `resized` to `count` nodes leaves out only frequencies that are not there."""
    weights = np.exp(np.asarray(density.log_density))
    stride = -(-len(weights) // count)
    spectrum = np.abs(np.fft.rfft(weights))
    lost = spectrum[len(weights) // (2 * stride) :]
    return stride == 1 or bool(lost.max() < _RESOLVED * spectrum.max())


def _with_components(mixture: GaussianMixture) -> GaussianMixture:
    """The same mixture on the line; its last component is shared out to make three."""
    parts = _COMPONENTS - mixture.num_components + 1
    if mixture.atomic or parts < 1:
        return mixture
    weights, means = np.exp(np.asarray(mixture.log_weights)), np.asarray(mixture.means)
    variances = np.asarray(mixture.covariances())[:, 0, 0]
    return GaussianMixture.isotropic(
        np.append(weights[:-1], [weights[-1] / parts] * parts),
        np.append(means, [means[-1]] * (parts - 1), axis=0) if parts > 1 else means,
        np.append(variances, [variances[-1]] * (parts - 1)),
    )


@eqx.filter_jit
def _plain(density, target, t) -> dict[str, Array]:
    """The measures that are sums over the grid."""
    posterior, data = target.posterior(t), target.problem.posterior()
    from_prior = diagnostics.hallucinated_prior_mass(density, target, t)
    from_likelihood = diagnostics.hallucinated_likelihood_mass(density, target, t)
    return {
        **_moment_errors(density, posterior, ""),
        **_moment_errors(density, data, "_to_data"),
        "spread_ratio": diagnostics.spread_ratio(density, posterior),
        "mode_weight": diagnostics.mode_weights(density, posterior),
        "mode_weight_exact": jnp.exp(posterior.log_weights),
        "mode_weight_error": diagnostics.mode_weight_error(density, posterior),
        "hallucinated_prior_mass": from_prior.law,
        "hallucinated_prior_mass_exact": from_prior.exact,
        "hallucinated_likelihood_mass": from_likelihood.law,
        "hallucinated_likelihood_mass_exact": from_likelihood.exact,
        "escaped_mass": density.escaped_mass,
    }


def _moment_errors(
    density: AbstractDensity, mixture: GaussianMixture, suffix: str
) -> dict[str, Any]:
    mean = divergences.mean(density) - mixture.mean()
    variance = divergences.variance(density) - mixture.total_variance()
    return {
        "mean_error" + suffix: mean[0] if mean.shape == (1,) else mean,
        "variance_error" + suffix: variance,
    }
