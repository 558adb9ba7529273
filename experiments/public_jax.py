"""The posterior samplers of diffusionjax and diffuse-jax, and RePaint of diffusers.

Held to formulas as in `public_code`.
"""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

code = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("public_code.py"))
)
Entry, tensor = code.Entry, code.tensor
ZETA, EPSILON = 1e-2, 1e-3  # of DPSDenoiser, as by default
CG_STEPS, CG_TOLERANCE = 3, 1e-5  # of TMPDenoiser
STEPS = 50  # of 1000, of RePaintScheduler


def entries():
    """Every guidance of `diffusionjax.inverse_problems`, those of diffuse, and RePaint."""
    full, diagonal = "TMPD", "TMPD with the diagonal of A C A^T"
    return [
        score("get_dps (scale = 0.4)", "get_dps", norm, "DPS with |r| for a score",
              because="the norm is over the whole batch",
              explained=lambda case: code.dps_norm_of_all(case, 0.4)),
        score("get_diffusion_posterior_sampling", "get_diffusion_posterior_sampling",
              code.dps, "DPS", ours="Guided(DPS, EulerMaruyama)"),
        score("get_pseudo_inverse_guidance", "get_pseudo_inverse_guidance", code.pigdm,
              "PiGDM", ours="Guided(PiGDM, EulerMaruyama)"),
        score("get_vjp_guidance", "get_vjp_guidance", code.tmpd, full, True,
              "Guided(TMPD, EulerMaruyama)"),
        score("get_vjp_guidance_alt", "get_vjp_guidance_alt", code.tmpd, full, True),
        score("get_jacrev_guidance", "get_jacrev_guidance", code.tmpd, full, None),
        score("get_jacfwd_guidance", "get_jacfwd_guidance", code.tmpd, full, None),
        score("get_vjp_guidance_mask", "get_vjp_guidance_mask", code.tmpd_rows,
              "TMPD with row sums", because="the sums are of A C A^T times A 1, not 1: for "
              "masks", explained=tmpd_masked),
        score("get_diag_vjp_guidance", "get_diag_vjp_guidance", tmpd_diagonal, diagonal,
              True),
        score("get_diag_jacrev_guidance", "get_diag_jacrev_guidance", tmpd_diagonal,
              diagonal, None),
        score("get_diag_jacfwd_guidance", "get_diag_jacfwd_guidance", tmpd_diagonal,
              diagonal, None),
        update("DPSDenoiser (zeta = 0.01)", "DPSDenoiser", dps_update,
               "DPS, 2 zeta J^T A^T r / |r|",
               because="0.001 is added to |r|", explained=dps_safe),
        update("TMPDenoiser", "TMPDenoiser", tmp_update,
               "beta dt J A^T (v I + (sigma^2/alpha) A J A^T)^-1 r",
               because="sigma/alpha for sigma^2/alpha; and three iterations of conjugate "
               "gradients, which solve it for m <= 3", explained=tmp_as_written),
        update("FPSDenoiser", "FPSDenoiser", fps_update,
               "beta dt A^T (alpha y - A x) / (alpha^2 v), y_t = A x_t + alpha sqrt(v) n",
               because="alpha^2 v is sqrt(v) sigma in the code",
               explained=lambda case: fps_update(case, True)),
        Entry("diffusers", "RePaintScheduler (eta = 1)",
              "RePaint: y noised to s where it is measured", repaint, repaint_expected,
              single=True),
    ]  # fmt: skip


class Known(NamedTuple):
    """A problem in arrays that JAX traces: covariances by their eigenvectors.

    Attributes:
        log_weights: (K,).
        means: (K, d).
        vectors: (K, d, d).
        values: (K, d).
        A: (m, d).
        y: (m,).
        deviation: of the noise, ().
        betas: (2,), of the path at both ends.
    """

    log_weights: jax.Array
    means: jax.Array
    vectors: jax.Array
    values: jax.Array
    A: jax.Array
    y: jax.Array
    deviation: jax.Array
    betas: jax.Array

    def scales(self, t):
        """alpha and sigma of VP."""
        low, high = self.betas
        alpha = jnp.exp(-0.5 * (low * t + 0.5 * t**2 * (high - low)))
        return alpha, jnp.sqrt(-jnp.expm1(2 * jnp.log(alpha)))

    def score(self, x, t):
        """Of p_t at one point x (d,)."""
        a, s = self.scales(t)
        inside = jnp.einsum("kij,ki->kj", self.vectors, x[None] - a * self.means)
        noisy = a**2 * self.values + s**2
        terms = self.log_weights - 0.5 * (jnp.log(noisy) + inside**2 / noisy).sum(1)
        away = jnp.einsum("kij,kj->ki", self.vectors, inside / noisy)
        return -jax.nn.softmax(terms) @ away


def known(problem):
    values, vectors = np.linalg.eigh(problem.covariances)
    path = problem.path
    betas = float(path.beta_min), float(path.beta_max)
    parts = np.log(problem.weights), problem.means, vectors, values
    parts += problem.A, problem.y, np.sqrt(problem.v), np.asarray(betas)
    return Known(*map(jnp.asarray, parts))


# --- diffusionjax ----------------------------------------------------------------------


def guided(seen, name, matrix, x, t):
    """Its reverse process with one of its guidances, for a batch of the size of x.

    Args:
        seen: what is `known`.
        name: of the guidance.
        matrix: True if it takes A itself, None if a map and a shape, False if a map.
        x: (n, d).
        t: (n,).
    """
    from diffusionjax import inverse_problems
    from diffusionjax.sde import VP
    from diffusionjax.utils import get_linear_beta_function

    process = VP(*get_linear_beta_function(*seen.betas)).reverse(jax.vmap(seen.score))
    y = jnp.tile(seen.y, (len(x), 1))
    options = () if matrix is False else (x.shape,)
    if name == "get_pseudo_inverse_guidance":
        options = (seen.A @ seen.A.T,)
    observed = seen.A if matrix else (lambda x: seen.A @ x.reshape(-1))
    function = getattr(inverse_problems, name)
    made = process.guide(function, observed, y, seen.deviation, *options)
    return made, made.score(x, t)


@functools.partial(jax.jit, static_argnums=(1, 2))
def guidance(seen, name, matrix, x, t):
    """The guided score less the plain one, (n, d)."""
    return guided(seen, name, matrix, x, t)[1] - jax.vmap(seen.score)(x, t)


def score(name, function, formula, words, matrix=False, ours=None, **others):
    """An entry whose guidance is the guided score less the plain one."""

    def found(case):
        t = jnp.full(len(case.x), case.t)
        x = jnp.asarray(case.x)
        return np.asarray(guidance(known(case.problem), function, matrix, x, t))

    def program(problem):
        def sample(seen, denoiser, num, seed):
            x = jax.random.normal(jax.random.key(seed), (num, seen.dim))
            times = jnp.asarray(seen.times)
            x = seen.sigma[0] * x
            return np.asarray(euler(known(problem), function, matrix, x, times, seed))

        return sample

    parts = words, found, formula, program if ours else None, ours
    return Entry("diffusionjax", name, *parts, **others)


@functools.partial(jax.jit, static_argnums=(1, 2))
def euler(seen, name, matrix, x, times, seed):
    """The update of its EulerMaruyama solver on a grid of equal steps."""
    from diffusionjax.solvers import EulerMaruyama

    def step(x, inputs):
        key, t = inputs
        t = jnp.full(len(x), t)
        process, _ = guided(seen, name, matrix, x, t)
        solver = EulerMaruyama(process, jnp.arange(2.0)[:, None])
        solver.dt = times[0] - times[1]
        return solver.update(key, x, t)[0], None

    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), seed), len(times) - 1)
    return jax.lax.scan(step, x, (keys, times[:-1]))[0]


def norm(case):
    return 0.4 * code.dps_norm(case)


def tmpd_masked(case):
    """Row sums of A C A^T with the vector A 1 in the place of 1."""
    ones = case.A.sum(1)
    return case.pulled(case.r / (case.v + code.measured_covariance(case) @ ones))


def tmpd_diagonal(case):
    C = np.diagonal(code.measured_covariance(case), axis1=1, axis2=2)
    return case.pulled(case.r / (case.v + C))


# --- diffuse-jax -------------------------------------------------------------------------


def update(name, kind, formula, words, **others):
    """An entry that adds something to its integrator's step."""

    def found(case):
        times = jnp.asarray([case.t, case.s])
        x = jnp.asarray(case.x)
        return np.asarray(added(known(case.problem), kind, x, times))

    return Entry("diffuse-jax", name, words, found, formula, **others)


@functools.partial(jax.jit, static_argnums=1)
def added(seen, kind, x, times):
    """What one of its conditional denoisers adds to a step of its integrator, (n, d)."""
    from diffuse.base_forward_model import MeasurementState
    from diffuse.denoisers import cond
    from diffuse.diffusion.sde import SDE, LinearSchedule
    from diffuse.integrator.base import IntegratorState
    from diffuse.integrator.stochastic import EulerMaruyamaIntegrator
    from diffuse.predictor import Predictor
    from diffuse.timer.base import VpTimer

    process = SDE(LinearSchedule(seen.betas[0], seen.betas[1], 0.0, 1.0))
    integrator = EulerMaruyamaIntegrator(process, VpTimer(1, times[1], times[0]))
    predictor = Predictor(process, seen.score, "score")
    forward = SimpleNamespace(
        std=seen.deviation,
        apply=lambda x, _: seen.A @ x,
        restore=lambda y, _: seen.A.T @ y,
    )
    made = getattr(cond, kind)(integrator, process, predictor, forward, x.shape[1:])
    measured = MeasurementState(seen.y, jnp.ones(()))

    def one(x):
        state = cond.CondDenoiserState(IntegratorState(x, jax.random.key(0), 0), 0.0)
        moved = made.step(jax.random.key(1), state, measured).integrator_state
        return moved.position - integrator(state.integrator_state, predictor).position

    return jax.vmap(one)(x)


def dps_update(case):
    """-zeta grad |r|^2 / |r|: Chung et al. 2023, Algorithm 1, with 2 zeta for ours."""
    return 2 * ZETA * code.dps_norm(case)


def dps_safe(case):
    length = np.linalg.norm(case.r, axis=1, keepdims=True)
    return 2 * ZETA * case.pulled(case.r / (length + EPSILON))


def tmp_update(case):
    """As TMPD has it: (sigma^2 / alpha) J is the covariance of x0."""
    return _beta(case) * (case.t - case.s) * code.tmpd(case)


def tmp_as_written(case):
    """With (sigma / alpha) J in its place, and so many iterations."""
    a, s, *_ = case.scales
    C = case.v * np.eye(len(case.A)) + code.measured_covariance(case) / s
    solved = np.stack(
        [conjugate_gradients(*each) for each in zip(C, case.r, strict=True)]
    )
    moved = np.einsum("nij,nj->ni", case.J, solved @ case.A)
    return _beta(case) * (case.t - case.s) * moved


def conjugate_gradients(C, r):
    """C^-1 r by `CG_STEPS` iterations at most, from 0, as `jax.scipy` has it."""
    x, left, p = np.zeros_like(r), r.copy(), r.copy()
    for _ in range(CG_STEPS):
        if left @ left <= (CG_TOLERANCE * np.linalg.norm(r)) ** 2:
            break
        along = (left @ left) / (p @ C @ p)
        x, new = x + along * p, left - along * C @ p
        p, left = new + (new @ new) / (left @ left) * p, new
    return x


def _beta(case):
    path = case.problem.path
    low, high = float(path.beta_min), float(path.beta_max)
    return low + case.t * (high - low)


def fps_update(case, as_written=False):
    a, s, *_ = case.scales
    away = (a * case.y - case.x @ case.A.T) @ case.A
    width = np.sqrt(case.v) * s if as_written else a**2 * case.v
    return _beta(case) * (case.t - case.s) * away / width


# --- diffusers -------------------------------------------------------------------------


def repaint(case):
    """What a step of its scheduler adds to the ancestral one, unclipped, without noise."""
    from unittest import mock

    import torch
    from diffusers import RePaintScheduler

    scheduler = RePaintScheduler(eta=1.0, clip_sample=False)
    scheduler.set_timesteps(STEPS)
    k, x, m, full, seen = _discrete(case)
    net = gt.torch.Diffusers(code.network(case.problem), scheduler.alphas_cumprod)
    at = tensor(x)
    silent = mock.patch(
        "diffusers.schedulers.scheduling_repaint.randn_tensor",
        lambda shape, **_: torch.zeros(shape, dtype=torch.float64),
    )
    with silent:
        step = scheduler.step(
            net(at, k).sample, k, at, tensor(full), tensor(seen.astype(float))
        )
        free = scheduler.step(
            net(at, k).sample, k, at, tensor(full), tensor(0.0 * seen)
        )
    return (step.prev_sample - free.prev_sample).numpy()


def _discrete(case):
    """Its step number, and the state at that level, of an inpainting problem."""
    A = case.A
    if not (np.all((A == 1).sum(1) == 1) and A.sum() == len(A)):
        raise gt.UnsupportedError("it takes a mask, not a matrix")
    k = int(20 * round(case.t * 1000 / 20))
    bar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))[k]
    a, s, *_ = case.scales
    noise = (case.x - a * case.m) / s
    x = np.sqrt(bar) * case.m + np.sqrt(1 - bar) * noise
    m, _ = code.moments(case.problem, x, np.sqrt(bar), np.sqrt(1 - bar))
    return k, x, m, np.tile(case.y @ A, (len(x), 1)), A.sum(0)


def repaint_expected(case):
    """alpha_s y in place of the mean of the ancestral step, where it is measured."""
    k, x, m, full, seen = _discrete(case)
    bars = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    (a, s), (b, r) = (
        (np.sqrt(bars[i]), np.sqrt(1 - bars[i])) for i in (k, k - 1000 // STEPS)
    )
    keep = a / b * (r / s) ** 2
    moved = keep * x + (b - keep * a) * m
    return seen * (b * full - moved)
