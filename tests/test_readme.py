"""The README's Python runs as it stands, and prints what it says."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_the_snippets_run_one_after_another(capsys):
    text = README.read_text(encoding="utf-8")
    known = {}
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(snippet, str(README), "exec"), known)
    *laws, found, floor = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in laws] == [
        [name, "KL"] for name in ("Exact", "DPS", "TMPD")
    ]
    assert found.startswith("0.174 ± 0.013 (4000 weighted samples")
    assert floor.startswith("-5.1e-05 ± 7.2e-05 (20 exact sets of 4000")
