"""The image problems: the prior is that of EM, the operators are those of images."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import convolve
from scipy.stats import multivariate_normal

import gmm_testbed as gt
from gmm_testbed.sweep.scripts import module
from gmm_testbed.testbeds import SIZES, TASKS

EXPERIMENTS = Path(__file__).parents[1] / "experiments"


@pytest.fixture(scope="module")
def target():
    return gt.problems.get("digits-superresolution")


def test_sizes_and_truths(target):
    sizes = {SIZES[f"digits-{task}"] for task in TASKS}
    prior = target.problem.prior
    assert sizes == {(prior.dim, prior.num_components)}
    images = gt.problems.digit_images()
    assert images.shape == (297, 64)
    assert images.min() == -1.0 and images.max() == 1.0  # 16 levels of ink


def test_the_prior_is_a_fixed_point_of_em(target):
    """One more step of EM, in NumPy, moves no more than EM was told to stop at."""
    from sklearn.datasets import load_digits

    prior = target.problem.prior
    x = load_digits().data[:1500] / 8.0 - 1.0
    weights, means = np.exp(np.asarray(prior.log_weights)), np.asarray(prior.means)
    covariances = np.asarray(prior.covariances())
    joint = np.stack(
        [
            np.log(w) + multivariate_normal.logpdf(x, m, c)
            for w, m, c in zip(weights, means, covariances, strict=True)
        ],
        axis=1,
    )
    share = np.exp(joint - joint.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    assert np.abs(share.mean(axis=0) - weights).max() < 2e-3
    k = int(np.argmin(weights))
    centred = x - means[k]
    again = (share[:, k, None] * centred).T @ centred / share[:, k].sum()
    again += 0.02 * np.eye(64)
    assert np.abs(again - covariances[k]).max() < 2e-2 * np.abs(again).max()
    assert np.linalg.eigvalsh(covariances).min() > 0.02 - 1e-9


def test_operators_act_on_images(target):
    image = np.random.default_rng(1).uniform(-1.0, 1.0, (8, 8))
    line = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    expected = {
        "inpainting": image[:4],
        "blur": convolve(image, np.outer(line, line), mode="wrap"),
        "superresolution": image.reshape(4, 2, 4, 2).mean(axis=(1, 3)),
    }
    operators = {task: operator() for task, (operator, _) in TASKS.items()}
    for task, A in operators.items():
        assert np.allclose(A @ image.ravel(), expected[task].ravel(), atol=1e-12), task
    assert np.array_equal(target.problem.measurement.A, operators["superresolution"])
    rank = np.linalg.matrix_rank(operators["blur"], tol=1e-9)
    assert rank == 64 - 15  # highest frequency along a row, or a column


def test_the_observation_is_of_the_digit_and_two_components_stay_likely(target):
    problem = target.problem
    truth = gt.problems.digit_images()[TASKS["superresolution"][1]]
    residual = np.asarray(problem.y) - np.asarray(problem.measurement.A) @ truth
    chi2, rows = np.sum(residual**2) / 0.2**2, len(residual)
    assert abs(chi2 - rows) < 4.5 * np.sqrt(2 * rows)
    weights = np.sort(np.exp(np.asarray(target.exact_posterior.log_weights)))
    assert 0.2 < weights[-2] < 0.4 < weights[-1]


def test_unknown_digits_and_tasks_are_refused():
    with pytest.raises(gt.InputError, match="0 to 296"):
        gt.problems.digits("blur", 297)
    with pytest.raises(gt.InputError, match="did you mean 'blur'"):
        gt.problems.digits("blurr")


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    module = importlib.import_module("gmm_testbed.testbeds.digits")
    with pytest.raises(gt.InputError, match=r"gmm_testbed\[data\]"):
        module._scikit_learn()


@pytest.mark.slow
def test_the_experiment_gives_pictures_and_distances(tmp_path):
    study = module(str(EXPERIMENTS / "digits.py"))
    study.NUM, study.SETS, study.SHOWN = 8, 3, 2
    study.TASKS, study.STEPS = {"superresolution": "Coarse"}, 2
    study.METHODS = {"exact samples": None, "Exact": gt.approximations.Exact()}
    found, floor = ([0.2, 0.3, 0.4], [0.4, 0.6, 0.8]), [0.1, 0.1, 0.1]
    values = iter([*found[0], *floor, *found[1], *floor])
    study.distance = lambda x, exact: next(values)  # has tests of its own
    grid = {"task": ["superresolution"], "method": list(study.METHODS)}
    small = gt.Experiment(study.restored.function, grid, paired="method")
    study.restored = small
    with gt.sweep.Store(tmp_path / "store.sqlite") as store:
        assert gt.sweep.run(small, store, show=False).done == 2
        (table,) = study.tables(store).values()
        gap = study.gaps(store, "sliced_w1")
        drawn = study.figures(store)["digits_superresolution"]
    assert table[0]["law"] == "exact samples" and table[0]["sliced W1"] == 0.3
    error = pytest.approx(0.1 / np.sqrt(3), rel=0.01)  # the table is rounded
    assert table[0]["sliced W1 ±"] == error and table[0]["floor"] == 0.1
    assert table[0]["minus Exact"] == -0.3  # set by set: -0.2, -0.3 and -0.4
    assert table[0]["minus Exact ±"] == error and table[1]["minus Exact"] == ""
    assert table[1]["not finite"] == 0 and list(gap) == [
        ("superresolution", "exact samples")
    ]
    panels = [axes for axes in drawn.axes if axes.images]
    assert [p.images[0].get_array().shape for p in panels] == [(8, 8), (4, 4)] + [
        (8, 8)
    ] * 6
    titles = ["truth", "y", "mean", "samples"] + [""] * 4  # above the first row of laws
    assert [p.get_title("left") for p in panels] == titles
    assert study.observed(np.arange(32.0))[3, 7] == 31.0


def test_the_error_of_the_mean_is_freed_of_noise():
    study = module(str(EXPERIMENTS / "digits.py"))
    gap = gt.Estimate(np.array([0.5, -0.1]), np.array([0.1, 0.2]))
    found = study.mean_square(gap)
    assert np.isclose(found, (0.25 + 0.01 - 0.01 - 0.04) / 2)
