r"""T26: the order of a kernel, measured with the exact field.

With the exact posterior mean and the exact law at the start, all that is wrong with a
sampler's output after N steps is the discretisation. A kernel of weak order r errs by
O(N^{-r}): so does the law of a sampler with noise in total variation (its path divergence,
of order r in KL, is another thing), and so does the map of a deterministic one in W2. The
exact flow on the line is the monotone map of quantiles to quantiles, so that the W2 error
of a deterministic kernel is the root mean square error at equally likely points.

Steps are equal in the log-SNR, on the problem "two-modes" down to t = 0.01; the matched
scalar variance, which is of order 2 on the line only, is also measured on one Gaussian with
a full covariance in space, where its law and W2 are closed forms. Only a slope is
claimed, within 0.2, and no bound.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import approximations, divergences, kernels, laws
from .. import testbeds as problems
from ..algorithms import Guided
from ..divergences import mixture_quantile
from ..estimate import Estimate
from ..kernels import AbstractKernel
from ..paths.grids import time_grid
from ..problem import Target
from ..sampling import padded
from .base import AbstractBound, Case, Claim, Facts
from .flow_density import gaussian_problem

_SLOPE = 0.2
_POINTS = 400  # equally likely
_IN_SPACE = "DDPM matched_scalar, d = 3"  # on the line it is "DDPM matched"
_KERNELS = {name: kind() for name, kind in kernels.CATALOGUE.items()} | {
    "DDPM large": kernels.DDPM("large"),
    "DDPM matched": kernels.DDPM("matched"),
    "DDIM 0.5": kernels.DDIM(0.5),
    _IN_SPACE: kernels.DDPM("matched_scalar"),
}


class Orders(AbstractBound):
    """The slope between N and 2 N steps, for every kernel that has a limit."""

    facts: ClassVar[Facts] = Facts(
        statement="errors of the law fall as N^(-order), with the exact field and start",
        assumptions=("steps of less than one in the log-SNR",),
        source="weak and strong orders of the schemes; see each kernel's reference",
        status="asymptotic",
    )
    cases: ClassVar[tuple[Case, ...]] = tuple(
        {"kernel": name, "num_steps": steps}
        for name, kernel in _KERNELS.items()
        if kernel.facts.order > 0
        for steps in (24, 48, 96)
    )

    def setting(self, case):
        space = case["kernel"] == _IN_SPACE
        target = gaussian_problem() if space else problems.get("two-modes")
        kernel, steps = _KERNELS[case["kernel"]], case["num_steps"]
        return {"kernel": kernel, "target": target, "num_steps": steps}

    def sides(self, key, kernel, target, num_steps):
        line = target.problem.prior.dim == 1
        error = law_error if line else gaussian_error
        counts = num_steps, 2 * num_steps
        errors = [error(kernel, target, count) for count in counts]
        kept = (_largest_step(target, counts[0]) < 1.0,)
        slope = Estimate(np.log2(errors[0] / errors[1]), how="quadrature")
        order = Estimate(float(kernel.facts.order))
        return [Claim("", slope, order, True, _SLOPE, kept)]


def _times(target: Target, count: int):
    return time_grid(target.path, count, "log_snr", t_min=problems.T_MIN)


def _largest_step(target: Target, count: int) -> float:
    """Of a grid, in the log-SNR: of the coarser one, below the scale of the field."""
    return float(np.max(np.diff(target.path.log_snr(_times(target, count)))))


def law_error(kernel: AbstractKernel, target: Target, count: int) -> float:
    """Error after `count` steps: total variation, or W2 for a kernel without noise."""
    times = _times(target, count)
    sampler = Guided(approximations.Exact(), kernel)
    start, truth = target.posterior(times[0]), target.posterior(times[-1])
    levels = jnp.asarray((np.arange(_POINTS) + 0.5) / _POINTS)
    begin, end = _quantiles(start, levels), _quantiles(truth, levels)
    moved, noise = _moved(sampler, target, padded(times), jnp.asarray(count), begin)
    if float(noise) == 0.0:
        return float(np.sqrt(np.mean(np.asarray(moved - end) ** 2)))
    density = laws.grid(sampler, target, times, initial=start).native(-1)
    x, law = np.asarray(density.position)[:, None], np.exp(density.log_density)
    means, variances = np.asarray(truth.means)[:, 0], np.asarray(truth.base)
    parts = np.exp(-0.5 * (x - means) ** 2 / variances) / np.sqrt(2 * np.pi * variances)
    exact = parts @ np.exp(np.asarray(truth.log_weights))
    return float(0.5 * density.spacing * np.abs(law - exact).sum())


def gaussian_error(kernel: AbstractKernel, target: Target, count: int) -> float:
    """W2 after `count` steps, for one Gaussian in any dimension."""
    times, sampler = _times(target, count), Guided(approximations.Exact(), kernel)
    start, truth = target.posterior(times[0]), target.posterior(times[-1])
    made = laws.affine(sampler, target, times, initial=start).at(-1)
    moments = made.mean(), made.covariance(), truth.mean(), truth.covariance()
    return float(divergences.closed_form.w2(*moments))


@eqx.filter_jit
def _quantiles(mixture, levels):
    return jax.vmap(lambda level: mixture_quantile(mixture, level))(levels)


@eqx.filter_jit
def _moved(sampler, target, times, count, points):
    """Images of the points (n,) without noise, and the scale of the last noise."""

    def step(j, carry):
        def transition(x):
            return sampler.transition(target, x[None], times[j], times[j + 1])

        moved = jax.vmap(transition)(carry[0])
        most = jax.vmap(lambda law: law.root.most())(moved)
        return moved.mean[:, 0], jnp.max(most)

    return jax.lax.fori_loop(0, count, step, (points, jnp.zeros_like(times[0])))
