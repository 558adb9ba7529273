"""What a mixture says of itself, in words and as a table."""

import jax.numpy as jnp
import numpy as np

from .. import _display

_MOST = 100_000  # entries of all covariances that are formed to be shown


def words(mixture) -> str:
    """How many components in which dimension, and their weights where they are few."""
    count = mixture.num_components
    if mixture.atomic:
        kind = _display.counted(count, "atom")
    else:
        kind = _display.counted(count, "Gaussian")
    if 1 < count <= 4:
        kind += f" of weights {_display.numbers(jnp.exp(mixture.log_weights))}"
    return f"{kind} in dimension {mixture.dim}"


def shown(mixture) -> _display.Shown:
    """The components: weight, mean and standard deviations along the axes."""
    weights = np.exp(np.asarray(mixture.log_weights))
    heads = "component", "weight", "mean"
    rows = [
        (k, f"{weight:.4g}", _display.numbers(mean))
        for k, (weight, mean) in enumerate(zip(weights, mixture.means, strict=True))
    ]
    if not mixture.atomic and mixture.means.size * mixture.dim <= _MOST:
        spreads = np.sqrt(np.diagonal(mixture.covariances(), axis1=1, axis2=2))
        heads += ("sd of each coordinate",)
        rows = [
            (*row, _display.numbers(spread))
            for row, spread in zip(rows, spreads, strict=True)
        ]
    centre = _display.numbers(np.average(mixture.means, axis=0, weights=weights))
    line = f"GaussianMixture: {words(mixture)}, mean {centre}"
    return _display.Shown(line, (_display.table(heads, rows),))
