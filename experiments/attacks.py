"""Every theorem attacked: the tightest case of each claim, and planted errors.

The slack of each claim is minimised over what the theorem speaks of: priors (weights,
means, variances), measurements, noise, levels, grids and methods, within its assumptions;
see `gt.bounds.attack`. A violation counts if it is still there with twice the nodes of
every quadrature, or with fresh random numbers. What is tightest says whether the constant
could be smaller on all that was seen, and is kept in the package (`gt.bounds.tightest`).

Then errors are planted: the right sides of ten theorems 5 % too small, halved, and
divided by three; the attack must see nine of ten.
"""

import numpy as np

import gmm_testbed as gt

FACTORS = {"5 % too small": 0.95, "a factor 1/2": 0.5, "a dropped dimension": 1 / 3}
PLANTED = (
    "T1-path-identity",
    "T3-information",
    "T6-initialisation",
    "T8-gronwall",
    "T27-log-sobolev",
    "C18-prior-baseline",
    "C20-entropy",
    "C21-components",
    "C23-transport",
    "C24-divergences",
)
CASES = 300
SECONDS = 60.0  # a case that samples paths takes one or more


@gt.experiment(grid={"theorem": tuple(gt.bounds.CATALOGUE)})
def attacked(key, theorem):
    """The tightest case of each claim."""
    found = gt.bounds.attack(theorem, evaluations=CASES, seconds=SECONDS, key=key)
    metrics = {
        "violated": len(found.violated),
        "cases": found.evaluations,
        "outside": found.refused,
    }
    inequalities = [f.tightness for f in found.findings if not f.equal]
    metrics["tightness"] = max(inequalities, default=np.nan)
    places = [  # none of a case of the sweep
        () if f.coordinates is None else f.coordinates for f in found.findings
    ]
    coordinates = np.full((len(places), max(map(len, places), default=0)), np.nan)
    for row, place in zip(coordinates, places, strict=True):
        row[: len(place)] = place
    texts = {
        "parts": [f.label for f in found.findings],
        "relations": ["=" if f.equal else "<=" for f in found.findings],
        "verdicts": [str(f.verdict) for f in found.findings],
        "where": [gt.bounds.in_words(f.setting) for f in found.findings],
    }
    numbers = {
        "tightest": np.array([f.tightness for f in found.findings]),
        "quadrature": np.array([f.quadrature for f in found.findings]),
        "coordinates": coordinates,
    }
    return gt.sweep.Found(metrics, numbers | {k: np.array(v) for k, v in texts.items()})


@gt.experiment(grid={"theorem": PLANTED, "error": tuple(FACTORS)})
def planted(key, theorem, error):
    """Whether an attack sees the error in the right sides of the inequalities."""
    bound = Shrunk(gt.bounds.CATALOGUE[theorem], FACTORS[error])
    found = gt.bounds.attack(bound, evaluations=CASES, seconds=SECONDS, key=key)
    return {"seen": float(bool(found.violated))}


class Shrunk(gt.bounds.AbstractBound):
    """A theorem with the right sides of its inequalities times a factor."""

    bound: gt.bounds.AbstractBound
    factor: float

    @property
    def facts(self):
        return self.bound.facts

    @property
    def cases(self):
        return self.bound.cases

    def setting(self, case):
        return self.bound.setting(case)

    def sides(self, key, **setting):
        return [
            claim if claim.equal else claim._replace(right=self.factor * claim.right)
            for claim in self.bound.sides(key, **setting)
        ]


def rows(store):
    """One dictionary a claim of every theorem, in the order of the catalogue."""
    cells, found = {row.cell["theorem"]: row for row in store.rows(attacked)}, []
    for theorem in gt.bounds.CATALOGUE:
        arrays = store.arrays(cells[theorem])
        for i, part in enumerate(arrays["parts"]):
            place = arrays["coordinates"][i]
            found.append(
                {
                    "theorem": theorem,
                    "part": str(part),
                    "relation": str(arrays["relations"][i]),
                    "tightness": float(f"{arrays['tightest'][i]:.6g}"),
                    "verdict": str(arrays["verdicts"][i]),
                    "quadrature": float(f"{arrays['quadrature'][i]:.2g}"),
                    "where": str(arrays["where"][i]),
                    "coordinates": " ".join(
                        repr(float(z)) for z in place[~np.isnan(place)]
                    ),
                }
            )
    return found


def numbers(store, experiment):
    """Values of a metric by cell: a dictionary for each metric."""
    found = {}
    for row in store.rows(experiment):
        found.setdefault(row.metric, {})[tuple(row.cell.values())] = row.value
    return found


def claims(store):
    violated = numbers(store, attacked)["violated"]
    refuted = {n for n, bound in gt.bounds.CATALOGUE.items() if bound.facts.refuted}
    found = {
        "violated, and should hold": sum(
            value > 0 for (name,), value in violated.items() if name not in refuted
        ),
        "refuted as printed, and survived": sum(
            violated[name,] == 0 for name in refuted
        ),
    }
    seen = numbers(store, planted)["seen"]
    for error in FACTORS:
        own = [value for (_, other), value in seen.items() if other == error]
        found[f"planted and seen: {error}"] = sum(own) / len(own)
    return {name: float(value) for name, value in found.items()}


def tables(store):
    values, found = numbers(store, attacked), rows(store)
    seconds = {row.cell["theorem"]: row.wall_seconds for row in store.rows(attacked)}
    overview = []
    for name, bound in gt.bounds.CATALOGUE.items():
        own = [r for r in found if r["theorem"] == name and r["relation"] == "<="]
        own = [r for r in own if r["verdict"] != "violated"]
        best = max(own, key=lambda r: r["tightness"], default=None)
        overview.append(
            {
                "theorem": name,
                "status": "refuted" if bound.facts.refuted else bound.facts.status,
                "violated": int(values["violated"][name,]),
                "cases": int(values["cases"][name,]),
                "largest left / right": best["tightness"] if best else "",
                "of": best["part"] if best else "",
                "seconds": round(seconds[name]),
            }
        )
    return {"Theorems under attack": overview}


def files(store):
    return {
        "tightest": [
            {k: v for k, v in row.items() if k not in ("verdict", "quadrature")}
            for row in rows(store)
        ],
        "attacks": rows(store),
    }
