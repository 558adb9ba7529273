"""Pictures of laws and of theorems: drawn on request, kept, and shown while they are true.

`make docs FIGURES=1` draws those that are missing, which takes some minutes. A picture is
kept with a digest of the source that it was drawn from, and not shown if that changed.
"""

import hashlib
import inspect
from pathlib import Path

import gmm_testbed as gt

FOLDER = Path(__file__).parents[1] / "generated" / "pictures"
CAPTIONS = {
    "methods": "Two modes, 20 steps from t = 1 to 0.01: the exact posterior in time, the "
    "law of the sampler, and both at the end. Nothing was sampled.",
    "theorems": "Both sides over the sweep.",
}
STEPS = 20


def kept(folder: str, name: str) -> Path | None:
    """A picture that is drawn from the source as it stands, if there is one."""
    file = FOLDER / folder / f"{name}-{_digest(folder, name)}.png"
    return file if file.exists() else None


def draw() -> None:
    """Draws every picture that is missing, and removes those that are no longer true."""
    import jax

    jax.config.update("jax_enable_x64", True)
    for folder, rows, picture in (
        ("methods", gt.methods.CATALOGUE, _law),
        ("theorems", gt.bounds.CATALOGUE, _sides),
    ):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
        wanted = {name: f"{name}-{_digest(folder, name)}.png" for name in rows}
        for file in (FOLDER / folder).glob("*.png"):
            if file.name not in wanted.values():
                file.unlink()
        for name, stem in wanted.items():
            file = FOLDER / folder / stem
            drawn = None if file.exists() else picture(name)
            if drawn is not None:
                drawn.savefig(file, dpi=160)


def _law(name):
    """The law of a method on two modes; None where it is not explicit."""
    from .catalogues import call

    target = gt.problems.get("two-modes")
    times = gt.time_grid(target.path, STEPS, t_min=1e-2)
    try:
        law = gt.laws.grid(gt.methods.get(call(name)), target, times)
    except gt.UnsupportedError:
        return None
    span = gt.plotting.span(target)
    shown = gt.plotting.history(law, span)
    exact = gt.plotting.exact_history(target, times, span)
    return gt.plotting.line_pair(exact, shown, f"{name}, {STEPS} steps")


def _sides(name):
    """Both sides of a theorem; None where nothing varies."""
    import jax

    bound, key = gt.bounds.CATALOGUE[name], jax.random.key(0)
    pairs = [
        (claim, gt.bounds.report(name, bound, case, claim))
        for case, claims in gt.bounds.each_case(bound, bound.cases, key)
        for claim in claims
    ]
    return gt.plotting.bounds.bound(name, *zip(*pairs, strict=True))


def _digest(folder, name):
    rows = gt.methods.CATALOGUE if folder == "methods" else gt.bounds.CATALOGUE
    thing = rows[name].kind if folder == "methods" else type(rows[name])
    text = Path(inspect.getfile(thing)).read_text(encoding="utf-8")
    return hashlib.sha256(f"{STEPS}{text}".encode()).hexdigest()[:10]
