"""Silent failures: what the usual metrics cannot see and a divergence can.

Samples of the posterior are made to fail in a known way (a mode dropped, two weights
swapped, all modes merged into one Gaussian, the spread halved or doubled in directions that
the data do not see, a tenth of the samples hallucinated, liked by the prior or by the
data), and methods fail in theirs. Each metric of practice is compared with its own values
on exact samples of the same number: z is how many of their standard deviations away it is.
With |z| < 4 the metric cannot tell one set of 200 samples from an exact one. A failure
counts if anything here sees it. For one made on purpose that includes the likelihood ratio
of the two densities, the best that any test can do (Neyman and Pearson). For a method it
includes sliced W2 to the exact posterior, which itself is blind to thin failures.

Beside z stands the true divergence. KL(law || posterior) of a failure made on purpose is
the mean of a log-ratio of two known densities; that of a method is had by quadrature of
its law, on the line and in the plane, but for ZetaDPS in the plane, whose field jumps where
the single residual vanishes. Sliced W2 is of 1600 samples, with its error, and its floor is
that of 1600 exact ones. Metrics are defined in `gmm_testbed.diagnostics`; images are
compared by pixels, not features. FID of practice is the Fréchet distance to the prior;
that to the posterior, and sliced W2, take the exact posterior, which in practice nobody
has.
"""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import gmm_testbed as gt

PROBLEMS = (
    "two-modes",
    "plane-modes",
    "ten",
    "digits-inpainting",
    "digits-superresolution",
)
MADE = (
    "mode dropped",
    "weights swapped",
    "modes merged",
    "spread halved",
    "spread doubled",
    "liked by the prior",
    "liked by the data",
)
METHODS = {
    "DPS": gt.approximations.DPS(),
    "ZetaDPS": gt.approximations.ZetaDPS(5.0),
    "PiGDM": gt.approximations.PiGDM(),
    "TMPD": gt.approximations.TMPD(),
}
METRICS = {
    "psnr": "PSNR of samples",
    "psnr_of_mean": "PSNR of mean",
    "residual": "residual $\\chi^2$",
    "log_prior": "log prior",
    "variance": "variance",
    "frechet_prior": "Fréchet to prior",
    "frechet_posterior": "Fréchet to posterior",
}
COLUMNS = {"sliced_w2": "sliced $W_2$", "likelihood_ratio": "likelihood ratio"}
SLICED, RATIO = "sliced_w2", "likelihood_ratio"
EXACT = "exact samples"
TRUE, DIRECTIONS = "sliced_w2_of_many", 128
NUM, STEPS, LINE = 200, 100, 4.0
EXACT_SETS, SETS = 96, 24
SETS_OF_IMAGES = 8  # of methods, which are slow there
MANY = NUM * SETS_OF_IMAGES
SHARE, AWAY, KEPT = 0.1, 6.0, 1e-7
SHOWN, PICTURES = "digits-inpainting", 8


class Case(NamedTuple):
    target: gt.Target
    prior: gt.GaussianMixture  # at the last time, as all laws here
    posterior: gt.GaussianMixture
    light: gt.GaussianMixture  # without components of weight below KEPT
    truth: jax.Array


@functools.cache
def case_of(name):
    """A problem, what is exact of it, and the x that was measured."""
    target = gt.problems.get(name)
    t = jnp.asarray(gt.problems.T_MIN)
    posterior = target.posterior(t)
    weights = np.exp(np.asarray(posterior.log_weights))
    kept = np.flatnonzero(weights > KEPT)
    light = gt.GaussianMixture.full(
        weights[kept] / weights[kept].sum(),
        posterior.means[kept],
        posterior.covariances()[kept],
    )
    if name.startswith("digits-"):
        digit = gt.problems.TASKS[name.removeprefix("digits-")][1]
        truth = jnp.asarray(gt.problems.digit_images()[digit])
    else:  # x given y is a draw of the posterior
        truth = target.problem.posterior().sample(jax.random.key(5), 1)[0]
    return Case(target, target.marginal(t), posterior, light, truth)


def distance(x, law):
    """Sliced W2, along the same directions for everything."""
    found = gt.divergences.sliced_wasserstein
    return found(jax.random.key(0), x, law, directions=DIRECTIONS)


@functools.cache
def floor_of(name):
    """What `distance` gives for exact samples."""
    light = case_of(name).light
    return float(distance(light.sample(jax.random.key(1), MANY), light).value)


@gt.experiment(grid={"problem": PROBLEMS, "failure": (EXACT, *MADE, *METHODS)})
def failures(key, problem, failure):
    """Every metric on sets of samples of one law."""
    case = case_of(problem)
    count = EXACT_SETS if failure == EXACT else SETS
    if failure in METHODS and problem.startswith("digits-"):
        count = SETS_OF_IMAGES
    metrics = {}
    if failure in METHODS:
        sampler = gt.Guided(METHODS[failure], gt.kernels.DDPM())
        times = gt.time_grid(case.target.path, STEPS, t_min=gt.problems.T_MIN)
        x = gt.sample(key, sampler, case.target, times, count * NUM).x
        metrics |= computed(sampler, case, times)
    else:
        law = made(failure, case)
        x = law.sample(key, count * NUM)
        if failure != EXACT:
            metrics |= known(key, law, case.posterior)
    many = distance(x[:MANY], case.light)
    metrics[TRUE] = gt.sweep.Measured(many, floor_of(problem))
    found = [measured(one, *case[1:], case.target.problem) for one in split(x, count)]
    values = {
        name: np.asarray([float(one[name]) for one in found]) for name in found[0]
    }
    metrics |= {
        name: gt.Estimate.mean_of(jnp.asarray(each), how=f"{count} sets of {NUM}")
        for name, each in values.items()
    }
    return gt.sweep.Found(
        metrics, values | {"pictures": np.asarray(x[:PICTURES], np.float32)}
    )


def computed(sampler, case, times):
    """KL(law || posterior), exact, where the law can be computed."""
    if case.truth.shape[0] > 2:
        return {}
    try:
        law = gt.laws.grid(sampler, case.target, times)
    except gt.UnsupportedError:  # a field that jumps, in the plane
        return {}
    return {"kl": gt.Estimate(law.kl(case.posterior), how="quadrature")}


def split(x, count):
    return x.reshape(count, -1, x.shape[1])


def made(failure, case):
    """The law of a failure made on purpose."""
    law, make = case.light, gt.diagnostics.deliberate
    measurement = case.target.problem.measurement
    if failure == EXACT:
        return law
    if failure == "mode dropped":
        return make.one_mode_dropped(law)
    if failure == "weights swapped":
        return make.weights_swapped(law)
    if failure == "modes merged":
        return make.modes_merged(law)
    if failure == "liked by the prior":
        ruled_out = make.from_the_prior(case.posterior, case.prior)
        return make.blend(law, ruled_out, SHARE)
    unseen = make.unseen(measurement)
    if failure == "liked by the data":
        return make.blend(law, make.from_the_data(law, unseen, AWAY), SHARE)
    factor = {"spread halved": 0.5, "spread doubled": 2.0}[failure]
    return make.spread_scaled(law, unseen, factor)


def known(key, law, posterior):
    """KL(law || posterior), and z of the mean log-ratio of the two densities."""
    draws = [
        one.sample(jax.random.fold_in(key, i), EXACT_SETS * NUM)
        for i, one in enumerate((law, posterior), 1)
    ]
    ours, exact = (log_ratios(x, law, posterior) for x in draws)
    sets = [jnp.mean(r.reshape(EXACT_SETS, NUM), axis=1) for r in (ours, exact)]
    return {
        "kl": gt.Estimate.mean_of(ours),
        RATIO: gt.diagnostics.separation(*sets),
    }


@eqx.filter_jit
def log_ratios(x, law, posterior):
    return jax.vmap(lambda x: law.log_prob(x) - posterior.log_prob(x))(x)


@eqx.filter_jit
def measured(x, prior, posterior, light, truth, problem):
    """All metrics of one set of samples."""
    seen, directions = gt.diagnostics, jax.random.key(0)
    return {
        "psnr": seen.psnr(x, truth).value,
        "psnr_of_mean": seen.psnr_of_mean(x, truth).value,
        "residual": seen.residual_chi2(x, problem).value,
        "log_prior": seen.log_density(x, prior).value,
        "variance": seen.coordinate_variance(x).value,
        "frechet_prior": seen.frechet(x, prior),
        "frechet_posterior": seen.frechet(x, light),
        SLICED: gt.divergences.sliced_wasserstein(
            directions, x, light, directions=DIRECTIONS, rooted=False
        ).value,
    }


class Results(NamedTuple):
    """What is stored, by problem and failure, and by metric where there are several."""

    z: dict  # estimates, of every metric, also the likelihood ratio
    kl: dict  # estimates, where it is known
    sliced: dict  # (estimate, floor)
    values: dict  # means over sets, as estimates


def results(store):
    """z by problem, failure and metric; the true divergences; the metrics themselves."""
    sets, found = {}, Results({}, {}, {}, {})
    # What has no values was skipped: the data see every direction of a line.
    for row in store.frame(failures).dropna(subset="metric").itertuples():
        place = row.problem, row.failure
        number = gt.Estimate(row.value, row.stderr)
        if row.metric == SLICED:
            sets[place] = store.arrays(row.digest)
        elif row.metric == RATIO:
            found.z[*place, RATIO] = number
        elif row.metric == "kl":
            found.kl[place] = number
        elif row.metric == TRUE:
            found.sliced[place] = number, row.floor
        else:
            found.values[*place, row.metric] = number
    for (problem, failure), values in sets.items():
        if failure != EXACT:
            exact = sets[problem, EXACT]
            for name in (*METRICS, SLICED):
                separation = gt.diagnostics.separation(values[name], exact[name])
                found.z[problem, failure, name] = separation
    return found


def to_be_seen(z):
    """Problems and failures that something tells from exact samples."""
    return list(
        dict.fromkeys(
            (problem, failure)
            for (problem, failure, _), found in z.items()
            if abs(float(found.value)) > LINE
        )
    )


def invisible(z, *names):
    """Those of `to_be_seen` that none of these metrics sees."""
    return [
        place
        for place in to_be_seen(z)
        if all(abs(float(z[*place, name].value)) < LINE for name in names)
    ]


def claims(store):
    """How many failures no one sees, the divergences, and values that theory gives."""
    z, kl, sliced, _ = results(store)
    found = {"failures to be seen": len(to_be_seen(z))}
    for name in (*METRICS, SLICED):
        found[f"of them invisible to {plain(name)}"] = len(invisible(z, name))
    hidden = invisible(z, "psnr", "residual")
    found["of them invisible to PSNR and chi-square"] = len(hidden)
    for problem, failure in kl:
        if failure in METHODS:
            found[f"{problem}, {failure}: KL"] = float(kl[problem, failure].value)
    for problem in PROBLEMS:
        for method in METHODS:
            if (problem, method) not in kl:
                w2 = float(sliced[problem, method][0].value)
                found[f"{problem}, {method}: sliced W2"] = w2
    for problem in ("ten", "digits-inpainting"):
        for failure in ("spread halved", "spread doubled", "modes merged"):
            place = problem, failure, "residual"
            found[f"{problem}, {failure}: z of chi-square"] = float(z[place].value)
        label = f"{problem}, mode dropped: KL"
        found[label] = float(kl[problem, "mode dropped"].value)
        place = problem, "modes merged", "psnr_of_mean"
        found[f"{problem}, modes merged: z of PSNR of mean"] = float(z[place].value)
        place = problem, "spread doubled", "variance"
        found[f"{problem}, spread doubled: z of variance"] = float(z[place].value)
        found[f"{problem}, DPS: z of PSNR"] = float(z[problem, "DPS", "psnr"].value)
    return found


def tables(store):
    """Over problems who is blind to what; per problem every z, and every value."""
    z, kl, sliced, values = results(store)
    blind, seen = [], to_be_seen(z)
    for failure in (*MADE, *METHODS):
        tried = len({p for p, f, _ in z if f == failure})
        row = {
            "failure": failure,
            "problems": tried,
            "to be seen": sum(place[1] == failure for place in seen),
        }
        for name in (*METRICS, SLICED):
            row[f"missed by {plain(name)}"] = sum(
                place[1] == failure for place in invisible(z, name)
            )
        blind.append(row)
    found = {"In how many problems each metric misses a failure": blind}
    for problem in PROBLEMS:
        rows, means = [], []
        for failure in (EXACT, *MADE, *METHODS):
            place = problem, failure
            if place not in sliced:
                continue
            w2, floor = sliced[place]
            true = {"failure": failure, **shown("KL", kl.get(place))}
            true |= {**shown("sliced W2", w2), "floor": rounded(floor)}
            of_metrics = {plain(n): z.get((*place, n)) for n in (*METRICS, *COLUMNS)}
            of_metrics = {
                f"z of {label}": "" if each is None else rounded(each.value)
                for label, each in of_metrics.items()
            }
            if failure != EXACT:
                rows.append(true | of_metrics)
            for name in METRICS:
                true |= shown(plain(name), values[*place, name])
            means.append(true)
        found[f"{problem}: true divergence, and z of every metric"] = rows
        found[f"{problem}: true divergence, and every metric, mean over sets"] = means
    return found


def shown(label, number):
    """Two columns: a number and its error, empty where it is not known or exact."""
    if number is None:
        return {label: "", f"{label} ±": ""}
    error = float(number.stderr)
    return {label: rounded(number.value, 4), f"{label} ±": rounded(error, 2) or ""}


def rounded(value, digits=3):
    return float(f"{float(value):.{digits}g}")


def plain(name):
    """The label of a metric without mathematics."""
    label = (METRICS | COLUMNS).get(name, name)
    return label.replace("$\\chi^2$", "chi-square").replace("$W_2$", "W2")


def figures(store):
    """z as a matrix for every problem, and what the failures look like."""
    found = results(store)
    return {
        "silent_failures": matrices(found),
        "silent_pictures": pictures(store, found.z),
    }


@gt.plotting.styled
def matrices(found):
    z, kl, sliced, _ = found
    drawn = gt.plotting.figure(gt.plotting.FULL_WIDTH, 8.4)
    drawn.suptitle(
        "True divergence, and z of every metric on 200 samples\n"
        "grey: |z| < 4, cannot tell them from exact ones; white: no value",
        fontsize=8.5,
    )
    labels = METRICS | COLUMNS
    panels = drawn.subplots(3, 2).ravel()
    for axes, problem in zip(panels, PROBLEMS, strict=False):
        rows = [f for f in (*MADE, *METHODS) if (problem, f, SLICED) in z]
        unknown = gt.Estimate(np.nan)
        values = np.asarray(
            [
                [float(z.get((problem, f, n), unknown).value) for n in labels]
                for f in rows
            ]
        )
        hidden = np.abs(values) < LINE
        shade = np.where(hidden, np.nan, np.clip(np.log10(np.abs(values)), 0.4, 2.5))
        axes.imshow(shade, cmap="YlOrRd", vmin=0.3, vmax=2.6, aspect="auto")
        blind = np.where(hidden, 0.88, np.nan)
        axes.imshow(blind, cmap="gray", vmin=0.0, vmax=1.0, aspect="auto")
        for i, j in np.argwhere(np.isfinite(values)):
            size = abs(values[i, j])
            text = f"{values[i, j]:.0f}" if size >= 9.95 else f"{values[i, j]:.1f}"
            text = text if size < 1000 else "> 999"
            colour = "white" if size > 60 else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=colour)
        axes.axvspan(-2.7, -0.5, color="white")
        for i, failure in enumerate(rows):
            w2, floor = sliced[problem, failure]
            nats = kl.get((problem, failure))
            nats = "" if nats is None else f"{float(nats.value):.2g}".lstrip("0")
            texts = nats, f"{float(w2.value) / floor:.3g}"
            for j, text in zip((-2.1, -1), texts, strict=True):
                axes.text(j, i, text, ha="center", va="center", fontsize=6)
        for edge in (-0.5, len(METRICS) - 0.5):
            axes.axvline(edge, color="black", linewidth=1.0)
        axes.set(title=problem, xlim=(-2.7, len(labels) - 0.5))
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(
            range(-2, len(labels)),
            ["KL (nats)", "$SW_2$ / floor", *labels.values()],
            rotation=40,
            ha="right",
            rotation_mode="anchor",
        )
        axes.tick_params(length=0)
    for axes in panels[len(PROBLEMS) :]:
        axes.axis("off")
    return drawn


@gt.plotting.styled
def pictures(store, z):
    """Samples of every law of one image problem, with what is usually printed of them."""
    cells = store.wide(failures).loc[SHOWN].dropna(subset="psnr")
    digests = store.wide(failures, "digest")["psnr"].loc[SHOWN]
    drawn = gt.plotting.figure(gt.plotting.FULL_WIDTH, 0.52 * len(cells) + 0.3)
    grid = drawn.subplots(len(cells), PICTURES, squeeze=False)
    for line, (name, row) in zip(grid, cells.iterrows(), strict=True):
        images = store.arrays(digests[name])["pictures"].reshape(-1, 8, 8)
        for axes, image in zip(line, images, strict=True):
            axes.imshow(image, cmap="gray_r", vmin=-1.0, vmax=1.0)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(True)
        text = f"{name}\nPSNR {row['psnr']:.1f} dB, $\\chi^2$ {row['residual']:.2f}"
        if name != EXACT:
            text += f"\nsliced $W_2$: z = {float(z[SHOWN, name, SLICED].value):.0f}"
        line[0].set_ylabel(text, rotation=0, ha="right", va="center", fontsize=7)
    return drawn
