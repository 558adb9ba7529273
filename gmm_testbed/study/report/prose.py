"""The Markdown of docstrings as HTML: with links to arXiv, and formulas left alone."""

import functools
import re
import textwrap

_ARXIV = re.compile(r"(`[^`\n]+`)|arXiv:(\d{4}\.\d{4,5})")
_CLOSED = {r"\(": r"\)", r"\[": r"\]"}


def prose(text: str) -> str:
    """HTML of a text in Markdown; HTML inside it is escaped, pictures are links."""
    return _parser().render(_linked(textwrap.dedent(text)))


def inline(text: str) -> str:
    """HTML of one line of Markdown, without a paragraph around it."""
    return _parser().renderInline(_linked(text))


def _linked(text: str) -> str:
    """The text with every number of arXiv outside code as a link."""
    return _ARXIV.sub(
        lambda found: (
            found[1] or f"[arXiv:{found[2]}](https://arxiv.org/abs/{found[2]})"
        ),
        text,
    )


@functools.cache
def _parser():
    from markdown_it import MarkdownIt  # only who writes a page waits for it

    made = MarkdownIt("commonmark", {"html": False}).disable("image")
    made.inline.ruler.before("escape", "formula", _formula)
    made.block.ruler.before("code", "formula", _formulas, {"alt": ["paragraph"]})
    return made


def _formula(state, silent: bool) -> bool:
    r"""Reads \( ... \) or \[ ... \] inside a line: as it is written."""
    closing = _CLOSED.get(state.src[state.pos : state.pos + 2])
    end = state.src.find(closing, state.pos + 2) if closing else -1
    if end < 0:
        return False
    if not silent:
        token = state.push("code_inline", "code", 0)
        token.content = " ".join(state.src[state.pos + 2 : end].split())
        token.attrSet("class", "formula")
    state.pos = end + 2
    return True


def _formulas(state, first: int, last: int, silent: bool) -> bool:
    r"""Reads lines from \[ to \]: as they are written."""
    if state.is_code_block(first) or not _line(state, first).startswith(r"\["):
        return False
    for end in range(first, last):
        if _line(state, end).rstrip(" ,.;").endswith(r"\]"):
            break
    else:
        return False
    if not silent:
        content = state.getLines(first, end + 1, state.blkIndent, False).strip()
        token = state.push("code_block", "code", 0)
        token.content = textwrap.dedent(content[2:].replace(r"\]", "", 1)).strip()
        token.attrSet("class", "formula")
        token.map = [first, end + 1]
        state.line = end + 1
    return True


def _line(state, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]]
