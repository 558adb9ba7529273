"""`gmm-testbed run NAME`: a problem with one sampler, or an experiment."""

import contextlib
import copy
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core
from rich.markup import escape

from .. import methods, plotting, study, sweep
from .. import testbeds as problems
from .._checks import InputError, choose, require
from . import problem
from .app import (
    STORE,
    Paper,
    Store,
    app,
    polite,
    refuse,
    require_writable,
    settings,
    venue_of,
    warn,
)


class ByName(typer.core.TyperGroup):
    """A group whose commands are the names of problems and of experiments.

    A problem has the options of the command `problem`, an experiment those of
    `experiment`; each gets its name as that of its context.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name that `run` takes, without paths of files."""
        return [name for known in _known() for name in known]

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command of a name; it refuses one that is unknown."""
        try:
            kind, words = _kind(name)
        except InputError as error:
            refuse(error)
        command = copy.copy(self.commands[kind])
        command.name, command.short_help = name, escape(words)
        return command


def _known() -> tuple[dict[str, str], dict[str, str]]:
    """What there is by name: problems, and experiments."""
    found = {name: study.get(name).title for name in study.OF_PACKAGE}
    found |= {name: study.title(file) for name, file in study.found().items()}
    return {name: problems.describe(name) for name in problems.names()}, found


def _kind(name: str) -> tuple[str, str]:
    """The command for a name, and what the name stands for."""
    if name.endswith(".py"):
        return "experiment", name
    of_problems, of_experiments = _known()
    words = choose(name, of_problems | of_experiments, "problem or experiment")
    require(
        name not in of_problems or name not in of_experiments,
        "the name is that of a problem and of an experiment",
        got=name,
        expected="a name with one meaning",
        hint=f"give the file, {study.FOLDER / name}.py, or rename it",
    )
    return "problem" if name in of_problems else "experiment", words


commands = typer.Typer(
    cls=ByName,
    no_args_is_help=True,
    subcommand_metavar="NAME [OPTIONS]",
    help="One problem, with every measure there is; or an experiment, against its"
    " claims. NAME may be a file of experiments. `run NAME --help` has the options.",
)
app.add_typer(commands, name="run")

Context = (
    typer.Context.__base__
)  # what typer hands over is of this class, not of its own
_Output = Annotated[
    Path | None,
    typer.Option(help="Folder of figures and of tables as CSV."),
]


def _option(words: str, field: str, **limits: int) -> Any:
    default = str(problem.Case._field_defaults[field])
    return typer.Option(help=words, show_default=default, **limits)


@commands.command("problem")
@polite
def run_problem(
    ctx: Context,
    output: _Output = None,
    method: Annotated[
        str | None,
        _option(
            'Any that `list` prints, as "TDS(DPS)" or "DAPS(mean)".',
            "method",
        ),
    ] = None,
    approximation: Annotated[
        str | None,
        typer.Option(help='In place of --method: as ZetaDPS or "ZetaDPS(zeta=0.5)".'),
    ] = None,
    kernel: Annotated[
        str | None, typer.Option(help='The kernel with it, as "DDIM(eta=0.5)".')
    ] = None,
    steps: Annotated[int | None, _option("Number of steps N.", "steps")] = None,
    t_min: Annotated[float | None, _option("Where it stops.", "t_min")] = None,
    samples: Annotated[
        int | None, _option("How many, where no law can be computed.", "samples")
    ] = None,
    seed: Annotated[
        int | None, _option("Of the samples.", "seed", min=-(2**63), max=2**63 - 1)
    ] = None,
    paper: Paper = None,
) -> None:
    """The law of one sampler, and every measure of it there is."""
    given = {
        "method": _written(method, approximation, kernel),
        "steps": steps,
        "t_min": t_min,
        "samples": samples,
        "seed": seed,
    }
    given = {name: value for name, value in given.items() if value is not None}
    venue = venue_of(paper)
    if venue is not None:
        output = output or Path("results") / ctx.info_name / venue.name
    if output is not None:
        require_writable(output)
    case = problem.Case(ctx.info_name, **given)
    with plotting.paper(venue):
        problem.show(case, plotting.tables.console(), output)


def _written(method, approximation, kernel) -> str | None:
    """One method, from its name or from its two parts."""
    require(
        method is None or approximation is kernel is None,
        "a method is given twice",
        got="--method with --approximation or --kernel",
        expected="one of the two",
        hint='write --method "Guided(DPS, DDIM(eta=0.5))"',
    )
    if approximation is kernel is None:
        return method
    for text, family in ((approximation, "approximation"), (kernel, "kernel")):
        if text is not None:
            methods.build(text, family)  # raises, with the nearest name
    parts = (
        methods.in_brackets(approximation or "DPS"),
        methods.in_brackets(kernel or "DDPM"),
    )
    return f"Guided({', '.join(parts)})"


@commands.command("experiment")
@polite
def run_experiment(
    ctx: Context,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of figures and of tables as CSV.", show_default="results/NAME"
        ),
    ] = None,
    store: Store = STORE,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes to start, each with one cell at a time.", min=1),
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler to use.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Also cells that are done.")
    ] = False,
    timeout: Annotated[
        float | None, typer.Option(help="Seconds that a cell may take.")
    ] = None,
    paper: Paper = None,
) -> None:
    """An experiment against its claims: figures, tables, and what holds.

    Exit code 1 if a claim is not as expected or a cell failed.
    """
    chosen = study.get(ctx.info_name)
    options = {"workers": workers, "scheduler": scheduler, "timeout": timeout}
    run_study(chosen, store, output, paper=paper, force=force, **options)


def run_study(
    chosen: study.Study,
    store: Path,
    output: Path | None,
    workers: int | None = None,
    scheduler: str | None = None,
    paper: str | None = None,
    **options: Any,
) -> None:
    """Computes what a store lacks of a study, and shows it.

    Args:
        chosen: the study.
        store: SQLite file.
        output: folder of figures and tables; results/NAME by default, or
            results/NAME/VENUE for a paper.
        workers: processes to start, as for `study.run`.
        scheduler: address of one of Dask's.
        paper: name of a venue.
        **options: others of `study.run`.

    Raises:
        Exit: with code 1 if something is not as it should be.
    """
    venue = venue_of(paper)
    if output is None:
        output = Path("results") / chosen.name / ("" if venue is None else venue.name)
    require_writable(output)
    require_writable(store.parent, "--store")
    screen = plotting.tables.console()
    with (
        sweep.Store(store) as opened,
        study.executing(chosen, workers, scheduler) as executor,
    ):
        with contextlib.chdir("."):  # cells may go elsewhere: what follows comes back
            tallies = study.run(chosen, opened, settings, executor=executor, **options)
        warn(study.stale([chosen], opened))
        fine = study.show(chosen, opened, tallies, screen, output, executor, venue)
    if not fine:
        raise typer.Exit(1)
