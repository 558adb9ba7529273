"""DPS in PyTorch as one writes it, right and with faults, for tests of the verdict."""

import time

import torch


def _dps(problem, denoiser, num, guidance):
    """DDPM with E[x0 | x_t] + (sigma^2 / alpha) times the gradient of `guidance`."""
    x = problem.sigma[0] * torch.randn(num, problem.dim, dtype=problem.y.dtype)
    for i in range(len(problem.times) - 1):
        (a, b), (s, r) = problem.alpha[i : i + 2], problem.sigma[i : i + 2]
        x = x.detach().requires_grad_()
        mean = denoiser(x, a, s)
        pull = torch.autograd.grad(guidance(problem, mean).sum(), x)[0]
        mean = mean + s**2 / a * pull
        keep = a / b * (r / s) ** 2
        noise = r * (1 - (a / b * r / s) ** 2).sqrt()
        x = (b - keep * a) * mean + keep * x + noise * torch.randn_like(x)
    return x


def log_likelihood(problem, mean):
    """Up to a constant, (n,)."""
    misfit = ((problem.y - problem.forward(mean)) ** 2).sum(1)
    return -misfit / problem.R[0, 0] / 2


def right(problem, denoiser, num, seed):
    """DPS of Gaussian noise."""
    return _dps(problem, denoiser, num, log_likelihood)


def over_the_batch(problem, denoiser, num, seed):
    """The published weight, with one norm for the whole batch."""

    def norm(problem, mean):
        return -2 * torch.linalg.vector_norm(problem.y - problem.forward(mean))[None]

    return _dps(problem, denoiser, num, norm)


def away(problem, denoiser, num, seed):
    """The sign of the guidance is wrong."""
    return _dps(problem, denoiser, num, lambda *parts: -log_likelihood(*parts))


def in_half(problem, denoiser, num, seed):
    """Its samples come back in bfloat16, which NumPy does not have."""
    return right(problem, denoiser, num, seed).to(torch.bfloat16)


def not_a_number(problem, denoiser, num, seed):
    """A root of what is negative."""
    return torch.full((num, problem.dim), -1.0).sqrt()


def transposed(problem, denoiser, num, seed):
    """A row a coordinate, with one too many."""
    return right(problem, denoiser, num, seed).T.expand(3, num)


def whole_numbers(problem, denoiser, num, seed):
    """Pixels of eight bits."""
    return torch.zeros(num, problem.dim, dtype=torch.uint8)


def endless(problem, denoiser, num, seed):
    """A sampler that hangs."""
    x = torch.zeros(num, problem.dim)
    while True:
        x = x + 1e-3
        time.sleep(1e-3)


def from_a_file(problem, denoiser, num, seed):
    """It needs a package that is not there."""
    import a_package_of_theirs

    return a_package_of_theirs.load(num)
