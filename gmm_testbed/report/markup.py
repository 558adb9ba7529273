"""HTML in which whatever is not markup is escaped."""

import html
import json
from typing import Any

_VOID = {"img", "input", "meta"}
# A browser ends a script at "</script", whatever the script's language is.
_IN_SCRIPTS = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


class Markup(str):
    """Text that is HTML already; any other string is escaped on its way in."""


def element(tag: str, *content: Any, **attributes: Any) -> Markup:
    """An element.

    Args:
        tag: its name.
        content: `Markup` stays as it is; None is left out.
        attributes: an underscore at the end of a name is dropped, others are hyphens.
            None and False leave an attribute out, True gives it no value.
    """
    written = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        name = name.rstrip("_").replace("_", "-")
        quoted = "" if value is True else f'="{html.escape(str(value))}"'
        written.append(f" {name}{quoted}")
    head = f"<{tag}{''.join(written)}>"
    return Markup(head if tag in _VOID else f"{head}{joined(*content)}</{tag}>")


def joined(*content: Any) -> Markup:
    """One after the other."""
    return Markup("".join(_safe(part) for part in content if part is not None))


def data(identity: str, value: Any) -> Markup:
    """JSON for the page's script; there must be no NaN in it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    text = Markup(text.translate(_IN_SCRIPTS))
    return element("script", text, type="application/json", id=identity)


def _safe(part):
    return part if isinstance(part, Markup) else html.escape(str(part))
