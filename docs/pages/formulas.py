r"""Docstrings as reStructuredText: formulas, links to arXiv, and plain words left alone.

Docstrings write mathematics as \( \) and \[ \] and code between single backticks, and mean
stars, bars and underscores as they stand.
"""

import re
import textwrap

_PIECES = re.compile(
    r"(?P<block>\\\[.*?\\\])|(?P<inline>\\\(.*?\\\))|(?P<code>``.*?``|`[^`]+`)"
    r"|arXiv:(?P<arxiv>\d{4}\.\d{4,5})",
    re.DOTALL,
)
_SECTION = re.compile(r"\s*(Args|Attributes|Raises|Returns|Yields|Warns):\s*$")


def restructured(text: str) -> str:
    """A docstring as reStructuredText; its sections are left to napoleon."""
    text = _examples(text)
    parts, end = [], 0
    for found in _PIECES.finditer(text):
        begins = text[:end].endswith("\n") or not end
        parts.append(_plain(text[end : found.start()], begins))
        before, after = text[: found.start()], text[found.end() : found.end() + 1]
        parts.append(_piece(found, before, after))
        end = found.end()
    begins = text[:end].endswith("\n") or not end
    return "".join([*parts, _plain(text[end:], begins)])


def words(text: str) -> str:
    """One line of text for a cell of a table, with its links and code."""
    return restructured(" ".join(text.split()))


def _piece(found: re.Match, before: str, after: str) -> str:
    if found["block"]:
        line = before.rpartition("\n")[2]
        indent = re.match(r"\s*", line).group() if line else ""
        content = textwrap.dedent(found["block"][2:-2].strip("\n"))
        content = textwrap.indent(content.strip(), f"{indent}   ")
        rest = f"{indent}" if after not in ("\n", "") else ""
        return f"\n\n{indent}.. math::\n\n{content}\n\n{rest}"
    if found["inline"]:
        made = f":math:`{' '.join(found['inline'][2:-2].split())}`"
    elif found["arxiv"]:
        number = found["arxiv"]
        made = f"`arXiv:{number} <https://arxiv.org/abs/{number}>`__"
    else:
        made = f"``{' '.join(found['code'].strip('`').split())}``"
    left = "\\ " if before[-1:].isalnum() else ""
    right = "\\ " if after.isalnum() else ""
    return f"{left}{made}{right}"


def _plain(text: str, begins: bool) -> str:
    """Text in which nothing is markup but bullets and sections.

    Args:
        text: what stands between formulas and code.
        begins: whether it begins a line.
    """

    def literal(found):
        line = text[: found.start()].rpartition("\n")
        bullet = (begins or line[1]) and not line[2].strip()
        bullet = bullet and text[found.end() : found.end() + 1] == " "
        return found.group() if bullet else f"\\{found.group()}"

    return re.sub(r"[*|]|(?<=\w)_(?=\W|$)", literal, text)


def _examples(text: str) -> str:
    """With blocks that are indented by four, before the first section, as code."""
    lines, made, code = text.splitlines(), [], False
    for number, line in enumerate(lines):
        if _SECTION.match(line):
            return "\n".join([*made, *lines[number:]])
        indented = line.startswith("    ") and "\\" not in line
        if indented and not code and (not made or not made[-1].strip()):
            made += ["", ".. code-block:: python", ""]
            code = True
        elif line.strip() and not line.startswith("    "):
            code = False
        made.append(line)
    return "\n".join(made)
