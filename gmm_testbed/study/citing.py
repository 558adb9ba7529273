"""BibTeX of methods, theorems and this package, from the references in their facts.

The entries are in `references.bib`. One is meant where a reference has its arXiv number, or
a phrase of its field "mentions" (parted by semicolons), which is for this purpose only.
"""

import functools
import re
from pathlib import Path
from typing import Any, NamedTuple

from .. import bounds, methods
from .._checks import choose, require
from ..plotting import latex
from ..sweep.provenance import provenance

_FILE = Path(__file__).with_name("references.bib")
_PACKAGE = "gmm_testbed"
_OWN = re.compile(
    r"^(here|closed form|constants here|none\b|conditioning|definition of|change of|"
    r"chain rule|weak and strong)|proofs? (of the constant )?in the docstring|docstring$"
)


class Entry(NamedTuple):
    r"""One entry of the bibliography.

    Attributes:
        key: for `\cite`.
        text: BibTeX, without what only this module reads.
        marks: what a reference has that means this entry.
    """

    key: str
    text: str
    marks: tuple[str, ...]

    def meant(self, reference: str) -> bool:
        """Whether a reference in words means this entry."""
        return any(mark in reference for mark in self.marks)


@functools.cache
def bibliography() -> dict[str, Entry]:
    """Every entry of `references.bib`, by its key."""
    found = {}
    for text in re.split(r"\n(?=@)", _FILE.read_text(encoding="utf-8").strip()):
        key = text.partition("{")[2].partition(",")[0]
        marks = re.findall(r"^ *eprint = \{(.*)\},$", text, re.MULTILINE)
        for phrases in re.findall(r"^ *mentions = \{(.*)\},$", text, re.MULTILINE):
            marks += map(str.strip, phrases.split(";"))
        text = re.sub(r"^ *mentions = .*\n", "", text, flags=re.MULTILINE).strip()
        found[key] = Entry(key, text, tuple(marks))
    return found


def cite(*what: Any) -> str:
    """BibTeX entries of what a paper used, and of this package, which comes last.

    Each entry is there once, in the order of what was given. A reference that the
    bibliography does not have is an `@misc` with its words as a note.

    Args:
        what: methods, or anything else with `facts`; names as `gt.methods.get` takes them,
            with options or without; theorems by name or number, as "T12", which is all
            that begin with it.

    Raises:
        InputError: for a name that is neither; the message has the nearest one.

    Example:
        >>> print(gt.cite(gt.methods.get("TDS(twist=DPS)"), "T12"))  # doctest: +SKIP
    """
    found: dict[str, str] = {}
    for one in what:
        for name, reference in _references(one):
            found |= _entries(name, reference)
    return "\n\n".join([*found.values(), _package()]) + "\n"


def unknown(reference: str) -> list[str]:
    """Clauses of a reference that name a source without an entry.

    A clause that says that something is of this package names none.
    """
    clauses = (clause.strip() for clause in reference.split(";"))
    return [
        clause
        for clause in clauses
        if clause
        and not any(entry.meant(clause) for entry in bibliography().values())
        and not _OWN.search(clause)
        and "see each kernel's reference" not in clause
    ]


def _references(what: Any) -> list[tuple[str, str]]:
    """Names and references of what is to be cited, with those of its parts."""
    if isinstance(what, str):
        if theorems := _theorems(what):
            return [(name, bounds.CATALOGUE[name].facts.source) for name in theorems]
        if re.fullmatch(r"[TC]\d+\S*", what):
            choose(what, bounds.CATALOGUE, "theorem")  # raises
        name = what.partition("(")[0].partition(":")[0].strip()
        entry = choose(name, methods.CATALOGUE, "method or theorem")
        if what.strip() != name:
            what = methods.build(what)
        elif entry.complete:
            what = entry.kind()
        else:
            return [(name, _of_class(entry.kind))]
    facts = getattr(what, "facts", None)
    require(
        facts is not None,
        "this has no reference",
        got=repr(what),
        expected="a method, its name, or a theorem such as 'T12'",
        hint="gmm-testbed list prints the names",
    )
    own = facts.reference if isinstance(facts, methods.Facts) else facts.source
    parts = [
        part
        for value in vars(what).values()
        if isinstance(value, methods.AbstractDescribed)
        for part in _references(value)
    ]
    return [(type(what).__name__, own), *parts]


def _of_class(kind: type) -> str:
    """Reference of a method that is not made; none where its parts have it."""
    facts = vars(kind).get("facts")
    return facts.reference if isinstance(facts, methods.Facts) else ""


def _theorems(name: str) -> list[str]:
    """Theorems that a name, or the number before its first dash, means."""
    return [
        key
        for key in bounds.CATALOGUE
        if key == name or key.startswith(f"{name.rstrip('-')}-") and name
    ]


def _entries(name: str, reference: str) -> dict[str, str]:
    """Entries that a reference means, by key, and a note for what has none."""
    found = {
        entry.key: entry.text
        for entry in bibliography().values()
        if entry.meant(reference)
    }
    places = {key: reference.find(_mark(key, reference)) for key in found}
    found = {key: found[key] for key in sorted(found, key=places.__getitem__)}
    if left := unknown(reference):
        key = re.sub(r"\W+", "", f"gmm-testbed:{name}") or name
        found[key] = f"@misc{{{key},\n  note = {{{latex.text('; '.join(left))}}},\n}}"
    return found


def _mark(key: str, reference: str) -> str:
    marks = bibliography()[key].marks
    return next(mark for mark in marks if mark in reference)


def _package() -> str:
    """This package, in the version and revision that is in use."""
    now = provenance()
    fields = {
        "author": "{gmm\\_testbed contributors}",
        "title": "{gmm\\_testbed}: Diffusion Posterior Sampling on {G}aussian Mixtures, "
        "Where Every Law Is Exact",
        "version": now.package,
        "note": f"Revision {now.revision}" if now.revision else "",
    }
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items() if value]
    return "\n".join([f"@misc{{{_PACKAGE},", *lines, "}"])
