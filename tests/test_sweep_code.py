"""The code of experiments: what its version covers, and that workers run this code."""

import os
import sys
import textwrap

import pytest

import gmm_testbed as gt
from gmm_testbed.sweep import sources, work
from gmm_testbed.sweep.declare import precision_in_use


def write(file, text):
    file.write_text(textwrap.dedent(text))
    return file


DECLARES = """
import gmm_testbed as gt
{imports}
@gt.experiment(grid={{"n": [1]}})
def made(key, n):
    {inside}
    return {{"n": {value}}}
def claims(store):
    return {{}}
"""


@pytest.mark.parametrize(
    ("imports", "inside", "value"),
    [
        ("import tilted", "", "tilted.TILT"),
        ("from tilted import TILT", "", "TILT"),
        ("from tilted import *", "", "TILT"),
        ("import tilted as other", "", "other.TILT"),
        ("", "from tilted import TILT", "TILT"),
        ("import between", "", "between.twice()"),
        ("tilted = gt.sweep.scripts.module(FILE)", "", "tilted.TILT"),
        ("from packed import inner", "", "inner.TILT"),
        ("", "import packed.inner", "packed.inner.TILT"),
    ],
)
def test_a_version_covers_the_local_files_that_are_imported(
    tmp_path, monkeypatch, imports, inside, value
):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "packed").mkdir()
    name = "packed/inner.py" if "packed" in imports + inside else "tilted.py"
    inner = tmp_path / name
    write(tmp_path / "packed" / "__init__.py", "")
    write(
        tmp_path / "between.py", "import tilted\ndef twice():\n    return tilted.TILT"
    )
    imports = imports.replace("FILE", repr(str(inner)))
    text = DECLARES.format(imports=imports, inside=inside or "pass", value=value)
    file = write(tmp_path / "study.py", text)
    found = []
    for code in "TILT = 1.0", "'Words.'\nTILT = 1.0  # more", "TILT = 2.0":
        write(inner, code)
        made = gt.sweep.load(file)["made"]
        found.append((made.version, made.function(None, 1)["n"]))
    assert found[0] == found[1] and found[0][0] != found[2][0]
    assert [value for _, value in found] == [1.0, 1.0, 2.0]
    for name in "tilted", "between", "packed", "packed.inner":
        sys.modules.pop(name, None)


def test_an_import_that_nothing_uses_does_not_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    write(tmp_path / "unused.py", "X = 1")
    text = DECLARES.format(imports="import unused", inside="pass", value="1.0")
    file = write(tmp_path / "study.py", text)
    first = gt.sweep.load(file)["made"].version
    write(tmp_path / "unused.py", "X = 2")
    assert gt.sweep.load(file)["made"].version == first
    plain = write(tmp_path / "plain.py", text.replace("import unused", ""))
    assert gt.sweep.load(plain)["made"].version == first


def test_an_edited_file_is_loaded_again(tmp_path, monkeypatch):
    """Also within one second and of one length, and where only what it imports changed."""
    monkeypatch.syspath_prepend(tmp_path)
    helper = write(tmp_path / "edited_helper.py", "X = 1.0")
    text = DECLARES.format(imports="import edited_helper", inside="pass", value="VALUE")
    values = []
    for own, other in ("1", "1.0"), ("2", "1.0"), ("2", "3.0"):
        code = text.replace("VALUE", f"{own} * edited_helper.X")
        file = write(tmp_path / "study.py", code)
        write(helper, f"X = {other}")
        values.append(gt.sweep.load(file)["made"].function(None, 1)["n"])
    assert values == [1.0, 2.0, 6.0]
    assert gt.sweep.load(file)["made"] is gt.sweep.load(file)["made"]


TWICE = [
    "@gt.experiment(grid={'n': [1]})\ndef made(key, n):\n    return {}\n",
    "@gt.experiment(grid={'n': [1]}, name='made')\ndef other(key, n):\n    return {}\n",
    "made = gt.Experiment(made.function, {'n': [2]})\n",
    "import dataclasses\nagain = dataclasses.replace(made, seeds=2)\n",
]


@pytest.mark.parametrize("second", TWICE)
def test_two_experiments_of_one_name_are_refused(tmp_path, second):
    text = DECLARES.format(imports="", inside="pass", value="1.0")
    file = write(tmp_path / "study.py", text + second)
    with pytest.raises(
        gt.InputError, match="two experiments of the file have one name"
    ):
        gt.sweep.load(file)
    write(file, text + "again = made\n" + text.replace("made", "another"))
    assert set(gt.sweep.load(file)) == {"made", "another"}


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("import sys\nsys.exit(0)", "SystemExit: 0"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("x = 1 / 0", "ZeroDivisionError: division by zero"),
        ("raise BaseException('odd')", "BaseException: odd"),
        ("x = '\0'", "source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error_with_its_traceback(tmp_path, text, last):
    file = write(tmp_path / "study.py", text)
    with pytest.raises(gt.sweep.FileError) as error:
        gt.sweep.load(file)
    assert str(file) in str(error.value) and last in str(error.value)
    assert "scripts.py" not in str(error.value)  # from its own first line on


# Workers: `compute`, told that the driver is another process.


def as_worker(experiment):
    settings = work.Settings.here(experiment, precision_in_use(), None, None)
    return settings._replace(driver="another 1")


def computed(experiment, settings, where=None):
    where = where or work.reference(experiment)
    (outcome,) = work.compute(where, experiment.jobs(), False, settings)
    return outcome.metrics[0].value


def test_a_worker_that_lives_on_runs_the_code_of_the_driver(tmp_path, monkeypatch):
    """Or refuses: a file that was edited after the driver read it is not computed."""
    monkeypatch.syspath_prepend(tmp_path)
    helper = write(tmp_path / "of_worker.py", "X = 1.0")
    text = DECLARES.format(
        imports="import of_worker", inside="pass", value="of_worker.X"
    )
    text = text.replace("[1]}", '[1]}, version="1"')  # which does not tell
    file = write(tmp_path / "study.py", text)
    old = gt.sweep.load(file)["made"]
    first, where = as_worker(old), work.reference(old)
    assert len(first.code) == 2 and computed(old, first, where) == 1.0
    write(helper, "X = 2.0")
    with pytest.raises(gt.InputError, match="not what it was when the run began"):
        computed(old, first, where)
    name = old.function.__module__
    second = first._replace(code=sources.of_file(name, file))
    assert computed(old, second, where) == 2.0
    write(file, text.replace("_worker.X}", "_worker.X + 1}"))
    third = first._replace(code=sources.of_file(name, file))
    assert computed(old, third, where) == 3.0
    helper.unlink()
    with pytest.raises(gt.InputError, match="or is not here"):
        computed(old, third, where)


def test_a_worker_of_other_sources_or_version_refuses(tmp_path):
    text = DECLARES.format(imports="", inside="pass", value="1.0")
    made = gt.sweep.load(write(tmp_path / "study.py", text))["made"]
    settings = as_worker(made)
    assert computed(made, settings) == 1.0
    with pytest.raises(
        gt.InputError, match="other code of gmm_testbed than the driver"
    ):
        computed(made, settings._replace(package="0"))
    with pytest.raises(gt.InputError, match="another version of the experiment"):
        computed(made, settings._replace(version="0"))


def test_a_function_that_travels_is_refused_with_old_imports(tmp_path, monkeypatch):
    """It was put together from what the worker had in memory."""
    monkeypatch.syspath_prepend(tmp_path)
    helper = write(tmp_path / "travelled.py", "X = 1.0")
    made = gt.Experiment(lambda key, n: {"n": 1.0}, {"n": [1]}, name="m", version="1")
    code = (sources.Source("travelled", str(helper), sources.digest(helper)),)
    settings = as_worker(made)._replace(code=code)
    assert computed(made, settings) == 1.0
    write(helper, "X = 2.0")
    code = (code[0]._replace(digest=sources.digest(helper)),)
    with pytest.raises(gt.InputError, match="a worker has old code"):
        computed(made, settings._replace(code=code))


@pytest.mark.slow
def test_a_dask_worker_that_lives_on_runs_an_edited_file(tmp_path):
    pytest.importorskip("distributed")
    text = DECLARES.format(imports="import os", inside="pass", value="1.0")
    text = text.replace('"n": 1.0', '"n": 1.0, "process": float(os.getpid())')
    file, found = tmp_path / "study.py", []
    with gt.sweep.cluster(workers=1) as executor:
        for value in "1.0", "2.0":
            write(file, text.replace('"n": 1.0', f'"n": {value}'))
            made = gt.sweep.load(file)["made"]
            with gt.sweep.Store(tmp_path / "s.sqlite") as store:
                tally = gt.sweep.run(made, store, executor=executor, show=False)
                assert tally == gt.sweep.Tally(done=1)
                found.append({row.metric: row.value for row in store.rows(made)})
    assert [values["n"] for values in found] == [1.0, 2.0]
    assert len({values["process"] for values in found} - {float(os.getpid())}) == 1
