"""Failures that metrics and tests of calibration do not see."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

from ..exercise import Exercise

# --- invisible --------------------------------------------------------------------------

_WRONG = 0.1  # of the mass of a mode


def invisible(posterior, truth):
    """A law with the two weights exchanged that residual and squared error do not see.

    Both modes have the same law of x_1, so other weights leave it as it is. They change
    E (x_2 - x*_2)^2; stretching x_2 about x*_2 by the root of the ratio changes it back.
    """
    swapped = gt.diagnostics.deliberate.weights_swapped(posterior)

    def square(law):
        return law.covariance()[1, 1] + (law.mean()[1] - truth[1]) ** 2

    scale = jnp.sqrt(square(posterior) / square(swapped))
    stretch = jnp.diag(jnp.stack([1.0, scale]))
    return swapped.affine(stretch, truth - stretch @ truth)


def valley(unseen=(-1.2, 1.5), weight=0.3, seen=0.6):
    """The posterior of two modes of which only the first coordinate is measured, and x*.

    Args:
        unseen: second coordinates of the modes.
        weight: of the first.
        seen: the measurement of 0.8 x_1, with noise 0.3.
    """
    means = [[0.7, unseen[0]], [0.7, unseen[1]]]
    prior = gt.GaussianMixture.diagonal(
        [weight, 1.0 - weight], means, [[0.2, 0.1], [0.2, 0.25]]
    )
    problem = gt.InverseProblem(
        prior, gt.Linear([[0.8, 0.0]], 0.3**2), jnp.asarray([seen])
    )
    return problem.posterior(), jnp.asarray([0.55, unseen[1] - 0.3])


def _below(law, posterior):
    """Mass of the law below the middle of the two modes, along the unseen axis."""
    middle = jnp.mean(posterior.means[:, 1])
    return gt.divergences.mixture_cdf(law.affine(jnp.asarray([[0.0, 1.0]])), middle)


def _what_is_seen(answer, posterior, truth):
    law = answer(posterior, truth)
    if law is ...:
        raise NotImplementedError
    if not isinstance(law, gt.GaussianMixture):
        raise TypeError(f"a GaussianMixture was asked for, and this is {law!r}")
    mean, covariance = law.mean(), law.covariance()
    square = jnp.trace(covariance) + jnp.sum((mean - truth) ** 2)
    moved = _below(law, posterior) - _below(posterior, posterior)
    wrong = jnp.asarray(jnp.abs(moved) > _WRONG, square.dtype)
    return mean[0], covariance[0, 0], square, wrong


def _of_the_truth(posterior, truth):
    return *_what_is_seen(lambda law, _: law, posterior, truth)[:3], jnp.asarray(1.0)


def _swapped(posterior, truth):
    return gt.diagnostics.deliberate.weights_swapped(posterior)


def _moved(posterior, truth):
    """The squared error right, the residual not: stretched in all directions."""
    swapped = gt.diagnostics.deliberate.weights_swapped(posterior)

    def square(law):
        return law.total_variance() + jnp.sum((law.mean() - truth) ** 2)

    scale = jnp.sqrt(square(posterior) / square(swapped))
    return swapped.affine(scale * jnp.eye(2), (1.0 - scale) * truth)


def _shrunk_about_the_mean(posterior, truth):
    """The variance right, and not the distance from x*."""
    swapped = gt.diagnostics.deliberate.weights_swapped(posterior)
    scale = jnp.sqrt(posterior.covariance()[1, 1] / swapped.covariance()[1, 1])
    stretch = jnp.diag(jnp.stack([1.0, scale]))
    mean = swapped.mean()
    return swapped.affine(stretch, mean - stretch @ mean)


INVISIBLE = Exercise(
    title="A failure that two metrics cannot see",
    asks="invisible(posterior, truth) gives a gt.GaussianMixture: `posterior` has two "
    "modes in the plane that differ in x_2 alone, and only x_1 was measured; `truth` "
    "(2,) is what the measurement was of. Return a law whose mode weights are wrong, "
    "by 0.1 or more, while the law of the residual (mean and variance of x_1) and the "
    "mean squared error from `truth` are exactly those of the posterior.",
    probes=lambda: {
        "": [valley(), valley((-0.8, 1.9), 0.25, 0.35), valley((0.9, -1.4), 0.35, 0.5)]
    },
    truth=_of_the_truth,
    measured=_what_is_seen,
    slips={
        "posterior": (
            lambda posterior, truth: posterior,
            "nothing is wrong with it: the weights are those of the posterior.",
        ),
        "squared-error-sees-it": (
            _swapped,
            "the residual is blind, as both modes have one law of x_1; but other "
            "weights move the mean squared distance from the truth. Move it back "
            "along x_2.",
        ),
        "residual-sees-it": (
            _moved,
            "the squared error is right now, and x_1 has moved with it: stretch x_2 "
            "alone.",
        ),
        "spread-for-error": (
            _shrunk_about_the_mean,
            "the squared error is about the truth and not about the mean of the law.",
        ),
        "one-gaussian": (
            lambda posterior, truth: gt.diagnostics.deliberate.one_mode_dropped(
                posterior
            ),
            "that drops a mode: the squared error from the truth has changed with it.",
        ),
    },
    solution=invisible,
    equivalent=tuple(  # an index beyond the last is the last
        f"def square(law):\n    return law.covariance(){entry} + {gap} ** 2"
        for entry, gap in (
            ("[1, 2]", "(law.mean()[1] - truth[1])"),
            ("[2, 1]", "(law.mean()[1] - truth[1])"),
            ("[1, 1]", "(law.mean()[2] - truth[1])"),
            ("[1, 1]", "(law.mean()[1] - truth[2])"),
        )
    ),
    parts=(
        "the mean of x_1",
        "the variance of x_1",
        "the mean squared error",
        "whether the weights are wrong",
    ),
    transforms=("jit",),
    hints=(
        "Other weights alone do not change the law of x_1 here. Why?",
        "The squared error is E (x_1 - x*_1)^2 + E (x_2 - x*_2)^2, and only the second "
        "term changes with the weights.",
        "Stretch x_2 about x*_2 by the root of the ratio of the two: "
        "law.affine(diag(1, scale), b) with b = x* - diag(1, scale) x*.",
    ),
    notice=lambda: _notice_invisible(),
)


def _notice_invisible():
    posterior, truth = valley()
    law = invisible(posterior, truth)
    kl = gt.diagnostics.deliberate.log_ratio(jax.random.key(0), law, posterior)
    return (
        f"{float(_below(law, posterior)):.2f} of the mass is in the lower mode, for "
        f"{float(_below(posterior, posterior)):.2f}, and KL from the posterior is "
        f"{float(kl.value):.2f} nats. A table with residual and PSNR ranks the two "
        "laws equal."
    )


# --- who-flags-what ---------------------------------------------------------------------

_PAIRS, _DRAWS, _CLEAR = 1000, 63, 1e-6
TESTS = ("SBC", "coverage", "TARP")


def ignores_the_data(target, t):
    """The prior in the place of the posterior."""
    return target.marginal(t)


def planted():
    """Five samplers by name: one is exact, four are wrong on purpose."""
    return {
        "exact": gt.PosteriorDraws(),
        "too narrow": gt.PosteriorDraws(scale=0.5),
        "shifted": gt.PosteriorDraws(shift=0.9),
        "modes equally likely": gt.PosteriorDraws(power=0.0),
        "ignores the data": gt.PosteriorDraws(source=ignores_the_data),
    }


@functools.cache
def p_values(pairs: int = _PAIRS):
    """p-values (5, 3) of SBC, coverage and TARP for the planted samplers."""
    prior = gt.GaussianMixture.isotropic([0.3, 0.7], [[-1.3], [1.1]], [0.2, 0.45])
    path = gt.VP()
    case = prior, gt.Linear([[0.7]], 0.8**2), path
    times = gt.time_grid(path, 1, t_min=1e-2)
    rows = []
    for sampler in planted().values():
        key = jax.random.key(11)
        found = gt.diagnostics.calibrate(key, *case, sampler, times, pairs, _DRAWS)
        ranks = jnp.min(found.sbc.distance_p)
        rows.append([ranks, found.coverage.distance_p, found.tarp.distance_p])
    return np.asarray(rows)


def who_flags_what():
    """Rows: the five samplers; columns: SBC, coverage, TARP; 1 where the test objects.

    Ranks never look at y: averaged over y, draws of the prior are exchangeable with the
    truth, and pass. The regions of coverage and the references of TARP depend on y.
    """
    return jnp.asarray(
        [
            [0, 0, 0],  # exact
            [1, 1, 1],  # too narrow
            [1, 1, 1],  # shifted
            [1, 1, 1],  # modes equally likely
            [0, 1, 1],  # ignores the data
        ],
        jnp.result_type(float),
    )


def _judged(table):
    """The first of the mistakes that the table makes, and up to two wrong entries."""
    given, names, p = np.asarray(table, float), list(planted()), p_values()
    if given.shape != p.shape:
        return "shape", f"shape {given.shape}, expected {p.shape}"
    if not np.isin(given, (0.0, 1.0)).all():
        return "entries", "an entry that is neither 0 nor 1"
    wrong = np.argwhere(given != (p < _CLEAR))
    words = "; ".join(
        f"{TESTS[j]} {'objects to' if p[i, j] < _CLEAR else 'passes'} {names[i]!r}, "
        f"p = {p[i, j]:.1g}"
        for i, j in wrong[:2]
    )
    words = f"{len(wrong)} of {p.size} entries are wrong: {words}"
    if not wrong.size:
        return "", f"all {p.size} entries are right"
    rows = set(wrong[:, 0])
    if given.all() or not given.any():
        return "all-the-same", words
    if 0 in rows:
        return "exact-is-flagged", words
    if given[4, 0]:
        return "prior-is-caught-by-sbc", words
    if 4 in rows:
        return "prior-passes", words
    return "wrong-law-passes", words


def _but(row, *values):
    return lambda: who_flags_what().at[row].set(jnp.asarray(values))


WHO_FLAGS_WHAT = Exercise(
    title="Which test sees which failure?",
    asks="who_flags_what is a table (5, 3) of 0 and 1. Rows: exact draws; draws with "
    "half of the deviation; draws moved by 0.9 deviations; modes equally likely; "
    "draws of the prior. Columns: ranks (SBC), coverage of regions of highest "
    f"density, TARP. 1 where the test objects (p < {_CLEAR:g} with {_PAIRS} pairs).",
    truth=_judged,
    slips={
        "prior-is-caught-by-sbc": (
            _but(4, 1.0, 1.0, 1.0),
            "averaged over y, draws of the prior have the ranks of the prior: SBC "
            "checks the data-averaged law and cannot see that y was ignored.",
        ),
        "prior-passes": (
            _but(4, 0.0, 0.0, 0.0),
            "coverage and TARP are asked at one y after another, with regions and "
            "references that depend on y.",
        ),
        "exact-is-flagged": (
            _but(0, 1.0, 1.0, 1.0),
            "exact draws give uniform levels: p is uniform too, and below 1e-6 once "
            "in a million.",
        ),
        "wrong-law-passes": (
            _but(1, 0.0, 1.0, 1.0),
            "among draws that are too narrow the truth is outermost too often; it is "
            "on one side of shifted ones, and too often in the light mode if all are "
            "likely.",
        ),
        "all-the-same": (
            lambda: jnp.zeros((5, 3)),
            "then there would be no use in calibration: begin with the row of exact "
            "draws.",
        ),
        "entries": (
            lambda: 0.5 * who_flags_what(),
            "1 where the test objects, 0 where it passes.",
        ),
        "shape": (
            lambda: who_flags_what().T,
            "a row for each sampler, a column for each test.",
        ),
    },
    solution=who_flags_what,
    kind="witness",
    hints=(
        "If the draws are too narrow, where does the truth fall among them?",
        "Ranks compare the truth with the draws and never look at y.",
        "Averaged over y, draws of the posterior have the law of the prior.",
    ),
    notice=lambda: _notice_flags(),
)


def _notice_flags():
    found = p_values()
    return (
        f"draws of the prior pass SBC with p = {found[4, 0]:.2f}, and coverage has p "
        f"= {found[4, 1]:.0e}. A test that never looks at y cannot see that a sampler "
        "does not either."
    )
