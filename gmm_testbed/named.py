"""Objects from text: `ZetaDPS:zeta=0.5`, `DDPM:variance=matched`."""

import inspect
from collections.abc import Mapping
from typing import Any

from ._checks import choose, fail, require


def from_text(text: str, catalogue: Mapping[str, type], what: str) -> Any:
    """An instance of a class of the catalogue.

    Args:
        text: a name, or `name:option=value,option=value`. An option takes a number or a
            name, whichever its default is.
        catalogue: classes by name, whose options all have defaults.
        what: for the messages, such as "kernel".

    Raises:
        InputError: for an unknown name, option or value, with the nearest one.
    """
    name, _, options = text.partition(":")
    chosen = choose(name.strip(), catalogue, what)
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(chosen).parameters.items()
    }
    given = {}
    for option in filter(None, options.split(",")):
        key, equals, value = (part.strip() for part in option.partition("="))
        require(
            equals,
            f"an option of {name} has no value",
            got=repr(option),
            expected="option=value",
            hint=f"the options of {name}: {', '.join(defaults) or 'none'}",
        )
        require(
            defaults,
            f"{name} has no options",
            got=repr(option),
            expected=f"{name} alone",
            hint=f"write {name}",
        )
        given[key] = _value(value, choose(key, defaults, f"option of {name}"), key)
    return chosen(**given)


def _value(text: str, default: Any, key: str) -> Any:
    if isinstance(default, str):
        return text
    try:
        return float(text)
    except ValueError:
        fail(
            f"the option {key} takes a number",
            got=repr(text),
            expected=f"a number, such as {default}",
            hint=f"write {key}={default}",
        )
