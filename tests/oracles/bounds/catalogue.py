"""All pins."""

from . import (
    components,
    densities,
    flows,
    frozen,
    guided,
    landscapes,
    one_gaussian,
    outputs,
    particles,
    paths,
    posteriors,
    schedules,
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
    *guided.PINS,
    *landscapes.PINS,
    *schedules.PINS,
    *flows.PINS,
]
