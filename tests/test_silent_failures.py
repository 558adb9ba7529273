"""The experiment of silent failures on two cells of the line, and what it counts."""

from pathlib import Path

import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.sweep.scripts import module

FILE = Path(__file__).parents[1] / "experiments" / "silent_failures.py"


def plain_metrics(x, prior, posterior, light, truth, problem):
    """In place of the experiment's metrics, which have tests of their own."""
    x = np.asarray(x)[:, 0]
    found = dict.fromkeys(("psnr", "residual", "log_prior"), x.mean())
    found |= dict.fromkeys(
        ("frechet_prior", "frechet_posterior", "sliced_w2"), x.mean()
    )
    return found | {"psnr_of_mean": x.mean(), "variance": x.var(ddof=1)}


@pytest.mark.slow
def test_two_cells_and_what_is_made_of_them(tmp_path):
    study = module(str(FILE))
    study.NUM, study.EXACT_SETS, study.SETS = 40, 6, 6
    study.PROBLEMS, study.PICTURES, study.SHOWN = ("two-modes",), 2, ""
    study.MANY, study.STEPS, study.measured = 80, 3, plain_metrics
    laws = ["exact samples", "weights swapped", "DPS"]
    grid = {"problem": ["two-modes"], "failure": laws}
    small = gt.Experiment(study.failures.function, grid)
    study.failures = small
    with gt.sweep.Store(tmp_path / "store.sqlite") as store:
        assert gt.sweep.run(small, store, show=False).done == 3
        found = study.results(store)
        tables = study.tables(store)
    z, kl, sliced, values = found
    place = "two-modes", "weights swapped"
    assert float(z[*place, "psnr"].value) < -8.0  # the mean moves by many deviations
    assert abs(z[*place, "variance"].value) < 4.0  # two modes of much the same width
    assert place in study.to_be_seen(z) and place in study.invisible(z, "variance")
    assert place not in study.invisible(z, "variance", "psnr")
    assert float(z[*place, "likelihood_ratio"].value) > 8.0
    case = study.case_of("two-modes")
    weights = np.exp(np.asarray(case.posterior.log_weights))
    apart = (weights[1] - weights[0]) * np.log(weights[1] / weights[0])
    assert 0.0 < float(kl[place].value) < apart  # data processing: modes overlap
    assert kl[place].stderr > 0.0 == kl["two-modes", "DPS"].stderr  # by quadrature
    times = gt.time_grid(case.target.path, 3, t_min=gt.problems.T_MIN)
    law = gt.laws.grid(
        gt.Guided(gt.approximations.DPS(), gt.kernels.DDPM()), case.target, times
    )
    assert np.isclose(kl["two-modes", "DPS"].value, law.kl(case.posterior))
    w2, floor = sliced[place]
    means = np.asarray(case.posterior.means)[:, 0]
    moved = np.sqrt(weights[1] - weights[0]) * np.ptp(means)  # the mass that must move
    assert abs(w2.value - moved) < 4.5 * w2.stderr + 0.1 * moved > floor
    assert sliced["two-modes", "exact samples"][1] == floor
    assert float(values[*place, "variance"].value) > 0.0
    true = tables["two-modes: true divergence, and z of every metric"]
    assert [row["failure"] for row in true] == ["weights swapped", "DPS"]
    assert true[1]["KL ±"] == "" and true[1]["floor"] == true[0]["floor"] > 0.0
    row = tables["In how many problems each metric misses a failure"][1]
    assert row["failure"] == "weights swapped" and row["to be seen"] == 1
    assert row["missed by variance"] == 1 and row["missed by sliced W2"] == 0
    assert study.matrices(found).axes[0].get_title(loc="left") == "two-modes"
    for failure in study.MADE[3:]:  # of the spread, or hallucinated
        with pytest.raises(gt.UnsupportedError, match="every direction|ruled out no"):
            study.made(failure, case)
