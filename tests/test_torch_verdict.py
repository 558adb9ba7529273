"""`check`, `diagnose` and their kin on samplers and networks in PyTorch."""

import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gmm_testbed as gt
from gmm_testbed.cli import app
from gmm_testbed.external import External
from gmm_testbed.verdict import ask_box
from gmm_testbed.verdict.record import Verdict

torch = pytest.importorskip(
    "torch", reason="PyTorch is not installed: pip install torch"
)

from . import torch_samplers as samplers  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def one_thread():
    """Small arrays: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def watched(fn) -> Verdict:
    """What is found by watching a program; its library is recognised."""
    sampler = ask_box.prepared(External(fn))
    assert isinstance(sampler.views, gt.torch.Views)
    return Verdict("", "", tuple(ask_box.findings(sampler)))


@pytest.mark.slow
def test_a_right_sampler_has_no_fault():
    assert watched(samplers.right).passed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (samplers.over_the_batch, "couples the particles of a batch"),
        (samplers.away, "the sign of the guidance is wrong"),
    ],
)
def test_a_fault_of_a_sampler_is_named(fn, words):
    found = watched(fn)
    assert any(words in each.answer for each in found.failures()), str(found)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "code"), [("right", 0), ("away", 1)])
def test_the_command_takes_a_module(name, code, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    text = (HERE / "torch_samplers.py").read_text(encoding="utf-8")
    (tmp_path / "torch_of_somebody.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *sys.path])
    asked = ["check", f"torch_of_somebody:{name}", "--quick"]
    outcome = CliRunner().invoke(app, asked)
    assert outcome.exit_code == code, outcome.output
    printed = " ".join(outcome.output.split())
    assert ("the sign of the guidance is wrong" in printed) == bool(code)


@pytest.mark.slow
def test_a_sampler_is_judged_on_data():
    """The wrong sign is farther from the posterior of the points than DPS is."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 200)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = points + 0.05 * rng.normal(size=points.shape)
    options = {"observations": 4, "draws": 32, "steps": 30}
    forward = np.array([[1.0, 0.3]])
    right, away = (
        gt.diagnose(points, forward, fn, 0.3, **options)
        for fn in (samplers.right, samplers.away)
    )
    near, far = (np.mean([t.distance for t in each.trials]) for each in (right, away))
    assert not away.passed
    assert far > 2 * near > 0
    assert all(t.nonfinite == 0 for t in right.trials)


@pytest.mark.slow
def test_a_sampler_and_a_network_without_a_truth(key):
    """Of data N(0, I): what ignores y is seen by its misfit, TMPD is not."""

    def denoise(x, alpha, sigma):
        return alpha / (alpha**2 + sigma**2) * x

    target = gt.diagnostics.without_prior(
        gt.torch.Network(denoise, 2),
        gt.Linear([[1.0, 0.5]], 0.1),
        jnp.asarray([0.8]),
        gt.VP(),
        dim=2,
    )
    times = gt.time_grid(target.path, 10, t_min=1e-2)
    blind = External(lambda *a: samplers._dps(*a[:3], lambda problem, m: 0 * m.sum(1)),
                     views=gt.torch.Views())  # fmt: skip
    found = {
        name: gt.diagnostics.without_truth(
            key, sampler, target, times, 100, num_pairs=50, num_draws=9
        )
        for name, sampler in {
            "TMPD": gt.Guided(gt.approximations.TMPD(), gt.kernels.DDPM("matched")),
            "blind": blind,
        }.items()
    }
    assert found["blind"].about("misfit").status == "failed"
    assert found["TMPD"].about("misfit").status != "failed"


# --- bad inputs ------------------------------------------------------------------------


def test_half_precision_is_read():
    """bfloat16 has eight bits: the samples are those of the same program, rounded."""
    target = gt.problems.get("one-gaussian")
    times = gt.time_grid(target.path, 4, t_min=0.01)
    full, half = (
        gt.sample(
            jax.random.key(1), External(fn, views=gt.torch.Views()), target, times, 8
        ).x
        for fn in (samplers.right, samplers.in_half)
    )
    np.testing.assert_allclose(half, full, rtol=2**-8)
    assert np.abs(np.asarray(half - full)).max() > 0


def test_samples_that_are_not_finite_fail_in_words():
    found = watched(samplers.not_a_number)
    assert "samples are not" in found.failures()[0].answer


@pytest.mark.parametrize(
    ("fn", "words"),
    [
        (samplers.transposed, "wrong shape"),
        (samplers.whole_numbers, "no real numbers"),
        (samplers.from_a_file, "install a_package_of_theirs"),
    ],
)
def test_what_is_no_sampler_is_refused_with_what_to_do(fn, words):
    with pytest.raises(gt.InputError, match=words) as caught:
        gt.verdict(fn)
    assert "hint" in str(caught.value)


def test_a_sampler_that_hangs_is_ended():
    with pytest.raises(gt.InputError, match="takes too long"):
        ask_box.prepared(External(samplers.endless), seconds=0.5)


def test_a_program_that_imports_torch_itself_is_given_tensors():
    """Whoever imports it inside of the function has no `torch` that can be seen before."""
    text = """
        import jax
        jax.config.update("jax_enable_x64", True)
        from gmm_testbed.external import External
        from gmm_testbed.verdict import ask_box

        def mine(problem, denoiser, num, seed):
            import torch
            x = torch.randn(num, problem.dim, dtype=torch.float64)
            return denoiser(x, problem.alpha[0], problem.sigma[0])

        print(type(ask_box.prepared(External(mine)).views).__name__)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)], capture_output=True, text=True
    )
    assert ran.stdout.strip() == "Views", ran.stderr
