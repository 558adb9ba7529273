"""All pins."""

from . import (
    components,
    densities,
    flows,
    frozen,
    one_gaussian,
    outputs,
    particles,
    paths,
    posteriors,
    training,
    twisted,
)

PINS = [
    *densities.PINS,
    *posteriors.PINS,
    *components.PINS,
    *paths.PINS,
    *frozen.PINS,
    *one_gaussian.PINS,
    *twisted.PINS,
    *particles.PINS,
    *training.PINS,
    *outputs.PINS,
    *flows.PINS,
]
