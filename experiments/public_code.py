r"""Posterior samplers of azula, deepinv and diffusers, and the formulas they are held to.

Every entry has what the package computes at given states, and the formula of its paper (or
documentation) in NumPy: for a guidance, that of \(\nabla_{x_t} \log p(y | x_t)\); for an
update, what it adds to the unguided step; for a chain, its end from a table of noise.

Notation: m = E[x0 | x_t], J its Jacobian, r = y - A m, v the noise variance,
u = sigma / alpha.
"""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

import gmm_testbed as gt

T_MIN = 1e-2
_NETWORKS: dict = {}  # that were made, by their prior
SHIFT = 5.0  # of the origin, at which clipping is looked for


class Problem(NamedTuple):
    """A linear inverse problem in NumPy, with noise v I and no offset.

    Attributes:
        weights: (K,).
        means: (K, d).
        covariances: (K, d, d).
        A: (m, d).
        v: variance of the noise.
        y: (m,).
        path: of this package.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    A: np.ndarray
    v: float
    y: np.ndarray
    path: Any

    @property
    def prior(self):
        return gt.GaussianMixture.full(self.weights, self.means, self.covariances)

    @property
    def target(self):
        """The same as a target of this package."""
        seen = gt.Linear(self.A, self.v)
        return gt.Target(gt.InverseProblem(self.prior, seen, self.y), self.path)

    @property
    def spread(self):
        """Mean variance of a coordinate of x0."""
        mean = self.weights @ self.means
        between = self.weights @ ((self.means - mean) ** 2).sum(1)
        return float(
            self.weights @ np.trace(self.covariances, 0, 1, 2) + between
        ) / len(mean)

    def moved(self):
        """The origin of x0 moved by SHIFT in every coordinate."""
        y = self.y + SHIFT * self.A.sum(1)
        return self._replace(means=self.means + SHIFT, y=y)

    def remeasured(self, rng):
        """Another observation, of a fresh point of the prior."""
        k = rng.choice(len(self.weights), p=self.weights / self.weights.sum())
        x0 = rng.multivariate_normal(self.means[k], self.covariances[k])
        noise = rng.standard_normal(len(self.y))
        return self._replace(y=self.A @ x0 + np.sqrt(self.v) * noise)


def plain(target):
    """A target as a `Problem`: whitened, and scaled so that v is R[0, 0]."""
    seen, prior = target.problem.measurement, target.problem.prior
    y, R = np.asarray(target.problem.y) - np.asarray(seen.b), np.asarray(seen.R)
    v = float(R[0, 0])
    isotropic = np.allclose(R, v * np.eye(len(R)))
    W = np.eye(len(R)) if isotropic else np.sqrt(v) * np.asarray(seen.whitener)
    parts = np.exp(prior.log_weights), prior.means, prior.covariances()
    weights, means, covariances = (np.asarray(part) for part in parts)
    A = W @ np.asarray(seen.A)
    return Problem(
        weights / weights.sum(), means, covariances, A, v, W @ y, target.path
    )


class Case(NamedTuple):
    """States at which a package and a formula are compared.

    Attributes:
        problem: of them.
        t: time of the states.
        s: time of the next ones.
        x: (n, d).
        m: E[x0 | x_t], (n, d).
        J: its Jacobian, (n, d, d).
    """

    problem: Problem
    t: float
    s: float
    x: np.ndarray
    m: np.ndarray
    J: np.ndarray

    @classmethod
    def at(cls, problem, t, s, x):
        """By the formulas of a mixture of Gaussians."""
        return cls(problem, t, s, x, *moments(problem, x, *_scales(problem.path, t)))

    @property
    def scales(self):
        """alpha_t, sigma_t, alpha_s, sigma_s."""
        return *_scales(self.problem.path, self.t), *_scales(self.problem.path, self.s)

    A = property(lambda self: self.problem.A)
    v = property(lambda self: self.problem.v)
    y = property(lambda self: self.problem.y)

    @property
    def r(self):
        return self.y - self.m @ self.A.T

    def pulled(self, rows):
        """J^T A^T of rows (n, m)."""
        return np.einsum("nij,ni->nj", self.J, rows @ self.A)

    def alone(self, i):
        """The state i, in a batch of one."""
        one = slice(i, i + 1)
        return self._replace(x=self.x[one], m=self.m[one], J=self.J[one])

    def moved(self):
        """The same problem with its origin elsewhere."""
        x = self.x + self.scales[0] * SHIFT
        return self._replace(problem=self.problem.moved(), x=x, m=self.m + SHIFT)


def _scales(path, t):
    return float(path.alpha(t)), float(path.sigma(t))


def moments(problem, x, a, s):
    """E[x0 | x] and its Jacobian (a / s^2) Cov[x0 | x] at x (n, d)."""
    d, terms, means, inside = x.shape[1], [], [], []
    for w, mu, S in zip(*problem[:3], strict=True):
        noisy = a**2 * S + s**2 * np.eye(d)
        gain = a * np.linalg.solve(noisy, S).T
        away = x - a * mu
        square = np.einsum("ni,ni->n", away, np.linalg.solve(noisy, away.T).T)
        terms.append(np.log(w) - 0.5 * (square + np.linalg.slogdet(noisy)[1]))
        means.append(mu + away @ gain.T)
        inside.append(S - a * gain @ S)
    terms = np.stack(terms)
    share = np.exp(terms - terms.max(0))
    share /= share.sum(0)
    means = np.stack(means)
    m = np.einsum("kn,knd->nd", share, means)
    away = means - m
    covariance = np.einsum("kn,kij->nij", share, np.stack(inside))
    covariance += np.einsum("kn,kni,knj->nij", share, away, away)
    return m, a / s**2 * covariance


class Entry(NamedTuple):
    """One sampler of one package.

    Attributes:
        package: its name on the index.
        name: of the sampler, with the options that matter.
        formula: what it is held to, in words.
        found: from a `Case` to what the package computes, (n, d).
        expected: from a `Case` to the formula, (n, d).
        program: from a `Problem` to a program for `gt.External`, or None.
        ours: the method of this package that is nearest, as text, or None.
        level: of the program's samples.
        single: whether it computes in single precision.
        because: why the two differ, in words, or "".
        explained: a formula with that difference in it, or None.
        chain: whether it is a whole chain, whatever the states are.
    """

    package: str
    name: str
    formula: str
    found: Callable[[Case], np.ndarray]
    expected: Callable[[Case], np.ndarray]
    program: Callable | None = None
    ours: str | None = None
    level: str = "t"
    single: bool = False
    because: str = ""
    explained: Callable[[Case], np.ndarray] | None = None
    chain: bool = False

    @property
    def label(self):
        return f"{self.package}: {self.name}"


# --- formulas --------------------------------------------------------------------------


def dps(case):
    """J^T A^T r / v: Chung et al. 2023, eq. 11, for Gaussian noise."""
    return case.pulled(case.r / case.v)


def dps_norm(case, zeta=1.0):
    """-zeta grad |r|, for every point by itself: Chung et al. 2023, Algorithm 1."""
    return zeta * case.pulled(case.r / np.linalg.norm(case.r, axis=1, keepdims=True))


def dps_norm_of_all(case, zeta=1.0):
    """-zeta grad |r| with the norm of all residuals of the batch together."""
    return zeta * case.pulled(case.r / np.linalg.norm(case.r))


def pigdm(case, variance=None):
    """J^T A^T (v I + r_t^2 A A^T)^-1 r: Song et al. 2023, eqs. 7 to 12."""
    a, s, *_ = case.scales
    variance = s**2 / (s**2 + a**2) if variance is None else variance
    C = case.v * np.eye(len(case.A)) + variance * case.A @ case.A.T
    return case.pulled(np.linalg.solve(C, case.r.T).T)


def measured_covariance(case):
    """A C A^T with C = (sigma^2 / alpha) J, (n, m, m)."""
    a, s, *_ = case.scales
    return s**2 / a * np.einsum("ki,nij,lj->nkl", case.A, case.J, case.A)


def tmpd(case):
    """J^T A^T (v I + A C A^T)^-1 r: Boys et al. 2024; Rozet et al. 2024, solved exactly."""
    C = case.v * np.eye(len(case.A)) + measured_covariance(case)
    return case.pulled(np.linalg.solve(C, case.r[..., None])[..., 0])


def tmpd_rows(case):
    """The same with the row sums of A C A^T on a diagonal: Boys et al. 2024, sec. 3."""
    return case.pulled(case.r / (case.v + measured_covariance(case).sum(2)))


def diffpir(case, lam=10.0):
    """(alpha/sigma^2) of the proximal step: Zhu et al. 2023, eq. 12."""
    return _ridge(case, case.scales[1] ** 2 / (lam * case.scales[0] ** 2))


def jacobian_free(case):
    """The same with the covariance of x0 for a prior N(., c I), c its mean variance."""
    a, s, *_ = case.scales
    c = case.problem.spread
    return _ridge(case, 1 / (1 / c + a**2 / s**2))


def _ridge(case, variance):
    a, s, *_ = case.scales
    C = case.v * np.eye(len(case.A)) + variance * case.A @ case.A.T
    return a / s**2 * variance * np.linalg.solve(C, case.r.T).T @ case.A


def langevin(case, noise):
    """A^T (y - A x / alpha) / (v + gamma^2) / alpha: Jalal et al. 2021; gamma = u."""
    a, s, *_ = case.scales
    return (
        (case.y + noise - case.x / a @ case.A.T) @ case.A / (case.v + (s / a) ** 2) / a
    )


# --- random numbers that do not depend on the size of a batch ----------------------------


@contextlib.contextmanager
def tabled(seed=None):
    """torch.randn_like and torch.randn of a table by row; of zeros without a seed.

    Row i of the k-th call is the same in a batch of any size.
    """
    import torch

    calls = [0]

    def rows(shape, dtype):
        calls[0] += 1
        if seed is None:
            return torch.zeros(shape, dtype=dtype)
        size = int(np.prod(shape[1:]))
        made = [
            np.random.default_rng([seed, calls[0], i]).normal(size=size)
            for i in range(shape[0])
        ]
        return torch.tensor(np.stack(made)).reshape(shape).to(dtype)

    def like(x, **_):
        return rows(tuple(x.shape), x.dtype)

    def plain(*shape, dtype=None, **_):
        shape = shape[0] if len(shape) == 1 and np.ndim(shape[0]) else shape
        return rows(tuple(shape), dtype or torch.get_default_dtype())

    with mock.patch("torch.randn_like", like), mock.patch("torch.randn", plain):
        yield rows


def tensor(value):
    import torch

    return torch.tensor(np.asarray(value), dtype=torch.float64)


def network(problem):
    """The exact denoiser of its prior, as a module."""
    key = problem.means.tobytes(), problem.covariances.tobytes()
    if key not in _NETWORKS:
        _NETWORKS[key] = gt.torch.Denoiser(problem.prior)
    return _NETWORKS[key]


# --- in deepinv's shapes ---------------------------------------------------------------


def image(x):
    return tensor(x).reshape(len(x), 1, 1, -1)


def flat(x):
    return x.detach().double().numpy().reshape(len(x), -1)


def physics(problem):
    """Its physics, and y for a batch, in double precision."""
    import torch

    shape = (1, 1, problem.A.shape[1])
    measurement = gt.Linear(problem.A, problem.v)
    return gt.torch.physics(measurement, shape, torch.float64)


def observed(problem, count):
    return tensor(problem.y).repeat(count, 1)


def edm(problem, denoiser=None):
    return gt.torch.EDM(denoiser or network(problem))
