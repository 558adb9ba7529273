"""Everything that has a name, as tables of one line each."""

from collections.abc import Iterator

from rich.table import Table

from . import (
    algorithms,
    approximations,
    bounds,
    kernels,
    plotting,
    problems,
    smc,
    sweep,
)


def tables() -> Iterator[Table]:
    """Problems, methods, bounds, and the experiments of the current folder."""
    listing = plotting.tables.listing
    rows = []
    for name, build in problems.CATALOGUE.items():
        size = map(str, problems.SIZES[name])
        rows.append((name, *size, (build.__doc__ or "").splitlines()[0]))
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
    rows = [(name, sweep.study.title(f)) for name, f in sweep.study.found().items()]
    if rows:
        title = f"Experiments of ./{sweep.study.FOLDER}, for `run NAME`"
        yield listing(title, ("name", "what it shows"), rows)


def _defaults(catalogue):
    """One of each, as facts may depend on the variant."""
    return {name: kind() for name, kind in catalogue.items()}


def _facts(catalogue):
    return [(name, chosen.facts) for name, chosen in catalogue.items()]
