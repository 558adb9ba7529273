"""The chains of deepinv (DDRM, DiffPIR, Langevin), held to formulas: see `public_code`."""

from pathlib import Path

import numpy as np

import gmm_testbed as gt

code = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("public_code.py"))
)
Entry, tensor = code.Entry, code.tensor
image, flat, edm = code.image, code.flat, code.edm
physics, observed = code.physics, code.observed
ETA, ETA_B = 0.85, 1.0  # of DDRM
LAMBDA, ZETA = 7.0, 0.1  # of DiffPIR
STEP, LEVEL = 1e-3, 0.2  # of the Langevin chains
INNER, DAMPING = 10, 0.05  # of SKRock


def entries():
    """The other samplers of `deepinv.sampling`; `DiffusionSampler` only repeats one."""
    return [
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


# --- DDRM ------------------------------------------------------------


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
    return code.moments(problem, z, 1.0, sigma)[0]


def ddrm_program(problem):
    def sample(seen, denoiser, num, seed):
        ratios = (seen.sigma / seen.alpha).numpy()
        return _ddrm(problem, num, ratios, denoiser)

    return sample


# --- DiffPIR ------------------------------------------------------------


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


# --- Langevin chains ------------------------------------------------------------


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
