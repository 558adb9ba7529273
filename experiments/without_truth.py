"""What can be seen without a truth: diagnostics of a sampler by its denoiser alone.

`gt.diagnostics.without_truth` uses a denoiser, a measurement and y, and no prior or
posterior. Here, on four modes of a line, two of which y allows, the posterior is known,
and so is what is wrong: guided samplers that are exact, or whose field is that of a
posterior that was changed in one way (too narrow or too wide, weights of the modes, a mode
that is missing, y ignored), and a sampler that is exact for a denoiser of the wrong prior.
Each is judged many times with fresh keys: the share of alarms of every diagnostic at the
level .05 is how often it cries wolf for the exact sampler, and how often it sees each
failure. The bound on the divergence stands beside the true one, by quadrature of the law,
and log p(y) beside its closed form.

The kernel is DDPM with the matched variance, of order 2 on the line, so that the exact
sampler and the chain of the model err little by their steps.
"""

import functools
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

LEVEL, STEPS, NUM, PAIRS, DRAWS = 0.05, 50, 1000, 200, 19
REPEATS = {"exact": 160}
OFTEN = 10  # of every failure
FAILURES = (
    "exact",
    "spread halved",
    "spread doubled",
    "weights swapped",
    "mode missing",
    "y ignored",
    "score wrong",
    "score wrong, with data",
)
TESTS = (
    "ranks",
    "balls",
    "misfit",
    "weighted model",
    "own weights",
    "evidence",
    "agreement",
)

NUMBERS = "kl", "bound", "by paths alone", "effective", "log evidence"


class Planted(gt.approximations.AbstractApproximation):
    """The exact field of a posterior on the line that was changed in one way.

    Attributes:
        scale: () times the standard deviations of the components.
        tilt: (K,) added to the log-weights before they are normalised.
        blind: () 1 for the prior in the posterior's place.
    """

    scale: jax.Array = eqx.field(converter=jnp.asarray)
    tilt: jax.Array = eqx.field(converter=jnp.asarray)
    blind: jax.Array = eqx.field(converter=jnp.asarray)
    facts: ClassVar[gt.Facts] = gt.Facts(
        summary="the exact field of a changed posterior", reference="none"
    )

    def law(self, target):
        """The mixture of x0."""

        def chosen(part):
            exact = target.posterior(jnp.zeros(()))
            found, prior = part(exact), part(target.problem.prior)
            return jnp.where(self.blind > 0, prior, found)

        log_weights = chosen(lambda law: law.log_weights) + self.tilt
        variances = chosen(lambda law: law.covariances()[:, 0, 0])
        return gt.GaussianMixture.isotropic(
            jax.nn.softmax(log_weights),
            chosen(lambda law: law.means),
            self.scale**2 * variances,
        )

    def posterior_mean(self, target, x, t):
        path = target.path
        return self.law(target).denoised_mean(x, path.alpha(t), path.sigma(t))

    def guidance(self, target, x, t):
        mean = target.denoise(x, t).mean
        return target.gain(t) * (self.posterior_mean(target, x, t) - mean)

    def covariance(self, target, x, t):
        path = target.path
        return self.law(target).denoised(x, path.alpha(t), path.sigma(t)).covariance()


PLANTED = {
    "spread halved": {"scale": 0.5},
    "spread doubled": {"scale": 2.0},
    "weights swapped": {"tilt": [0.0, 0.62, -0.62, 0.0]},
    "mode missing": {"tilt": [0.0, -60.0, 0.0, 0.0]},
    "y ignored": {"blind": 1.0},
}


@functools.cache
def targets():
    """The truth, and the problem of a prior whose modes are half as wide: a wrong score."""
    means = [[-3.0], [-0.8], [0.9], [3.2]]
    variances = np.asarray([0.05, 0.04, 0.09, 0.06])
    found = []
    for factor in (1.0, 0.25):
        prior = gt.GaussianMixture.isotropic(
            [0.15, 0.25, 0.4, 0.2], means, factor * variances
        )
        problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 0.5), [0.1])
        found.append(gt.Target(problem, gt.VP()))
    return found


def sampler(failure):
    none = {"scale": 1.0, "tilt": [0.0] * 4, "blind": 0.0}
    given = none | PLANTED.get(failure, {})
    field = Planted(*(jnp.asarray(value) for value in given.values()))
    return gt.Guided(field, gt.kernels.DDPM("matched"))


@gt.experiment(grid={"failure": FAILURES})
def diagnosed(key, failure):
    """Shares of alarms, and numbers beside their truth."""
    true, wrong = targets()
    target = wrong if failure.startswith("score wrong") else true
    times = gt.time_grid(target.path, STEPS, t_min=gt.problems.T_MIN)
    repeats = REPEATS.get(failure, OFTEN)
    found = [
        once(jax.random.fold_in(key, i), failure, target, times) for i in range(repeats)
    ]
    metrics = {
        f"alarms of {name}": share([one.about(name).status for one in found])
        for name in TESTS
    }
    weights = [one.weights for one in found]
    metrics |= {
        "bound": mean([float(one.bound.value) for one in found]),
        "by paths alone": mean([float(w.divergence.value) for w in weights]),
        "effective": mean([float(w.effective) / NUM for w in weights]),
        "log evidence": mean([float(w.log_evidence.value) for w in weights]),
    }
    law = gt.laws.grid(sampler(failure), target, times)
    exact = true.posterior(times[-1])
    metrics["kl"] = gt.Estimate(law.kl(exact), how="quadrature")
    p = {n: np.asarray([one.about(n).p_value for one in found]) for n in TESTS}
    return gt.sweep.Found(metrics, {n.replace(" ", "_"): v for n, v in p.items()})


def once(key, failure, target, times):
    """One diagnosis; the sampler that should agree is exact."""
    data = None
    if failure == "score wrong, with data":
        prior = targets()[0].problem.prior
        data = prior.sample(jax.random.fold_in(key, 1), PAIRS)
    return gt.diagnostics.without_truth(
        key,
        sampler(failure),
        target,
        times,
        NUM,
        num_pairs=PAIRS,
        num_draws=DRAWS,
        other=sampler("exact"),
        data=data,
        level=LEVEL,
    )


def share(status):
    """Of alarms, with the error of Laplace's rule; NaN where none could tell."""
    told = [one for one in status if one != "unknown"]
    if not told:
        return gt.Estimate(np.nan, np.nan, "no case could tell")
    rate = (told.count("failed") + 1) / (len(told) + 2)
    error = np.sqrt(rate * (1 - rate) / len(told))
    return gt.Estimate(told.count("failed") / len(told), error, f"{len(told)} cases")


def mean(values):
    return gt.Estimate.mean_of(jnp.asarray(values), how=f"{len(values)} cases")


def claims(store):
    """False alarms, the power of every test, and the bound beside the truth."""
    rows = store.wide(diagnosed)
    found = {}
    for failure in FAILURES:
        row = rows.loc[failure]
        for name in TESTS:
            value = float(row[f"alarms of {name}"])
            if np.isfinite(value):
                found[f"{failure}: alarms of {name}"] = value
        found[f"{failure}: KL of the output"] = float(row["kl"])
        if float(row["effective"]) > 0.05:
            found[f"{failure}: bound on it"] = float(row["bound"])
            found[f"{failure}: by paths alone"] = float(row["by paths alone"])
            found[f"{failure}: log p(y)"] = float(row["log evidence"])
    return found


def tables(store):
    """Who sees what."""
    rows = store.wide(diagnosed)
    return {
        f"Share of alarms at level {LEVEL:g}": [
            {"failure": failure}
            | {name: float(rows.loc[failure][f"alarms of {name}"]) for name in TESTS}
            for failure in FAILURES
        ],
        "Numbers beside their truth": [
            {"failure": failure}
            | {name: float(rows.loc[failure][name]) for name in NUMBERS}
            for failure in FAILURES
        ],
    }


def figures(store):
    """Shares of alarms as a matrix."""
    return {"without_truth": matrix(store.wide(diagnosed))}


@gt.plotting.styled
def matrix(rows):
    """Failures by tests."""
    drawn = gt.plotting.figure(gt.plotting.FULL_WIDTH, 3.2)
    axes = drawn.subplots()
    values = np.asarray(
        [[float(rows.loc[f][f"alarms of {n}"]) for n in TESTS] for f in FAILURES]
    )
    axes.imshow(values, cmap="YlOrRd", vmin=0.0, vmax=1.0, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        text = f"{value:.2f}" if np.isfinite(value) else "?"
        colour = "white" if value > 0.7 else "black"
        axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(len(TESTS)), TESTS, rotation=20, ha="right")
    axes.set_yticks(range(len(FAILURES)), FAILURES)
    axes.set_title(f"Share of alarms at level {LEVEL:g}; ?: cannot tell")
    return drawn
