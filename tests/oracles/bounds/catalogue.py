from . import closed, paths
PINS = [*closed.PINS, *paths.PINS]
