r"""Exact Gaussian laws by eigenvalue: d problems on the line in place of one in d.

An affine method that treats the coordinates of the common basis of prior and measurement
alike and apart (it commutes with rotations, and takes no trace over dimensions) moves each
of them as on the line: \(v \mapsto F^2 v + S^2\). A law then takes 2 (N + 1) d numbers and
not (N + 1) d^2. That the method does so is checked, at the problem where it is given, else
at its four most different coordinates together.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .. import _display
from .._checks import check_index, concrete, require, unsupported
from .._types import Matrix, Scalar, Times, Vector
from ..method import AbstractDescribed, name_of
from ..problem import Target
from ..sampling import check_run, initial_law
from ..sampling.inputs import counted, padded
from .affine import TOLERANCE, affine_leg, require_affine, require_one
from .eigen_problem import EigenGaussian, EigenProblem
from .explicit import legs_of, require_explicit, require_no_memory

_SAME = 1e-8  # relative, of a step in d dimensions and on d lines


class SpectralLaw(eqx.Module):
    """N(means[i], diag(variances[i])) at times[i], in the basis of the problem.

    Attributes:
        problem: its coordinates.
        times: (N + 1,).
        means: (N + 1, d).
        variances: (N + 1, d).
    """

    problem: EigenProblem
    times: Times
    means: Float[Array, "times d"]
    variances: Float[Array, "times d"]

    __repr__, _repr_html_ = _display.one_line, _display.html

    def _shown(self) -> _display.Shown:
        """How many steps, in which dimension."""
        steps = _display.counted(self.times.shape[0] - 1, "step")
        first, *_, last = np.asarray(self.times)
        span = f"from t = {first:.4g} to {last:.4g}"
        line = f"SpectralLaw after {steps} {span}, in dimension {self.problem.dim}"
        return _display.Shown(f"{line}, by eigenvalue, in closed form")

    def at(self, index: int) -> EigenGaussian:
        """The law at times[index]."""
        check_index(index, self.means.shape[0], "time of this law")
        means, variances = _on_the_host(self.means, self.variances)
        return EigenGaussian(jnp.asarray(means[index]), jnp.asarray(variances[index]))

    def mean(self) -> Vector:
        """Mean of the output, (d,), in the basis of the problem."""
        return self.at(-1).means

    def variance(self) -> Vector:
        """Variances of the output, (d,), along the basis of the problem."""
        return self.at(-1).variances

    def covariance(self) -> Matrix:
        """Covariance of the output, (d, d), in the coordinates of x."""
        basis = self.problem.basis
        if basis is None:
            return jnp.diag(self.variances[-1])
        return (basis * self.variances[-1][None]) @ basis.T

    def kl(self, gaussian: EigenGaussian) -> Scalar:
        """KL(law || gaussian) in nats, as of `problem.posterior(times[-1])`."""
        return self.at(-1).kl(gaussian)

    def kl_from(self, gaussian: EigenGaussian) -> Scalar:
        """KL(gaussian || law) in nats."""
        return gaussian.kl(self.at(-1))

    def w2(self, gaussian: EigenGaussian) -> Scalar:
        """Wasserstein-2 distance."""
        return self.at(-1).w2(gaussian)

    def fisher(self, gaussian: EigenGaussian) -> Scalar:
        """Relative Fisher information of the law from the gaussian."""
        return self.at(-1).fisher(gaussian)


def spectral(
    sampler: AbstractDescribed,
    problem: EigenProblem | Target,
    times: Times,
    *,
    initial: EigenGaussian | None = None,
) -> SpectralLaw:
    r"""The exact law of an affine sampler for a one-Gaussian prior, by eigenvalue.

    What `gt.laws.affine` gives, where one basis diagonalises prior and measurement: 1000
    steps in d = 3072 take a second and 50 MB.

    Args:
        sampler: as of `gt.laws.affine`, of which each step moves the coordinates of the
            basis apart.
        problem: the coordinates, or a target, whose basis is then found (and factorised).
        times: (N + 1,), decreasing.
        initial: one Gaussian at times[0] in the same basis, as `problem.marginal(1.0)`;
            the start of the sampler, \(N(0, \sigma^2 I)\) mostly, by default.

    Raises:
        UnsupportedError: as `gt.laws.affine`; or if there is no common basis, or a step
            mixes coordinates (by a trace, as DDPM's variance "matched_scalar").
        InputError: if the grid does not decrease within [0, 1].
    """
    call = "gt.laws.spectral(sampler, problem, times)"
    if isinstance(problem, EigenProblem):
        probe = problem.some(_most_different(problem))
    else:
        probe, problem = problem, EigenProblem.of(problem)
    probe, times = check_run(call, sampler, probe, times)
    require_explicit(sampler)
    require_no_memory(sampler)
    legs = legs_of(sampler)
    require_affine(sampler, probe, times)
    require_one(sampler, legs, probe, times)
    lines, starts = _lines(sampler, problem, times[0])
    if initial is not None:
        starts = checked(initial, problem.dim)
    _require_apart(sampler, legs, problem, probe, times)
    steps = times.shape[0] - 1
    given = legs, lines, problem.path, padded(times), counted(times, problem, starts)
    means, variances, error = _history(*given, starts.means, starts.variances)
    slack = TOLERANCE * jnp.finfo(means.dtype).eps
    require(
        bool(error < slack),
        "a transition is not affine",
        got=f"relative deviation {float(error):.3g} from its linearisation",
        expected=f"at most {float(slack):.3g}",
        hint="correct `affine` in the method's facts, or take more steps if "
        "the numbers overflow",
    )
    kept = (part[: steps + 1] for part in _on_the_host(means, variances))
    return SpectralLaw(problem, times, *map(jnp.asarray, kept))


def _on_the_host(*arrays):
    """The same arrays where rows of them compile nothing for each number of steps."""
    return tuple(np.asarray(a) if concrete(a) else a for a in arrays)


def checked(initial: EigenGaussian, dim: int) -> EigenGaussian:
    """An initial law that fits the coordinates.

    Args:
        initial: what was given.
        dim: d.

    Raises:
        InputError: if it does not.
    """
    good = isinstance(initial, EigenGaussian)
    shapes = (initial.means.shape, initial.variances.shape) if good else ()
    require(
        shapes == ((dim,), (dim,)),
        "the initial law does not fit the coordinates",
        got=f"means {shapes[0]}, variances {shapes[1]}" if good else repr(initial),
        expected=f"a gt.laws.EigenGaussian in dimension {dim}",
        hint="pass problem.marginal(times[0]), say",
    )
    return initial


@eqx.filter_jit
def _lines(sampler, problem, t):
    """The coordinates without their path, which they share, and the law of each start."""
    lines = problem.lines()
    bare = eqx.tree_at(lambda line: line.path, lines, None)

    def start(line):
        law = initial_law(sampler, _on(problem.path, line), t)
        return law.mean()[0], law.covariance()[0, 0]

    starts = eqx.filter_vmap(start)(bare)
    return bare, EigenGaussian(
        *(jnp.broadcast_to(part, problem.dim) for part in starts)
    )


def _on(path, line):
    return eqx.tree_at(lambda t: t.path, line, path, is_leaf=lambda x: x is None)


@eqx.filter_jit
def _history(legs, lines, path, times, count, means, variances):
    """Moments (n, d) at every time of a padded grid, and the largest deviation."""

    def line_moved(line, window, mean, variance):
        carry = mean[None], variance[None, None], jnp.zeros((), mean.dtype)
        for leg in legs:
            carry = affine_leg(leg, _on(path, line), window, carry)
        return carry[0][0], carry[1][0, 0], carry[2]

    def moved(window, means, variances, worst):
        in_axes = eqx.if_array(0), None, 0, 0
        all_moved = eqx.filter_vmap(line_moved, in_axes=in_axes)
        means, variances, errors = all_moved(lines, window, means, variances)
        return means, variances, jnp.maximum(worst, jnp.max(errors))

    def step(carry, at):
        index, window = at
        stay = lambda window, *carry: carry  # noqa: E731
        carry = jax.lax.cond(index < count, moved, stay, window, *carry)
        return carry, carry[:2]

    windows = jnp.stack([times[:-1], times[1:]], axis=1)
    start = means, variances, jnp.zeros((), means.dtype)
    at = jnp.arange(windows.shape[0]), windows
    (_, _, worst), (later, spreads) = jax.lax.scan(step, start, at)
    means = jnp.concatenate([means[None], later])
    return means, jnp.concatenate([variances[None], spreads]), worst


def _most_different(problem: EigenProblem):
    """Coordinates of least and largest variance, and of the worst and the best measured."""
    seen = problem.gains**2 / problem.noise
    ends = (problem.variances, seen)
    return jnp.stack([f(v) for v in ends for f in (jnp.argmin, jnp.argmax)])


def _require_apart(sampler, legs, problem, probe, times) -> None:
    """Refuses a step that moves the coordinates of the probe otherwise than alone."""
    chosen = jnp.arange(problem.dim)
    basis = problem.basis
    if probe.problem.prior.dim != problem.dim or basis is None:
        chosen = _most_different(problem)
        basis = jnp.eye(chosen.shape[0], dtype=problem.variances.dtype)
    starts = np.asarray([0, (times.shape[0] - 1) // 2, times.shape[0] - 2])
    windows = jnp.stack([times[starts], times[starts + 1]], axis=1)
    ratio = float(_apart(legs, probe, problem, chosen, basis, windows))
    if ratio > 1.0:  # a NaN has its message later
        unsupported(
            "a step of this sampler mixes the eigenvalues",
            got=f"{name_of(sampler)}, which moves a coordinate {_SAME * ratio:.2g} "
            "otherwise, relatively, than on a line of its own",
            expected="steps that move every coordinate of the common basis apart",
            hint="use gt.laws.affine; of DDPM take a variance other than matched_scalar",
        )


@eqx.filter_jit
def _apart(legs, probe, problem, chosen, basis, windows):
    """The largest deviation between a step of the probe and of its lines, over `_SAME`."""
    lines = jax.tree.map(
        lambda leaf: leaf[chosen] if eqx.is_array(leaf) else leaf,
        eqx.tree_at(lambda line: line.path, problem.lines(), None),
    )
    eps = jnp.finfo(basis.dtype).eps
    allowed, floor = jnp.maximum(_SAME, jnp.sqrt(eps)), 1e4 * eps
    places = jnp.arange(chosen.shape[0], dtype=basis.dtype)

    def at(window):
        law = problem.marginal(window[0])
        scale = jnp.sqrt(law.variances[chosen])
        z = law.means[chosen] + scale * jnp.cos(places + 1.0)
        worst = jnp.zeros((), z.dtype)
        for leg in legs:
            parts = leg.parts(probe, basis @ z, *window)
            means = basis.T @ parts.mean[0]
            spread = basis.T @ parts.covariance[0] @ basis

            def alone(line, z, leg=leg):
                one = leg.parts(_on(problem.path, line), z[None], *window)
                return one.mean[0, 0], one.covariance[0, 0, 0]

            own, variances = eqx.filter_vmap(alone)(lines, z)
            size = jnp.abs(own) + scale
            error = jnp.abs(means - own) / (size + floor / allowed * jnp.max(size))
            wide = jnp.sqrt(variances) + floor / allowed * jnp.sqrt(jnp.max(variances))
            pairs = wide[:, None] * wide[None] + jnp.finfo(z.dtype).tiny
            errors = jnp.abs(spread - jnp.diag(variances)) / pairs
            worst = jnp.maximum(worst, jnp.maximum(jnp.max(error), jnp.max(errors)))
        return worst

    return jnp.max(jax.vmap(at)(windows)) / allowed
