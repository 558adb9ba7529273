"""`gmm-testbed list`: everything that has a name, as tables of one line each."""

import inspect
from collections.abc import Iterator

from rich.table import Table

from .. import methods, plotting, study
from .. import testbeds as problems
from .app import app, polite


@app.command("list")
@polite
def list_command() -> None:
    """Problems, methods, bounds and the experiments of this folder, one line each."""
    screen = plotting.tables.console()
    for table in tables():
        screen.print(table)


FAMILIES = {
    "approximation": "Approximations of E[x0 | x_t, y]",
    "kernel": "Kernels from time t to s < t",
    "method": "Methods",
    "filter": "Particle filters",
    "sampler": "What runs them",
}


def tables() -> Iterator[Table]:
    """Problems, methods, bounds, and the experiments of the current folder."""
    listing = plotting.tables.listing
    rows = [
        (name, *map(str, problems.SIZES[name]), problems.describe(name))
        for name in problems.names()
    ]
    yield listing("Problems", ("name", "d", "K", "what it is"), rows)
    for family, title in FAMILIES.items():
        rows = [
            (_written(name, entry), *_known(entry))
            for name, entry in methods.CATALOGUE.items()
            if entry.family == family
        ]
        columns = ("name", "cost a step", "order", "what it is [reference]")
        yield listing(title, columns, rows)
    from .. import bounds  # not at the top: other commands would wait for it

    rows = [
        (name, bound.facts.status, f"{bound.facts.statement} [{bound.facts.source}]")
        for name, bound in bounds.CATALOGUE.items()
    ]
    columns = ("name", "status", "what it says [source]")
    yield listing("Bounds, which `verify` checks", columns, rows)
    rows = [(name, study.get(name).title) for name in study.OF_PACKAGE]
    rows += [(name, study.title(file)) for name, file in study.found().items()]
    title = f"Experiments, of the package and of ./{study.FOLDER}, for `run NAME`"
    yield listing(title, ("name", "what it shows"), rows)


def _written(name: str, entry: methods.Entry) -> str:
    """The name, and the options that it cannot do without."""
    needed = [
        option
        for option, default in entry.options.items()
        if default is inspect.Parameter.empty
    ]
    return f"{name}({', '.join(needed)})" if needed else name


def _known(entry: methods.Entry) -> tuple[str, str, str]:
    """Cost, order and description of a row of the table."""
    if not entry.complete:
        words = (inspect.getdoc(entry.kind) or "").splitlines()[0]
        return "of its parts", "", words
    facts = entry.facts
    order = "" if facts.order is None else str(facts.order)
    return str(facts.cost), order, f"{facts.summary} [{facts.reference}]"
