r"""When a reverse diffusion chooses a mode, and when it falls into a training point.

Figures 2 and 3 of Biroli, Bonnaire, de Bortoli & Mezard (arXiv:2402.18491, Nat. Commun. 15,
9957), their published points beside exact values, for the mixture of N(m, I) and N(-m, I),
equally likely, m = (1, ..., 1) in dimension d, on dx = -x dt + sqrt(2) dB.

Speciation: phi(t) is the probability that two copies of a path that part at time t end in
one class. Given x_t the two are independent, so phi = E sum_k r_k(x_t)^2, r the
responsibilities: quadrature on the line, where they took 10,000 pairs. The 76 points
agree with it (sum of squares, p = 0.15), though of 76 that are not 1 five are 2.1 to
2.9 standard errors off; their Euler-Maruyama steps leave no trace. At t_S = log(d)/2, phi
is 0.775 in every dimension.

Collapse: with n = 20,000 training points the entropy H of the responsibilities of the
points at x_t, over log n. Exactly E H = log n - I(x_0; x_t) + E KL (T20), and for atoms of
Gaussians E H needs no vectors: given x_t, squared distances to the atoms are independent
noncentral chi-squared numbers. The paper draws max(0, 1 - (d/2) log(1 + snr) / log n),
without two terms that go as 1 / log n: the log 2 that x_t tells of the class, which lowers
the curve by 0.07, and the divergence, which lifts it near t_C. Their points are up to 38
of their own errors (as we read their file) from that curve, and within 2.5 of E H.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from scipy.special import expit, log_softmax, logsumexp
from scipy.stats import chi2, norm

import gmm_testbed as gt

DIMS, SIZES = (256, 1024, 4096, 16384), (256, 1024, 4096)
BRANCHES = tuple(0.5 * k for k in range(2, 21))
TIMES = tuple(8.0 * (1.0 - 0.98 * k / 20) for k in range(20))
PAIRS, POINTS = 10_000, 20_000
DRAWS = 400, 40  # where the entropy falls, and elsewhere
CLAIMED = {256: (15, 16, 17), 1024: (13, 14, 15), 4096: (11, 12, 13)}
FOLDER = Path(__file__).parent / "published"


def published(name):
    """Frame of the published points."""
    return pd.read_csv(FOLDER / f"biroli_{name}.csv", comment="#")


def along(dim):
    """The mixture along its means, at every time."""
    ends = np.sqrt(dim) * np.array([[1.0], [-1.0]])
    return gt.GaussianMixture.isotropic([0.5, 0.5], ends, 1.0)


def scales(t):
    """alpha and sigma of the Ornstein-Uhlenbeck process."""
    return np.exp(-t), np.sqrt(-np.expm1(-2.0 * t))


def shares(dim, t):
    """Responsibilities (n, 2) at nodes of the line, and the mass of these (n,)."""
    law = along(dim).noised(*map(jnp.asarray, scales(t)))
    end = float(jnp.max(law.means)) + 12.0
    x = jnp.linspace(-end, end, 20_001)[:, None]
    mass = jnp.exp(jax.vmap(law.log_prob)(x)) * (x[1, 0] - x[0, 0])
    return np.asarray(jax.vmap(law.responsibilities)(x)), np.asarray(mass)


def same_class(dim, t):
    """phi(t), the probability that two copies end in one class."""
    r, mass = shares(dim, t)
    return float(mass @ np.sum(r**2, axis=1))


def told_of_the_class(dim, t):
    """I(class; x_t) in nats."""
    r, mass = shares(dim, t)
    entropy = -np.sum(r * np.log(np.where(r > 0, r, 1.0)), axis=1)
    return float(np.log(2.0) - mass @ entropy)


def theory(dim, t):
    """The published curve, without its cut at 0."""
    alpha, sigma = scales(t)
    return 1.0 - 0.5 * dim * np.log1p((alpha / sigma) ** 2) / np.log(POINTS)


@gt.experiment(grid={"d": DIMS})
def speciation(key, d):
    """phi where paths part at the published times, and at t_S."""
    values = {f"phi, t = {t:g}": same_class(d, t) for t in BRANCHES}
    values["phi at t_S"] = same_class(d, 0.5 * np.log(d))
    return {name: gt.Estimate(v, how="quadrature") for name, v in values.items()}


@gt.experiment(grid={"d": SIZES, "k": range(len(TIMES))})
def collapse(key, d, k):
    """E H / log n at a time, and what T20 says of it."""
    t = TIMES[k]
    told, size = told_of_the_class(d, t), np.log(POINTS)
    lower = theory(d, t) - told / size
    draws = DRAWS[0] if -0.5 < lower < 0.97 else DRAWS[1]
    entropy, information = entropies(key, d, t, draws)
    off = information - (size * (1.0 - lower))  # of mean 0, and all but parallel to H
    slope = (off @ (entropy - entropy.mean())) / (off @ (off - off.mean()))
    values = jnp.asarray((entropy - slope * off) / size)
    return {
        "entropy": gt.Estimate.mean_of(values),
        "log n - I": gt.Estimate(lower, how="quadrature"),
    }


def entropies(key, dim, t, draws):
    """Entropy of the responsibilities of n atoms at a noised one, in nats.

    The noised atom is split along m, along the noise across m, and the rest; what other
    atoms are across m is rotated freely, so that only its distance is drawn.

    Returns:
        The entropies (draws,), and the logarithms of p(x_t | x_0) / p_t(x_t), whose mean
        is the information.
    """
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    (alpha, sigma), end, found = scales(t), np.sqrt(dim), np.empty((2, draws))
    variance = alpha**2 + sigma**2
    for i in range(draws):
        own, noise, beside = rng.normal(size=3)
        across, rest = rng.chisquare([dim - 1, dim - 2])
        u = alpha * (end + own) + sigma * noise
        square = (alpha * beside + sigma * np.sqrt(across)) ** 2 + alpha**2 * rest
        sign = rng.choice([-1.0, 1.0], POINTS - 1)
        gaps = alpha * (end * sign + rng.normal(size=POINTS - 1)) - u
        beyond = rng.noncentral_chisquare(dim - 1, square / alpha**2, POINTS - 1)
        first = sigma**2 * (noise**2 + across)
        distances = np.concatenate([[first], gaps**2 + alpha**2 * beyond])
        logs = log_softmax(-0.5 * distances / sigma**2)
        both = -0.5 * (u - alpha * end * np.array([1.0, -1.0])) ** 2 / variance
        marginal = logsumexp(both) - np.log(2.0) - 0.5 * square / variance
        scaled = 0.5 * dim * np.log(variance / sigma**2)
        found[:, i] = (
            -np.exp(logs) @ logs,
            scaled - 0.5 * first / sigma**2 - marginal,
        )
    return found


def pairs(store):
    """Published and exact phi, and the distance in standard errors of 10,000 pairs."""
    found, exact = published("speciation"), store.wide(speciation)
    names = [f"phi, t = {t:g}" for t in found["t"]]
    found["exact"] = [
        exact.at[d, name] for d, name in zip(found["d"], names, strict=True)
    ]
    rare = np.minimum(
        found["exact"] * PAIRS, np.maximum(1.0 - found["exact"], 0) * PAIRS
    )
    error = np.sqrt(rare * np.maximum(found["exact"], 1.0 - found["exact"])) / PAIRS
    found["z"] = (found["published_phi"] - found["exact"]) / np.maximum(error, 1e-12)
    found.loc[error < 1e-4, "z"] = np.nan  # all pairs, or all but one, in one class
    return found


def points(store):
    """Published entropies beside ours and the published theory."""
    found = published("collapse").rename(columns={"row_4_to_6": "published_error"})
    frame = store.frame(collapse)
    ours = frame[frame["metric"] == "entropy"].set_index(["d", "k"])
    lower = store.wide(collapse)["log n - I"]
    found["k"] = found.groupby("N").cumcount()
    place = pd.MultiIndex.from_frame(found[["N", "k"]])
    found["entropy"] = ours["value"].reindex(place).to_numpy()
    found["error"] = ours["stderr"].reindex(place).to_numpy()
    found["lower"] = np.maximum(lower.reindex(place).to_numpy(), 0.0)
    return found


def claims(store):
    """Agreement of the published points, and the entropy by time."""
    both, far = pairs(store), points(store)
    seen = both["z"].dropna()
    found = {f"d = {d}: phi at t_S": v for d, v in at_speciation(store).items()}
    found["phi: largest |z| of the published points"] = seen.abs().max()
    found["phi: p of their sum of squares"] = chi2.sf((seen**2).sum(), len(seen))
    for d, t in ((256, 2.5), (1024, 3.0), (4096, 4.0), (16384, 5.0)):
        row = both[(both["d"] == d) & (both["t"] == t)].iloc[0]
        found[f"d = {d}, t = {t:g}: phi"] = row["exact"]
    for name in ("entropy", "theory"):
        gap = far["published_f_over_alpha"] - far[name]
        error = np.hypot(far["published_error"], far["error"] * (name == "entropy"))
        found[f"{name}: largest distance of the published points"] = gap.abs().max()
        found[f"{name}: largest |z| of the published points"] = (
            (gap / error).abs().max()
        )
    below = far["entropy"] < far["lower"] - 4.5 * far["error"]
    found["entropies below log n - I"] = below.sum()
    for size, steps in CLAIMED.items():
        part = far[far["N"] == size].set_index("k")
        for k in steps:
            place = f"d = {size}, t = {TIMES[k]:.4g}"
            found[f"{place}: entropy"] = part.at[k, "entropy"]
            found[f"{place}: (log n - I) / log n"] = part.at[k, "lower"]
    return found


def at_speciation(store):
    """phi(t_S) by dimension."""
    return store.wide(speciation)["phi at t_S"].to_dict()


def tables(store):
    """Every published point beside the exact value."""
    left = pairs(store)[["d", "t", "published_phi", "exact", "z"]]
    columns = [
        "N",
        "t",
        "published_f_over_alpha",
        "published_error",
        "entropy",
        "error",
    ]
    right = points(store)[[*columns, "lower", "theory"]]
    return {
        "Speciation: probability of one class": left.to_dict("records"),
        "Collapse: entropy over log n": right.to_dict("records"),
    }


def figures(store):
    """Both figures, with the published points."""
    return {"speciation_collapse": draw(pairs(store), points(store))}


@gt.plotting.styled
def draw(both, far):
    figure = gt.plotting.figure(height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.1, 0.8, 1.2))
    blues = [gt.plotting.colour(name) for name in ("DPS", "PiGDM", "TMPD", "DiffPIR")]
    t = np.linspace(0.5, 10.0, 191)
    for dim, colour in zip(DIMS, blues, strict=True):
        part = both[both["d"] == dim]
        left.plot(t, [curve(dim, each) for each in t], color=colour)
        label = f"$d = {dim}$"
        left.plot(
            part["t"], part["published_phi"], "o", ms=3, color=colour, label=label
        )
        middle.plot(part["t"], part["z"], "o", ms=3, color=colour)
    left.axhline(curve(DIMS[-1], 0.5 * np.log(DIMS[-1])), color="0.6", lw=0.8, ls=":")
    left.set(
        xlabel="time $t$", ylabel=r"$\phi(t)$", title="one class; points: published"
    )
    left.legend(loc="upper right", fontsize=6)
    middle.axhspan(-2.0, 2.0, color="0.92", lw=0)
    middle.axhline(0.0, color="0.6", lw=0.8)
    middle.set(xlabel="time $t$", ylim=(-4.0, 4.0), title="published less exact")
    middle.set_ylabel("standard errors")
    for dim, colour in zip(SIZES, blues, strict=False):
        part = far[far["N"] == dim]
        line = np.linspace(0.1, 6.0, 300)
        values = np.maximum(theory(dim, line), 0.0)
        right.plot(line, values, ls="--", lw=0.9, color=colour)
        right.plot(part["t"], part["entropy"], color=colour)
        given = part["t"], part["published_f_over_alpha"]
        right.plot(*given, "o", ms=3, color=colour, label=f"$d = {dim}$")
    right.set(xlim=(0.0, 6.0), xlabel="time $t$", ylabel=r"$E\,H / \log n$")
    right.set_title("collapse; dashed: theory")
    right.legend(loc="lower right", fontsize=6)
    return figure


def curve(dim, t):
    """phi(t) by NumPy, for a line in the figure."""
    alpha, sigma = scales(t)
    end, spread = np.sqrt(dim) * alpha, np.hypot(alpha, sigma)
    x = np.linspace(-end - 10.0, end + 10.0, 2001)
    mass = 0.5 * (norm.pdf(x, end, spread) + norm.pdf(x, -end, spread))
    share = expit(2.0 * x * end / spread**2)
    return np.sum(mass * (share**2 + (1.0 - share) ** 2)) * (x[1] - x[0])
