r"""A proximal step from the denoised point.

\[ M = \arg\min_z \| y - A z \|^2_{R^{-1}} + \lambda \frac{\alpha^2}{\sigma^2} \| z - m \|^2
     = m + V A^T (R + A V A^T)^{-1} (y - A m), \quad
   V = \frac{\sigma^2}{\lambda \alpha^2} I . \]

With \(\lambda = (\sigma^2 + \alpha^2)/\alpha^2\) it is the Jacobian-free PiGDM, and as
\(R \to 0\) it tends to DDNM for every \(\lambda\). At \(\alpha = 0\) it is the
pseudo-inverse of A in units of the noise, whatever the rank of A.
"""

from typing import ClassVar

import equinox as eqx

from .._checks import check_range, floating
from .._types import Scalar, Vector
from ..method import Cost, Facts, require_linear
from ..problem import Target
from .base import AbstractCorrection, prior_covariance


class DiffPIR(AbstractCorrection):
    r"""Plug-and-play restoration's data step, as a posterior-mean rule.

    Attributes:
        lam: () the weight \(\lambda\) of the denoised point, positive.

    Raises:
        InputError: if lam is not positive and finite, where it is known.
    """

    lam: Scalar = eqx.field(converter=floating, default=1.0)

    facts: ClassVar[Facts] = Facts(
        summary="proximal step from the denoised mean with variance sigma^2/(lam alpha^2)",
        reference="Zhu et al. 2023, arXiv:2305.08995, eq. 12",
        needs=frozenset({"linear"}),
        affine=True,
        gradient=False,
        cost=Cost(denoiser=1, measurement=1),
    )

    def __check_init__(self):
        check_range("lam", self.lam, least=0.0, positive=True)

    covariance = prior_covariance

    def correction(self, target: Target, x: Vector, t: Scalar) -> Vector:
        """V A^T (R + A V A^T)^{-1} (y - A m), (d,)."""
        measurement = require_linear(self, target)
        mean = target.denoise(x, t).mean
        residual = target.problem.y - measurement.apply(mean)
        tension = self.lam * target.path.alpha(t) ** 2
        variance = target.path.sigma(t) ** 2
        return variance * measurement.ridge(mean, residual, tension, variance)
