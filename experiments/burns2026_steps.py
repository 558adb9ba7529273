r"""More steps made it worse, and an approximation that beats exact guidance at few steps.

Total variation of the law at t = 0.01, against the number of steps N, for every method,
kernel and N. Two observations of Burns & Fridovich-Keil (arXiv:2605.30330), as real cases:

- more steps, worse. DPS with DDPM of matched variance on two-modes: 0.063 with 20 steps and
  0.25 with 1000. The kernel is right here; few steps hide the bias of the field, many show
  it. The published update (zeta = 0.03): 0.42 with 50 steps and 0.82 with 1000, since its
  gradient step does not shrink with the steps: its guidance grows like N;
- an approximation beats exact guidance at few steps. One-sided, 5 steps of DDPM with the
  small variance: TMPD 0.20, PiGDM 0.27, exact 0.51. It is the kernel: errors of field and
  variance cancel. With the matched variance exact guidance has 0.0033 with 5 steps, and no
  approximation beats it at any N.
"""

import numpy as np

import gmm_testbed as gt

PROBLEMS = ("two-modes", "one-sided")
METHODS = ("Exact", "DPS", "PiGDM", "TMPD")
KERNELS = {
    "DDPM": gt.kernels.DDPM(),
    "DDPM matched": gt.kernels.DDPM("matched"),
    "Euler-Maruyama": gt.kernels.EulerMaruyama(),
}
ZETAS = (0.03, 0.1)
STEPS = (5, 10, 20, 50, 100, 300, 1000)
CLEAR = 1e-3  # a difference of total variations worth a count


@gt.experiment(
    grid={"problem": PROBLEMS, "method": METHODS, "kernel": KERNELS, "steps": STEPS}
)
def guided(key, problem, method, kernel, steps):
    """A field and a kernel; the kernels share a compiled program."""
    index = list(KERNELS).index(kernel)
    chosen = gt.kernels.Selected(tuple(KERNELS.values()), index)
    field = gt.approximations.CATALOGUE[method]()
    return measured(gt.Guided(field, chosen), problem, steps)


@gt.experiment(grid={"zeta": ZETAS, "steps": STEPS})
def updates(key, zeta, steps):
    """The published DPS update on two-modes."""
    update = gt.Published(gt.approximations.ZetaDPS(zeta))
    return measured(update, PROBLEMS[0], steps)


def measured(method, problem, steps):
    """Total variation at t = 0.01."""
    target = gt.problems.get(problem)
    times = gt.time_grid(target.path, steps, t_min=gt.problems.T_MIN)
    law = gt.laws.grid(method, target, times)
    return {"tv": law.tv(target.posterior(times[-1]))}


def curves(store):
    """Total variation at STEPS, (n,), by (problem, method, kernel)."""
    labels = ["problem", "method", "kernel"]
    by_label = store.wide(guided)["tv"].groupby(labels, sort=False)
    found = {place: tv.to_numpy() for place, tv in by_label}
    for zeta, tv in store.wide(updates)["tv"].groupby("zeta", sort=False):
        place = PROBLEMS[0], f"DPS update, zeta = {zeta:g}", "DDPM"
        found[place] = tv.to_numpy()
    return found


def claims(store):
    """The clearest cases, and how many there are."""
    found, every = {}, curves(store)
    for method, kernel in (
        ("DPS", "DDPM matched"),
        ("DPS", "Euler-Maruyama"),
        (f"DPS update, zeta = {ZETAS[0]:g}", "DDPM"),
        (f"DPS update, zeta = {ZETAS[1]:g}", "DDPM"),
    ):
        tv = every[PROBLEMS[0], method, kernel]
        best = int(np.argmin(tv))
        name = f"{PROBLEMS[0]}, {method}, {kernel}"
        found[f"{name}: best N"] = STEPS[best]
        found[f"{name}: TV there"] = tv[best]
        found[f"{name}: TV, N = {STEPS[-1]}"] = tv[-1]
    for method in METHODS:
        name = f"{PROBLEMS[1]}, {method}, N = {STEPS[0]}: TV"
        found[name] = every[PROBLEMS[1], method, "DDPM"][0]
    for kernel in KERNELS:
        found[f"cases that beat exact guidance, {kernel}"] = sum(
            np.sum(tv < every[where, "Exact", kernel] - CLEAR)
            for (where, method, which), tv in every.items()
            if which == kernel and method in METHODS
        )
    name = f"{PROBLEMS[1]}, Exact, DDPM matched, N = {STEPS[0]}: TV"
    found[name] = every[PROBLEMS[1], "Exact", "DDPM matched"][0]
    return {name: float(value) for name, value in found.items()}


def tables(store):
    """Total variation of everything, a column for each N."""
    labels = "problem", "method", "kernel"
    return {
        "Total variation at t = 0.01": [
            dict(zip(labels, place, strict=True))
            | {f"N = {n}": float(v) for n, v in zip(STEPS, tv, strict=True)}
            for place, tv in curves(store).items()
        ]
    }


def figures(store):
    """Both observations side by side."""
    return {"steps": draw(curves(store))}


@gt.plotting.styled
def draw(every):
    drawn = gt.plotting.figure(height=3.0)
    left, right = drawn.subplots(1, 2, sharey=True)
    for place, label, line in (
        (("DPS", "DDPM matched"), "DPS", "-"),
        (("DPS", "Euler-Maruyama"), "DPS, Euler-Maruyama", "--"),
        ((f"DPS update, zeta = {ZETAS[0]:g}", "DDPM"), f"update, {ZETAS[0]:g}", "-"),
        ((f"DPS update, zeta = {ZETAS[1]:g}", "DDPM"), f"update, {ZETAS[1]:g}", "--"),
        (("Exact", "DDPM matched"), "exact guidance", "-"),
    ):
        name = place[0].split(",")[0]
        style = {"color": gt.plotting.colour(name), "marker": "o", "ls": line}
        left.plot(STEPS, every[PROBLEMS[0], *place], label=label, **style)
    for method in METHODS:
        style = {"color": gt.plotting.colour(method), "marker": "o"}
        tv = every[PROBLEMS[1], method, "DDPM"]
        label = "exact guidance" if method == "Exact" else method
        right.plot(STEPS, tv, label=label, **style)
    matched = every[PROBLEMS[1], "Exact", "DDPM matched"]
    right.plot(STEPS, matched, color="black", ls=":", label="exact, matched")
    left.set_title(f"{PROBLEMS[0]}: more steps, worse")
    right.set_title(f"{PROBLEMS[1]}, DDPM: better than exact at few steps")
    for axes, place in ((left, "lower right"), (right, "lower center")):
        axes.set(xscale="log", yscale="log", ylim=(8e-4, 1.4))
        axes.set_xlabel("number of steps $N$")
        axes.set_xticks(STEPS, [str(n) for n in STEPS])
        axes.minorticks_off()
        axes.grid(True, axis="y")
        axes.legend(loc=place)
    left.set_ylabel("total variation at $t = 0.01$")
    return drawn
