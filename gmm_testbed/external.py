r"""Samplers of other programs: functions of NumPy arrays that run on the host.

    def program(problem, denoiser, num, seed):
        x = np.random.default_rng(seed).normal(size=(num, problem.dim))
        for alpha, sigma in zip(problem.alpha, problem.sigma):
            mean = denoiser.x0(x, alpha, sigma)
            ...
        return x

    gt.sample(key, gt.External(program), target, times, 1000)

The program sees what a practitioner has: y, the forward map and its transposed Jacobian,
the noise, the scales of the path on the grid, and a denoiser in whichever variables it
speaks. It does not see the prior, nor the posterior it is measured against.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._checks import check_real, choose, fail, require, unsupported, warn
from ._types import Key, Times
from .method import Cost, Facts, check_needs
from .problem import Linear, Target
from .sampling import AbstractSampler, Options
from .sampling.sample_set import SampleSet, sample_set

_LEVELS = {"t": "t", "data": "data"}


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


def in_numpy(fn: Callable, target: Target, times: Times, num: int, seed: int) -> Any:
    """What a program returns that is shown the target in NumPy."""
    return fn(host_problem(target, times), HostDenoiser(target), num, seed)


class External(AbstractSampler):
    """A sampler of another program, in NumPy, PyTorch or anything that NumPy can read.

    Attributes:
        fn: called as fn(problem, denoiser, num, seed), with a `HostProblem`, a
            `HostDenoiser`, the number of samples and an integer; it returns (num, d).
        level: "t" if it returns samples at the last time of the grid, "data" if they are
            samples of x0.
        needs: of the problem or grid, as in `Facts.needs`: ("linear",).
        reference: of the program.
        views: in what the program sees all this; `gt.torch.Views()` are tensors.

    Raises:
        InputError: if fn is no function, or the level unknown.
    """

    fn: Callable = eqx.field(static=True)
    level: str = eqx.field(static=True, default="t")
    needs: tuple[str, ...] = eqx.field(static=True, default=(), converter=tuple)
    reference: str = eqx.field(static=True, default="the author of the program")
    views: Callable = eqx.field(static=True, default=in_numpy)

    def __check_init__(self):
        choose(self.level, _LEVELS, "level")
        require(
            callable(self.fn),
            "an external sampler is a function",
            got=type(self.fn).__name__,
            expected="fn(problem, denoiser, num, seed) -> (num, d)",
            hint="pass the function itself, not what it returns",
        )
        require(
            callable(self.views) and not isinstance(self.views, type),
            "views is an object that calls the program",
            got=repr(self.views),
            expected="views(fn, target, times, num, seed)",
            hint="leave it out for NumPy; views=gt.torch.Views() for PyTorch",
        )

    @property
    def facts(self) -> Facts:
        """All that is known of it; what it costs is not."""
        return Facts(
            summary=f"the program {getattr(self.fn, '__name__', 'given')}, on the host",
            reference=self.reference,
            needs=frozenset(self.needs),
            law="implicit",
            level=self.level,
            cost=Cost(float("nan"), float("nan"), float("nan")),
        )

    def check(self, target: Target, times: Times) -> None:
        check_needs(self, target, times)

    def run(
        self, key: Key, target: Target, times: Times, num: int, options: Options
    ) -> SampleSet:
        if options.initial is not None or options.trajectory:
            unsupported(
                "an external program starts by itself, and keeps its states to itself",
                got="initial=..." if options.initial is not None else "trajectory=True",
                expected="neither initial nor trajectory",
                hint="write both into the program",
            )
        seed = int(jax.random.bits(key, dtype=jnp.uint32))
        made = self.views(self.fn, target, times, num, seed)
        x = checked_samples(made, num, target.problem.prior)
        uniform = jnp.full(num, -np.log(num), x.dtype)
        none = jnp.asarray(jnp.nan, x.dtype)
        return sample_set(x, uniform, none, len(times) - 1, facts=self.facts)


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


def checked_samples(made: Any, num: int, prior) -> jax.Array:
    """The samples (num, d), once they are known to be some."""
    try:
        x = np.asarray(made)
    except Exception as error:  # whatever another program's array raises
        fail(
            "what the external program returned is no array",
            got=f"{type(made).__name__}: {error}",
            expected="an array that NumPy can read",
            hint="for PyTorch pass views=gt.torch.Views(), or return x.detach().cpu()",
        )
    check_real(x, "what the external program returned")
    require(
        np.issubdtype(x.dtype, np.floating),
        "the external program returned no real numbers",
        got=f"{type(made).__name__} of {x.dtype}",
        expected="floating-point numbers",
        hint="return the array of the samples alone",
    )
    require(
        x.shape == (num, prior.dim),
        "the external program returned the wrong shape",
        got=x.shape,
        expected=f"({num}, {prior.dim}): num samples in the dimension of the problem",
        hint="one row for each sample; flatten images",
    )
    bad = int((~np.isfinite(x).all(axis=1)).sum())
    if bad:
        warn(
            "the external program returned samples that are not finite",
            got=f"{bad} of {num}",
            expected="finite samples",
            hint="they are kept, and counted in info.nonfinite",
        )
    return jnp.asarray(x, prior.means.dtype)


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
    return jax.vmap(lambda *point: target.denoise_at(*point).mean)(x, alpha, sigma)


@eqx.filter_jit
def _products(target, x, alpha, sigma, v):
    def one(x, alpha, sigma, v):
        gain = alpha / sigma**2
        return gain * target.denoise_at(x, alpha, sigma).times_covariance(v)

    return jax.vmap(one)(x, alpha, sigma, v)


@eqx.filter_jit
def _forward(measurement, x0):
    return jax.vmap(measurement.apply)(x0)


@eqx.filter_jit
def _pullback(measurement, x0, v):
    return jax.vmap(measurement.pullback)(x0, v)
