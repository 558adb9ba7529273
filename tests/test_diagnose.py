"""A sampler on somebody's own data: numbers by NumPy, faults that are seen, bad input."""

import re
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import logsumexp

import gmm_testbed as gt
from gmm_testbed.cli import app
from gmm_testbed.densities import base
from gmm_testbed.external import HostDenoiser
from gmm_testbed.problem import atoms as of_y
from gmm_testbed.sampling import sampling
from gmm_testbed.verdict.data import forward, judge, page, points, trial, two_samples
from gmm_testbed.verdict.data.atoms import Atoms

FLOAT32 = not jnp.zeros(()).dtype == jnp.float64
pytestmark = pytest.mark.skipif(FLOAT32, reason="the command line is in float64")
RNG = np.random.default_rng(3)
DATA = RNG.normal(size=(120, 4)) * [1.0, 0.6, 0.3, 0.8] + np.sign(
    RNG.normal(size=(120, 1))
)
NOISE = 0.3


def bent(x):
    """A nonlinear forward model, in JAX and in NumPy alike."""
    return x[..., :3] ** 2 + 0.5 * x[..., 1:]


def exact_program(problem, denoiser, num, seed):
    """Exact draws of the posterior of DATA's kept points under `bent`, in NumPy."""
    return noised_draws(problem, seed, num)


def noised_draws(problem, seed, num, level=1.0, unseen=False, flat=False, late=1.0):
    """Draws with a fault: another noise level, y or the prior ignored, a wrong time."""
    kept = points.split(points.read(DATA), 12, 0)[0]
    rng = np.random.default_rng(seed)
    if flat:
        kept = 2.0 * rng.standard_normal((20_000, 4))
    residuals = problem.y - bent(kept)
    log_weights = -0.5 * (residuals**2).sum(axis=1) / (level * NOISE) ** 2
    weights = np.exp(log_weights - logsumexp(log_weights))
    weights = np.full(len(kept), 1.0 / len(kept)) if unseen else weights
    chosen = kept[rng.choice(len(kept), num, p=weights)]
    noise = rng.standard_normal(chosen.shape)
    return problem.alpha[-1] * chosen + late * problem.sigma[-1] * noise


@pytest.fixture(scope="module")
def found() -> judge.Diagnosis:
    """Of exact draws in NumPy, under a nonlinear forward model."""
    return gt.diagnose(DATA, bent, exact_program, NOISE, steps=5, draws=32)


def posterior(kept, y):
    """Weights of the atoms, by NumPy."""
    log_weights = -0.5 * ((y - bent(kept)) ** 2).sum(axis=1) / NOISE**2
    return np.exp(log_weights - logsumexp(log_weights))


# --- numbers --------------------------------------------------------------------------


def test_the_reference_is_the_posterior_over_atoms_of_numpy(found):
    path = gt.VP()
    alpha = float(path.alpha(0.01))
    kept, truths = points.split(points.read(DATA), 12, 0)
    assert len(found.trials) == 12
    for truth, one in zip(truths, found.trials, strict=True):
        weights = posterior(kept, one.y)
        assert_allclose(one.truth, truth, rtol=0)
        assert_allclose(one.atoms, 1.0 / np.sum(weights**2), rtol=1e-9)
        assert_allclose(one.mean, alpha * weights @ kept, rtol=1e-9, atol=1e-12)
    residuals = [bent(one.truth) - one.y for one in found.trials]
    assert np.std(residuals) == pytest.approx(NOISE, rel=4.5 / np.sqrt(2 * 36))


def test_exact_draws_cannot_be_told(found):
    assert found.passed, str(found)
    (answer,) = found.verdict.about("cannot be told from it")
    assert abs(answer.numbers["z"]) < 4.5
    (answer,) = found.verdict.about("its variance")
    assert answer.numbers["spread"] == pytest.approx(1.0, abs=0.2)
    (answer,) = found.verdict.about("units of the noise")
    assert answer.numbers["misfit"] == pytest.approx(answer.numbers["exact"], rel=0.25)


def test_blocks_of_atoms_are_all_atoms():
    """Entropies and nearest atoms: whole, in blocks, and written out."""
    weights = np.arange(1.0, 121.0) / np.arange(1.0, 121.0).sum()
    x, alpha, variance = DATA[:9] + 0.2, 0.7, 0.3
    squares = ((x[:, None] - alpha * DATA[None]) ** 2).sum(axis=2)
    terms = np.log(weights) - 0.5 * squares / variance
    shares = np.exp(terms - logsumexp(terms, axis=1)[:, None])
    expected = -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    whole, blocks = (Atoms(DATA, np.log(weights), size) for size in (2**22, 63))
    assert_allclose(whole.entropy(x, alpha, variance), expected, rtol=1e-9)
    found = blocks.entropy(x, alpha, variance)
    assert_allclose(found, whole.entropy(x, alpha, variance), rtol=1e-12)
    index, length = blocks.nearest(x, alpha)
    assert np.array_equal(index, squares.argmin(axis=1))
    assert_allclose(length, np.sqrt(squares.min(axis=1)), rtol=1e-9)


def test_many_atoms_are_measured_some_at_a_time(monkeypatch):
    """log p(y | atom) and the posterior, chunked and not."""
    measurement = gt.Nonlinear(bent, NOISE**2, 3)
    y = jnp.asarray([0.4, 1.0, 0.2])
    atoms = jnp.asarray(DATA)
    whole = of_y.log_factors(measurement, y, atoms)
    ratios = of_y.log_ratios_of_atoms(measurement, y, atoms)
    monkeypatch.setattr(base, "_CHUNK", 7)
    monkeypatch.setattr(of_y, "_MANY", 1)
    some = of_y.log_factors(measurement, y, atoms)
    assert_allclose(some, whole, rtol=1e-12)
    again = of_y.log_ratios_of_atoms(measurement, y, atoms)
    assert_allclose(again, ratios, rtol=1e-12, atol=1e-12)
    expected = -0.5 * ((np.asarray(y) - bent(DATA)) ** 2).sum(axis=1) / NOISE**2
    assert_allclose(whole - whole[0], expected - expected[0], rtol=1e-9, atol=1e-9)


def test_a_program_asks_about_many_points_at_once(monkeypatch):
    prior = gt.GaussianMixture.empirical(DATA)
    problem = gt.InverseProblem(prior, gt.Linear(np.eye(4)[:2], 0.1), [0.3, 0.1])
    target = gt.Target(problem, gt.VP())
    x = np.asarray(DATA[:50]) + 0.1
    whole = HostDenoiser(target).x0(x, 0.8, 0.6)
    monkeypatch.setattr(sampling, "_ENTRIES", 1)
    monkeypatch.setattr(sampling, "_FEW", 8)
    some = HostDenoiser(target).x0(np.concatenate([x, x[:3]]), 0.8, 0.6)
    assert_allclose(some[:50], whole, rtol=1e-12)
    terms = -0.5 * ((x[0] - 0.8 * DATA) ** 2).sum(axis=1) / 0.36
    weights = np.exp(terms - logsumexp(terms))
    assert_allclose(whole[0], weights @ DATA, rtol=1e-9)


def test_the_distance_of_two_sets_by_sums():
    x, z = DATA[:6], DATA[6:15] + 0.3
    weights = np.asarray([0.3, 0.1, 0.2, 0.1, 0.1, 0.2])

    def gap(a, b):
        return np.sqrt(((a - b) ** 2).sum())

    across = sum(
        w * gap(a, b) / len(z) for w, a in zip(weights, x, strict=True) for b in z
    )
    own = sum(
        weights[i] * weights[j] * gap(x[i], x[j])
        for i in range(6)
        for j in range(6)
        if i != j
    ) / (1 - np.sum(weights**2))
    pairs = [gap(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j]
    between = np.mean(pairs)
    expected = (2 * across - own - between) / between
    found = two_samples.Reference(z).distance(x, weights)
    assert found == pytest.approx(expected, rel=1e-9)
    moved = two_samples.moments(x, weights, np.zeros(4), 2.0)
    total = weights @ ((x - weights @ x) ** 2).sum(axis=1) / (1 - np.sum(weights**2))
    assert moved.spread == pytest.approx(total / 2, rel=1e-12)
    bias = np.sum((weights @ x) ** 2) - np.sum(weights**2) * total
    assert moved.offset == pytest.approx(bias / 2, rel=1e-12)


def test_the_fewest_points_that_hold_the_posterior():
    shares = np.asarray([0.0004, 0.6, 0.0005, 0.3991])
    assert trial._kept(shares).tolist() == [False, True, False, True]


def test_the_time_of_collapse_is_where_two_points_are_left():
    atoms, path = Atoms(DATA, np.full(120, -np.log(120))), gt.VP()
    found = judge.collapsed(atoms, path, 0.01, 0.0, 0)
    assert 0.01 < found.below < 0.5
    assert np.all(np.diff(found.effective) > 0)
    rng = np.random.default_rng(0)
    own = DATA[rng.choice(120, 32, p=np.full(120, 1 / 120))]
    alpha, sigma = float(path.alpha(found.below)), float(path.sigma(found.below))
    x = alpha * own + sigma * rng.standard_normal(own.shape)
    terms = -0.5 * ((x[:, None] - alpha * DATA) ** 2).sum(axis=2) / sigma**2
    log_shares = terms - logsumexp(terms, axis=1)[:, None]
    entropy = -(np.exp(log_shares) * log_shares).sum(axis=1).mean()
    assert np.exp(entropy) == pytest.approx(2.0, rel=0.02)


# --- forward models -------------------------------------------------------------------


def matrix(text, shape):
    return forward.named(text, shape)[0]


def test_forward_models_by_name():
    """Against NumPy's transforms and means, on pictures of 4 x 6 in two channels."""
    shape = (4, 6, 2)
    x = np.random.default_rng(1).normal(size=shape)
    means = x.reshape(2, 2, 3, 2, 2).mean(axis=(1, 3))
    assert_allclose(matrix("downsampling(2)", shape) @ x.ravel(), means.ravel())
    wave = np.fft.fft2(x, axes=(0, 1), norm="ortho")
    A = matrix("fourier(keep=1)", shape)
    assert A.shape == (48, 48)
    told = np.sort(np.abs(A @ x.ravel()))
    parts = np.abs(np.stack([wave.real, wave.imag]).ravel())
    assert all(np.isclose(parts, value, atol=1e-12).any() for value in told)
    squares = [np.linalg.norm(row) ** 2 for row in A]
    assert np.all(np.isclose(squares, 1.0) | np.isclose(squares, 0.5))
    assert np.linalg.matrix_rank(A) == 48
    half = matrix("inpainting(0.5)", shape)
    assert half.shape == (24, 48) and np.all(half.sum(axis=1) == 1)
    seen = half.sum(axis=0).reshape(shape)
    assert np.array_equal(seen[..., 0], seen[..., 1])
    blur = matrix("blur(1)", shape)
    assert_allclose(blur @ np.ones(48), np.ones(48))
    transform = np.fft.fft2(
        (blur @ x.ravel()).reshape(shape), axes=(0, 1), norm="ortho"
    )
    ratio = transform / wave
    assert_allclose(ratio[..., 0], ratio[..., 1], atol=1e-10)
    assert matrix("projection(5)", (7,)).shape == (5, 7)


def test_an_affine_function_is_linear_and_may_take_pictures():
    def lower(picture):
        return picture[2:] - 1.0

    data = DATA.reshape(-1, 4)[:, :4]
    model = forward.build(lower, 0.1, data, (4, 1))
    assert isinstance(model.measurement, gt.Linear)
    assert_allclose(model.measurement.A, np.eye(4)[2:])
    assert_allclose(model.measurement.b, [-1.0, -1.0])
    assert isinstance(forward.build(bent, 0.1, DATA, (4,)).measurement, gt.Nonlinear)
    kinked = forward.build(lambda x: jnp.abs(x), 0.1, DATA, (4,)).measurement
    assert isinstance(kinked, gt.Nonlinear)


def of_torch(x):
    raise TypeError("expected Tensor as element 0 in argument 0, but got JVPTracer")


@pytest.mark.parametrize(
    ("given", "noise", "words"),
    [
        ("downsampling(3)", 0.1, "does not divide"),
        ("projection(5)", 0.1, "more is measured than a point has numbers"),
        ("inpainting(1.5)", 0.1, "more is measured than a picture has pixels"),
        ("downsamplin", 0.1, "did you mean 'downsampling'"),
        ("blur(width=)", 0.1, "not the name of a forward model"),
        ("blur", None, "no standard deviation"),
        ("blur", 0.0, "no standard deviation"),
        ("blur", 0.1j, "is complex"),
        (lambda x: jnp.fft.fft(x), 0.1, "stack real and imaginary"),
        (np.eye(4) * 1j, 0.1, "stack real and imaginary"),
        (np.eye(3), 0.1, "does not fit the points"),
        (lambda x: np.sin(np.asarray(x)), 0.1, "jax.numpy"),
        (lambda x, z: x, 0.1, "of one argument"),
        (of_torch, 0.1, r"gt\.torch\.nonlinear"),
        (gt.Linear(np.eye(4), 0.1), 0.1, "noise is given twice"),
        (3.0, 0.1, "no forward model"),
    ],
)
def test_forward_models_that_cannot_be_used(given, noise, words):
    with pytest.raises(gt.InputError, match=words):
        forward.build(given, noise, DATA, (4,))


# --- files ----------------------------------------------------------------------------


def test_points_of_files(tmp_path):
    import pandas

    pictures = np.arange(12 * 2 * 3, dtype=np.uint8).reshape(12, 2, 3)
    np.save(tmp_path / "a.npy", pictures)
    np.savez(tmp_path / "a.npz", x=DATA, y=DATA[:, 0])
    frame = pandas.DataFrame(DATA)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "bare.csv", index=False, header=False)
    read = points.read(str(tmp_path / "a.npy"))
    assert read.shape == (2, 3) and "-1 to 1" in read.scaled
    assert_allclose(read.values, pictures.reshape(12, 6) / 127.5 - 1)
    assert_allclose(points.read(f"{tmp_path / 'a.npz'}:x").values, DATA)
    for name in ("a.csv", "bare.csv"):
        assert_allclose(points.read(tmp_path / name).values, DATA, rtol=1e-14)
    assert points.read(DATA, (2, 2)).shape == (2, 2)


def test_points_of_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(DATA, columns=list("abcd"))
    frame.to_parquet(tmp_path / "a.parquet")
    assert_allclose(points.read(tmp_path / "a.parquet").values, DATA)


def test_points_of_a_folder_of_images(tmp_path):
    from PIL import Image

    colours = np.random.default_rng(0).integers(0, 256, (11, 4, 5, 3), dtype=np.uint8)
    for number, pixels in enumerate(colours):
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")
    read = points.read(tmp_path)
    assert read.shape == (4, 5, 3)
    assert_allclose(read.values.reshape(colours.shape), colours / 127.5 - 1)
    Image.fromarray(colours[0, :3]).save(tmp_path / "99.png")
    with pytest.raises(gt.InputError, match=r"differ in size.*\n.*99.png \(3, 5, 3\)"):
        points.read(tmp_path)
    (tmp_path / "99.png").write_bytes(b"none")
    with pytest.raises(gt.InputError, match="99.png is no image"):
        points.read(tmp_path)


def test_files_that_cannot_be_used(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.csv").write_text("a,b\n" + "1,red\n" * 12, encoding="utf-8")
    (tmp_path / "odd.npy").write_bytes(b"none")
    (tmp_path / "x.txt").write_text("1 2 3", encoding="utf-8")
    np.savez(tmp_path / "two.npz", x=DATA, y=DATA)
    for name, words in {
        "none.npy": "no such file",
        "empty": "no images",
        "words.csv": "columns that are no numbers(.|\n)*b",
        "odd.npy": "cannot be read",
        "x.txt": "kind of file",
        "two.npz": "two.npz:x",
        "two.npz:z": "array of two.npz",
    }.items():
        with pytest.raises(gt.InputError, match=words):
            points.read(str(tmp_path / name))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (np.where(DATA > 2.5, np.nan, DATA), "not finite"),
        (DATA[:4], "too few points"),
        (DATA * 1j, "is complex"),
        ([[1.0], [1.0, 2.0]], "no array of numbers"),
        (np.full((50, 3), "a"), "no array of numbers"),
    ],
)
def test_arrays_that_cannot_be_used(data, words):
    with pytest.raises(gt.InputError, match=words):
        points.read(data)


def test_copies_of_what_is_held_out_go_with_it():
    doubled = np.concatenate([DATA, DATA[:60]])
    kept, truths = points.split(points.read(doubled), 30, 1)
    assert truths.shape == (30, 4)
    assert not (kept[:, None] == truths[None]).all(axis=2).any()
    gone = sum(2 if (DATA[:60] == t).all(axis=1).any() else 1 for t in truths)
    assert len(kept) == 180 - gone
    with pytest.raises(gt.InputError, match="too few points to hold some out"):
        points.split(points.read(np.ones((40, 2))), 2, 0)


# --- samplers that cannot be judged ---------------------------------------------------


def endless(problem, denoiser, num, seed):
    while num > 8:
        time.sleep(0.01)
    return np.zeros((num, problem.dim))


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (lambda p, d, n, s: np.zeros((n, 2)), "wrong shape"),
        (lambda p, d, n, s: 1 / 0, "fails on 8 samples of this problem"),
        (lambda a, b: 0, "neither of the two signatures"),
        (endless, "takes too long"),
        ("REDDiff", "point estimate"),
        ("DDNM", "needs a linear measurement"),
        ("no_such_module:f", "there is no module"),
        (lambda target, x, t: target.problem.y, r"does not return a guidance"),
    ],
)
def test_samplers_that_cannot_be_judged(sampler, words):
    with pytest.raises(gt.InputError, match=words):
        gt.diagnose(DATA, bent, sampler, NOISE, steps=5, draws=16, seconds=0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bandwidth": -1.0}, "bandwidth is a standard deviation"),
        ({"bandwidth": 0.1}, "need a linear forward model"),
        ({"shape": (3, 2)}, "shape does not fit"),
        ({"observations": 100}, "too few points to hold some out"),
        ({"t_min": 0.0}, "no density without noise"),
        ({"observations": 2}, "at least 3"),
    ],
)
def test_options_that_do_not_fit(options, words):
    with pytest.raises(gt.InputError, match=words):
        gt.diagnose(DATA, bent, exact_program, NOISE, **options)


def test_a_forward_model_that_is_not_defined_at_the_data():
    with pytest.raises(gt.InputError, match="not finite at training points"):
        gt.diagnose(DATA, lambda x: jnp.log(x[:2]), exact_program, NOISE)


def test_a_module_that_needs_pytorch_says_so(tmp_path, monkeypatch):
    (tmp_path / "torch_here.py").write_text("import torch.nothing\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(gt.InputError, match=r"gmm-testbed\[torch\]"):
        gt.diagnose(DATA, bent, "torch_here:f", NOISE)


@pytest.mark.slow
def test_samples_that_are_not_finite_fail_in_words():
    def program(problem, denoiser, num, seed):
        return np.full((num, problem.dim), np.nan)

    with pytest.warns(UserWarning, match="not finite"):
        found = gt.diagnose(DATA, bent, program, NOISE, observations=3, steps=5)
    assert not found.passed
    assert "100 % of 192 samples" in found.verdict.failures()[0].answer


# --- planted faults -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"level": 2.0}, "it cannot be told from the law with twice the noise level"),
        ({"level": 0.5}, "it cannot be told from the law with half of the noise level"),
        ({"unseen": True}, "it cannot be told from the law without y"),
        ({"flat": True}, "or beside the training points"),
        ({"late": 6.0}, "as with more noise than the last time has"),
        ({"late": 0.0}, "times as far, as without it"),
    ],
)
@pytest.mark.slow
def test_planted_faults_are_seen(fault, words):
    def program(problem, denoiser, num, seed):
        return noised_draws(problem, seed, num, **fault)

    found = gt.diagnose(DATA, bent, program, NOISE, steps=5)
    assert not found.passed
    assert "no: energy distance" in found.verdict.failures()[0].answer
    assert found.verdict.about(words), str(found)


@pytest.mark.slow
def test_exact_draws_are_not_alarmed_over_seeds():
    """Twenty seeds; every distance is within its errors of zero."""
    values = []
    for seed in range(20):

        def program(problem, denoiser, num, given, seed=seed):
            return noised_draws(problem, given ^ seed, num)

        found = gt.diagnose(DATA, bent, program, NOISE, steps=5, draws=32)
        assert found.passed, str(found)
        (answer,) = found.verdict.about("cannot be told from it")
        values.append(answer.numbers["z"])
    assert abs(np.mean(values)) < 4.5 / np.sqrt(20)
    assert 0.4 < np.std(values) < 1.8


# --- as a whole -----------------------------------------------------------------------


def test_a_page_has_pictures_words_and_a_table(found, tmp_path):
    names = page.write(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    text = (tmp_path / "verdict.html").read_text(encoding="utf-8")
    assert text.count("data:image/") == 2
    rows = (tmp_path / "observations.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 13
    assert float(rows[1].split(",")[1]) == pytest.approx(found.trials[0].atoms)


@pytest.mark.slow
def test_the_command_and_its_page(tmp_path, monkeypatch):
    """Pictures, a linear model by name, a method by name; exit codes and options."""
    from typer.testing import CliRunner

    rng = np.random.default_rng(0)
    np.save(tmp_path / "points.npy", np.tanh(rng.normal(size=(200, 4, 4))))
    monkeypatch.chdir(tmp_path)
    command = [
        "diagnose",
        "points.npy",
        "--forward",
        "downsampling(2)",
        "--noise",
        "0.1",
    ]
    command += ["--steps", "10", "--observations", "4", "--draws", "16"]
    outcome = CliRunner().invoke(app, [*command, "--output", "out", "--within", "9"])
    assert outcome.exit_code == 0, outcome.output
    assert "Is it the posterior of the training points? no: energy" in outcome.output
    assert (tmp_path / "out" / "draws.png").exists()
    assert CliRunner().invoke(app, command).exit_code == 1
    outcome = CliRunner().invoke(app, [*command, "--shape", "4by4"])
    assert outcome.exit_code == 2 and "28x28" in outcome.output


@pytest.mark.slow
def test_the_examples_of_the_documentation(capsys):
    """docs/diagnose.md runs as it stands, and prints what it says."""
    file = Path(__file__).parents[1] / "docs" / "diagnose.md"
    text, known = file.read_text(encoding="utf-8"), {}
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(snippet, file.name, "exec"), known)
    printed = " ".join(capsys.readouterr().out.split())
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    told = re.findall(r"^    NO  (\S.*)$", prose, re.MULTILINE)
    assert told and all(" ".join(line.split()) in printed for line in told)


@pytest.mark.slow
def test_points_with_a_bandwidth_and_every_form_of_a_sampler(key):
    """Exact draws pass, a guidance of JAX and a filter run, with densities about points."""
    options = {"steps": 20, "draws": 32, "bandwidth": 0.2, "observations": 4}
    exact = gt.diagnose(DATA, "downsampling(2)", gt.PosteriorDraws(), NOISE, **options)
    assert exact.passed, str(exact)

    def guidance(target, x, t):
        return target.guidance(x, t)

    for sampler in (guidance, "TDS(TMPD)"):
        found = gt.diagnose(DATA, "downsampling(2)", sampler, NOISE, **options)
        assert not any(each.nonfinite for each in found.trials)
    assert jax.config.jax_enable_x64
