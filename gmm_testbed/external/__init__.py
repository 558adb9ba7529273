r"""Samplers of other programs: functions of NumPy arrays that run on the host.

    def program(problem, denoiser, num, seed):
        x = np.random.default_rng(seed).normal(size=(num, problem.dim))
        for alpha, sigma in zip(problem.alpha, problem.sigma):
            mean = denoiser.x0(x, alpha, sigma)
            ...
        return x

    gt.sample(key, gt.External(program), target, times, 1000)

The program sees what a practitioner has: y, the forward map and its transposed Jacobian,
the noise, the scales of the path on the grid, and a denoiser in whichever variables it
speaks. It does not see the prior, nor the posterior it is measured against.
"""

from .host import HostDenoiser as HostDenoiser
from .host import HostProblem as HostProblem
from .host import host_problem as host_problem
from .sampler import External as External
