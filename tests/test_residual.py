"""The residual of a twist against Ito's formula in NumPy, on two paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import gmm_testbed as gt

from .oracles import numpy_mixture as ref
from .oracles.library import to_target
from .oracles.problems import generic

PROBLEM = generic(2, 1, 2)
Z = np.array([[0.4, -0.3], [1.5, 0.8], [5.0, -1.0]])  # x / alpha
LEVEL = 0.36  # sigma^2 / alpha^2


@jax.jit
def _residuals(twist, target, t):
    """At the points, for the twist of an approximation."""
    x = target.path.alpha(t) * jnp.asarray(Z)
    return jax.vmap(lambda x: gt.smc.residual(twist, target, x, t))(x)


def _by_ito(z, spread, grown):
    r"""Of \(\psi = N(y; A m, D)\), D = R + `spread` with derivative `grown` in v.

    m is a martingale of quadratic variation C^2 / v^2 dv; D changes as it does.
    """
    _, A, R, y = PROBLEM
    C = ref.prior_covariance(PROBLEM, z, 1.0, np.sqrt(LEVEL))
    D = R + spread
    pull = np.linalg.solve(D, y - A @ ref.prior_mean(PROBLEM, z, 1.0, np.sqrt(LEVEL)))
    moved = C @ A.T @ pull
    martingale = moved @ moved - np.trace(C @ A.T @ np.linalg.solve(D, A @ C))
    normaliser = pull @ grown @ pull - np.trace(np.linalg.solve(D, grown))
    return 0.5 * martingale / LEVEL**2 - 0.5 * normaliser


@pytest.mark.parametrize("path", [gt.VP(), gt.VE(0.01, 20.0)], ids=["VP", "VE"])
@pytest.mark.slow
def test_residual_is_that_of_the_formula_on_any_path(path, tolerance):
    """PiGDM with r^2 = v / (1 + v), whose normaliser moves with v."""
    target = to_target(PROBLEM, path)
    t = path.time_at_log_snr(-jnp.log(jnp.asarray(LEVEL)))
    AA = PROBLEM.A @ PROBLEM.A.T
    r2, slope = LEVEL / (1.0 + LEVEL), (1.0 + LEVEL) ** -2
    exact = [_by_ito(z, r2 * AA, slope * AA) for z in Z]
    found = _residuals(gt.approximations.PiGDM(), target, t)
    assert_allclose(found, exact, rtol=100 * tolerance.identity)
