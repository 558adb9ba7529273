"""The posterior samplers of diffusionjax and diffuse-jax, and RePaint of diffusers.

Held to formulas as in `public_code`.
"""

from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

code = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("public_code.py"))
)
Entry, tensor = code.Entry, code.tensor
ZETA, EPSILON = 1e-2, 1e-3  # of DPSDenoiser, as by default
TMP_ZETA = 0.1  # of TMPDenoiser, as by default


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
              "TMPD with row sums"),
        score("get_diag_vjp_guidance", "get_diag_vjp_guidance", tmpd_diagonal, diagonal,
              True),
        score("get_diag_jacrev_guidance", "get_diag_jacrev_guidance", tmpd_diagonal,
              diagonal, None),
        score("get_diag_jacfwd_guidance", "get_diag_jacfwd_guidance", tmpd_diagonal,
              diagonal, None),
        update("DPSDenoiser (zeta = 0.01)", "DPSDenoiser", dps_update,
               "DPS, 2 zeta J^T A^T r / |r|",
               because="0.001 is added to |r|", explained=dps_safe),
        update("TMPDenoiser (zeta = 0.1)", "TMPDenoiser", tmp_update,
               "zeta J A^T (v I + (sigma^2/alpha) A J A^T)^-1 r",
               because="sigma^2/alpha is replaced by 1",
               explained=lambda case: tmp_update(case, 1.0)),
        update("FPSDenoiser", "FPSDenoiser", fps_update,
               "beta dt A^T (alpha y - A x) / (alpha^2 v), y_t = A x_t + alpha sqrt(v) n",
               because="alpha^2 v is sqrt(v) sigma in the code",
               explained=lambda case: fps_update(case, True)),
        Entry("diffusers", "RePaintScheduler (eta = 1)",
              "RePaint: y noised to s where it is measured", repaint, repaint_expected),
    ]  # fmt: skip


def exact_score(problem):
    """The score of p_t for points (n, d) and times (n,), in JAX."""
    prior = problem.prior

    def one(x, t):
        a, s = problem.path.alpha(t), problem.path.sigma(t)
        return (a * prior.denoised_mean(x, a, s) - x) / s**2

    return jax.vmap(one)


# --- diffusionjax ----------------------------------------------------------------------


def reverse(problem):
    from diffusionjax.sde import VP
    from diffusionjax.utils import get_linear_beta_function

    path = problem.path
    beta, mean = get_linear_beta_function(float(path.beta_min), float(path.beta_max))
    return VP(beta, mean).reverse(exact_score(problem))


def guide(problem, name, matrix, count):
    """The reverse process with one of its guidances, for a batch of so many points.

    Args:
        problem: of the posterior.
        name: of the guidance.
        matrix: True if it takes A itself, None if a map and a shape, False if a map.
        count: n.
    """
    from diffusionjax import inverse_problems

    A, noise = jnp.asarray(problem.A), np.sqrt(problem.v)
    y = jnp.tile(jnp.asarray(problem.y), (count, 1))
    shape = (count, A.shape[1])
    seen = A if matrix else (lambda x: A @ x)
    options = () if matrix is False else (shape,)
    if name == "get_pseudo_inverse_guidance":
        options = (A @ A.T,)
    function = getattr(inverse_problems, name)
    return reverse(problem).guide(function, seen, y, noise, *options)


def score(name, function, formula, words, matrix=False, ours=None, **others):
    """An entry whose guidance is the guided score less the plain one."""

    def found(case):
        x = jnp.asarray(case.x)
        t = jnp.full(len(x), case.t)
        made = guide(case.problem, function, matrix, len(x))
        return np.asarray(made.score(x, t) - exact_score(case.problem)(x, t))

    def program(problem):
        def sample(seen, denoiser, num, seed):
            return euler(guide(problem, function, matrix, num), seen, num, seed)

        return sample

    parts = words, found, formula, program if ours else None, ours
    return Entry("diffusionjax", name, *parts, **others)


def euler(process, seen, num, seed):
    """Its EulerMaruyama solver on the grid that is given."""
    from diffusionjax.solvers import EulerMaruyama

    ts = jnp.asarray(seen.times[::-1].copy())[:, None]
    solver = EulerMaruyama(process, ts)
    key = jax.random.key(seed)
    x = seen.sigma[0] * jax.random.normal(key, (num, seen.dim))

    @jax.jit
    def step(x, inputs):
        key, t = inputs
        return solver.update(key, x, jnp.full(num, t))[0], None

    keys = jax.random.split(key, len(seen.times))[1:]
    x, _ = jax.lax.scan(step, x, (keys, jnp.asarray(seen.times[:-1])))
    return np.asarray(x)


def norm(case):
    return 0.4 * code.dps_norm(case)


def tmpd_diagonal(case):
    C = np.diagonal(code._measured_covariance(case), axis1=1, axis2=2)
    return case.pulled(case.r / (case.v + C))


# --- diffuse-jax -------------------------------------------------------------------------


def update(name, kind, formula, words, **others):
    """An entry that adds something to its integrator's step."""

    def found(case):
        from diffuse.base_forward_model import MeasurementState
        from diffuse.denoisers import cond
        from diffuse.integrator.base import IntegratorState

        A = jnp.asarray(case.A)
        seen = SimpleNamespace(
            std=float(np.sqrt(case.v)),
            apply=lambda x, _: A @ x,
            restore=lambda y, _: A.T @ y,
        )
        parts = _diffuse(case)
        made = getattr(cond, kind)(*parts, seen, (A.shape[1],))
        measured = MeasurementState(jnp.asarray(case.y), jnp.ones(()))
        start = IntegratorState(jnp.asarray(case.x[0]), jax.random.key(0), 0)

        def one(x):
            state = cond.CondDenoiserState(start._replace(position=x), 0.0)
            moved = made.step(jax.random.key(1), state, measured).integrator_state
            plain = parts[0](state.integrator_state, parts[2])
            return moved.position - plain.position

        return np.asarray(jax.vmap(one)(jnp.asarray(case.x)))

    return Entry("diffuse-jax", name, words, found, formula, **others)


def _diffuse(case):
    """Its integrator, process and predictor, for one step from t to s."""
    from diffuse.diffusion.sde import SDE, LinearSchedule
    from diffuse.integrator.stochastic import EulerMaruyamaIntegrator
    from diffuse.predictor import Predictor
    from diffuse.timer.base import VpTimer

    path, plain = case.problem.path, exact_score(case.problem)
    bounds = float(path.beta_min), float(path.beta_max)
    process = SDE(LinearSchedule(*bounds, 0.0, 1.0))
    timer = VpTimer(1, case.s, case.t)

    def network(x, t):
        return plain(x[None], jnp.asarray(t)[None])[0]

    predictor = Predictor(process, network, "score")
    return EulerMaruyamaIntegrator(process, timer), process, predictor


def dps_update(case):
    """-zeta grad |r|^2 / |r|: Chung et al. 2023, Algorithm 1, with 2 zeta for ours."""
    return 2 * ZETA * code.dps_norm(case)


def dps_safe(case):
    length = np.linalg.norm(case.r, axis=1, keepdims=True)
    return 2 * ZETA * case.pulled(case.r / (length + EPSILON))


def tmp_update(case, factor=None):
    """As documented, with sigma^2/alpha in the covariance; `factor` in its place."""
    a, s, *_ = case.scales
    C = _covariance(case, s**2 / a if factor is None else factor)
    solved = np.linalg.solve(C, case.r[..., None])[..., 0]
    return TMP_ZETA * np.einsum("nij,nj->ni", case.J, solved @ case.A)


def _covariance(case, factor):
    inside = np.einsum("ki,nij,lj->nkl", case.A, case.J, case.A)
    return case.v * np.eye(len(case.A)) + factor * inside


def fps_update(case, as_written=False):
    a, s, *_ = case.scales
    path = case.problem.path
    low, high = float(path.beta_min), float(path.beta_max)
    beta = low + case.t * (high - low)
    away = (a * case.y - case.x @ case.A.T) @ case.A
    width = np.sqrt(case.v) * s if as_written else a**2 * case.v
    return beta * (case.t - case.s) * away / width


# --- diffusers -------------------------------------------------------------------------

STEPS = 50  # of 1000


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
    x = np.sqrt(bar) * case.m + np.sqrt(1 - bar) * case.x
    m, _ = code._moments(case.problem, x, np.sqrt(bar), np.sqrt(1 - bar))
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
