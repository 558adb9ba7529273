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


def test_each_kind_of_sampler_has_a_page_whose_examples_are_tests():
    """JAX or NumPy, PyTorch, data, a network: the second thing that a visitor reads."""
    first, second = re.findall(r"^## (.*)$", README.read_text(), re.MULTILINE)[:2]
    assert (first, second) == ("Is my sampler right?", "Two commands")
    section = README.read_text().split(f"## {first}")[1].split(f"## {second}")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    pages = [re.search(r"\((docs/[a-z-]+\.md)\) \|$", row).group(1) for row in rows]
    named = ["check", "torch", "diagnose", "without-truth"]
    assert pages == [f"docs/{name}.md" for name in named]
    tests = "".join(
        file.read_text() for file in Path(__file__).parent.glob("test_*.py")
    )
    for page in pages:
        assert "```python" in (README.parent / page).read_text()
        assert f'"{Path(page).name}"' in tests
