"""The samplers and the metric of the TMPD setting are the library's, in d dimensions."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed import study
from gmm_testbed.sweep.scripts import module

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILE = EXPERIMENTS / "tmpd_table.py"
DIM, ROWS, NOISE, SEED, NUM = 8, 2, 0.3, 3, 5
SMALL = DIM, ROWS, NOISE


@pytest.fixture(scope="module")
def table():
    """The file in a small size, with one program for the metric, compiled once."""
    found = module(str(FILE))
    sizes = {"NUM": 60, "STEPS": 4, "DIRECTIONS": 12, "SIZES": (25,)}
    sizes |= {"by_two": lambda function, halves: list(map(function, halves))}
    changed = (found.cells, sizes), (found, {"FEW": 2, "SHOWN": (SMALL,)})
    kept = [{name: vars(of)[name] for name in new} for of, new in changed]
    for of, new in changed:
        vars(of).update(new)
    yield found
    for (of, _), old in zip(changed, kept, strict=True):
        vars(of).update(old)


@pytest.fixture
def precision(table, monkeypatch):
    """The study of single precision, in the small size of the table."""
    found = module(str(EXPERIMENTS / "tmpd_precision.py"))
    assert found.cells is table.cells
    monkeypatch.setattr(found, "STEPS", table.cells.STEPS)
    return found


def test_the_problem_is_the_published_one():
    problem = gt.problems.grid25(DIM, ROWS, NOISE, 7).problem
    norms = np.linalg.norm(np.asarray(problem.prior.means), axis=1)
    assert np.isclose(norms.max(), 16.0 * np.sqrt(8), rtol=1e-12)  # 45
    assert np.isclose(norms.min(), 0.0)
    assert problem.prior.means.shape == (25, 8)
    values = np.linalg.svd(np.asarray(problem.measurement.A), compute_uv=False)
    assert values.max() < 1.0 and values.min() > 0.0 and len(values) == 2
    louder = gt.problems.grid25(DIM, ROWS, 1.0, 7).problem
    assert np.array_equal(louder.measurement.A, problem.measurement.A)
    frame = gt.problems.grid25_frame(DIM, ROWS, 7)
    assert frame.shape == (8, 4)
    for rows in (problem.prior.means, problem.measurement.A):
        assert np.abs(rows - rows @ frame @ frame.T).max() < 1e-12 * 45


@pytest.mark.parametrize("dim, rows", [(7, 1), (8, 0), (8, 9)])
def test_other_problems_are_refused(dim, rows):
    with pytest.raises(gt.InputError, match="25-mode"):
        gt.problems.grid25(dim, rows, 0.1, 0)


def test_the_observations_have_their_law(tolerance):
    """The distribution function of p(y_1) at y_1 is uniform."""
    levels = []
    for seed in range(50):
        problem = gt.problems.grid25(DIM, ROWS, 0.5, seed).problem
        row = np.asarray(problem.measurement.A)[0]
        means = np.asarray(problem.prior.means) @ row
        z = (float(problem.y[0]) - means) / np.sqrt(row @ row + 0.25)
        levels.append(norm.cdf(z).mean())
    error = np.sqrt(1.0 / 12.0 / len(levels))
    assert abs(np.mean(levels) - 0.5) < tolerance.z * error


@pytest.mark.slow
def test_the_last_step_returns_the_mean_and_noise_may_be_given(precision, tolerance):
    """Both kinds of chain, in all d dimensions and by single steps of the library."""
    frame = gt.problems.grid25_frame(DIM, ROWS, SEED)
    whole = gt.problems.grid25(DIM, ROWS, NOISE, SEED)
    small = gt.problems.grid25(DIM, ROWS, NOISE, SEED, frame=frame)
    times = jnp.asarray([0.9, 0.3, 0.02, 0.01])
    noise = np.random.default_rng(11).standard_normal((3, NUM, DIM))
    inside = precision.from_noise(precision.METHODS, small, times, noise @ frame)

    @eqx.filter_jit
    def laws(x, t, s):
        return {
            name: jax.vmap(lambda x, one=one: one.transition(whole, x, t, s))(x[name])
            for name, one in precision.METHODS.items()
        }

    x = dict.fromkeys(precision.METHODS, whole.path.sigma(times[0]) * noise[0])
    for i in range(2):
        found = laws(x, times[i], times[i + 1])
        x = {
            n: jax.vmap(lambda law, z: law.at(z))(law, noise[i + 1])
            for n, law in found.items()
        }
    for name, law in laws(x, *times[-2:]).items():
        along, size = law.mean @ frame, np.abs(law.mean).max()
        assert np.abs(along - inside[name]).max() < tolerance.identity * size, name
        beyond = law.mean - along @ frame.T
        alone = noise - noise @ frame @ frame.T
        assert np.abs(beyond).max() > 1e-3  # a Gaussian, the same for all problems
        factor = np.linalg.lstsq(alone.reshape(3, -1).T, beyond.reshape(-1), rcond=None)
        assert (
            np.abs(factor[0] @ alone.reshape(3, -1) - beyond.reshape(-1)).max() < 1e-9
        )


def test_the_spread_beyond_follows_its_recursion(table):
    """By NumPy: N(0, 1) under the reverse steps of both kernels."""
    path = gt.problems.grid25(8, 1, 1.0, 0).path
    t = np.asarray(gt.time_grid(path, 5, t_min=1e-3))

    def beta(t):
        return 0.1 + 24.9 * t

    def alpha2(t):
        return np.exp(-0.5 * 24.9 * t**2 - 0.1 * t)

    euler = ddpm = 1.0 - alpha2(1.0)
    for a, b in zip(t[:-1], t[1:], strict=True):
        keep = 1.0 - 0.5 * beta(a) * (a - b)  # f x - g^2 s = (-beta/2 + beta) x
        euler = keep**2 * euler + (beta(a) * (a - b) if b > t[-1] else 0.0)
        ratio = alpha2(a) / alpha2(b)
        keep = np.sqrt(ratio) * (1 - alpha2(b)) + np.sqrt(alpha2(b)) * (
            1 - ratio
        ) * np.sqrt(alpha2(a))
        keep, fresh = keep / (1 - alpha2(a)), (1 - ratio) * (1 - alpha2(b))
        ddpm = keep**2 * ddpm + (fresh / (1 - alpha2(a)) if b > t[-1] else 0.0)
    found = [table.cells.spread(name, 5) for name in ("PiGDM", "DPS")]
    assert np.allclose(found, np.sqrt([euler, ddpm]), rtol=1e-9)
    assert abs(found[0] - 1.0) > 1e-3 < abs(found[1] - 1.0)


@pytest.mark.slow
def test_the_distance_is_the_sliced_one_of_all_dimensions(table):
    """Of shifted, wide samples: the area between distribution functions, by NumPy.

    The slope of the area in the weight of a sample is that of the integral, from the
    sample on, of the sign of the difference. The grid resolves both to 5e-4.
    """
    cells = table.cells
    num, count = cells.NUM, cells.DIRECTIONS
    frame = gt.problems.grid25_frame(DIM, ROWS, SEED)
    target = gt.problems.grid25(DIM, ROWS, NOISE, SEED, frame=frame)
    posterior = target.exact_posterior
    rng = np.random.default_rng(5)
    samples = {str(n): 6.0 * rng.standard_normal((4, num)) + 2.0 for n in range(7)}
    rest, theta = rng.standard_normal((num, DIM)), rng.standard_normal((count, DIM))
    theta = theta / np.linalg.norm(theta, axis=1, keepdims=True)
    scales = {name: 1.0 + 0.1 * int(name) for name in samples}
    case = cells.Case(target, frame, None, {}, theta, rest)
    found = cells.distances(case, samples, scales)["3"]
    x = samples["3"].T @ frame.T + 1.3 * (rest - rest @ frame @ frame.T)
    beyond = np.eye(DIM) - frame @ frame.T
    covariance = frame @ posterior.covariances()[0] @ frame.T + beyond
    means, weights = posterior.means @ frame.T, np.exp(posterior.log_weights)
    areas, slopes = [], []
    for direction in theta:
        points, scale = x @ direction, np.sqrt(direction @ covariance @ direction)
        middle = means @ direction
        grid, cell = np.linspace(-120.0, 120.0, 60_001, retstep=True)
        near = np.abs(grid) < np.abs(np.append(points, middle)).max() + 9.0 * scale
        grid = grid[near]
        law = sum(
            w * norm.cdf((grid - mean) / scale)
            for w, mean in zip(weights, middle, strict=True)
            if w > 1e-12
        )
        gap = np.searchsorted(np.sort(points), grid, side="right") / num - law
        areas.append(np.abs(gap).sum() * cell)
        ahead = np.cumsum(np.sign(gap)[::-1])[::-1] * cell
        slopes.append(ahead[np.searchsorted(grid, points)])
    slope = np.mean(slopes, axis=0)
    error = np.sqrt(np.var(areas, ddof=1) / count + np.var(slope, ddof=1) / num)
    assert np.isclose(found.value, np.mean(areas), rtol=5e-4)
    assert np.isclose(found.stderr, error, rtol=5e-4)
    assert found.value > 1.0 and found.stderr > 0.05


@pytest.mark.slow
def test_small_cells_and_what_is_made_of_them(table, tmp_path, monkeypatch):
    grid = {"dim": [DIM], "measurements": [ROWS]}
    noisy = grid | {"noise": [NOISE]}
    small = gt.Experiment(table.tmpd_setting.function, noisy, seeds=3)
    random = gt.Experiment(table.tmpd_random_noise.function, grid, seeds=2)
    monkeypatch.setattr(table, "tmpd_setting", small)
    monkeypatch.setattr(table, "tmpd_random_noise", random)
    with gt.sweep.Store(tmp_path / "store.sqlite") as store:
        assert gt.sweep.run(small, store, show=False).done == 3
        assert gt.sweep.run(random, store, show=False).done == 2
        claims, tables = table.claims(store), table.tables(store)
        drawn = table.figures(store)
        rows, noises = store.rows(small), store.rows(random)
    one = {row.metric: row for row in rows if row.seed == 2}
    assert one["TMPD"].floor == one["exact samples"].value > 0.0 < one["TMPD"].stderr
    gaps = [row.value for row in rows if row.metric == "TMPD minus Exact"]
    assert one["TMPD"].value - one["Exact"].value == gaps[2] != 0.0
    every, steps, meet, differ = tables.values()
    row = every[1]
    assert row["method"] == "TMPD" and row["not finite"] == 0
    assert row["minus exact"] == pytest.approx(np.mean(gaps))
    half = 4.302653 * np.std(gaps, ddof=1) / np.sqrt(3)  # Student's, 2 degrees
    assert row["± of that"] == pytest.approx(half, rel=1e-6)
    place = f"d = {DIM}, m = {ROWS}, noise {NOISE}"
    assert row["floor"] == claims[f"{place}: exact samples"] < row["ceiling"]
    assert row["ceiling"] == claims[f"{place}: prior samples"]
    assert row["problems"] == 3 and claims["samples that are not finite"] == 0.0
    long, few = steps
    assert (long["steps"], few["steps"]) == (4, 2)
    assert few["published"] == 5.79 and few["problems"] == 2
    w1 = [row.value for row in noises if row.metric == "2 steps"]
    assert few["sliced W1"] == pytest.approx(np.mean(w1)) != long["sliced W1"]
    assert [(each["steps"], each["of"]) for each in meet] == [(4, 1), (2, 1)]
    assert any(each["differs in"].startswith("20 steps") for each in differ)
    assert drawn["tmpd_table"].axes[0].get_title(loc="left") == f"d = {DIM}"
    assert drawn["tmpd_steps"].axes[0].get_xticks().tolist() == [0]


@pytest.mark.slow
def test_roundings_are_counted(precision, tmp_path, monkeypatch):
    noisy = {"dim": [DIM], "measurements": [ROWS], "noise": [NOISE]}
    small = gt.Experiment(precision.tmpd_float32.function, noisy, seeds=2)
    monkeypatch.setattr(precision, "tmpd_float32", small)
    monkeypatch.setattr(precision, "in_precision", in_precision)
    monkeypatch.setattr(precision.cells, "distances", of_precision)
    with gt.sweep.Store(tmp_path / "store.sqlite") as store:
        assert gt.sweep.run(small, store, show=False).done == 2
        claims, (checked,) = precision.claims(store), precision.tables(store).values()
    for name in precision.METHODS:
        over = claims[f"float32, d = {DIM}, {name}: largest error over the floor"]
        assert over == pytest.approx(0.2)
    assert claims[f"float32, d = {DIM}, DPS: chains elsewhere"] == 0.25
    assert checked[0]["error / error of sampling"] == pytest.approx(0.4)


def in_precision(case, seed, x64):
    """In its place: in single precision one chain of four is elsewhere."""
    chains = np.array([[0.0 if x64 else 3.0, 0.0, 0.0, 0.0], [0.0, 1.0, 2.0, 3.0]])
    return dict.fromkeys(("Exact", "TMPD", "PiGDM", "DPS", "ZetaDPS"), chains)


def of_precision(case, samples, beyond):
    """In its place: float32 is .02 away with a floor of .1, an error of .05."""
    shift = 0.02 if samples["DPS"][0, 0] == 3.0 else 0.0
    return {
        name: gt.Estimate(0.1 - shift, 0.05) for name in (*samples, "exact samples")
    }


def test_intervals_meet_where_they_touch(table):
    """Published: PiGDM 0.0711 +- 0.0159, and DPS 3.484 +- 1.52 for any noise."""
    columns = ["method", "noise", "sliced W1", "±", "meet"]
    cases = [
        ("PiGDM", 0.1, 0.0711 + 0.0159 + 0.01, 0.0101, "yes"),
        ("PiGDM", 0.1, 0.0711 + 0.0159 + 0.01, 0.0099, "no"),
        ("PiGDM", 0.1, 0.0711 - 0.0159 - 0.01, 0.0099, "no"),
        ("DPS", "any", 1.8, 0.17, "yes"),
        ("DPS", "any", 1.8, 0.16, "no"),
        ("Exact", 0.1, 1.8, 0.17, np.nan),  # not published,
        ("DPS", 0.1, 1.8, 0.17, np.nan),  # and with a random noise alone
    ]
    rows = pd.DataFrame(cases, columns=columns).assign(d=8, m=4)
    found = table.beside(rows.drop(columns="meet"))
    assert found["meet"].fillna("").tolist() == rows["meet"].fillna("").tolist()
    assert found["noise"].tolist() == rows["noise"].tolist()
    assert len(table.published()) == 36 + 9


def test_the_readme_has_the_expected_numbers():
    expected = study.read(FILE).expected
    text = (EXPERIMENTS / "README.md").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if "run tmpd_table" in line)
    place = "d = 8, m = 4, noise 0.1"
    for name in ("Exact", "exact samples"):
        assert f"{expected[f'{place}: {name}'].value:.3f}".lstrip("0") in line
    for name, found in expected.items():
        if name.startswith("intervals of"):
            assert f"{found.value:.0f} of {name.rpartition(' ')[2]}" in line
