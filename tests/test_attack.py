"""Attacks on theorems, and theorems asked of a user's own problem."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import gmm_testbed as gt
from gmm_testbed.bounds import Verdict, importance, search, spaces
from gmm_testbed.bounds.base import AbstractBound, Claim, Facts
from gmm_testbed.divergences.expectation import finer
from gmm_testbed.estimate import Estimate

PRIOR = gt.GaussianMixture.isotropic([0.2, 0.8], [[0.0], [3.0]], [0.5, 0.1])


def target():
    problem = gt.InverseProblem(PRIOR, gt.Linear([[1.0]], 0.2), [1.0])
    return gt.Target(problem, gt.VP())


# --- your own problem -------------------------------------------------------------------


def test_a_theorem_is_asked_of_a_mixture():
    """W2 of stopping at v, and of the law of total variance, by quantiles and by hand."""
    found = gt.bounds.check("T36", prior=PRIOR, v=0.3)
    stopped, narrow = found[0], found[1]
    assert float(stopped.right.value) == pytest.approx(math.sqrt(0.3), rel=1e-12)
    levels = (np.arange(200_000) + 0.5) / 200_000
    ends = [quantiles(levels, extra) for extra in (0.0, 0.3)]
    assert float(stopped.left.value) == pytest.approx(
        math.sqrt(np.mean((ends[0] - ends[1]) ** 2)), rel=1e-4
    )
    total = 0.2 * 0.5 + 0.8 * 0.1 + 0.2 * 0.8 * 9.0
    assert float(narrow.right.value) == pytest.approx(total, rel=1e-12)
    assert {report.holds for report in found} == {Verdict.HOLDS}


def quantiles(levels, extra):
    x = np.linspace(-6.0, 9.0, 400_001)
    below = 0.2 * norm.cdf(x, 0.0, math.sqrt(0.5 + extra))
    below += 0.8 * norm.cdf(x, 3.0, math.sqrt(0.1 + extra))
    return np.interp(levels, below, x)


def test_a_target_gives_what_a_theorem_takes_at_each_time():
    times = [0.3, 0.6]
    found = gt.bounds.check("T36", target=target(), times=times)
    path = target().path
    for t in times:
        v = float(path.sigma(t) ** 2 / path.alpha(t) ** 2)
        rows = [r for r in found if r.case["v"] == pytest.approx(v, rel=1e-12)]
        (stopped,) = [r for r in rows if r.label == "stopped"]
        assert float(stopped.right.value) == pytest.approx(math.sqrt(v), rel=1e-12)


def test_a_measurement_is_taken_without_its_offset():
    problem = gt.InverseProblem(PRIOR, gt.Linear([[1.0]], 0.2, [0.7]), [1.7])
    moved = gt.bounds.check("C18", target=gt.Target(problem, gt.VP()))
    plain = gt.bounds.check("C18", target=target())
    for one, other in zip(moved, plain, strict=True):
        assert float(one.left.value) == pytest.approx(
            float(other.left.value), rel=1e-12
        )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"foo": 1.0}, "one of dim, v, prior, target"),
        ({"target": 3.0}, "a gt.Target"),
        ({"prior": PRIOR, "times": [0.3]}, "times of which path"),
        (
            {"prior": gt.GaussianMixture.isotropic([0.5, 0.5], np.eye(2), [1.0, 0.4])},
            "differ along one axis",
        ),
    ],
)
def test_what_is_missing_to_apply_a_theorem_is_said(given, words):
    with pytest.raises(gt.InputError, match=words):
        gt.bounds.check("T36", **given)


def test_a_theorem_of_a_mixture_takes_the_prior_of_a_target():
    """T48: 1/l, and (L/2) max |mu|^2 / l^2."""
    curvature, pull = gt.bounds.check("T48-landscape", target=target())
    assert float(curvature.right.value) == pytest.approx(10.0, rel=1e-12)
    assert float(pull.right.value) == pytest.approx(0.25 * 9.0 / 0.01, rel=1e-12)


def test_a_theorem_without_a_prior_takes_no_target():
    with pytest.raises(gt.InputError, match="not computed from target"):
        gt.bounds.check("T43", target=target())


# --- a bound of one's own ---------------------------------------------------------------


def too_good(target):
    """TV <= sqrt(KL / 3) of the posterior from the prior."""
    q, p = target.problem.posterior(), target.problem.prior
    kl = gt.divergences.mixture_kl(q, p)
    return gt.divergences.mixture_tv(q, p), np.sqrt(float(kl.value) / 3.0)


def with_assumption(prior, level=0.1):
    """A level is below the variance."""
    return level, prior.total_variance(), {"a density": level > 0.0}


def test_a_function_is_a_bound():
    (found,) = gt.bounds.check(with_assumption, prior=PRIOR)
    assert found.holds is Verdict.HOLDS
    assert float(found.right.value) == pytest.approx(1.62, rel=1e-12)
    assert found.assumptions == (("a density", True),)
    (outside,) = gt.bounds.check(with_assumption, prior=PRIOR, level=-1.0)
    assert outside.holds is Verdict.OUTSIDE


def test_a_bound_of_a_module_is_found(tmp_path, monkeypatch):
    (tmp_path / "of_mine.py").write_text(
        "def half(prior):\n"
        '    """A variance is below half of itself."""\n'
        "    return prior.total_variance(), 0.5 * prior.total_variance()\n"
    )
    monkeypatch.chdir(tmp_path)
    (found,) = gt.bounds.check("of_mine:half", prior=PRIOR)
    assert found.name == "of_mine:half"
    assert found.holds is Verdict.VIOLATED


def test_a_function_is_attacked_over_priors_and_numbers():
    """W2 of stopping at v is below sqrt(v), and not below 0.9 of it: near atoms."""

    def too_good(prior, v=0.1):
        stopped = gt.bounds.check("T36", prior=prior, v=v)[0]
        return stopped.left, 0.9 * stopped.right

    bound = gt.bounds.Stated(too_good)
    assert set(bound.facts.search) == {"prior", "v"}
    narrow = gt.GaussianMixture.isotropic([1.0], [[0.0]], 1e-6)
    (found,) = gt.bounds.check(too_good, prior=narrow)
    assert found.holds is Verdict.VIOLATED
    made = search.placed(bound, np.zeros(bound.facts.search["prior"].size + 1))
    assert made["v"] == pytest.approx(0.1) and made["prior"].num_components == 3


def test_what_a_function_is_computed_from_is_kept_or_searched():
    def counted(times, prior, count=3, level=0.5):
        return 0.0, len(times) + count + level + prior.dim

    bound = gt.bounds.Stated(counted)
    assert bound.parameters() == ["times", "prior", "count", "level"]
    assert gt.bounds.parameters(bound) == bound.parameters()
    size = sum(space.size for space in bound.facts.search.values())
    made = search.placed(bound, np.ones(size))
    assert set(made) == set(bound.parameters()) and made["count"] == 3
    assert made["level"] > 0.5 and len(made["times"]) == 33
    found = gt.bounds.attack(lambda times: (len(times), 20.0), evaluations=5)
    assert found.violated[0].left.value == 33.0  # nothing to search, and still computed


def test_a_parameter_that_nothing_gives_is_refused():
    with pytest.raises(gt.InputError, match="nothing gives"):
        gt.bounds.check(lambda prior, half: (half, 1.0), prior=PRIOR)


def test_a_function_that_fails_for_some_prior_is_refuted_by_attack():
    def narrow(prior):
        """The variance of a mixture is at most 4."""
        return prior.total_variance(), 4.0

    found = gt.bounds.attack(narrow, evaluations=40)
    (worst,) = found.violated
    assert float(worst.setting["prior"].total_variance()) > 4.0


def test_an_attack_is_no_worse_than_the_sweep():
    """T8 at kappa = 20 in its sweep: the attack begins with that."""
    sweep = max(r.tightness for r in gt.bounds.check("T8"))
    found = gt.bounds.attack("T8", evaluations=12)
    assert max(f.tightness for f in found.findings) >= sweep


@pytest.mark.parametrize(
    ("options", "words"),
    [({"evaluations": 0}, "a budget"), ({"fixed": {"alfa": 1.0}}, "'alpha'")],
)
def test_an_attack_without_sense_is_refused(options, words):
    with pytest.raises(gt.InputError, match=words):
        gt.bounds.attack("T6", **options)


def test_a_function_without_two_sides_is_refused():
    with pytest.raises(gt.InputError, match=r"\(left, right\)"):
        gt.bounds.check(lambda prior: 3.0, prior=PRIOR)


# --- finer quadrature -------------------------------------------------------------------


def test_finer_quadrature_has_twice_the_nodes_and_the_same_integral():
    points, _ = gt.divergences.line_rule(PRIOR, 21)
    coarse = gt.divergences.line_expectation(PRIOR, lambda x: x[0] ** 2)
    with finer(2):
        more, _ = gt.divergences.line_rule(PRIOR, 21)
        fine = gt.divergences.line_expectation(PRIOR, lambda x: x[0] ** 2)
    assert (points.shape[0], more.shape[0]) == (42, 82)
    assert float(coarse) == pytest.approx(0.2 * 0.5 + 0.8 * 9.1, rel=1e-12)
    assert float(fine) == pytest.approx(float(coarse), rel=1e-12)
    rough = gt.divergences.line_expectation(PRIOR, lambda x: jnp.abs(x[0] - 1.0), 9)
    with finer(2):
        better = gt.divergences.line_expectation(
            PRIOR, lambda x: jnp.abs(x[0] - 1.0), 9
        )
    assert abs(float(rough - better)) > 1e-6


# --- spaces -----------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
def test_a_space_gives_mixtures_within_its_limits(full):
    space = spaces.Mixtures(dim=3, components=2, full=full, least=0.05, most=2.0)
    draw = np.random.default_rng(0)
    for _ in range(5):
        mixture = space.at(3.0 * draw.standard_normal(space.size))
        values = np.linalg.eigvalsh(np.asarray(mixture.covariances()))
        assert values.min() >= 0.05 * (1 - 1e-9)
        assert values.max() <= 2.0 * (1 + 1e-9)
        assert float(jnp.sum(jnp.exp(mixture.log_weights))) == pytest.approx(1.0)


def test_each_of_a_few_values_has_its_share():
    space = spaces.OneOf(("a", "b", "c"))
    draw = np.random.default_rng(1).standard_normal((3000, 1))
    shares = [np.mean([space.at(z) == value for z in draw]) for value in "abc"]
    np.testing.assert_allclose(shares, 1 / 3, atol=4.5 * math.sqrt(2 / 9 / 3000))


# --- attacks ----------------------------------------------------------------------------


def test_an_attack_refutes_what_is_refuted_from_a_case_where_it_holds():
    """At noise .8 the printed constant of T12 fails only near two atoms."""
    fixed = {"noise": 0.8, "A": jnp.ones((1, 1))}
    bound = gt.bounds.CATALOGUE["T12-dps-density"]
    wide = gt.GaussianMixture.isotropic([0.5, 0.5], [[-3.0], [3.0]], 1.0)
    held = bound.sides(None, prior=wide, y=jnp.full(1, 6.0), **fixed)
    assert gt.bounds.judge(held[0]) is Verdict.HOLDS
    found = gt.bounds.attack("T12-dps-density", evaluations=300, fixed=fixed)
    (worst,) = found.violated
    assert worst.tightness > 1.05
    again = bound.sides(None, **worst.setting)
    assert float(again[0].left.value) == pytest.approx(
        float(worst.left.value), rel=1e-9
    )


class Sampled(AbstractBound):
    """E X^2 <= 1 for X from N(0, 1), by samples: an equality, which noise may violate."""

    facts = Facts("E X^2 <= 1", (), "by hand", "proved")
    cases = ({"num": 100},)

    def setting(self, case):
        return case

    def sides(self, key, num):
        x = jax.random.normal(key, (int(num),))
        return [Claim("", Estimate.mean_of(x**2), Estimate(1.0))]


def test_the_best_of_many_draws_is_no_violation():
    """One that looks violated by five errors is asked again with fresh keys."""
    claim = Claim("", Estimate(1.5, 0.1), Estimate(1.0))
    best = search._Best(search.slack(claim), np.zeros(0), {"num": 100}, claim, 0)
    assert gt.bounds.judge(claim) is Verdict.VIOLATED
    found = search._confirmed(Sampled(), jax.random.key(3), best, 1)
    assert found.verdict is not Verdict.VIOLATED
    assert float(found.left.stderr) == pytest.approx(math.sqrt(2 / 800), rel=0.2)


def test_rare_weights_are_no_counterexample(key):
    """T17: 4000 draws of weights of chi2 1e16 see none of the large ones."""
    prior = gt.GaussianMixture.isotropic(
        [0.004, 0.024, 0.972], [[-0.32], [-0.179], [2.365]], [0.15, 0.063, 0.024]
    )
    seen = {
        "A": jnp.ones((1, 1)),
        "R": jnp.full((1, 1), 0.0117),
        "y": jnp.array([-3.56]),
    }
    (found, *_) = gt.bounds.check("T17", key, prior=prior, **seen, num=2)
    assert float(found.right.value) > 1e15 > float(found.left.value)
    assert found.holds is Verdict.UNDECIDED


def test_the_error_of_a_variance_is_that_of_all_moments():
    """T17: moments of one weight by quadrature, of the mean of n by algebra."""
    given = importance.ImportanceSampling().setting({"num": 4})
    prior = given["prior"]
    observed = importance.Observed.of(given["A"], given["R"], given["y"])
    x, mass = gt.divergences.line_rule(prior, 4001)
    logs = observed.log_likelihood(x)
    w = np.exp(np.asarray(logs - prior.log_evidence(*observed[:3]))) - 1.0
    second, fourth = (float(np.asarray(mass) @ w**k) for k in (2, 4))
    wanted = (fourth + 3 * 3 * second**2) / 4 - second**2
    found = importance._variance_of_squares(prior, observed, 4)
    assert float(found) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow
def test_a_small_divergence_has_the_tolerance_of_its_moments(key):
    """T11: at kappa = .07 the KL over y is 3e-7, a difference of second order."""
    found = gt.bounds.check("T11", key, kappa=0.07, zeta=0.96)
    (kl,) = [report for report in found if report.label == "KL over y"]
    assert kl.holds is Verdict.HOLDS
    assert abs(float(kl.slack.value)) > 1e-6 * float(kl.right.value)


def shrunk(bound, factor):
    """The theorem with the right sides of its inequalities times a factor."""

    class Planted(AbstractBound):
        facts = bound.facts
        cases = bound.cases

        def setting(self, case):
            return bound.setting(case)

        def sides(self, key, **setting):
            return [
                claim if claim.equal else claim._replace(right=factor * claim.right)
                for claim in bound.sides(key, **setting)
            ]

    return Planted()


def test_a_right_side_five_percent_too_small_is_found():
    bound = shrunk(gt.bounds.CATALOGUE["C20-entropy"], 0.95)
    assert gt.bounds.attack(bound, evaluations=60).violated


@pytest.mark.slow
@pytest.mark.parametrize("name", ["T6-initialisation", "C18-prior-baseline"])
def test_planted_errors_are_found(name):
    """Five per cent; `experiments/attacks.py` has ten theorems and three errors."""
    bound = shrunk(gt.bounds.CATALOGUE[name], 0.95)
    assert gt.bounds.attack(bound, evaluations=150).violated


# --- what attacks have found ------------------------------------------------------------


def test_every_theorem_was_attacked():
    for name in gt.bounds.CATALOGUE:
        assert gt.bounds.tightest(name), name


@pytest.mark.parametrize("name", ["T8-gronwall", "C18-prior-baseline", "C20-entropy"])
def test_the_tightest_case_is_computed_again(name, key):
    """From its coordinates: the same left / right, to the digits that are kept."""
    bound = gt.bounds.CATALOGUE[name]
    searched = [one for one in gt.bounds.tightest(name) if one.setting]
    assert searched  # others are cases of the sweep
    for one in searched:
        claims = bound.sides(key, **one.setting)
        (found,) = [claim for claim in claims if claim.label == one.label]
        ratio = float(found.left.value) / float(found.right.value)
        assert ratio == pytest.approx(one.tightness, rel=2e-5), one.label
        assert gt.bounds.judge(found) is Verdict.HOLDS


def rough(prior):
    """E |X - 1| <= what it is, by nine nodes a component, which are too few."""
    found = gt.divergences.line_expectation(prior, lambda x: jnp.abs(x[0] - 1.0), 9)
    return found, absolute()


def absolute():
    """E |X - 1| for the prior of this file, by the formula of a folded Gaussian."""
    total = 0.0
    for weight, mean, variance in ((0.2, 0.0, 0.5), (0.8, 3.0, 0.1)):
        s, gap = math.sqrt(variance), mean - 1.0
        total += weight * (
            2.0 * s * norm.pdf(gap / s) + gap * (1.0 - 2.0 * norm.cdf(-gap / s))
        )
    return total


def test_the_error_of_a_quadrature_is_no_violation():
    """Nine nodes give too much; what doubling them changes is an error."""
    (coarse,) = gt.bounds.check(rough, prior=PRIOR)
    assert coarse.holds is Verdict.VIOLATED
    (doubled,) = gt.bounds.check(rough, prior=PRIOR, doubled=True)
    assert doubled.holds is not Verdict.VIOLATED
    (plain,) = gt.bounds.check("C18", prior=PRIOR, noise=0.5, doubled=True)[2:3]
    assert plain.holds is Verdict.HOLDS
