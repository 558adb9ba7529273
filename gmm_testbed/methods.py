r"""One table of everything that samples, and methods from text.

gt.methods.get("DPS")                            an approximation, with DDPM()
gt.methods.get("Guided(TMPD, DDIM(eta=0.5))")    an approximation and a kernel
gt.methods.get("TDS(twist=DPS)")                 a particle filter
gt.methods.get("ParticleFilter(Bootstrap, resampling=multinomial)")
"""

import ast
import inspect
from typing import Any, NamedTuple

from . import algorithms, approximations, estimators, kernels, smc
from ._checks import choose, fail, require
from .method import AbstractDescribed, Facts


class Entry(NamedTuple):
    """A row of the table.

    Attributes:
        family: "approximation", "kernel", "method", "filter", "estimator" or "sampler".
        kind: the class.
    """

    family: str
    kind: type

    @property
    def facts(self) -> Facts:
        """Of the class with its defaults, where all options have some."""
        return self.kind().facts

    @property
    def options(self) -> dict[str, Any]:
        """Names of the options and their defaults; `inspect.Parameter.empty` if none."""
        parameters = inspect.signature(self.kind).parameters
        return {name: parameter.default for name, parameter in parameters.items()}

    @property
    def complete(self) -> bool:
        """Whether every option has a default."""
        return inspect.Parameter.empty not in self.options.values()


_WRAPPERS = {
    "Guided": Entry("method", algorithms.Guided),
    "Published": Entry("method", algorithms.Published),
    "ParticleFilter": Entry("sampler", smc.ParticleFilter),
}
CATALOGUE: dict[str, Entry] = {
    name: Entry(family, kind)
    for family, rows in (
        ("approximation", approximations.CATALOGUE),
        ("kernel", kernels.CATALOGUE),
        ("method", algorithms.CATALOGUE),
        ("filter", smc.CATALOGUE),
        ("estimator", estimators.CATALOGUE),
    )
    for name, kind in rows.items()
} | _WRAPPERS


def get(text: str) -> AbstractDescribed:
    """What `gt.sample` and all that measures methods take, from text.

    Args:
        text: a name of `CATALOGUE`, with options in brackets as in Python; an option is a
            number, a name of the table, or the name of a variant. An approximation where a
            method is wanted is guided by DDPM().

    Raises:
        InputError: for an unknown name, option or value, with the nearest one.
    """
    made = build(text)
    if isinstance(made, approximations.AbstractApproximation):
        return algorithms.Guided(made, kernels.DDPM())
    require(
        not isinstance(made, kernels.AbstractKernel),
        "a kernel alone is no method",
        got=text,
        expected="a method, a filter, or an approximation",
        hint=f'write "Guided(DPS, {text})"',
    )
    return made


def build(text: str, family: str | None = None) -> AbstractDescribed:
    """An object of the table from text, as it is: see `get`.

    Args:
        text: also in the older form "ZetaDPS:zeta=0.5".
        family: that it must belong to, if any.

    Raises:
        InputError: as `get`.
    """
    try:
        tree = ast.parse(in_brackets(text), mode="eval").body
    except SyntaxError:
        fail(
            "this is not the name of a method",
            got=repr(text),
            expected='a name, with options in brackets: "TDS(twist=DPS)"',
            hint="gmm-testbed list prints the names",
        )
    return _made(tree, family)


def in_brackets(text: str) -> str:
    """The text with options in brackets; it may have them after a colon."""
    name, colon, options = text.strip().partition(":")
    return f"{name}({options})" if colon else name


def _made(tree: ast.expr, family: str | None = None):
    """The object that an expression names."""
    call = tree if isinstance(tree, ast.Call) else None
    name = ast.unparse(call.func if call else tree)
    rows = {
        key: entry
        for key, entry in CATALOGUE.items()
        if family is None or entry.family == family
    }
    entry = choose(name, rows, family or "method")
    options, given = entry.options, {}
    for position, argument in enumerate(call.args if call else []):
        require(
            position < len(options),
            f"{name} has too many options",
            got=ast.unparse(argument),
            expected=", ".join(options) or f"{name} alone",
            hint=f"write {name}",
        )
        given[list(options)[position]] = argument
    for keyword in call.keywords if call else []:
        require(
            options,
            f"{name} has no options",
            got=ast.unparse(keyword),
            expected=f"{name} alone",
            hint=f"write {name}",
        )
        choose(keyword.arg or "", options, f"option of {name}")
        given[keyword.arg] = keyword.value
    missing = [
        option
        for option, default in options.items()
        if default is inspect.Parameter.empty and option not in given
    ]
    require(
        not missing,
        f"{name} lacks an option",
        got=ast.unparse(tree),
        expected=f"{name}({', '.join(missing)})",
        hint="gmm-testbed list prints the names that may stand there",
    )
    made = {
        option: _value(node, options[option], option) for option, node in given.items()
    }
    if isinstance(made.get("method"), approximations.AbstractApproximation):
        made["method"] = algorithms.Guided(made["method"], kernels.DDPM())
    return entry.kind(**made)


def _value(node: ast.expr, default: Any, option: str):
    """A number, an object of the table, or the name of a variant."""
    if isinstance(node, ast.Constant | ast.UnaryOp):
        try:
            return ast.literal_eval(node)
        except ValueError:
            pass
    if isinstance(node, ast.Call) or ast.unparse(node) in CATALOGUE:
        return _made(node)
    if isinstance(default, str) and isinstance(node, ast.Name):
        return node.id
    number = isinstance(default, int | float)
    fail(
        f"the option {option} takes {'a number' if number else 'an object of the table'}",
        got=repr(ast.unparse(node)),
        expected=f"a number, such as {default}" if number else "a name of the table",
        hint=f"write {option}={default}" if number else "gmm-testbed list prints them",
    )
