"""The text of a docstring as HTML: paragraphs, lists, code and links to arXiv."""

import re
import textwrap

from .markup import Markup, element, joined

_ITEM = re.compile(r"(?:[-*]|\d+[.)]|\([a-z]\)) +")
_INLINE = re.compile(r"(`[^`\n]+`|\*\*[^*\n]+\*\*|arXiv:\d{4}\.\d{4,5})")


def prose(text: str) -> Markup:
    """Blocks are told apart by empty lines; an indented one is shown as it is."""
    blocks = re.split(r"\n\s*\n", textwrap.dedent(text).strip("\n"))
    return joined(*(_block(block) for block in blocks if block.strip()))


def inline(text: str) -> Markup:
    """`code`, **weight** and links inside a line."""
    return joined(*(_part(part) for part in _INLINE.split(text) if part))


def _block(block: str) -> Markup:
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        return element("pre", textwrap.dedent(block))
    starts = [n for n, line in enumerate(lines) if _ITEM.match(line)]
    if not starts:
        return element("p", inline(" ".join(line.strip() for line in lines)))
    ends = [*starts[1:], len(lines)]
    items = [
        " ".join(line.strip() for line in lines[begin:end])
        for begin, end in zip(starts, ends, strict=True)
    ]
    listed = [element("li", inline(_ITEM.sub("", item, count=1))) for item in items]
    before = " ".join(line.strip() for line in lines[: starts[0]])
    return joined(
        element("p", inline(before)) if before else None, element("ul", *listed)
    )


def _part(part: str) -> Markup | str:
    if not _INLINE.fullmatch(part):
        return part
    if part.startswith("`"):
        return element("code", part.strip("`"))
    if part.startswith("*"):
        return element("strong", part.strip("*"))
    return element("a", part, href=f"https://arxiv.org/abs/{part.partition(':')[2]}")
