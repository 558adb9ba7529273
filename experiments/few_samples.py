"""Intervals of 95 % from few samples that count: effective sizes 3, 5, 10 and 100.

Samples of one mixture in the plane are measured against another, a thousand times over:
so many of equal weight; sixty or two hundred with log-normal weights that do not depend on
them; and as many of a wider law, weighted by the ratio of the densities. The effective
size is then that on average. Asked is what share of the intervals hold the truth, or the
mean at this size of what is biased for few samples, as all distances of Wasserstein and of
Kolmogorov are. No share may be below .9; for few most are above .95, as a standard error
that is known badly makes intervals wide. Lowest are masses of modes, .91 of five equal
weights: values that are nearly 0 or 1 may all be alike, and then seem to be known well.
Where a set of samples has no error (two or fewer effective samples, three for what averages
over pairs), there is no interval, and it does not count: the share that has one is in the
table.

Ratios of densities are bounded here. Weights that have a heavier tail than was seen, as of
a law that is narrower than what it stands for, make every such interval wrong, and no
number of samples says so: of the tail that can be seen, the estimators warn.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

REPETITIONS, BATCH, MANY = 1000, 100, 8000
COUNTED = 100  # intervals of which a share is taken, at least
SIZES = (3, 5, 10, 100)
D = gt.divergences
MEANS = jnp.asarray([[0.0, 1.0], [1.5, -0.5]])
AXIS = jnp.asarray([0.8, -0.6])
P = gt.GaussianMixture.isotropic([0.3, 0.7], MEANS, 0.5)
LAW = gt.GaussianMixture.isotropic([0.6, 0.4], MEANS + 0.7 * AXIS[None], 0.5)
LINE_P = P.affine(AXIS[None])
# By effective size: how many samples, and the spread of log-weights or of the wider law.
WEIGHTS = {
    "equal": {size: (size, 0.0) for size in SIZES},
    "log-normal": {3: (60, 4.0), 5: (60, 2.7), 10: (60, 1.8), 100: (200, 0.85)},
    "ratios": {3: (60, 6.2), 5: (60, 4.5), 10: (60, 2.9), 100: (200, 1.3)},
}


def line(metric, **options):
    return lambda key, x, **kw: metric(x @ AXIS[:, None], LINE_P, **options, **kw)


def plane(metric, **options):
    return lambda key, x, **kw: metric(x, P, **options, **kw)


def entry(metric, pick):
    def picked(key, x, **kw):
        found = metric(x, P, **kw)
        return getattr(found, "weights", found)[pick]

    return picked


def sliced(key, x, **kw):
    return D.sliced_wasserstein(key, x, P, directions=40, rooted=False, **kw)


def largest(key, x, **kw):
    return D.max_sliced_wasserstein(key, x, P, starts=10, steps=10, **kw).distance


UNBIASED = {
    "mean_error[0]": entry(D.mean_error, 0),
    "covariance_error[0, 1]": entry(D.covariance_error, (0, 1)),
    "covariance_error[0, 0]": entry(D.covariance_error, (0, 0)),
    "mode_weights[0]": entry(D.mode_weights, 0),
    "mmd_squared": plane(D.mmd_squared),
    "energy_distance": plane(D.energy_distance),
    "kernel_stein_discrepancy": plane(D.kernel_stein_discrepancy),
    "cramer_von_mises": line(D.cramer_von_mises),
}
BIASED = {
    "kolmogorov": line(D.kolmogorov),
    "line W1": line(D.line_wasserstein, p=1),
    "line W2^2": line(D.line_wasserstein, rooted=False),
    "sliced W2^2": sliced,
    "max-sliced W2": largest,
}
ESTIMATORS = UNBIASED | BIASED


@gt.experiment(
    grid={"estimator": ESTIMATORS, "weights": WEIGHTS, "repetitions": [REPETITIONS]}
)
def coverage(key, estimator, weights, repetitions):
    """Share of intervals that hold what they should, by effective size."""
    function, found = ESTIMATORS[estimator], {}
    key_truth, key = jax.random.split(key)
    truth = None
    if estimator in UNBIASED:
        truth = float(function(key_truth, LAW.sample(key_truth, MANY)).value)
    for size, (count, spread) in WEIGHTS[weights].items():
        case = partial(repeat, function, weights, count)
        run = jax.jit(jax.vmap(case, in_axes=(None, 0)))
        keys = jax.random.split(jax.random.fold_in(key, size), (repetitions,))
        batches = [
            run(spread, some) for some in jnp.split(keys, max(1, repetitions // BATCH))
        ]
        parts = (np.concatenate(part) for part in zip(*batches, strict=True))
        found |= {f"{name}, {size}": x for name, x in judged(*parts, truth).items()}
    return found


def repeat(function, weights, count, spread, key):
    """Value, error, interval and effective size of one set of samples."""
    key_samples, key_weights, key_metric = jax.random.split(key, 3)
    law = LAW.noised(1.0, spread) if weights == "ratios" else LAW
    x, options = law.sample(key_samples, count), {}
    log_weights = jnp.zeros(count)
    if weights == "log-normal":
        log_weights = spread * jax.random.normal(key_weights, (count,))
    if weights == "ratios":
        log_weights = jax.vmap(lambda x: LAW.log_prob(x) - law.log_prob(x))(x)
    if weights != "equal":
        options = {"log_weights": log_weights}
    found = function(key_metric, x, **options)
    effective = 1.0 / jnp.sum(jax.nn.softmax(log_weights) ** 2)
    return found.value, found.stderr, *found.interval(), effective


def judged(values, errors, low, high, effective, truth):
    """What is in the table of one effective size."""
    aim = values.mean() if truth is None else truth
    known = np.isfinite(errors)
    covered = ((low <= aim) & (aim <= high))[known]
    return {
        "effective": gt.Estimate.mean_of(effective),
        "with an error": float(known.mean()),
        "zero errors": float((errors == 0).sum()),
        "covered": float(covered.mean()) if known.sum() >= COUNTED else float("nan"),
    }


def claims(store):
    """The least share of all estimators, by weights and size; and errors of zero."""
    wide = store.wide(coverage)
    least = {
        f"{weights}, {size}: least covered": rows[f"covered, {size}"].min()
        for weights, rows in wide.groupby("weights", sort=False)
        for size in SIZES
    }
    zeros = sum(wide[f"zero errors, {size}"].sum() for size in SIZES)
    return {name: float(value) for name, value in least.items()} | {
        "errors of zero": float(zeros)
    }


def tables(store):
    """A row an estimator and kind of weights."""
    wide = store.wide(coverage).reset_index()
    rows = [
        {"estimator": row["estimator"], "weights": row["weights"]}
        | {
            f"{name}, {size}": row[f"{name}, {size}"]
            for size in SIZES
            for name in ("covered", "with an error")
        }
        for _, row in wide.iterrows()
    ]
    return {"Intervals of 95 %, by effective size": rows}
