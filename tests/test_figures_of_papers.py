"""Figures of other papers: their formulas against others, and small cells."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from gmm_testbed import study

from .test_experiments import FOLDER


def inside(name):
    return study.read(FOLDER / f"{name}.py").inside


# --- speciation and collapse ---------------------------------------------------------


def test_phi_is_that_of_the_two_densities():
    """(1/2) int (G+^2 + G-^2)/(G+ + G-), as the paper has it, and the published table."""
    file = inside("speciation_collapse")
    found = file.published("speciation").set_index(["d", "t"])["exact_phi"]
    d, t = 1024, 3.5
    alpha = np.exp(-t)

    def integrand(x):
        both = norm.pdf(x, [np.sqrt(d) * alpha, -np.sqrt(d) * alpha], 1.0)
        return 0.5 * (both @ both) / both.sum()

    wanted = quad(integrand, -12.0, 12.0, points=[0.0])[0]
    assert_allclose(file.same_class(d, t), wanted, rtol=1e-9)
    assert_allclose(file.curve(d, t), wanted, rtol=1e-9)
    for place in ((256, 2.5), (4096, 4.0)):
        assert_allclose(file.same_class(*place), found[place], atol=1e-6)
    assert_allclose(file.same_class(d, 0.5 * np.log(d)), 0.7752, atol=5e-5)


def test_entropies_without_vectors_are_those_with(key, monkeypatch):
    """Thirty atoms in six dimensions, drawn as vectors."""
    file = inside("speciation_collapse")
    monkeypatch.setitem(file.entropies.__globals__, "POINTS", 30)
    d, t, num = 6, 0.6, 2000
    found, information = file.entropies(key, d, t, num)
    rng, (alpha, sigma) = np.random.default_rng(3), file.scales(t)
    sign = rng.choice([-1.0, 1.0], (num, 30, 1))
    atoms = alpha * (sign + rng.normal(size=(num, 30, d)))
    x = atoms[:, :1] + sigma * rng.normal(size=(num, 1, d))
    logits = -0.5 * np.sum((x - atoms) ** 2, axis=2) / sigma**2
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    wanted = -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=1)
    error = np.hypot(found.std(), wanted.std()) / np.sqrt(num)
    assert abs(found.mean() - wanted.mean()) < 4.5 * error
    exact = 0.5 * d * np.log1p((alpha / sigma) ** 2) + file.told_of_the_class(d, t)
    error = information.std() / np.sqrt(num)
    assert abs(information.mean() - exact) < 4.5 * error


def test_what_a_point_tells_of_its_class():
    file = inside("speciation_collapse")
    d, t = 64, 2.0
    mean = np.sqrt(d) * np.exp(-t)

    def integrand(x):
        both = 0.5 * norm.pdf(x, [mean, -mean], 1.0)
        share = both / both.sum()
        return -both.sum() * (share @ np.log(share))

    told = np.log(2.0) - quad(integrand, -9.0, 9.0, points=[0.0])[0]
    assert_allclose(file.told_of_the_class(d, t), told, rtol=1e-7)
