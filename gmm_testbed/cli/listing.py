"""`gmm-testbed list`: everything that has a name, as tables of one line each."""

from collections.abc import Iterator

from rich.table import Table

from .. import (
    algorithms,
    approximations,
    bounds,
    kernels,
    plotting,
    problems,
    smc,
    study,
)
from .app import app, polite


@app.command("list")
@polite
def list_command() -> None:
    """Problems, methods, bounds and the experiments of this folder, one line each."""
    screen = plotting.tables.console()
    for table in tables():
        screen.print(table)


def tables() -> Iterator[Table]:
    """Problems, methods, bounds, and the experiments of the current folder."""
    listing = plotting.tables.listing
    rows = [
        (name, *map(str, problems.SIZES[name]), problems.describe(name))
        for name in problems.names()
    ]
    yield listing("Problems", ("name", "d", "K", "what it is"), rows)
    rows = [
        (name, str(facts.cost), f"{facts.summary} [{facts.reference}]")
        for name, facts in _facts(_defaults(approximations.CATALOGUE))
    ]
    columns = ("name", "cost a point", "what it is [reference]")
    yield listing("Approximations of E[x0 | x_t, y]", columns, rows)
    rows = [
        (name, str(facts.order), f"{facts.summary} [{facts.reference}]")
        for name, facts in _facts(_defaults(kernels.CATALOGUE))
    ]
    columns = ("name", "order", "what it is [reference]")
    yield listing("Kernels from time t to s < t", columns, rows)
    rows = [
        (name, f"{facts.summary} [{facts.reference}]")
        for name, facts in _facts(_defaults(algorithms.CATALOGUE) | smc.CATALOGUE)
    ]
    columns = ("name", "what it is [reference]")
    yield listing("Samplers that are neither", columns, rows)
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


def _defaults(catalogue):
    """One of each, as facts may depend on the variant."""
    return {name: kind() for name, kind in catalogue.items()}


def _facts(catalogue):
    return [(name, chosen.facts) for name, chosen in catalogue.items()]
