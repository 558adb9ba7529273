"""The posterior samplers of deepinv, held to formulas: see `public_code`.

deepinv asks its denoiser in single precision, and so do these.
"""

from pathlib import Path

import numpy as np

import gmm_testbed as gt

code = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("public_code.py"))
)
Entry, tensor = code.Entry, code.tensor
image, flat, edm = code.image, code.flat, code.edm
physics, observed = code.physics, code.observed


def entries():
    """Every term of `PosteriorDiffusion` for a measurement, and DPS as it is built."""
    return [
        score("DPSDataFidelity (norm)", norm, code.dps_norm,
              "DPS with |r| for a score", "Guided(ZetaDPS(zeta=0.5), DDPM)"),
        score("DPSDataFidelity (annealed)", annealed, dps_annealed,
              "J^T A^T r / (v + u^2), as documented", "Guided(DPS, DDPM)"),
        score("PiGDMDataFidelity", "PiGDMDataFidelity", code.pigdm,
              "PiGDM", "Guided(PiGDM, DDPM)"),
        score("MomentMatchingDataFidelity", "MomentMatchingDataFidelity", code.tmpd,
              "Rozet et al. 2024, solved exactly", "Guided(TMPD, DDPM)",
              "three iterations of conjugate gradients, the default, solve it for m <= 3"),
        score("ALDDataFidelity", "ALDDataFidelity", noised,
              "A^T (y - A x / alpha) / (v + u^2)", "Guided(DPS, DDPM)"),
        score("ScoreSDEDataFidelity", "ScoreSDEDataFidelity", noised,
              "the same with y + u eps, eps = 0 here", "Guided(DPS, DDPM)"),
        score("ILVRDataFidelity", "ILVRDataFidelity", ilvr,
              "A^+ (y - A x / alpha) / (v + u^2), eps = 0", "Guided(DPS, DDPM)"),
        Entry("deepinv", "DPS (as it is built)", "score of DPS with |r|, unclipped",
              shipped, shipped_expected, shipped_program,
              "Guided(ZetaDPS(zeta=0.5), DDPM)", "data", True,
              "E[x0 | x_t] is clipped to [-1, 1], where the data are in [0, 1]",
              lambda case: shipped_expected(case, clip=True)),
    ]  # fmt: skip


# --- terms of PosteriorDiffusion --------------------------------------------------------


def norm(sampling):
    return sampling.DPSDataFidelity(guidance="norm")


def annealed(sampling):
    return sampling.DPSDataFidelity(guidance="annealed")


def diffusion(problem, make, times, denoiser=None):
    """A `PosteriorDiffusion` on this package's path, for data of any range."""
    import torch
    from deepinv import sampling

    fidelity = getattr(sampling, make)() if isinstance(make, str) else make(sampling)
    path = problem.path
    sde = sampling.VariancePreservingDiffusion(
        beta_min=float(path.beta_min), beta_max=float(path.beta_max), alpha=1.0
    )
    return sampling.PosteriorDiffusion(
        data_fidelity=fidelity,
        sde=sde,
        denoiser=edm(problem, denoiser),
        solver=sampling.DDPMSolver(timesteps=torch.as_tensor(times)),
        minus_one_one=False,
    )


def score(name, make, formula, words, ours, because=""):
    """An entry whose guidance is the conditional score less the unconditional one."""

    def found(case):
        made = diffusion(case.problem, make, [case.t, case.s])
        at, t = image(case.x), tensor(case.t)
        y = observed(case.problem, len(case.x))
        with code.tabled():
            both = made.score(y, physics(case.problem), at, t)
        return flat(both - made.sde.score(at, t))

    def program(problem):
        def sample(seen, denoiser, num, seed):
            import torch

            made = diffusion(problem, make, seen.times.double(), denoiser)
            start = seen.sigma[0] * torch.randn(num, 1, 1, seen.dim).double()
            y = observed(problem, num)
            x = made(y, physics(problem), x_init=start, denoise_output=False)
            return x.reshape(num, -1)

        return sample

    parts = words, found, formula, program, ours
    return Entry("deepinv", name, *parts, single=True, because=because)


def dps_annealed(case):
    a, s, *_ = case.scales
    return case.pulled(case.r / (case.v + (s / a) ** 2))


def noised(case):
    return code.langevin(case, 0.0)


def ilvr(case):
    a, s, *_ = case.scales
    away = (case.y - case.x / a @ case.A.T) @ np.linalg.pinv(case.A).T
    return away / (case.v + (s / a) ** 2) / a


# --- DPS as it is built: pixels in [0, 1], states in [-1, 1], clipped --------------------


def shipped(case):
    """Its whole score in the variables of the data: x0 is (state + 1) / 2."""
    from deepinv import sampling

    made = sampling.DPS(edm(case.problem), num_steps=10)
    a, s, *_ = case.scales
    t = _time_of(made.sde, s / a)
    scale, sigma = float(made.sde.scale_t(t)), float(made.sde.sigma_t(t))
    state = scale * (tensor(case.x) / a * 2 - 1)
    y = observed(case.problem, len(case.x))
    found = made.score(y, physics(case.problem), image(state.numpy()), t)
    return flat(found) * scale * sigma**2  # 2 (m - x / a) + guidance


def shipped_expected(case, clip=False):
    """The same by the formulas: 2 (m - x / alpha), and half the gradient of |r|."""
    a, s, *_ = case.scales
    m, J = case.m, case.J
    if clip:
        inside = np.abs(m) <= 1
        m, J = np.clip(m, -1, 1), J * inside[:, :, None]
    here = case._replace(m=m, J=J)
    weight = (2 * s / a) ** 2 / 2
    return 2 * (m - case.x / a) + weight * a * code.dps_norm(here)


def _time_of(sde, u):
    """The time at which the state 2 x0 - 1 has noise 2 u."""
    low, high = 1e-6, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if float(sde.sigma_t(middle)) < 2 * u else (low, middle)
        )
    return tensor(0.5 * (low + high))


def shipped_program(problem):
    def sample(seen, denoiser, num, seed):
        from deepinv import sampling

        made = sampling.DPS(edm(problem, denoiser), num_steps=len(seen.times))
        y = observed(problem, num)
        return made(y, physics(problem)).reshape(num, -1)

    return sample
