r"""Every measure of a law or of samples, by name: at the end, and on the way.

`MEASURES` says what each is; `of` gives those that can be had of what it is given, each
as an `Estimate`: exact of a law, with a standard error of samples. Divergences are from the
exact posterior marginal at the same time t; those named `..._to_data` from the posterior
itself, at time 0 (of atoms there are W1 and W2 only). Errors are law minus exact.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import ArrayLike

from .. import diagnostics, divergences
from .._checks import floating
from .._samples import SampleSet, equal_weights
from .._types import Key
from ..divergences import AbstractDensity, LineDensity
from ..divergences.on_the_host import HostDensity
from ..divergences.samples.checks import checked
from ..divergences.samples.moments import total_variance
from ..estimate import Estimate
from ..laws import AbstractLaw, AffineLaw, ReducedLaw
from ..mixture import GaussianMixture
from ..paths.grids import check_time
from ..problem import Target
from .on_the_line import at_the_end
from .on_the_line import in_time as in_time

MEASURES = {
    "kl": "KL(law || exact), nats",
    "kl_from": "KL(exact || law), nats",
    "tv": "total variation distance",
    "tv_lower": "total variation distance: at least",
    "tv_upper": "total variation distance: at most",
    "w1": "Wasserstein-1 distance, in units of x",
    "w2": "Wasserstein-2 distance, in units of x",
    "sliced_w2": "sliced W2, in units of x",
    "mmd_squared": "squared MMD, Gaussian kernel",
    "kl_to_data": "KL(law || posterior at t = 0), nats",
    "kl_from_data": "KL(posterior at t = 0 || law), nats",
    "tv_to_data": "total variation distance from it",
    "w1_to_data": "W1 from the posterior at t = 0",
    "w2_to_data": "W2 from the posterior at t = 0",
    "fisher": "Fisher divergence from the exact",
    "fisher_to_data": "Fisher divergence from the posterior at t = 0",
    "mean_error": "mean, law minus exact",
    "mean_error_to_data": "mean, law minus posterior at t = 0",
    "variance_error": "variance, law minus exact",
    "variance_error_to_data": "variance, law minus posterior at t = 0",
    "covariance_error": "the covariance furthest off, in standard errors",
    "spread_ratio": "variance of the law over the exact",
    "mode_weight": "mass of the law in the mode",
    "mode_weight_exact": "exact mass of the mode",
    "mode_weight_error": "total variation between mode weights",
    "hallucinated_prior_mass": "mass in prior modes that y rules out",
    "hallucinated_prior_mass_exact": "the same, of the exact posterior",
    "hallucinated_likelihood_mass": "mass where y is likely, the prior not",
    "hallucinated_likelihood_mass_exact": "the same, of the exact posterior",
    "escaped_mass": "mass that left the grid",
}
"""What each measure is, in a few words; tables have this order."""

DIRECTIONS = 100  # of the sliced distance
PARTNERS = 50  # of each sample, where all pairs would be more


def of(
    found: AbstractLaw | AffineLaw | ReducedLaw | AbstractDensity | SampleSet,
    target: Target,
    t: ArrayLike,
    *,
    key: Key | None = None,
) -> dict[str, Estimate]:
    """Measures by name, in the order of `MEASURES`; some are arrays (K,) or (d,).

    Args:
        found: a law, of which the last time counts; its density on a grid that covers
            the posterior; or samples.
        target: with an exact posterior.
        t: () time of the density or samples, with sigma_t > 0.
        key: of the random directions and pairs that samples are measured with;
            `jax.random.key(0)` by default.

    Raises:
        UnsupportedError: if the posterior is not a mixture.
    """
    check_time(t)
    how = "quadrature"
    if isinstance(found, SampleSet):
        key = jax.random.key(0) if key is None else key
        equal = equal_weights(found.log_weights)
        log_weights = None if equal else found.log_weights
        found = of_samples(key, found.x, target, t, log_weights=log_weights)
        return _ordered(found)
    if isinstance(found, AffineLaw):
        values, how = _of_gaussian(found, target, floating(t)), "closed form"
    elif isinstance(found, ReducedLaw):
        values = _of_reduced(found, target, floating(t))
    else:
        density = found.at(-1) if isinstance(found, AbstractLaw) else found
        if isinstance(density, LineDensity) and np.all(
            np.asarray(density.jacobian) == 1
        ):
            values = at_the_end(HostDensity(density), target, t)
        else:
            values = _of_density(density, target, floating(t))
    return _ordered({n: Estimate(v, how=how) for n, v in values.items()})


def scalars(values: dict[str, Estimate]) -> dict[str, Estimate]:
    """The entries of arrays one by one, named name[0], name[1], ..."""
    found = {}
    for name, e in values.items():
        if np.ndim(e.value) == 0:
            found[name] = e
        else:
            found |= {f"{name}[{i}]": e[i] for i in range(e.value.shape[0])}
    return found


def base(name: str) -> str:
    """The name in `MEASURES` of mean_error[3] or covariance_error[9,2]."""
    return name.partition("[")[0]


def _ordered(found):
    order = list(MEASURES)
    return dict(sorted(found.items(), key=lambda pair: order.index(base(pair[0]))))


# --- of other laws --------------------------------------------------------------------


def _of_density(density: AbstractDensity, target: Target, t) -> dict[str, Any]:
    posterior, data = target.posterior(t), target.problem.posterior()
    pairs = {"": posterior, "_to_data": data}
    found = {}
    for suffix, mixture in pairs.items():
        measured = {"w1": divergences.w1, "w2": divergences.w2}
        if not isinstance(density, LineDensity):
            measured = {}
        if not mixture.atomic:
            measured |= {
                "kl": divergences.kl_to,
                "kl_from": divergences.kl_from,
                "tv": divergences.tv,
                "fisher": divergences.fisher,
            }
        for name, measure in measured.items():
            name = (
                "kl_from_data" if name + suffix == "kl_from_to_data" else name + suffix
            )
            found[name] = measure(density, mixture)
    return found | _sums(density, target, t)


@eqx.filter_jit
def _sums(density, target, t) -> dict[str, Any]:
    """The measures that are sums over the grid."""
    posterior, data = target.posterior(t), target.problem.posterior()
    mean, variance = divergences.mean(density), divergences.variance(density)
    from_prior = diagnostics.hallucinated_prior_mass(density, target, t)
    from_likelihood = diagnostics.hallucinated_likelihood_mass(density, target, t)
    return {
        "mean_error": jnp.squeeze(mean - posterior.mean()),
        "mean_error_to_data": jnp.squeeze(mean - data.mean()),
        "variance_error": variance - posterior.total_variance(),
        "variance_error_to_data": variance - data.total_variance(),
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


def _of_gaussian(law: AffineLaw, target: Target, t) -> dict[str, Any]:
    posterior, data = target.posterior(t), target.problem.posterior()
    return {
        "kl": law.kl(posterior),
        "kl_from": law.kl_from(posterior),
        "w2": law.w2(posterior),
        "w2_to_data": law.w2(data),
        "fisher": law.fisher(posterior),
        "mean_error": law.mean() - posterior.mean(),
        "variance_error": jnp.diagonal(law.covariance() - posterior.covariance()),
        "spread_ratio": jnp.trace(law.covariance()) / posterior.total_variance(),
    }


def _of_reduced(law: ReducedLaw, target: Target, t) -> dict[str, Any]:
    posterior = target.posterior(t)
    lower, upper = law.tv(posterior)
    found = {
        "kl": law.kl(posterior),
        "kl_from": law.kl_from(posterior),
        "tv_lower": lower,
        "tv_upper": upper,
        "fisher": law.fisher(posterior),
    }
    if law.frame.shape[1] == 1:
        found["w2"] = law.w2(posterior)
    total = jnp.trace(law.inside.covariance()) + law.num_beyond * law.variances[-1]
    found["mean_error"] = law.mean() - posterior.mean()
    found["spread_ratio"] = total / posterior.total_variance()
    # Beyond the frame the components are alike: modes are those of the law inside.
    density, modes = law.inside.at(-1), law.inside.target.posterior(t)
    found["mode_weight"] = diagnostics.mode_weights(density, modes)
    found["mode_weight_exact"] = jnp.exp(modes.log_weights)
    return found | {"escaped_mass": law.escaped_mass}


# --- of samples -----------------------------------------------------------------------


def of_samples(
    key: Key,
    x: Any,
    target: Target,
    t: ArrayLike,
    entry: tuple[int, int] | None = None,
    *,
    log_weights: Any = None,
) -> dict[str, Estimate]:
    """Measures of samples x (n, d); `of` takes a `SampleSet`.

    Args:
        key: of random directions and pairs.
        x: (n, d).
        target: with an exact posterior.
        t: () their time.
        entry: of the covariance that is measured; by default the one below the diagonal
            that is most standard errors from zero.
        log_weights: (n,), uniform by default.
    """
    posterior, weighted = target.posterior(t), {"log_weights": log_weights}
    x, masses = checked(x, posterior, log_weights)
    partners = PARTNERS if x.shape[0] > 2 * PARTNERS else None
    covariance = divergences.covariance_error(x, posterior, **weighted)
    spread = total_variance(x, masses, log_weights)
    found = {
        "sliced_w2": divergences.sliced_wasserstein(
            key, x, posterior, directions=DIRECTIONS, **weighted
        ),
        "mmd_squared": divergences.mmd_squared(
            x, posterior, partners=partners, **weighted
        ),
        "mean_error": divergences.mean_error(x, posterior, **weighted),
        "variance_error": covariance[jnp.diag_indices(x.shape[1])],
        "spread_ratio": spread / posterior.total_variance(),
    }
    if x.shape[1] > 1:
        i, j = entry or furthest(x, posterior, log_weights)
        found[f"covariance_error[{i},{j}]"] = covariance[i, j]
    if not posterior.atomic:
        found["mode_weight"] = divergences.mode_weights(
            x, posterior, **weighted
        ).weights
        found["mode_weight_exact"] = Estimate(jnp.exp(posterior.log_weights))
    return found


def furthest(
    x: Any, mixture: GaussianMixture, log_weights: Any = None
) -> tuple[int, int] | None:
    """Of the covariances of samples (n, d), the one most standard errors from zero error.

    Its row and column, below the diagonal; None in d = 1.
    """
    error = divergences.covariance_error(x, mixture, log_weights=log_weights)
    below = np.tril_indices(x.shape[1], -1)
    if below[0].size == 0:
        return None
    value, stderr = np.asarray(error.value)[below], np.asarray(error.stderr)[below]
    known = np.isfinite(stderr).all()  # else the largest
    z = np.abs(value) / stderr if known else np.abs(value)
    worst = int(np.argmax(z))
    return int(below[0][worst]), int(below[1][worst])
