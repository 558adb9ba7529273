r"""Kullback-Leibler divergence and total variation between two Gaussian mixtures.

No closed form is known of either beyond one component. On the line they are integrals
over panels that follow every component, each halved until it no longer changes, in NumPy:
nothing is compiled. In the plane they are sums over a grid. Beyond, and for components too
narrow for a grid, they are means over samples of

\[ KL = E_p \log\frac pq, \qquad TV = E_m \tanh\tfrac12\Bigl|\log\frac pq\Bigr|, \quad
   m = \tfrac12 (p + q) . \]
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .._arguments import KEY, check_kinds, check_known
from .._checks import check_count, require, unsupported
from .._types import Key
from ..densities.plane import PlaneDensity
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..mixture.checks import check_density
from . import closed_form, grid
from .grid import over_points

_OFFSETS = np.array([0.0, 1, 2, 3, 4, 5, 6, 7.5, 9, 11, 13, 16])  # standard deviations
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
_RELATIVE, _ABSOLUTE = 1e-12, 1e-15  # change of a panel that is halved no more
_ROUNDS, _PANELS = 50, 200_000
_ENTRIES = 4_000_000  # points times components at once
_REACH, _PER_SD = 9.0, 4.0  # of a grid in the plane
_SIZES = (96, 128, 192, 256, 384, 512, 768, 1024)  # nodes each way


def mixture_kl(
    p: GaussianMixture,
    q: GaussianMixture,
    key: Key | None = None,
    num: int = 100_000,
) -> Estimate:
    """KL(p || q) in nats.

    In closed form between two Gaussians, by quadrature in d = 1 and 2, and else the mean
    over samples of p. Infinite where one has atoms, unless both have the same.

    Args:
        p: of dimension d.
        q: of the same dimension.
        key: of samples, if they are needed: in d > 2, and for narrow components in d = 2.
        num: number of samples.

    Raises:
        InputError: if the dimensions differ, or a covariance is singular.
        UnsupportedError: if samples are needed and there is no key.
    """
    _check("mixture_kl(p, q)", p, q)
    if p.atomic or q.atomic:
        return Estimate(_of_atoms(p, q, _kl_of_weights, np.inf))
    if p.num_components == q.num_components == 1:
        laws = [(law.means[0], law.covariances()[0]) for law in (p, q)]
        return Estimate(closed_form.kl(*laws[0], *laws[1]), how="closed form")
    if p.dim == 1:
        return Estimate(_on_the_line(p, q, _relative_entropy), how="quadrature")
    density = _in_the_plane(p, q) if p.dim == 2 else None
    if density is not None:
        return Estimate(grid.kl_to(density, q), how="quadrature")
    log_ratios = _log_ratios(p, q, *_sampling(key, num, p))[0]
    return Estimate.mean_of(log_ratios, how=f"{num} samples of p")


def mixture_tv(
    p: GaussianMixture,
    q: GaussianMixture,
    key: Key | None = None,
    num: int = 100_000,
) -> Estimate:
    r"""Total variation \(\tfrac12 \int |p - q|\), in [0, 1].

    By quadrature in d = 1 and 2, and else the mean over samples, half of them of each. It
    is 1 between atoms and a density. Arguments and errors are those of `mixture_kl`.
    """
    _check("mixture_tv(p, q)", p, q)
    if p.atomic or q.atomic:
        return Estimate(_of_atoms(p, q, lambda a, b: 0.5 * np.abs(a - b), 1.0))
    if p.dim == 1:
        half = _on_the_line(p, q, lambda a, b, ratio: 0.5 * np.abs(a - b))
        return Estimate(half, how="quadrature")
    density = _in_the_plane(p, q) if p.dim == 2 else None
    if density is not None:
        return Estimate(grid.tv(density, q), how="quadrature")
    both = _log_ratios(p, q, *_sampling(key, num, p))
    of_p, of_q = (Estimate.mean_of(jnp.tanh(0.5 * jnp.abs(r))) for r in both)
    mean = 0.5 * of_p + 0.5 * of_q
    return Estimate(mean.value, mean.stderr, f"{num} samples of each")


def _check(call, p, q):
    kind = GaussianMixture, "a gt.GaussianMixture; of a grid take kl_to or tv"
    check_kinds(call, p=(p, *kind), q=(q, *kind))
    require(
        p.dim == q.dim,
        "two mixtures in different dimensions have no divergence",
        got=f"d = {p.dim} and d = {q.dim}",
        expected="the same dimension",
        hint="project the larger one: mixture.affine(A)",
    )
    check_known(call, p, q)
    for law in (p, q):
        if not law.atomic:
            check_density(law.atomic, law.base, law.spectrum, law.dim)


def _sampling(key, num, p):
    """The key and number of samples, once they are known to be some."""
    if key is None:
        unsupported(
            "this divergence needs samples",
            got=f"mixtures in d = {p.dim}, no key",
            expected="a key, or mixtures that a grid of 1024 x 1024 nodes resolves",
            hint="pass key=jax.random.key(0), and num for a smaller error",
        )
    check_kinds("mixture_kl(p, q, key, num)", key=(key, *KEY))
    return key, check_count(num, "num", least=2)


@eqx.filter_jit
def _log_ratios(p, q, key, num: int):
    """log p - log q at samples of p and at samples of q, (num,) each."""
    keys = jax.random.split(key)
    return [
        over_points(lambda x: p.log_prob(x) - q.log_prob(x), law.sample(own, num))
        for law, own in zip((p, q), keys, strict=True)
    ]


# --- of atoms -------------------------------------------------------------------------


def _of_atoms(p, q, terms, apart):
    """Sum of terms(p, q) over all atoms; `apart` if only one of them has atoms."""
    if not (p.atomic and q.atomic):
        return apart
    places = np.concatenate([np.asarray(p.means), np.asarray(q.means)])
    label = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
    weights = np.zeros((2, label.max() + 1))
    for own, law, of in zip(
        weights, (p, q), np.split(label, [len(p.means)]), strict=True
    ):
        np.add.at(own, of, np.exp(np.asarray(law.log_weights, np.float64)))
    return terms(*weights).sum()


def _kl_of_weights(a, b):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(a > 0, a * (np.log(a) - np.log(b)), 0.0)


# --- on the line ----------------------------------------------------------------------


def _relative_entropy(p, q, log_ratio):
    """p log(p/q) - p + q, which is not negative and has the same integral."""
    near = np.abs(log_ratio) < 1.0
    small = np.where(near, log_ratio, 0.0)
    return np.where(near, p * (np.expm1(-small) + small), q - p + p * log_ratio)


def _on_the_line(p, q, integrand) -> float:
    """The integral of integrand(p, q, log p - log q) over the line."""
    laws = [_components(law) for law in (p, q)]
    places = [
        (mean[:, None] + scale[:, None] * np.concatenate([-_OFFSETS, _OFFSETS])).ravel()
        for _, mean, scale in laws
    ]
    edges = np.unique(np.concatenate(places))
    lower, upper = edges[:-1], edges[1:]

    def panels(lower, upper):
        half = 0.5 * (upper - lower)
        x = (0.5 * (lower + upper))[:, None] + half[:, None] * _NODES
        log_p, log_q = (_log_density(x.ravel(), *law).reshape(x.shape) for law in laws)
        values = integrand(np.exp(log_p), np.exp(log_q), log_p - log_q)
        return half * (values @ _WEIGHTS)

    whole, total = panels(lower, upper), 0.0
    tolerance = _ABSOLUTE + _RELATIVE * np.abs(whole).sum()
    for _ in range(_ROUNDS):
        middle = 0.5 * (lower + upper)
        lower, upper = np.append(lower, middle), np.append(middle, upper)
        halves = panels(lower, upper)
        finer = np.add(*np.split(halves, 2))
        rough = np.abs(finer - whole) > tolerance
        total += finer[~rough].sum()
        if not 0 < rough.sum() < _PANELS:
            return total + finer[rough].sum()
        kept = np.append(rough, rough)
        lower, upper, whole = lower[kept], upper[kept], halves[kept]
    return total + whole.sum()


def _components(law):
    """Log-weights, means and standard deviations (K,) of those that have weight."""
    log_weights = np.asarray(law.log_weights, np.float64)
    scales = np.sqrt(np.asarray(law.covariances(), np.float64)[:, 0, 0])
    kept = log_weights > -np.inf
    return log_weights[kept], np.asarray(law.means, np.float64)[kept, 0], scales[kept]


def _log_density(x, log_weights, means, scales):
    heights = log_weights - np.log(scales) - 0.5 * np.log(2.0 * np.pi)
    chunks = np.array_split(x, -(-x.size * means.size // _ENTRIES))
    return np.concatenate(
        [
            np.logaddexp.reduce(
                heights - 0.5 * ((chunk[:, None] - means) / scales) ** 2, axis=1
            )
            for chunk in chunks
        ]
    )


# --- in the plane ---------------------------------------------------------------------


def _in_the_plane(p, q) -> PlaneDensity | None:
    """p on a grid that covers and resolves both, or None if that is too large."""
    low, high, finest = [], [], []
    for law in (p, q):
        kept = np.asarray(law.log_weights) > -np.inf
        covariances = np.asarray(law.covariances())[kept]
        reach = _REACH * np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        low.append((np.asarray(law.means)[kept] - reach).min(axis=0))
        high.append((np.asarray(law.means)[kept] + reach).max(axis=0))
        finest.append(np.sqrt(np.linalg.eigvalsh(covariances).min()))
    low, high = np.min(low, axis=0), np.max(high, axis=0)
    wanted = _PER_SD * (high - low) / min(finest)
    if wanted.max() > _SIZES[-1]:
        return None
    sizes = [_SIZES[np.searchsorted(_SIZES, count)] for count in wanted]
    axes = [jnp.linspace(*ends) for ends in zip(low, high, sizes, strict=True)]
    return _on_grid(p, *axes)


@eqx.filter_jit
def _on_grid(p, x, y):
    places = jnp.stack(jnp.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
    log_density = over_points(p.log_prob, places).reshape(x.size, y.size)
    return PlaneDensity(x, y, log_density, 0.0)
