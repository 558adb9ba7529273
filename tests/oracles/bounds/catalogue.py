from . import closed, paths, sampled, twisted

PINS = [*closed.PINS, *paths.PINS, *twisted.PINS, *sampled.PINS]
