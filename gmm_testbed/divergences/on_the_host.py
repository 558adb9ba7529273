r"""Divergences of a law on the line from a mixture, in NumPy: nothing is compiled.

They are those of `quadrature` and `line_transport`, for a law on equally spaced nodes,
and agree with them to the error of the quadrature. A compiled program serves one number
of nodes; where hundreds of laws on grids of many sizes are measured once each, compiling
took longer than measuring.

The distribution function of the law is read at every eighth of a cell, by Fourier formulas
(`spectral`), and between these places by the quintic through its values, slopes and
curvatures.
"""

import functools
import math

import numpy as np

from ..densities import curves, spectral
from ..densities.line import LineDensity
from ..densities.line_parts import Parts

PARTS, QUARTERS = 8, 4  # of a cell
_STEPS = (
    2  # along the coupling for W2, for a cell of the law and for one of the mixture
)
_NEWTON = 4
_REACH = 10.0  # standard deviations of a component that the coupling follows
_LOG_UNSEEN = math.log(
    1e-12
)  # mass outside the grid above which KL(p || q) is infinite


class HostDensity:
    """Law on n equally spaced nodes, with its distribution function between them.

    Attributes:
        x: (n,) nodes.
        cell: their distance.
        log_density: (n,).
        mass: (n,) of each node.
        away: mass that is not on the grid.
        escaped: the same; up to 500 roundings count as none.
        fine: (8 (n - 1) + 1,) eighths of the cells.
        below: mass to the left of each of these, with half of what escaped.
        density: there, and
        slope: its derivative there.
    """

    def __init__(self, density: LineDensity):
        self.x = np.asarray(density.position, float)
        self.cell = float((self.x[-1] - self.x[0]) / (len(self.x) - 1))
        self.log_density = np.asarray(density.log_density, float)
        values = np.exp(self.log_density)
        self.mass = self.cell * values
        self.away = float(density.escaped_mass)
        rounding = 500 * np.finfo(density.log_density.dtype).eps
        self.escaped = self.away if self.away > rounding else 0.0
        self.fine = np.linspace(self.x[0], self.x[-1], PARTS * (len(self.x) - 1) + 1)
        self.part = self.cell / PARTS
        self.density = spectral.upsampled(values, PARTS)
        self.slope = spectral.derivative(values, PARTS) / self.cell
        inside = self.part * spectral.running_integral(self.density)
        self.below = inside + 0.5 * self.escaped
        self._beside = {}

    def beside(self, mixture: Parts) -> tuple[np.ndarray, np.ndarray]:
        """Mass of a mixture to the left of each eighth, and its density there; kept."""
        if id(mixture) not in self._beside:  # it is kept too: no other gets its id
            seen = mixture.tail(self.fine), np.exp(mixture.log_density(self.fine))
            self._beside[id(mixture)] = mixture, seen
        return self._beside[id(mixture)][1]

    @functools.cached_property
    def root(self) -> tuple[np.ndarray, np.ndarray]:
        """Root of the density at every quarter of a cell, and its derivative."""
        root = np.exp(0.5 * self.log_density)
        slope = spectral.derivative(root, QUARTERS) / self.cell
        return spectral.upsampled(root, QUARTERS), slope

    def read(self, x: np.ndarray, *columns: np.ndarray) -> tuple[np.ndarray, ...]:
        """Value and slope at x (k,) of a function known at the eighths.

        Args:
            x: within the grid.
            columns: values, slopes and curvatures of the function at the eighths.
        """
        place = (x - self.fine[0]) / self.part
        cell = np.clip(place.astype(int), 0, len(self.fine) - 2)
        s = place - cell
        value, slope, bend = (c[cell] * self.part**k for k, c in enumerate(columns))
        value_, slope_, bend_ = (
            c[cell + 1] * self.part**k for k, c in enumerate(columns)
        )
        rise = value_ - value - slope - 0.5 * bend
        turn, twist = slope_ - slope - bend, bend_ - bend
        a = 10 * rise - 4 * turn + 0.5 * twist
        b = -15 * rise + 7 * turn - twist
        c = 6 * rise - 3 * turn + 0.5 * twist
        found = value + s * (slope + s * (0.5 * bend + s * (a + s * (b + s * c))))
        rate = slope + s * (bend + s * (3 * a + s * (4 * b + s * 5 * c)))
        return found, rate / self.part

    def level(self, x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Mass to the left of x (k,), and the density there."""
        return self.read(x, self.below, self.density, self.slope)

    def quantiles(self, levels: np.ndarray) -> np.ndarray:
        """Places (k,) with so much mass to the left; an end where there is none."""
        x = np.interp(levels, np.maximum.accumulate(self.below), self.fine)
        for _ in range(_NEWTON):
            level, rate = self.level(x)
            moved = x - (level - levels) / np.where(rate > 0, rate, np.inf)
            x = np.clip(moved, np.maximum(x - self.part, self.x[0]), x + self.part)
            x = np.minimum(x, self.x[-1])
        return x


# --- divergences ----------------------------------------------------------------------


def kl_to(law: HostDensity, mixture: Parts) -> float:
    """KL(law || mixture) in nats."""
    log_q, log_p = law.log_density, mixture.log_density(law.x)
    known = log_q > -np.inf
    inside = float(law.mass[known] @ (log_q[known] - log_p[known]))
    if not law.escaped:
        return inside
    outside = mixture.log_outside(law.x[0], law.x[-1])
    return inside + law.escaped * (math.log(law.escaped) - outside)


def kl_from(law: HostDensity, mixture: Parts) -> float:
    """KL(mixture || law) in nats; infinite where the mixture leaves the grid."""
    if mixture.log_outside(law.x[0], law.x[-1]) > _LOG_UNSEEN:
        return math.inf
    log_p = mixture.log_density(law.x)
    p = np.exp(log_p)
    known = p > 0
    return law.cell * float(p[known] @ (log_p - law.log_density)[known])


def tv(law: HostDensity, mixture: Parts) -> float:
    """Total variation distance, in [0, 1]."""
    below, p = law.beside(mixture)
    gap, slope = law.below - below, (law.density - p) * law.part
    cells = curves.variation(gap, slope)
    # In no cell more than both masses, which matters where a cell hides a mode.
    inside = np.minimum(cells, np.abs(np.diff(law.below)) + np.diff(below)).sum()
    outside = math.exp(mixture.log_outside(law.x[0], law.x[-1])) + law.escaped
    return 0.5 * float(inside + outside)


def fisher(law: HostDensity, mixture: Parts) -> float:
    """Fisher divergence of the law from the mixture, one over length squared."""
    root, slope = law.root
    points = np.linspace(law.x[0], law.x[-1], len(root))
    rest = slope - 0.5 * root * mixture.with_score(points)[1]
    return 4.0 * law.cell / QUARTERS * float(rest @ rest)


def w1(law: HostDensity, mixture: Parts) -> float:
    """Wasserstein-1 distance, a length; mixtures of atoms are welcome."""
    if mixture.atomic:
        return _w1_atoms(law, mixture)
    below, p = law.beside(mixture)
    gap, slope = law.below - below, law.density - p
    area = _accumulated(gap, slope, law.part)
    inside = float(curves.variation(area, gap * law.part).sum())
    ends = mixture.integrated(law.x[0]) + mixture.integrated(law.x[-1], -1.0)
    return inside + ends


def w2(law: HostDensity, mixture: Parts) -> float:
    """Wasserstein-2 distance, a length; mixtures of atoms are welcome."""
    if mixture.atomic:
        return math.sqrt(_w2_atoms(law, mixture))
    square = _along_coupling(law, mixture)
    if law.escaped:
        square += mixture.square_below(law.x[0], 0.5 * law.escaped)
        square += mixture.mirrored().square_below(-law.x[-1], 0.5 * law.escaped)
    return math.sqrt(square)


def _accumulated(values, slopes, part):
    """Integral from the first node, by the trapezoidal rule corrected by the slopes."""
    mean = 0.5 * (values[:-1] + values[1:])
    cells = part * mean + part**2 / 12.0 * (slopes[:-1] - slopes[1:])
    return np.concatenate([[0.0], np.cumsum(cells)])


def _sorted_atoms(mixture):
    """Atoms (K,) in order, and the mass below each but the first, (K - 1,)."""
    order = np.argsort(mixture.means)
    levels = np.cumsum(np.exp(mixture.log_weights[order]))
    return mixture.means[order], levels[:-1]


def _w1_atoms(law, mixture):
    area = _accumulated(law.below, law.density, law.part)
    lower, upper = law.x[0], law.x[-1]

    def integral(x):
        """Integral of the law's distribution function up to x."""
        inside = law.read(np.clip(x, lower, upper), area, law.below, law.density)[0]
        return np.where(x < lower, 0.0, inside) + np.maximum(x - upper, 0.0)

    atoms, levels = _sorted_atoms(mixture)
    left, right, ends = atoms[:-1], atoms[1:], integral(atoms)
    crossing = np.clip(law.quantiles(levels), left, right)
    both = ends[:-1] + ends[1:] - levels * (left + right)
    middle = float((both - 2.0 * (integral(crossing) - levels * crossing)).sum())
    beyond = upper - integral(law.x[-1:])[0]
    return float(middle + ends[0] + ends[-1] - atoms[-1] + beyond)


def _w2_atoms(law, mixture):
    atoms, levels = _sorted_atoms(mixture)
    inner = law.quantiles(levels)
    cuts = np.concatenate([law.x[:1], inner, law.x[-1:]])
    # Against one point: both partial moments by parts, from the integrals of F.
    below = law.below - law.below[0]
    offset = law.fine - law.x[0]
    area = _accumulated(below, law.density, law.part)
    slope = below + offset * law.density
    first = _accumulated(offset * below, slope, law.part)
    at = cuts - law.x[0]
    mass = law.read(cuts, below, law.density, law.slope)[0]
    area = law.read(cuts, area, below, law.density)[0]
    first = law.read(cuts, first, offset * below, slope)[0]
    masses = np.diff(mass)
    firsts, seconds = np.diff(at * mass - area), np.diff(at**2 * mass - 2.0 * first)
    place = atoms - law.x[0]
    return float((seconds - 2.0 * place * firsts + place**2 * masses).sum())


def _along_coupling(law, mixture):
    """Squared W2 along the pairs (x, z) of one level; see `line_transport.w2_squared`."""
    count = len(law.x) - 1
    start = float((mixture.means - _REACH * mixture.scales).min())
    stop = float((mixture.means + _REACH * mixture.scales).max())
    cell = (stop - start) / count
    s = np.arange(2 * count * _STEPS + 1) / _STEPS
    u = _first_guess(law, mixture, start, cell, s)
    low, high = np.maximum(s - count, 0.0), np.minimum(s, count)
    for step in range(_NEWTON + 1):
        level, q = law.level(law.x[0] + law.cell * u)
        z = start + cell * (s - u)
        q, p = law.cell * q, cell * np.exp(mixture.log_density(z))
        if step < _NEWTON:
            rate = q + p
            moved = (level - mixture.tail(z)) / np.where(rate > 0, rate, np.inf)
            u = np.clip(u - np.clip(moved, -0.5, 0.5), low, high)
    rounding = 500 * np.finfo(float).eps + 0.5 * law.escaped
    inside = (level > rounding) & (level < 1.0 - rounding) & (q + p > 0) & (q > 0)
    rate = np.where(inside, q * p / np.where(inside, q + p, 1.0), 0.0)
    return float(rate @ (law.x[0] + law.cell * u - z) ** 2) / _STEPS


def _first_guess(law, mixture, start, cell, s):
    """Cells of the law at each s, by interpolation between levels of both."""
    count = len(law.x) - 1
    nodes, z = np.arange(count + 1.0), start + cell * np.arange(count + 1.0)
    levels = np.maximum.accumulate(law.below[::PARTS])
    others = mixture.tail(z)
    partner = np.interp(levels, others, nodes)  # of each node of the law
    own = np.interp(others, levels, nodes)  # of each node of the mixture
    along = np.concatenate([nodes + partner, own + nodes])
    order = np.argsort(along, kind="stable")
    return np.interp(s, along[order], np.concatenate([nodes, own])[order])
