"""Samplers of other people, right and with planted faults, for tests of the verdict."""

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt


def _linear(target):
    return target.problem.measurement.A, target.problem.measurement.R


def dps(target, x, t):
    """DPS, from its definition."""
    A, R = _linear(target)

    def log_likelihood(x):
        residual = target.problem.y - A @ target.denoise(x, t).mean
        return -0.5 * residual @ jnp.linalg.solve(R, residual)

    return jax.grad(log_likelihood)(x)


def tmpd(target, x, t, power=2, noise=1.0):
    """TMPD with (sigma^power / alpha) J for the covariance of x0."""
    A, R = _linear(target)
    path = target.path
    J = jax.jacfwd(lambda x: target.denoise(x, t).mean)(x)
    C = path.sigma(t) ** power / path.alpha(t) * J
    residual = target.problem.y - A @ target.denoise(x, t).mean
    return J.T @ A.T @ jnp.linalg.solve(noise * R + A @ C @ A.T, residual)


def tmpd_with_sigma(target, x, t):
    """TMPD with sigma/alpha where sigma^2/alpha belongs."""
    return tmpd(target, x, t, power=1)


def pigdm(target, x, t, noise=1.0):
    """PiGDM with r = sigma/alpha."""
    A, R = _linear(target)
    r = target.path.sigma(t) / target.path.alpha(t)
    J = jax.jacfwd(lambda x: target.denoise(x, t).mean)(x)
    residual = target.problem.y - A @ target.denoise(x, t).mean
    return J.T @ A.T @ jnp.linalg.solve(noise * R + r**2 * A @ A.T, residual)


def pigdm_of_root_two(target, x, t):
    """The same, with its noise level divided by sqrt(2)."""
    return pigdm(target, x, t, noise=0.5)


def pigdm_of_twice(target, x, t):
    """The same, with R counted twice."""
    return pigdm(target, x, t, noise=2.0)


def away(target, x, t):
    """DPS with the wrong sign."""
    return -dps(target, x, t)


def clipped(target, x, t):
    """DPS of images: the denoised mean is clipped."""
    A, R = _linear(target)

    def log_likelihood(x):
        residual = target.problem.y - A @ jnp.clip(target.denoise(x, t).mean, -1, 1)
        return -0.5 * residual @ jnp.linalg.solve(R, residual)

    return jax.grad(log_likelihood)(x)


def without_noise(target, x, t):
    """DPS with R = I whatever it is."""
    A, _ = _linear(target)

    def misfit(x):
        return -0.5 * jnp.sum((target.problem.y - A @ target.denoise(x, t).mean) ** 2)

    return jax.grad(misfit)(x)


def normed_over_the_batch(target, xs, t):
    """Published DPS of points (n, d), with one norm for all of them."""
    A, _ = _linear(target)

    def norm(xs):
        means = jax.vmap(lambda x: target.denoise(x, t).mean)(xs)
        return -0.6 * jnp.linalg.norm(target.problem.y[None] - means @ A.T)

    return jax.grad(norm)(xs)


def not_a_number(target, x, t):
    """A root at 0."""
    return dps(target, x, t) * jnp.sqrt(-jnp.abs(x[0]))


def of_the_measurement(target, x, t):
    """The residual, which was not pulled back."""
    return target.problem.y - _linear(target)[0] @ x


def complex_numbers(target, x, t):
    """A Fourier transform that stays complex."""
    return jnp.fft.fft(x)


def other_arguments(x, sigma):
    """Neither of the two signatures."""
    return x


def program(
    problem,
    denoiser,
    num,
    seed,
    *,
    sign=1.0,
    noise=1.0,
    ignored=False,
    clip=False,
    stride=1,
    early=False,
    last=True,
    couple=False,
):
    """TMPD with DDPM in NumPy; each option is a fault."""
    rng = np.random.default_rng(seed)
    R = 0.5 * np.eye(len(problem.y)) if ignored else noise * problem.R
    grid = np.arange(len(problem.times))[::stride]
    grid = np.unique(np.append(grid, len(problem.times) - 1))
    x = problem.sigma[0] * rng.standard_normal((num, problem.dim))
    for i, j in zip(grid[:-1], grid[1:], strict=True):
        told = j if early else i
        alpha, sigma = problem.alpha[told], problem.sigma[told]
        mean = denoiser.x0(x, alpha, sigma)
        if clip:
            mean = np.clip(mean, -1, 1)
        rows = [np.broadcast_to(row, x.shape) for row in problem.A]
        products = [denoiser.x0_vjp(x, alpha, sigma, row) for row in rows]
        covariance = sigma**2 / alpha * np.stack(products, 1)
        residual = problem.y - mean @ problem.A.T
        if couple:
            residual = residual / np.linalg.norm(residual)
        spread = R + covariance @ problem.A.T
        solved = np.linalg.solve(spread, residual[..., None])[..., 0]
        mean = mean + sign * np.einsum("nmd,nm->nd", covariance, solved)
        a, s, b, r = *_scales(problem, i), *_scales(problem, j)
        keep = a / b * (r / s) ** 2
        x = keep * x + (b - keep * a) * mean
        if last or j != grid[-1]:
            fresh = r * np.sqrt(1 - (a / b * r / s) ** 2)
            x = x + fresh * rng.standard_normal(x.shape)
    return x


def _scales(problem, index):
    return problem.alpha[index], problem.sigma[index]


def endless(problem, denoiser, num, seed):
    """A sampler that hangs."""
    while True:
        pass


class Stepper(gt.AbstractMarkov):
    """TMPD with the noise of DDPM; late, it takes the mean at the end of the step."""

    late: bool = False

    facts = gt.Facts(summary="TMPD by hand", reference="none", affine=True, order=1)
    start = gt.standard_start

    def transition(self, target, x, t, s):
        path, told = target.path, s if self.late else t
        mean = gt.approximations.TMPD().posterior_mean(target, x, told)
        a, b, r = path.alpha(t), path.alpha(s), path.sigma(s)
        keep = a / b * (r / path.sigma(t)) ** 2
        fresh = r**2 * (1 - (a / b * r / path.sigma(t)) ** 2)
        return gt.isotropic(keep * x + (b - keep * a) * mean, fresh)
