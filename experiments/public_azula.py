"""The posterior samplers of azula, held to formulas: see `public_code`."""

from pathlib import Path
from unittest import mock

import numpy as np

import gmm_testbed as gt

code = gt.sweep.scripts.module(
    str(Path(__file__).resolve().with_name("public_code.py"))
)
Entry, tensor = code.Entry, code.tensor
LAMBDA = 10.0  # of DiffPIR, as by default


def entries():
    """All that `azula.guidance` exports, but classifier-free guidance (needs labels)."""
    krylov = "one iteration of GMRES, the default, solves the system for m = 1 only"
    return [
        guided("TMPDenoiser", tmpd, code.tmpd_rows, "TMPD with row sums", "TMPD"),
        guided("MMPSDenoiser (iterations = 1)", mmps(1), code.tmpd,
               "MMPS, solved exactly", "TMPD", krylov),
        guided("MMPSDenoiser (iterations = m)", mmps(None), code.tmpd,
               "MMPS, solved exactly", "TMPD"),
        guided("DiffPIRDenoiser (iterations = 1)", diffpir(1), code.diffpir,
               "DiffPIR's proximal step", f"DiffPIR(lam={LAMBDA})", krylov),
        guided("DiffPIRDenoiser (iterations = m)", diffpir(None), code.diffpir,
               "DiffPIR's proximal step", f"DiffPIR(lam={LAMBDA})"),
        guided("JFPSDenoiser (iterations = m)", jfps, code.jacobian_free,
               "x0 given x_t of covariance (1/c + alpha^2/sigma^2)^-1 I",
               "DiffPIR(lam=1.0)"),
        stepped("DPSSampler (zeta = 1)", dps, code.dps_norm, "DPS, |r| of each point",
                "Published(ZetaDPS(zeta=0.5), DDPM)", "the norm is over the whole batch",
                code.dps_norm_of_all),
        stepped("PGDMSampler (eta = 1)", pgdm, pgdm_update,
                "PiGDM, alpha_t J^T A^+ r", "Guided(PiGDM, DDPM)",
                "the weight is alpha_s alpha_t",
                lambda case: pgdm_update(case, case.scales[2])),
        Entry("azula", "TDSSampler", "TDS: proposal and weight", tds_found,
              tds_expected, tds_program, "TDS(DPS)"),
        Entry("azula", "RePaintSampler (iterations = 3, eta = 0)",
              "RePaint: y noised to s where it is measured", repaint_found,
              repaint_expected, repaint_program, "DDNM"),
    ]  # fmt: skip


def forward(problem):
    A, y = tensor(problem.A), tensor(problem.y)
    return y, (lambda x: x @ A.mT), A


def plain(problem, denoiser=None):
    return gt.torch.Azula(denoiser or code.network(problem), problem.path)


# --- guided denoisers ------------------------------------------------------------------


def tmpd(problem, net):
    from azula.guidance import TMPDenoiser

    y, f, _ = forward(problem)
    return TMPDenoiser(net, y, f, problem.v)


def mmps(iterations):
    def made(problem, net):
        from azula.guidance import MMPSDenoiser
        from azula.linalg.covariance import IsotropicCovariance

        y, f, _ = forward(problem)
        noise = IsotropicCovariance(tensor(problem.v))
        return MMPSDenoiser(net, y, f, noise, iterations=iterations or len(y))

    return made


def diffpir(iterations):
    def made(problem, net):
        from azula.guidance import DiffPIRDenoiser

        y, f, _ = forward(problem)
        return DiffPIRDenoiser(
            net, y, f, problem.v, lmbda=LAMBDA, iterations=iterations or len(y)
        )

    return made


def jfps(problem, net):
    from azula.guidance import JFPSDenoiser
    from azula.linalg.covariance import IsotropicCovariance

    y, f, _ = forward(problem)
    noise = IsotropicCovariance(tensor(problem.v))
    prior = IsotropicCovariance(tensor(problem.spread))
    return JFPSDenoiser(net, y, f, noise, prior, iterations=len(y))


def guided(name, make, formula, words, ours, because=""):
    """An entry whose guidance is (alpha / sigma^2) (M - m)."""

    def found(case):
        net = plain(case.problem)
        x, t = tensor(case.x), tensor(case.t)
        moved = make(case.problem, net)(x, t).mean - net(x, t).mean
        a, s, *_ = case.scales
        return a / s**2 * moved.detach().numpy()

    def program(problem):
        def sample(seen, denoiser, num, seed):
            from azula.sample import DDPMSampler

            made = make(problem, plain(problem, denoiser))
            return run(DDPMSampler(made, **grid(seen)), seen, num)

        return sample

    ours = f"Guided({ours}, DDPM)"
    parts = words, found, formula, program, ours
    return Entry("azula", name, *parts, because=because)


def grid(seen):
    first, last = (float(seen.times[i]) for i in (0, -1))
    count = len(seen.times) - 1
    return {"start": first, "stop": last, "steps": count, "silent": True,
            "dtype": seen.times.dtype}  # fmt: skip


def run(sampler, seen, num):
    import torch

    x = torch.randn(num, seen.dim, dtype=seen.y.dtype)
    return sampler(seen.sigma[0] * x)


# --- updates ---------------------------------------------------------------------------


def stepped(name, make, formula, words, ours, because, explained):
    """An entry that adds something to an unguided step."""

    def found(case):
        sampler, unguided = make(case.problem, plain(case.problem), {})
        at = tensor(case.x), tensor(case.t), tensor(case.s)
        with code.tabled():
            moved = sampler.step(*at) - unguided.step(*at)
        return moved.detach().numpy()

    def program(problem):
        def sample(seen, denoiser, num, seed):
            made, _ = make(problem, plain(problem, denoiser), grid(seen))
            return run(made, seen, num)

        return sample

    parts = words, found, formula, program, ours
    return Entry("azula", name, *parts, because=because, explained=explained)


def dps(problem, net, options):
    from azula.guidance import DPSSampler
    from azula.sample import DDPMSampler

    y, f, _ = forward(problem)
    return DPSSampler(net, y, f, 1.0, **options), DDPMSampler(net)


def pgdm(problem, net, options):
    from azula.guidance import PGDMSampler
    from azula.sample import DDIMSampler

    y, f, A = forward(problem)
    back = A.pinverse()
    sampler = PGDMSampler(net, y, f, lambda v: v @ back.mT, eta=1.0, **options)
    return sampler, DDIMSampler(net, eta=1.0)


def pgdm_update(case, factor=1.0):
    """alpha_t J^T A^+ r: Song et al. 2023, Algorithm 1; `factor` is alpha_s in azula."""
    back = case.r @ np.linalg.pinv(case.A).T
    return factor * case.scales[0] * np.einsum("nij,ni->nj", case.J, back)


# --- TDS and RePaint -------------------------------------------------------------------


def twist(problem):
    """log p(y | x0 = m) with the noise v alone, as DPS has it."""
    y, f, _ = forward(problem)
    v = problem.v
    return lambda m, ratio: -((y - f(m)) ** 2) / (2 * v)


def tds_found(case):
    """Its proposal's mean less that of the unguided step, where nothing is resampled."""
    import torch
    from azula.guidance import TDSSampler
    from azula.sample import DDPMSampler

    net = plain(case.problem)
    sampler = TDSSampler(net, twist(case.problem))
    at = tensor(case.x), tensor(case.t), tensor(case.s)
    carry = {}
    keep = mock.patch("torch.multinomial", lambda w, n, **_: torch.arange(n))
    mean = mock.patch("torch.distributions.Normal.sample", lambda self: self.mean)
    with keep, mean, code.tabled():
        moved = sampler.step(*at, carry=carry) - DDPMSampler(net).step(*at)
    return np.concatenate(
        [moved.detach().numpy(), carry["log_w"].detach().numpy()[:, None]], 1
    )


def tds_expected(case):
    """c (sigma^2/alpha) g with g of DPS, and log p(x_s | x_t) - log q(x_s) - log p(y)."""
    a, s, b, r = case.scales
    keep = a / b * (r / s) ** 2
    moved = (b - keep * a) * s**2 / a * code.dps(case)
    width = r**2 * (1 - (a / b * r / s) ** 2)
    log_ratio = -(moved**2).sum(1) / (2 * width)
    log_twist = -(case.r**2).sum(1) / (2 * case.v)
    return np.concatenate([moved, (log_ratio - log_twist)[:, None]], 1)


def tds_program(problem):
    def sample(seen, denoiser, num, seed):
        from azula.guidance import TDSSampler

        made = TDSSampler(plain(problem, denoiser), twist(problem), **grid(seen))
        return run(made, seen, num)

    return sample


def mask(problem):
    """Of an inpainting problem, or None."""
    A = problem.A
    ones = (A == 1).sum(1)
    return A.sum(0) > 0 if np.all(ones == 1) and A.sum() == len(A) else None


def repaint(problem, net, options):
    import torch
    from azula.guidance import RePaintSampler

    seen = mask(problem)
    if seen is None:
        raise gt.UnsupportedError("RePaintSampler takes a mask, not a matrix")
    full = problem.y @ problem.A
    return RePaintSampler(net, tensor(full), torch.tensor(seen), **options)


def repaint_found(case):
    """What one repetition adds to an ancestral step."""
    from azula.sample import DDPMSampler

    net = plain(case.problem)
    at = tensor(case.x), tensor(case.t), tensor(case.s)
    sampler = repaint(case.problem, net, {"iterations": 1, "eta": 1.0})
    with code.tabled():
        return (sampler.step(*at) - DDPMSampler(net).step(*at)).numpy()


def repaint_expected(case):
    """alpha_s y where it is measured, in place of the mean of the step."""
    a, s, b, r = case.scales
    keep = a / b * (r / s) ** 2
    moved = keep * case.x + (b - keep * a) * case.m
    return np.where(mask(case.problem), b * case.y @ case.A - moved, 0.0)


def repaint_program(problem):
    repaint(problem, plain(problem), {})  # refused before anything runs

    def sample(seen, denoiser, num, seed):
        sampler = repaint(problem, plain(problem, denoiser), grid(seen))
        return run(sampler, seen, num)

    return sample
