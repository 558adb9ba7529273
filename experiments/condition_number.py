r"""Diffusion removes the condition number: W2 against N beside Langevin, with the bounds.

Perbost, Bach and Marion (arXiv:2610.12052) sample N(0, S), d = 1000, with eigenvalues
kappa^(-(i-1)/999), kappa = 1e6, by N exact scores: by unadjusted Langevin (ULA) from the
origin, or by the reverse heat flow Y <- Y + eta s_tau(Y) + sqrt(eta) noise from N(0, T I),
on levels tau that are geometric from T to delta (here DDPM with the large variance on a VE
path). Their Figs 1, 2a and 2b, by eigenvalue:

- the bound of Theorem 3 is 1.7 to 5 times the truth, that of Proposition 4 7 to 15 times,
  that of Theorem 1 (ULA) 2.2 to 2.6 times;
- Theorem 1 begins at N = 8e6. Below, with its largest step lambda_min, ULA hardly moves the
  largest eigenvalues: of sqrt(Tr S) = 8.5, 7.8 is left with N = 1000, where diffusion is at
  .037, and .25 with 1e6;
- the ratio of both errors at N = 1e12 is kappa_eff/5 for four spectra and seven decades,
  kappa_eff = lambda_max (Tr S^-1/Tr S)^(1/2), within 7 % where kappa_eff > 3. The paper has
  3.4 %, for spectra that it names; how its power law is written we do not know.

What the exact law adds: with v the variance of the output and w = lambda + tau, a step
takes v - w to (w'/w)^2 (v - w) + eta^2/w. So W2 has a closed form at every N, N = 1e12
costs nothing, and the ratio has a limit that is not quite kappa_eff/5 (`leading`). A
difference of powers of 1 - eta/lambda would be rounding. Underdamped Langevin is left out.
"""

import numpy as np

import gmm_testbed as gt

B = gt.bounds.condition_number
DIM, KAPPA = 1000, 1e6
BOUNDS = {"Theorem 3": B.theorem_3, "Proposition 4": B.proposition_4}
TUNINGS = tuple(BOUNDS)
SCORES = (10, 30, 100, 300, 1000, 3000, 10000)
LANGEVIN = (1e3, 1e4, 1e5, 1e6, 1e7, 3e7, 1e8, 1e9)
SPECTRA = ("log-uniform", "power law", "two halves", "one small")
KAPPAS = tuple(10.0**k for k in range(1, 9))
MANY = 1e12
ACCURACY = 1e-3
COLOURS = {"Theorem 3": "#0b6e8f", "Proposition 4": "#46a7c4", "ULA": "#b3541e"}
MARKS = dict(zip(SPECTRA, "os^v", strict=True))


def eigenvalues(kind, kappa, dim=DIM):
    """Eigenvalues (dim,) from 1 down to 1 / kappa."""
    place = np.arange(dim)
    if kind == "log-uniform":
        return kappa ** (-place / (dim - 1.0))
    if kind == "power law":
        return (place + 1.0) ** (-np.log(kappa) / np.log(dim))
    small = place >= dim // 2 if kind == "two halves" else place == dim - 1
    return np.where(small, 1.0 / kappa, 1.0)


def heat_flow(values, N, start, end):
    """W2 of the reverse heat flow after N steps, where N is large: sums are integrals."""
    step = np.log(start / end) / N
    lost = -values / (values + start) ** 2

    def primitive(tau):
        return tau**2 / (2.0 * values * (values + tau) ** 2)

    gained = step * (primitive(start) - primitive(end))
    excess = end + (values + end) ** 2 * (lost + gained)
    return B.from_excess(values, excess / values)


@gt.experiment(grid={"tuning": TUNINGS, "N": SCORES})
def reverse_heat_flow(key, tuning, N):
    """W2 of the reverse heat flow by its law, and the bound."""
    values = eigenvalues("log-uniform", KAPPA)
    start, end = B.ends(values, N, tuning)
    w2 = B.heat_flow(values, N, start, end)
    return {
        "W2": gt.Estimate(w2, how="closed form"),
        "bound": BOUNDS[tuning](values, N),
        "by integrals": heat_flow(values, N, start, end),
    }


@gt.experiment(grid={"N": LANGEVIN})
def unadjusted_langevin(key, N):
    """W2 of ULA with the step of Theorem 1, or lambda_min where that is too long."""
    values = eigenvalues("log-uniform", KAPPA)
    step = B.langevin_step(values, N)
    applies = step <= values.min()
    return {
        "W2": B.langevin(values, N, min(step, values.min())),
        "bound": B.theorem_1(values, N) if applies else np.nan,
    }


@gt.experiment(grid={"spectrum": SPECTRA, "kappa": KAPPAS})
def error_ratios(key, spectrum, kappa):
    """Errors of ULA over those of diffusion at N = 1e12, and the N that 1e-3 needs."""
    values = eigenvalues(spectrum, kappa)
    total = np.sum(values)
    effective = values.max() * np.sqrt(np.sum(1.0 / values) / total)

    def of_ula(N):
        return B.langevin(values, N, min(B.langevin_step(values, N), values.min()))

    def of_flow(N):
        return heat_flow(values, N, *B.ends(values, N, "Theorem 3"))

    start, end = B.ends(values, MANY, "Theorem 3")
    wanted = ACCURACY * np.sqrt(total)
    return {
        "kappa_eff": effective,
        "ratio": of_ula(MANY) / of_flow(MANY),
        "leading order": leading(values, MANY, np.log(start / end)),
        "N of ULA": needed(of_ula, wanted),
        "N of diffusion": needed(of_flow, wanted),
    }


def leading(values, N, decades):
    """The ratio of errors to leading order in 1/N; decades is log(T/delta)."""
    start = np.sqrt(np.sum(values**5) / np.sum(values))  # T^2 / N
    flow = np.sum(values * (0.25 * decades - 0.5 * values**2 / start) ** 2)
    top = values.max() / values
    late = 0.25 * top * np.log(N) - N ** (1.0 - top)  # of the step, and of the start
    return np.sqrt(0.25 * np.sum(values * late**2) / flow)


def needed(error, wanted):
    """The number of steps from which an error is small enough, by bisection."""
    low, high = np.log(10.0), np.log(1e16)
    for _ in range(100):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if error(np.exp(middle)) > wanted else (low, middle)
    return float(np.exp(high))


def claims(store):
    """W2 and bounds of Fig. 1, and how well the ratios of Fig. 2a follow kappa_eff / 5."""
    flow, chain = store.wide(reverse_heat_flow), store.wide(unadjusted_langevin)
    numbers = {}
    for tuning in TUNINGS:
        for N in (10, 100, 1000, 10000):
            for name in ("W2", "bound"):
                numbers[f"{tuning}, N {N}: {name}"] = flow.at[(tuning, N), name]
    for N in (1e3, 1e5, 1e6, 1e7, 3e7, 1e9):
        numbers[f"ULA, N {N:g}: W2"] = chain.at[N, "W2"]
    for N in (1e7, 3e7, 1e9):
        numbers[f"ULA, N {N:g}: bound"] = chain.at[N, "bound"]
    violated = (flow["W2"] > flow["bound"]).sum() + (chain["W2"] > chain["bound"]).sum()
    late = flow.xs(10000, level="N")
    numbers["bounds violated"] = violated
    apart = np.abs(late["by integrals"] / late["W2"] - 1.0)
    numbers["sums by integrals at N 10000, relative"] = apart.max()
    found = store.wide(error_ratios)
    far = found[found["kappa_eff"] > 3.0]
    share = 5.0 * far["ratio"] / far["kappa_eff"]
    numbers["5 ratio / kappa_eff, least"] = share.min()
    numbers["5 ratio / kappa_eff, most"] = share.max()
    off = np.abs(found["leading order"] / found["ratio"] - 1.0)
    numbers["leading order of the ratio, off by at most"] = off.max()
    return numbers


def tables(store):
    """Fig. 1, and Figs 2a and 2b."""
    flow = store.wide(reverse_heat_flow).reset_index().to_dict("records")
    chain = store.wide(unadjusted_langevin).reset_index().to_dict("records")
    return {
        "Reverse heat flow": flow,
        "Unadjusted Langevin": chain,
        "Four spectra": store.wide(error_ratios).reset_index().to_dict("records"),
    }


def figures(store):
    """W2 and bounds against N; ratios against kappa_eff; N needed against kappa."""
    return {
        "condition_number": drawn(
            store.wide(reverse_heat_flow),
            store.wide(unadjusted_langevin),
            store.wide(error_ratios),
        )
    }


@gt.plotting.styled
def drawn(flow, chain, found):
    figure = gt.plotting.figure(width=7.2, height=2.9)
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
    curves = {tuning: flow.loc[tuning] for tuning in TUNINGS} | {"ULA": chain}
    for name, table in curves.items():
        colour = COLOURS[name]
        label = name if name == "ULA" else f"diffusion, {name}"
        left.plot(
            table.index, table["W2"], "o-", color=colour, markersize=3, label=label
        )
        left.plot(table.index, table["bound"], ":", color=colour)
    left.set(xscale="log", yscale="log", title="error, and its bound (dotted)")
    left.set(xlabel="number of scores $N$", ylabel="$W_2$ from the data")
    left.legend(loc="lower left", fontsize=6.5)
    for kind, marker in MARKS.items():
        table = found.loc[kind]
        look = {"color": "0.25", "markersize": 3.5, "markerfacecolor": "none"}
        middle.plot(table["kappa_eff"], table["ratio"], marker, label=kind, **look)
        for name, colour in (("N of ULA", "ULA"), ("N of diffusion", "Theorem 3")):
            look["color"] = COLOURS[colour]
            right.plot(table.index, table[name], marker, **look)
    line = np.array([found["kappa_eff"].min(), found["kappa_eff"].max()])
    middle.plot(line, line / 5.0, color="0.6", linewidth=0.9, zorder=1)
    middle.annotate(r"$\kappa_{\rm eff}/5$", (line[1], line[1] / 5.0), color="0.4",
                    xytext=(-8, -10), textcoords="offset points", ha="right")  # fmt: skip
    middle.set(xscale="log", yscale="log", title="ULA over diffusion, $N = 10^{12}$")
    middle.set(xlabel=r"$\kappa_{\rm eff}$", ylabel="ratio of $W_2$")
    middle.legend(loc="upper left", fontsize=6.5)
    right.set(xscale="log", yscale="log", xlabel=r"condition number $\kappa$")
    right.set(title=r"$N$ for $10^{-3}\,({\rm Tr}\,S)^{1/2}$")
    for name, colour, place in (("ULA", "ULA", 0.78), ("diffusion", "Theorem 3", 0.16)):
        right.text(0.05, place, name, color=COLOURS[colour], transform=right.transAxes)
    return figure
