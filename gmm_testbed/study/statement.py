"""How the numbers of a study were made: for an appendix, and inside the files."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._checks import require
from ..sweep import Experiment, Row, Status, Store
from ..sweep.files import replacing
from ..sweep.provenance import Provenance, provenance
from .files import FOLDER, OF_PACKAGE, Study

SIDECAR = "provenance.json"


def origins(study: Study, store: Store) -> list[Provenance]:
    """What computed the cells of a study, the most cells first."""
    cells = {_cell(row): row for row in _rows(study, store)}
    return [one for one, _ in Counter(map(_origin, cells.values())).most_common()]


def metadata(study: Study, store: Store) -> dict[str, str]:
    """What a figure says of itself, with keys that PNG and PDF both know."""
    now, made = provenance(), origins(study, store)
    by = [f"computed by {one}" for one in made if one != now]
    by += [f"{'computed and written' if now in made else 'written'} by {now}"]
    return {"Subject": "; ".join([f"study {study.name}", *by])}


def write_sidecar(
    files: Iterable[Path], folder: Path, computed: Sequence[Provenance], about: str
) -> Path:
    """Writes beside tables which code made them, and a hash that tells each file.

    A line at the head of a CSV would be taken for its columns by whatever reads it.

    Args:
        files: in the folder.
        folder: where the sidecar is.
        computed: what computed the numbers.
        about: the command, or what else made them.
    """
    content = {
        "made by": about,
        "computed by": [one._asdict() for one in computed],
        "written by": provenance()._asdict(),
        "sha256": {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(files)
        },
    }
    path = folder / SIDECAR
    with replacing(path) as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())
    return path


def statement(study: Study, store: Store) -> str:
    """A paragraph for an appendix: what was computed, by what, and how well it is known.

    Raises:
        InputError: if cells are missing or failed; what is not there cannot be stated.
    """
    require(
        study.complete(store),
        "not every cell is there",
        got=study.error or str(study.counts(store)),
        expected="cells that are done, or skipped for good",
        hint=f"gmm-testbed run {study.name}",
    )
    rows = _rows(study, store)
    sentences = [
        f"The numbers of “{study.title.rstrip('.')}” are those of "
        f"`gmm-testbed run {_named(study)}`.",
        *(_declared(name, e, store) for name, e in study.experiments.items()),
        *_skipped(rows),
        _time(rows),
        *(f"Computed by {one}." for one in origins(study, store)),
        *_known(rows),
    ]
    return " ".join(sentences)


def _named(study: Study) -> str:
    """The name, or the file of what stands in another folder."""
    known = study.name in OF_PACKAGE or study.file.parent.name == FOLDER.name
    return study.name if known else str(study.file)


def _rows(study: Study, store: Store) -> list[Row]:
    return [row for one in study.experiments.values() for row in store.rows(one)]


def _cell(row: Row) -> tuple:
    return row.experiment, json.dumps(row.cell), row.seed, row.precision


def _origin(row: Row) -> Provenance:
    return Provenance(*(getattr(row, name) or "" for name in Provenance._fields))


def _declared(name: str, experiment: Experiment, store: Store) -> str:
    """Cells, labels, seeds and precision of one experiment."""
    rows = store.rows(experiment)
    cells = len({_cell(row) for row in rows})
    labels = ", ".join(
        f"{label} ({len(values)})" for label, values in experiment.grid.items()
    )
    over = f" over {labels}" if labels else ""
    precision = " and ".join(sorted({row.precision for row in rows}))
    seeds = _listed(sorted({row.seed for row in rows}))
    return f"Experiment {name}: {_count(cells, 'cell')}{over}; {seeds}; {precision}."


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return "seeds " + ", ".join(map(str, seeds))


def _skipped(rows: Sequence[Row]) -> list[str]:
    left = {_cell(row): row.reason for row in rows if row.status == Status.SKIPPED}
    if not left:
        return []
    reasons = Counter(reason.partition(":")[0] for reason in left.values())
    words = "; ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
    return [f"{_count(len(left), 'cell')} have no value: {words}."]


def _time(rows: Sequence[Row]) -> str:
    """Minutes of all cells, and when the last one ended."""
    once = {_cell(row): row for row in rows}.values()
    whole, compiling = (
        sum(getattr(row, name) or 0.0 for row in once) / 60.0
        for name in ("wall_seconds", "compile_seconds")
    )
    days = sorted({row.ended[:10] for row in once})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"They took {whole:.2g} minutes, the cells one after another, of which "
        f"{compiling:.2g} to compile ({when})."
    )


def _known(rows: Sequence[Row]) -> list[str]:
    """Which metrics are exact, which have an error, and of which that is not said."""
    kinds: dict[str, set[str]] = {}
    grounds: dict[str, Counter] = {}
    for row in rows:
        if row.metric is not None:
            kind = _kind(row)
            kinds.setdefault(row.metric, set()).add(kind)
            grounds.setdefault(kind, Counter())[row.how or ""] += 1
    places: dict[str, list[str]] = {}
    for metric, found in kinds.items():
        places.setdefault(" or ".join(sorted(found)), []).append(metric)
    return [
        f"{kind.capitalize()}: {_some(metrics)}{_grounds(grounds, kind)}."
        for kind, metrics in sorted(places.items())
    ]


def _kind(row: Row) -> str:
    if row.stderr is None:
        return "without a stated error"
    if row.stderr == 0:
        return "exact"
    return "with a standard error"


def _grounds(grounds: Mapping[str, Counter], kind: str) -> str:
    """What the numbers of a kind rest on, the most usual first."""
    counted: Any = Counter()
    for one in kind.split(" or "):
        counted += grounds[one]
    words = [how for how, _ in counted.most_common(3) if how]
    more = ", ..." if len(counted) > 3 else ""
    return f" ({', '.join(words)}{more})" if words else ""


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
