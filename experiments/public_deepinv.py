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
ETA, ETA_B = 0.85, 1.0  # of DDRM
LAMBDA, ZETA = 7.0, 0.1  # of DiffPIR
STEP, LEVEL = 1e-3, 0.2  # of the Langevin chains
INNER, DAMPING = 10, 0.05  # of SKRock


def entries():
    """All samplers that `deepinv.sampling` exports; `DiffusionSampler` only repeats one."""
    return [
        score("DPSDataFidelity (norm)", norm, code.dps_norm,
              "DPS with |r| for a score", "Guided(ZetaDPS(zeta=0.5), DDPM)"),
        score("DPSDataFidelity (annealed)", annealed, dps_annealed,
              "J^T A^T r / (v + u^2), as documented", "Guided(DPS, DDPM)"),
        score("PiGDMDataFidelity", "PiGDMDataFidelity", code.pigdm,
              "PiGDM", "Guided(PiGDM, DDPM)"),
        score("MomentMatchingDataFidelity", "MomentMatchingDataFidelity", code.tmpd,
              "Rozet et al. 2024, solved exactly", "Guided(TMPD, DDPM)"),
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
        Entry("deepinv", "DDRM", "DDRM, a chain of 12 levels", ddrm, ddrm_chain,
              ddrm_program, "DDRM", "data", True,
              "every standard deviation is divided by sqrt(2)",
              lambda case: ddrm_chain(case, np.sqrt(0.5)), True),
        Entry("deepinv", "DiffPIR", "DiffPIR, a chain of 12 levels, unclipped", diffpir,
              diffpir_chain, diffpir_program, "Guided(DiffPIR(lam=7.0), DDPM)", "data",
              True, "rho_t is twice that of the paper, and E[x0 | x_t] is clipped",
              lambda case: diffpir_chain(case, 2.0, clip=True), True),
        Entry("deepinv", "ULA", "one Langevin step", ula, ula_step, None, None, "data",
              True, chain=True),
        Entry("deepinv", "SKRock", "one step of Pereyra et al. 2020", skrock,
              skrock_step, None, None, "data", True, chain=True),
    ]  # fmt: skip


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
    return gt.torch.EDM(denoiser or code.network(problem))


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


def score(name, make, formula, words, ours):
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

    return Entry("deepinv", name, words, found, formula, program, ours, single=True)


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


# --- DDRM --------------------------------------------------------------------------------


def levels(problem, count=12):
    return np.geomspace(20.0, 0.01, count)


def ddrm(case):
    return _ddrm(case.problem, len(case.x), levels(case.problem), None, seed=1)


def _ddrm(problem, count, sigmas, denoiser, seed=None):
    import contextlib

    from deepinv import sampling

    made = sampling.DDRM(edm(problem, denoiser), sigmas=sigmas, eta=ETA, etab=ETA_B)
    noise = contextlib.nullcontext() if seed is None else code.tabled(seed)
    with noise:
        return flat(made(observed(problem, count), physics(problem)))


def ddrm_chain(case, shrink=1.0):
    """Kawar et al. 2022, eqs. 7 and 8, from the same random numbers.

    Args:
        case: whose problem is restored.
        shrink: factor of every standard deviation, 1 in the paper.
    """
    problem, count = case.problem, len(case.x)
    sigmas = levels(problem)
    U, s, Vt = np.linalg.svd(problem.A)
    s = np.concatenate([s, np.zeros(len(Vt) - len(s))])
    y = np.zeros(len(Vt))
    y[: len(problem.y)] = U.T @ problem.y
    known = s > 1e-8
    exact = np.where(known, y / np.where(known, s, 1.0), 0.0)
    nsr = np.where(known, np.sqrt(problem.v) / np.where(known, s, 1.0), np.inf)
    with code.tabled(1) as rows:

        def noise():
            return rows((count, len(Vt)), tensor(0.0).dtype).numpy()

        sharp = nsr < sigmas[0]
        std = np.where(
            sharp,
            np.sqrt(np.maximum(sigmas[0] ** 2 - np.where(sharp, nsr, 0) ** 2, 0)),
            sigmas[0],
        )
        bar = np.where(sharp, exact, 0.0) + shrink * std * noise()
        previous = bar
        x = _denoised(problem, bar @ Vt, sigmas[0])
        for last, sigma in zip(sigmas[:-1], sigmas[1:], strict=True):
            inside = x @ Vt.T
            c = np.sqrt(1 - ETA**2)
            mean = inside + c * sigma * (previous - inside) / last
            vague = known & (sigma < nsr)
            sharp = known & (sigma >= nsr)
            mean = np.where(
                vague,
                inside + c * sigma * (exact - inside) / np.where(known, nsr, 1.0),
                mean,
            )
            mean = np.where(sharp, (1 - ETA_B) * inside + ETA_B * exact, mean)
            std = np.where(
                sharp,
                np.sqrt(
                    np.maximum(sigma**2 - (np.where(sharp, nsr, 0) * ETA_B) ** 2, 0)
                ),
                ETA * sigma,
            )
            previous = mean + shrink * std * noise()
            x = _denoised(problem, previous @ Vt, sigma)
    return x


def _denoised(problem, z, sigma):
    return code._moments(problem, z, 1.0, sigma)[0]


def ddrm_program(problem):
    def sample(seen, denoiser, num, seed):
        ratios = (seen.sigma / seen.alpha).numpy()
        return _ddrm(problem, num, ratios, denoiser)

    return sample


# --- DiffPIR -------------------------------------------------------------------------------


def diffpir(case):
    return _diffpir(case.problem, len(case.x), 12, None, seed=1)


def _diffpir(problem, count, steps, denoiser, seed=None):
    import contextlib

    from deepinv import optim, sampling

    made = sampling.DiffPIR(
        edm(problem, denoiser),
        data_fidelity=optim.L2(),
        sigma=float(np.sqrt(problem.v)),
        max_iter=steps,
        zeta=ZETA,
        lambda_=LAMBDA,
    )
    noise = contextlib.nullcontext() if seed is None else code.tabled(seed)
    with noise:
        return flat(made(observed(problem, count), physics(problem)))


def diffpir_chain(case, factor=1.0, clip=False):
    """Zhu et al. 2023, Algorithm 1, in their code's variables, from the same numbers.

    Args:
        case: whose problem is restored.
        factor: of rho_t, 1 in the paper.
        clip: x0 to [0, 1], as a network of images does.
    """
    problem, count, steps = case.problem, len(case.x), 12
    v = problem.v
    bars = np.cumprod(1 - np.linspace(0.1 / 1000, 20 / 1000, 1000))
    root, rest = np.sqrt(bars), np.sqrt(1 - bars)
    ratio = rest / root
    seq = np.sqrt(np.linspace(0, 1000**2, steps)).astype(int)
    seq[-1] -= 1
    order = 999 - seq  # indices of levels, decreasing
    A, d = problem.A, problem.A.shape[1]
    with code.tabled(1) as rows:

        def noise():
            return rows((count, d), tensor(0.0).dtype).numpy()

        x = 2 * np.tile(problem.y @ A, (count, 1)) - 1
        first = ratio[order[0]]
        x = (x + np.sqrt(first**2 - 4 * v) * noise()) * root[-1]
        for i, k in enumerate(order[:-1]):
            mean = _denoised(problem, x / (2 * root[k]) + 0.5, ratio[k] / 2)
            mean = np.clip(mean, 0, 1) if clip else mean
            rho = factor * LAMBDA * v / ratio[k] ** 2
            C = A.T @ A + rho * np.eye(d)
            mean = np.linalg.solve(C, (problem.y @ A + rho * mean).T).T
            x0, following = 2 * mean - 1, order[i + 1]
            eps = (x - root[k] * x0) / rest[k]
            x = root[following] * x0 + rest[following] * (
                np.sqrt(1 - ZETA) * eps + np.sqrt(ZETA) * noise()
            )
    return x / 2 + 0.5


def diffpir_program(problem):
    def sample(seen, denoiser, num, seed):
        return _diffpir(problem, num, len(seen.times), denoiser)

    return sample


# --- Langevin chains -------------------------------------------------------------------------


def _iterator(kind, problem, **options):
    from deepinv import optim
    from deepinv.sampling import sampling_iterators

    made = getattr(sampling_iterators, kind)(
        {"step_size": STEP, "alpha": 1.0, "sigma": LEVEL} | options, clip=None
    )
    fidelity = optim.L2(sigma=float(np.sqrt(problem.v)))
    return made, fidelity, optim.ScorePrior(edm(problem))


def _one(kind, case, **options):
    made, fidelity, prior = _iterator(kind, case.problem, **options)
    y = observed(case.problem, len(case.x))
    with code.tabled(2):
        state = {"x": image(case.x)}
        found = made(state, y, physics(case.problem), fidelity, prior, 0)["x"]
    return flat(found) - case.x


def ula(case):
    return _one("ULAIterator", case)


def _gradient(case, x):
    """Of -log p(y | x) - log p_sigma(x), p_sigma the prior with noise LEVEL."""
    mean = _denoised(case.problem, x, LEVEL)
    return (x @ case.A.T - case.y) @ case.A / case.v + (x - mean) / LEVEL**2


def _noise(case):
    with code.tabled(2) as rows:
        return np.sqrt(2 * STEP) * rows(case.x.shape, tensor(0.0).dtype).numpy()


def ula_step(case):
    return -STEP * _gradient(case, case.x) + _noise(case)


def skrock(case):
    return _one("SKRockIterator", case, inner_iter=INNER, eta=DAMPING)


def skrock_step(case):
    """By Chebyshev polynomials from NumPy."""
    first = np.polynomial.chebyshev.Chebyshev.basis
    T = [first(j) for j in range(INNER + 1)]
    w0 = 1 + DAMPING / INNER**2
    w1 = T[INNER](w0) / T[INNER].deriv()(w0)
    z = _noise(case)
    old = case.x
    start = case.x + INNER * w1 / 2 * z
    new = case.x - w1 / w0 * STEP * _gradient(case, start) + INNER * w1 / w0 * z
    for j in range(2, INNER + 1):
        mu = 2 * w1 * T[j - 1](w0) / T[j](w0)
        nu = 2 * w0 * T[j - 1](w0) / T[j](w0)
        old, new = new, -mu * STEP * _gradient(case, new) + nu * new + (1 - nu) * old
    return new - case.x
