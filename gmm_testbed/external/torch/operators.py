r"""deepinv: a measurement as its Physics, and its Physics as a measurement.

A linear measurement \(A = U \operatorname{diag}(s) V^T\) is a `DecomposablePhysics`, with
its full V (d, d), so that DDRM, proximal steps and pseudo-inverses are closed forms there.
"""

import math

import numpy as np
import torch

from ..._checks import check_real, require, unsupported
from ...problem import Linear
from ...problem.measurements import AbstractMeasurement
from .measurements import Forward, TorchMap, matrix_of, nonlinear
from .points import Batch


class Decomposed(torch.nn.Module):
    """The singular value decomposition of A (m, d), acting on images.

    Coordinates are (n, d), whatever m is; singular values beyond the rank are zero.

    Args:
        A: (m, d).
        shape: of one x0.
        dtype: that its matrices are kept in; they follow the precision of what they act on.

    Raises:
        InputError: if shape does not have d numbers.
    """

    def __init__(self, A, shape: tuple[int, ...], dtype: torch.dtype):
        torch.nn.Module.__init__(self)
        check_real(A, "A")
        A = np.asarray(A, float)
        dim = A.shape[1]
        require(
            math.prod(shape) == dim,
            "this shape does not fit the measurement",
            got=f"shape {tuple(shape)} for A {A.shape}",
            expected=f"{dim} numbers",
            hint="pass (C, H, W) of one image",
        )
        left, singular, right = np.linalg.svd(A)
        self.shape, self.rank = tuple(shape), len(singular)
        values = {
            "left": left[:, : self.rank],
            "right": right,
            "singular": np.concatenate([singular, np.zeros(dim - self.rank)]),
        }
        for name, value in values.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=dtype))

    def U(self, coordinates: Batch) -> Batch:
        """Measurements (n, m) from coordinates (n, d)."""
        return coordinates[:, : self.rank] @ self.left.mT.to(coordinates)

    def U_adjoint(self, y: Batch) -> Batch:
        """Coordinates (n, d) from measurements (n, m)."""
        beyond = y.new_zeros(len(y), self.singular.numel() - self.rank)
        return torch.cat([y @ self.left.to(y), beyond], dim=1)

    def V(self, coordinates: Batch) -> Batch:
        """Points (n, *shape) from coordinates (n, d)."""
        return (coordinates @ self.right.to(coordinates)).reshape(-1, *self.shape)

    def V_adjoint(self, x0: Batch) -> Batch:
        """Coordinates (n, d) from points (n, *shape)."""
        return x0.flatten(1) @ self.right.mT.to(x0)


def physics(
    measurement: AbstractMeasurement,
    shape: tuple[int, ...],
    dtype: torch.dtype = torch.float32,
):
    """deepinv's physics of a measurement, whose y is (n, m) and whose x is (n, *shape).

    Args:
        measurement: linear without offset, or not linear; with noise R = r^2 I.
        shape: of one x0, (C, H, W).
        dtype: of the arithmetic.

    Raises:
        UnsupportedError: if deepinv is not installed, or R or the offset cannot be said
            there.
    """
    level = _level(measurement)
    if isinstance(measurement, Linear):
        require(
            not np.any(np.asarray(measurement.b)),
            "a linear physics has no offset",
            got="b that is not zero",
            expected="y = A x0 + noise",
            hint="subtract b from y, and pass gt.Linear(A, R)",
        )
        parts = Decomposed(measurement.A, shape, dtype)
    deepinv = _deepinv()
    noise = deepinv.physics.GaussianNoise(level)
    if not isinstance(measurement, Linear):
        parts = Forward(measurement, math.prod(shape))
        made = deepinv.physics.Physics(A=lambda x, **_: parts(x), noise_model=noise)
    else:
        made = deepinv.physics.DecomposablePhysics(
            U=parts.U,
            U_adjoint=parts.U_adjoint,
            V=parts.V,
            V_adjoint=parts.V_adjoint,
            img_size=tuple(shape),
            mask=parts.singular[None],
            noise_model=noise,
        )
    made.parts = parts  # a module inside of it: both move together
    return made


def from_physics(
    physics,
    shape: tuple[int, ...],
    R=None,
    dtype: torch.dtype | None = None,
) -> AbstractMeasurement:
    """The measurement of a deepinv physics: `gt.Linear` if it is affine, else `Nonlinear`.

    Args:
        physics: with `A(x)` from (n, *shape) to (n, ...), without noise.
        shape: of one x0, (C, H, W).
        R: of the noise; that of `physics.noise_model` by default, if it is Gaussian.
        dtype: that it works in; of its parameters by default.

    Raises:
        InputError: if the noise is not Gaussian and no R is given, and as `linear`.
    """
    require(
        callable(getattr(physics, "A", None)),
        "this has no forward map",
        got=type(physics).__name__,
        expected="a physics with a method A",
        hint="a plain function goes to gt.torch.linear or gt.torch.nonlinear",
    )
    if R is None:
        R = _variance(getattr(physics, "noise_model", None))
    found = matrix_of(TorchMap(physics.A, shape, dtype))
    if found.affine:
        return Linear(found.A, R, found.b)
    return nonlinear(physics.A, R, shape, dtype)


def _variance(model) -> float:
    """R of deepinv's Gaussian noise."""
    kind = type(model).__name__
    sigma = torch.as_tensor(getattr(model, "sigma", float("nan"))).double()
    require(
        kind == "GaussianNoise" and sigma.numel() == 1 and sigma.item() > 0,
        "the noise of this physics is not that of a problem here",
        got=f"{kind}, sigma {sigma.flatten().tolist()[:3]}",
        expected="GaussianNoise(sigma) with one positive sigma",
        hint="pass R=...: a variance, variances (m,) or a covariance (m, m)",
    )
    return sigma.item() ** 2


def _level(measurement: AbstractMeasurement) -> float:
    """r of R = r^2 I."""
    R = np.asarray(measurement.R, float)
    if not np.allclose(R, R[0, 0] * np.eye(len(R)), rtol=1e-6, atol=0.0):
        unsupported(
            "the noise of this measurement has no name in deepinv",
            got="a covariance R that is not r^2 I",
            expected="one variance for all measurements",
            hint="W = measurement.whitener; pass gt.Linear(W @ A, 1.0), and W @ y for y",
        )
    return float(np.sqrt(R[0, 0]))


def _deepinv():
    try:
        import deepinv
    except (ImportError, RuntimeError) as error:  # its torchvision may not fit torch
        unsupported(
            "deepinv is not there",
            got=str(error).splitlines()[0],
            expected="deepinv, and a torchvision that fits torch",
            hint="pip install deepinv; samplers that ask a physics for A alone take "
            "gt.torch.Forward(measurement, dim)",
        )
    return deepinv
