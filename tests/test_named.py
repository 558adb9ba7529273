"""Objects from text, as on the command line."""

import pytest

import gmm_testbed as gt
from gmm_testbed import named


def test_options_are_numbers_or_names_by_their_default():
    zeta = named.from_text("ZetaDPS:zeta=0.5", gt.approximations.CATALOGUE, "x")
    assert float(zeta.zeta) == 0.5 and isinstance(zeta, gt.approximations.ZetaDPS)
    large = named.from_text("DDPM: variance = large", gt.kernels.CATALOGUE, "x")
    assert large.variance == gt.kernels.DDPM("large").variance
    assert large.variance != gt.kernels.DDPM().variance


@pytest.mark.parametrize(
    "text,words",
    [
        ("DDPN", ["unknown kernel", "did you mean 'DDPM'?"]),
        ("DDIM:etta=1", ["unknown option of DDIM", "did you mean 'eta'?"]),
        ("DDIM:eta", ["has no value", "'eta'", "option=value"]),
        ("DDIM:eta=half", ["takes a number", "'half'"]),
        ("DDPM:variance=mached", ["unknown variance", "did you mean 'matched'?"]),
        ("Heun:order=2", ["Heun has no options", "write Heun"]),
    ],
)
def test_a_wrong_text_is_refused_with_the_nearest_right_one(text, words):
    with pytest.raises(gt.InputError) as caught:
        named.from_text(text, gt.kernels.CATALOGUE, "kernel")
    assert all(word in str(caught.value) for word in words)
