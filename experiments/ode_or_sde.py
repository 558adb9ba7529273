r"""ODE or SDE? What a wrong score costs, against the noise of the sampler.

Cao, Chen, Luo & Zhou (arXiv:2306.02063): all reverse SDEs with h times the usual noise have
the right law if the score is right. If it is \(1 + \varepsilon E\) times the right one,
\(KL(p_0 \| q) \approx L(h)\,\varepsilon^2\). For \(N(0, s_0^2)\) along VP, with the clock
\(\ell = \log(1 + (e^T - 1)/s_0^2)\) and E = 1, exactly (the variance of q relative to the
right one obeys a linear equation in \(\ell\))

\[ L(h) = \tfrac14 (1 + h^{-2})^2 \big(1 - e^{-h^2 \ell}\big)^2 , \qquad
   L(0) = \tfrac14 \ell^2 , \qquad L(\infty) = \tfrac14 . \]

- The laws of the sampler agree with it. At the largest noise, h^2 = 20, it is .2756 for
  every width and for both signs of E; printed are .257 (E = 1) and .302 (E = -1), from
  regressions at errors of a finite size.
- Noise forgets errors of the past and pays for those of the present: the ODE is better than
  any SDE for the wide laws (.072 for a deviation of 3), and 23 times worse than h^2 = 20
  for the narrow one (6.45 for .2).
- Two modes, a score .8 times the right one, start at N(0, 1): total variation .31 for the
  ODE, .12 for h = 1, .045 for h = 3. Noise has to be paid for in steps: with the right
  score 500 of them leave .007, .003 and .017, and .027 at h = 4, where errors of score and
  steps cancel in part.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import gmm_testbed as gt

WIDTHS = (0.2, 0.4, 0.6, 0.8, 1.5, 2.0, 3.0)
NOISE = tuple(round(0.2 * i, 1) for i in range(21))
LARGE = 20.0**0.5
SCALES = (0.0, 0.5, 1.0, 2.0, LARGE)
END, MIXTURE_END = 2.0, 4.0  # T, at rate 1
T_MIN, STEPS = 1e-5, 2000
MIXTURE_STEPS = 500
SMALL = 1e-4  # of the score
WRONG = -0.2
PUBLISHED = Path(__file__).parent / "published" / "cao_constants.csv"


def target_of(prior, end):
    """Along VP at rate 1 until time `end`, which is t = 1 here."""
    problem = gt.InverseProblem(prior, gt.Linear([[1.0]], 1.0), [0.0])
    return gt.Target(problem, gt.VP(end, end))


def sampler_of(h):
    return gt.Guided(gt.approximations.Unguided(), gt.kernels.ReverseSDE(h))


def off_by(target, error):
    """The target with a score of 1 + error times the right one."""
    exact = gt.denoisers.Prior(target.problem.prior)
    return target.seen_through(gt.denoisers.ScoreError(exact, relative=error))


def constant(width, h, end=END):
    """L(h) for E = 1, the exact start, and continuous time."""
    clock = np.log1p(np.expm1(end) / width**2)
    ratio = clock if h == 0 else (1 + h**-2) * -np.expm1(-(h**2) * clock)
    return 0.25 * ratio**2


@gt.experiment(grid={"width": WIDTHS, "h": SCALES})
def reverse_sde_constants(key, width, h):
    """L(h) from the laws of the sampler with the score a little too large and small."""
    prior = gt.GaussianMixture.isotropic([1.0], [[0.0]], width**2)
    target = target_of(prior, END)
    times = gt.time_grid(target.path, STEPS, "log_snr", t_min=T_MIN)
    variances = []
    for error in (SMALL, -SMALL):
        seen = off_by(target, error)
        start = target.marginal(times[0])
        law = gt.laws.affine(sampler_of(h), seen, times, initial=start)
        variances.append(float(law.covariance()[0, 0]))
    ratio = np.log(variances[1] / variances[0]) / (2 * SMALL)
    return {"constant": 0.25 * ratio**2, "exact": constant(width, h)}


@gt.experiment(grid={"h": NOISE})
def reverse_sde_modes(key, h):
    """Divergences of the law from the exact one, with the wrong score and the right."""
    prior = gt.GaussianMixture.isotropic([0.5, 0.5], [[-1.0], [1.0]], 0.01)
    target = target_of(prior, MIXTURE_END)
    times = gt.time_grid(target.path, MIXTURE_STEPS, "log_snr", t_min=T_MIN)
    exact, found = target.marginal(times[-1]), {}
    for name, seen in (("", off_by(target, WRONG)), (", right score", target)):
        law = gt.laws.grid(sampler_of(h), seen, times)
        density = law.at(-1, exact)
        found |= {
            f"total variation{name}": gt.divergences.tv(density, exact),
            f"W2{name}": gt.divergences.w2(density, exact),
            f"KL{name}": gt.divergences.kl_to(density, exact),
            f"mean square{name}": gt.divergences.variance(density),
        }
    return found


# --- claims, tables and figures ---------------------------------------------------------


def claims(store):
    """Constants beside the exact ones; divergences on two modes, and the best h."""
    told = {}
    for (width, h), row in store.wide(reverse_sde_constants).iterrows():
        told[f"L, width {width:g}, h^2 = {h * h:g}"] = row["constant"]
    frame = store.wide(reverse_sde_modes)
    for h in (0.0, 1.0, 4.0):
        for name in ("total variation", "W2", "KL", "total variation, right score"):
            told[f"two modes, h = {h:g}: {name}"] = frame[name][h]
    return told


def published():
    """Frame of the printed constants."""
    return pd.read_csv(PUBLISHED, comment="#")


def tables(store):
    """Printed constants, those of the sampler, and the exact ones."""
    found = store.wide(reverse_sde_constants)
    printed = published().set_index(["error", "sigma0"])["printed_tail"]
    rows = [
        {
            "width": width,
            "printed, E = 1": printed["E=1", width],
            "printed, E = -1": printed["E=-1", width],
            "sampler, h^2 = 20": found["constant"][width, LARGE],
            "exact, h^2 = 20": found["exact"][width, LARGE],
            "sampler, ODE": found["constant"][width, 0.0],
            "exact, ODE": found["exact"][width, 0.0],
        }
        for width in WIDTHS
    ]
    return {"constant of the score error": rows}


def figures(store):
    """Constants against h, and two modes."""
    return {
        "ode_or_sde": draw(
            store.wide(reverse_sde_constants), store.wide(reverse_sde_modes)
        )
    }


INKS = "#00798c", "#edae49", "#66a182", "#d1495b"


@gt.plotting.styled
def draw(found, modes):
    figure = gt.plotting.figure(width=7.2, height=3.0)
    left, right = figure.subplots(1, 2)
    h = np.linspace(0.0, 4.6, 200)
    for index, width in enumerate((0.2, 0.6, 1.5, 3.0)):
        curve = [constant(width, one) for one in h]
        left.plot(h, curve, color=INKS[index], label=f"$s_0 = {width:g}$")
        at = found["constant"][width]
        left.plot(at.index, at, "o", color=INKS[index], ms=4)
    left.axhline(0.25, color="0.6", lw=0.8, ls=":")
    left.text(0.0, 0.262, r"$h \to \infty$", fontsize=7, color="0.4")
    left.set(yscale="log", xlabel="noise scale $h$", ylim=(0.05, 9))
    left.set_ylabel(r"$L(h) = KL / \varepsilon^2$, nats")
    left.set_title("one Gaussian: exact (lines), sampler (dots)")
    left.legend(frameon=False, fontsize=7, ncol=2)
    for index, name in enumerate(("total variation", "W2")):
        right.plot(modes.index, modes[name], "o-", ms=3, color=INKS[index], label=name)
        right.plot(
            modes.index, modes[f"{name}, right score"], "--", lw=0.9, color=INKS[index]
        )
    right.set(xlabel="noise scale $h$", ylim=(0, None))
    right.set_ylabel("distance from the exact law")
    right.set_title("two modes, score .8 times the right one")
    right.plot([], [], "--", lw=0.9, color="0.4", label="right score")
    right.legend(frameon=False, fontsize=7)
    return figure
