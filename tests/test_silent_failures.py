"""The experiment of silent failures on two cells of the line, and what it counts."""

from pathlib import Path

import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.sweep.scripts import module

FILE = Path(__file__).parents[1] / "experiments" / "silent_failures.py"


@pytest.fixture(scope="module")
def study():
    return module(str(FILE))


def test_two_cells_and_what_is_made_of_them(study, tmp_path):
    study.NUM, study.EXACT_SETS, study.SETS = 40, 6, 2
    study.PROBLEMS, study.PICTURES, study.SHOWN = ("two-modes",), 2, ""
    grid = {"problem": ["two-modes"], "failure": ["exact samples", "weights swapped"]}
    small = gt.Experiment(study.failures.function, grid)
    study.failures = small
    with gt.sweep.Store(tmp_path / "store.sqlite") as store:
        assert gt.sweep.run(small, store, show=False).done == 2
        z, kl = study.separations(store)
        tables = study.tables(store)
    place = "two-modes", "weights swapped"
    assert abs(z[*place, "sliced_w2"].value) > 20.0  # a tenth of the posterior moved
    assert abs(z[*place, "variance"].value) < 4.0  # two modes of much the same width
    assert study.to_be_seen(z) == [place] and place in study.invisible(z, "variance")
    assert float(z[*place, "likelihood_ratio"].value) > 20.0
    weights = np.exp(np.asarray(study.case_of("two-modes").posterior.log_weights))
    apart = (weights[1] - weights[0]) * np.log(weights[1] / weights[0])
    assert 0.0 < float(kl[place].value) < apart  # data processing: modes overlap
    row = tables["In how many problems each metric misses a failure"][1]
    assert row["failure"] == "weights swapped" and row["to be seen"] == 1
    assert row["missed by variance"] == 1 and row["missed by sliced W2"] == 0
    drawn = study.matrices(z)
    assert drawn.axes[0].get_title() == "two-modes"


def test_failures_are_those_of_their_names(study):
    case = study.case_of("plane-modes")
    exact = study.made("exact samples", case)
    assert exact.num_components == 2  # of three, one is ruled out
    hidden = study.made("liked by the data", case)
    assert np.isclose(np.exp(hidden.log_weights)[-1], study.SHARE)
    A = np.asarray(case.target.problem.measurement.A)
    heaviest = int(np.argmax(exact.log_weights))
    there, here = (
        A @ np.asarray(hidden.means[-1]),
        A @ np.asarray(exact.means[heaviest]),
    )
    assert np.allclose(there, here, atol=1e-9)
    wide = study.made("spread doubled", case)
    assert float(wide.total_variance()) > float(exact.total_variance())
