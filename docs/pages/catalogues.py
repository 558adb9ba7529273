"""A page for each method and each theorem, from the catalogues of the package."""

import inspect

import gmm_testbed as gt

from . import pictures
from .formulas import words
from .names import source
from .write import leaf, page, table, title

FAMILIES = {
    "approximation": "Approximations of E[x0 | x_t, y]",
    "kernel": "Kernels, which make a step of an approximation",
    "method": "Other methods",
    "filter": "Particle filters",
    "estimator": "Estimators, whose output is a point",
    "sampler": "Samplers",
}


def methods() -> None:
    """Pages generated/methods/NAME and their index."""
    rows = gt.methods.CATALOGUE
    for name, entry in rows.items():
        page(f"methods/{name}.rst", _method(name, entry))
    parts = [
        title("Methods"),
        "Whatever samples is a row of `gt.methods.CATALOGUE`, with facts that "
        "`gt.conformance` asks about in the tests.\n",
    ]
    for family, words_of in FAMILIES.items():
        own = {name: row for name, row in rows.items() if row.family == family}
        cells = [
            (f":doc:`{name}`", _summary(row), _cost(row)) for name, row in own.items()
        ]
        parts += [title(words_of, "-"), table(cells, ("", "", "cost"), "22 60 18")]
    parts.append(
        "Cost is per step and particle: D denoisers, J products with their Jacobian, "
        "A products with the measurement.\n"
    )
    page("methods/index.rst", "\n".join(parts))


def theorems() -> None:
    """Pages generated/theorems/NAME and their index."""
    rows = gt.bounds.CATALOGUE
    for name, bound in rows.items():
        page(f"theorems/{name}.rst", _theorem(name, bound))
    cells = [
        (f":doc:`{name}`", words(bound.facts.statement), _status(bound.facts))
        for name, bound in rows.items()
    ]
    parts = [
        title("Theorems"),
        "Both sides of each are computed, over a sweep of cases: ``gmm-testbed verify`` "
        "does all of them in four minutes, ``gt.bounds.check(name)`` one. "
        "A theorem kept as printed though a case violates it is marked *refuted*; what "
        "fails may be a constant, which its page says.\n",
        table(cells, ("", "statement", "status"), "26 56 18"),
    ]
    page("theorems/index.rst", "\n".join(parts))


def _method(name, entry) -> str:
    module = inspect.getmodule(entry.kind).__name__
    public = next(
        (
            f"{family}.{name}"
            for family in (
                "approximations",
                "kernels",
                "algorithms",
                "smc",
                "estimators",
            )
            if getattr(getattr(gt, family), name, None) is entry.kind
        ),
        entry.kind.__name__,
    )
    parts = [leaf(name, "Methods"), f".. automodule:: {module}\n   :no-index:\n"]
    facts = _facts(entry)
    if facts is not None:
        rows = [
            ("what it is", words(facts.summary)),
            ("reference", words(facts.reference)),
            ("needs", ", ".join(sorted(facts.needs)) or "nothing of the problem"),
            ("exact", "; ".join(map(_when, facts.exact_when)) or "never"),
            ("law of a step", facts.law),
            ("affine for one Gaussian", _yes(facts.affine)),
            ("smooth", _yes(facts.smooth)),
            ("guidance is a gradient", _yes(facts.gradient)),
            ("weak order in the step", _order(facts.order)),
            ("sees the noise R", _yes(facts.uses_noise)),
            ("its output", f"{facts.output}, at level {facts.level}"),
            ("cost of a step", str(facts.cost)),
        ]
        parts += [title("Facts", "-"), table(rows, widths="30 70")]
    parts += [_picture("methods", name, "law")]
    options = [
        f"``{option}`` = ``{_default(value)}``"
        for option, value in entry.options.items()
    ]
    parts += [
        title("In code", "-"),
        f":py:obj:`gt.{public} <gmm_testbed.{public}>`, or from text "
        f"``gt.methods.get({call(name)!r})``. "
        + (f"Options: {', '.join(options)}.\n" if options else "It has no options.\n"),
        _code(module),
    ]
    return "\n".join(parts)


def _theorem(name, bound) -> str:
    facts, module = bound.facts, type(bound).__module__
    cases = bound.cases
    swept = {
        key: list(dict.fromkeys(case.get(key) for case in cases)) for key in cases[0]
    }
    rows = [
        ("statement", words(facts.statement)),
        ("status", _status(facts)),
        ("source", words(facts.source)),
        ("assumes", "; ".join(map(words, facts.assumptions)) or "nothing more"),
        ("sweep", f"{len(cases)} cases: {', '.join(map(_label, swept.items()))}"),
    ]
    if facts.limits:
        rows.append(("computed for", "; ".join(map(_limit, facts.limits))))
    first = ", ".join(f"{k}={v!r}" for k, v in cases[0].items() if v is not None)
    return "\n".join(
        [
            leaf(name, "Theorems"),
            f".. automodule:: {module}\n   :no-index:\n",
            title("Facts", "-"),
            table(rows, widths="20 80"),
            _picture("theorems", name, "both sides"),
            _attacked(name),
            title("In code", "-"),
            _takes(bound),
            ".. code-block:: python\n",
            f'   gt.bounds.check("{name}")  # the whole sweep',
            f'   gt.bounds.check("{name}", {first})  # one case\n',
            f"or ``gmm-testbed verify {name}``.\n",
            _code(module),
        ]
    )


def _facts(entry):
    """Of the class, or of the class with its defaults."""
    facts = entry.kind.__dict__.get("facts")
    if isinstance(facts, gt.Facts):
        return facts
    return entry.facts if entry.complete else None


def _summary(entry):
    facts = _facts(entry)
    return words(facts.summary if facts else inspect.getdoc(entry.kind).splitlines()[0])


def _cost(entry):
    facts = _facts(entry)
    return str(facts.cost) if facts else "that of its parts"


def call(name: str) -> str:
    """How a method of the table is written: with what has no default."""
    entry = gt.methods.CATALOGUE[name]
    example = {"Guided": "DPS, DDPM", "Published": "DPS, DDPM", "ParticleFilter": "TDS"}
    needed = [o for o, v in entry.options.items() if v is inspect.Parameter.empty]
    if name in example:
        return f"{name}({example[name]})"
    if entry.family == "kernel":
        return f"Guided(DPS, {name})"
    return f"{name}(DPS)" if needed else name


def _default(value):
    return "needed" if value is inspect.Parameter.empty else repr(value)


def _when(condition):
    """A condition in words: what is left out does not matter."""
    problem = (
        "any prior" if condition.problem == "any" else f"{condition.problem} prior"
    )
    said = [
        f"{value} {name}"
        for name, value, usual in (
            ("grid", condition.grid, "any"),
            ("start", condition.start, "standard"),
            ("particles", condition.particles, "any"),
        )
        if value != usual
    ]
    return ", ".join([problem, *said])


def _yes(value):
    return "does not apply" if value is None else "yes" if value else "no"


def _order(order):
    return (
        "none to speak of"
        if order is None
        else "no limit"
        if order == 0
        else str(order)
    )


def _status(facts):
    return "as printed, **refuted**" if facts.refuted else facts.status


def _label(pair):
    key, values = pair
    shown = ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in values[:6])
    return f"``{key}`` = {shown}{', ...' if len(values) > 6 else ''}"


def _limit(limit):
    if limit.only:
        return f"``{limit.label}`` in {', '.join(f'{v:g}' for v in limit.only)}"
    return f"``{limit.label}`` from {limit.least:g} to {limit.most:g}"


def _picture(folder, name, what):
    """A picture that was drawn before, if there is one."""
    file = pictures.kept(folder, name)
    if file is None:
        return ""
    return (
        f".. figure:: ../pictures/{folder}/{file.name}\n   :alt: {what} of {name}\n\n"
        f"   {pictures.CAPTIONS[folder]}\n"
    )


def _code(module):
    where = source(module).relative_to(source("gmm_testbed").parents[1]).as_posix()
    return (
        f"The whole of it, ``{where}``:\n\n.. literalinclude:: ../../../{where}\n"
        "   :language: python\n   :class: whole-file\n"
    )


def _attacked(name) -> str:
    """The tightest case that attacks have found of each claim."""
    found = gt.bounds.tightest(name)
    if not found:
        return ""
    rows = [
        (words(one.label or "the claim"), _ratio(one), words(one.where))
        for one in found
    ]
    return "\n".join(
        [
            title("Under attack", "-"),
            "The tightest cases of a search within the assumptions "
            "(``gt.bounds.attack``); 1 is a bound that is attained, and what a right side "
            "could be multiplied by on all that was seen.\n",
            table(rows, ("part", "left / right", "where"), "24 16 60"),
        ]
    )


def _ratio(one) -> str:
    return "equality" if one.equal else f"{one.tightness:.4g}"


def _takes(bound) -> str:
    """What may be given in place of the labels of the sweep."""
    names = ", ".join(f"``{name}``" for name in gt.bounds.parameters(bound))
    return f"Both sides are computed from {names}; any of them may be your own.\n"
