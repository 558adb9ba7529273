"""What a program in NumPy sees of a target."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from .._checks import check_real, require
from .._types import Times
from ..problem import Linear, Target
from ..sampling import in_batches, most_at_once


class HostProblem(NamedTuple):
    r"""An inverse problem and a grid of times, in NumPy.

    Attributes:
        dim: d.
        y: (m,).
        R: (m, m), covariance of the noise.
        A: (m, d), or None if the measurement is not linear.
        b: (m,), or None.
        times: (N + 1,), decreasing.
        alpha: (N + 1,), \(\alpha\) at these times, where \(x_t = \alpha x_0 + \sigma
            \varepsilon\).
        sigma: (N + 1,).
        forward: from x0 (n, d) to f(x0), (n, m).
        forward_vjp: from x0 (n, d) and v (n, m) to \((df/dx)^T v\), (n, d).
    """

    dim: int
    y: np.ndarray
    R: np.ndarray
    A: np.ndarray | None
    b: np.ndarray | None
    times: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray
    forward: Callable[[np.ndarray], np.ndarray]
    forward_vjp: Callable[[np.ndarray, np.ndarray], np.ndarray]


class HostDenoiser:
    r"""The denoiser of a target on NumPy batches, in the variables of any program.

    It is exact, or what the target is `seen_through`. At \(x = \alpha x_0 + \sigma
    \varepsilon\), x is (n, d), and alpha and sigma are numbers or (n,). Every method `...`
    has a `..._vjp(x, ..., v)`, the product of its transposed Jacobian with v (n, d).
    """

    def __init__(self, target: Target):
        """Takes what is seen of the target; `External` makes it."""
        self._target = target

    def x0(self, x, alpha, sigma) -> np.ndarray:
        """E[x0 | x], (n, d)."""
        return np.asarray(_means(self._target, *self._arguments(x, alpha, sigma)))

    def x0_vjp(self, x, alpha, sigma, v) -> np.ndarray:
        """(d E[x0 | x] / dx)^T v, (n, d)."""
        rows, *scales = self._arguments(x, alpha, sigma)
        v = _batch(v, rows.shape[1], rows.dtype, "v")
        require(
            v.shape == rows.shape,
            "v does not fit x",
            got=f"v {v.shape}, x {rows.shape}",
            expected="one row for each point",
            hint="a vector-Jacobian product takes a v at every point",
        )
        return np.asarray(_products(self._target, rows, *scales, v))

    def eps(self, x, alpha, sigma) -> np.ndarray:
        """The predicted noise (x - alpha E[x0 | x]) / sigma, (n, d)."""
        alpha, sigma = _column(alpha), _column(sigma)
        return (np.asarray(x) - alpha * self.x0(x, alpha, sigma)) / sigma

    def eps_vjp(self, x, alpha, sigma, v) -> np.ndarray:
        """The same of `eps`."""
        alpha, sigma = _column(alpha), _column(sigma)
        return (np.asarray(v) - alpha * self.x0_vjp(x, alpha, sigma, v)) / sigma

    def score(self, x, alpha, sigma) -> np.ndarray:
        """The score of p_t, (alpha E[x0 | x] - x) / sigma^2, (n, d)."""
        return -self.eps(x, alpha, sigma) / _column(sigma)

    def score_vjp(self, x, alpha, sigma, v) -> np.ndarray:
        """The same of `score`."""
        return -self.eps_vjp(x, alpha, sigma, v) / _column(sigma)

    def v(self, x, alpha, sigma) -> np.ndarray:
        """alpha eps - sigma x0, (n, d): the v of Salimans & Ho 2022, arXiv:2202.00512."""
        alpha, sigma = _column(alpha), _column(sigma)
        return alpha * self.eps(x, alpha, sigma) - sigma * self.x0(x, alpha, sigma)

    def v_vjp(self, x, alpha, sigma, v) -> np.ndarray:
        """The same of `v`."""
        alpha, sigma = _column(alpha), _column(sigma)
        noise, clean = self.eps_vjp(x, alpha, sigma, v), self.x0_vjp(x, alpha, sigma, v)
        return alpha * noise - sigma * clean

    def flow(self, x, t) -> np.ndarray:
        """eps - x0, (n, d), at x = (1 - t) x0 + t eps: the velocity of a rectified flow."""
        t = _column(t)
        return self.eps(x, 1.0 - t, t) - self.x0(x, 1.0 - t, t)

    def flow_vjp(self, x, t, v) -> np.ndarray:
        """The same of `flow`."""
        t = _column(t)
        return self.eps_vjp(x, 1.0 - t, t, v) - self.x0_vjp(x, 1.0 - t, t, v)

    def edm(self, z, sigma) -> np.ndarray:
        """D(z, sigma) of EDM (Karras et al. 2022), (n, d): x0 at z = x0 + sigma noise."""
        return self.x0(z, 1.0, sigma)

    def edm_vjp(self, z, sigma, v) -> np.ndarray:
        """The same of `edm`."""
        return self.x0_vjp(z, 1.0, sigma, v)

    def ddpm(self, x, alpha_bar) -> np.ndarray:
        """`eps` by the discrete alpha-bar of DDPM, the square of alpha, (n, d)."""
        alpha_bar = _column(alpha_bar)
        return self.eps(x, np.sqrt(alpha_bar), np.sqrt(1.0 - alpha_bar))

    def ddpm_vjp(self, x, alpha_bar, v) -> np.ndarray:
        """The same of `ddpm`."""
        alpha_bar = _column(alpha_bar)
        return self.eps_vjp(x, np.sqrt(alpha_bar), np.sqrt(1.0 - alpha_bar), v)

    def _arguments(self, x, alpha, sigma):
        prior = self._target.problem.prior
        rows = _batch(x, prior.dim, prior.means.dtype, "x")
        scales = (_scale(value, len(rows), rows.dtype) for value in (alpha, sigma))
        return rows, *scales


def host_problem(target: Target, times: Times) -> HostProblem:
    """The problem of a target and a grid (N + 1,), in NumPy."""
    problem, path = target.problem, target.path
    seen, prior = problem.measurement, problem.prior
    dtype = prior.means.dtype
    linear = isinstance(seen, Linear)

    def forward(x0):
        return np.asarray(_forward(seen, _batch(x0, prior.dim, dtype, "x0")))

    def forward_vjp(x0, v):
        rows, v = _batch(x0, prior.dim, dtype, "x0"), _batch(v, seen.dim_y, dtype, "v")
        return np.asarray(_pullback(seen, rows, v))

    return HostProblem(
        prior.dim,
        np.array(problem.y),
        np.array(seen.R),
        np.array(seen.A) if linear else None,
        np.array(seen.b) if linear else None,
        np.array(times),
        np.array(path.alpha(times)),
        np.array(path.sigma(times)),
        forward,
        forward_vjp,
    )


def _batch(value: Any, dim: int, dtype, name: str) -> np.ndarray:
    rows = np.asarray(value)
    check_real(rows, name)
    require(
        rows.ndim == 2 and rows.shape[1] == dim,
        f"{name} is not a batch of points",
        got=f"{name} {rows.shape}",
        expected=f"(n, {dim})",
        hint="one point is a batch of one: x[None]",
    )
    return rows.astype(dtype)


def _scale(value: Any, count: int, dtype) -> np.ndarray:
    """(n,), of a number or of one for each point."""
    check_real(value, "a scale")
    scale = np.asarray(value, dtype)
    require(
        scale.shape in {(), (1,), (1, 1), (count,), (count, 1)},
        "this scale does not fit the points",
        got=f"shape {scale.shape} for {count} points",
        expected=f"a number, ({count},) or ({count}, 1)",
        hint="alpha and sigma are scales, never squares",
    )
    return np.broadcast_to(scale.reshape(-1), (count,))


def _column(value: Any) -> np.ndarray:
    """A number as it is, numbers (n,) as a column (n, 1)."""
    value = np.asarray(value)
    return value[:, None] if value.ndim == 1 else value


@eqx.filter_jit
def _means(target, x, alpha, sigma):
    def one(x, alpha, sigma):
        return target.denoise_at(x, alpha, sigma).mean

    return _some_at_a_time(one, target, x, alpha, sigma)


@eqx.filter_jit
def _products(target, x, alpha, sigma, v):
    def one(x, alpha, sigma, v):
        gain = alpha / sigma**2
        return gain * target.denoise_at(x, alpha, sigma).times_covariance(v)

    return _some_at_a_time(one, target, x, alpha, sigma, v)


def _some_at_a_time(fn, target, *rows):
    """fn of every row: fewer at once for priors of thousands of components."""
    size = most_at_once(target.problem.prior.num_components)
    return in_batches(jax.vmap(fn), rows, size)


@eqx.filter_jit
def _forward(measurement, x0):
    return jax.vmap(measurement.apply)(x0)


@eqx.filter_jit
def _pullback(measurement, x0, v):
    return jax.vmap(measurement.pullback)(x0, v)
