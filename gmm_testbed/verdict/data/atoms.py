r"""Sums over many atoms, a block of them at a time: nothing has N x num entries.

With \(l_i = \log w_i - \|x - \alpha a_i\|^2 / 2 v\) what is kept of the atoms so far is
\(M = \max l_i\), \(S = \sum e^{l_i - M}\) and \(T = \sum l_i e^{l_i - M}\). Then
\(\log\sum e^{l_i} = M + \log S\), and the entropy of the responsibilities is
\(M + \log S - T / S\).
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

_ENTRIES = 2**22  # of one block: 32 MB


class Atoms:
    """Atoms of a training set and their weights, on the host.

    Args:
        points: (N, d).
        log_weights: (N,) normalised.
        entries: of a block, at most (an atom at least).
    """

    def __init__(
        self,
        points: Float[np.ndarray, "N d"],
        log_weights: Float[np.ndarray, " N"],
        entries: int = _ENTRIES,
    ):
        self.points, self.log_weights = points, log_weights
        self.centre, self.entries = points.mean(axis=0), entries

    def entropy(
        self, x: Float[np.ndarray, "n d"], alpha: float, variance: float
    ) -> Float[np.ndarray, " n"]:
        """Entropies (n,) of the responsibilities of the atoms at x (n, d).

        Args:
            x: points of the noised law.
            alpha: scale of the atoms in it.
            variance: of the noise about each, positive.
        """
        top = np.full(len(x), -np.inf)
        total, moment = np.zeros(len(x)), np.zeros(len(x))
        for rows, squares in self._squares(x, alpha):
            terms = self.log_weights[rows] - 0.5 * squares / variance
            new = np.maximum(top, terms.max(axis=1))
            old, now = np.exp(top - new), np.exp(terms - new[:, None])
            total = total * old + now.sum(axis=1)
            moment = moment * old + (now * np.where(now > 0, terms, 0.0)).sum(axis=1)
            top = new
        return np.maximum(top + np.log(total) - moment / total, 0.0)

    def nearest(
        self, x: Float[np.ndarray, "n d"], alpha: float
    ) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """The atom (n,) whose place alpha a is nearest to each of x (n, d), how far."""
        best, found = np.full(len(x), np.inf), np.zeros(len(x), int)
        for rows, squares in self._squares(x, alpha):
            index = squares.argmin(axis=1)
            least = squares[np.arange(len(x)), index]
            found = np.where(least < best, index + rows.start, found)
            best = np.minimum(least, best)
        return found, np.sqrt(best)

    def _squares(self, x, alpha: float) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of squared distances (n, block), measured from amid the atoms."""
        x = x - alpha * self.centre
        own = (x**2).sum(axis=1)[:, None]
        size = max(self.entries // max(len(x), self.points.shape[1]), 1)
        for start in range(0, len(self.points), size):
            rows = slice(start, min(start + size, len(self.points)))
            places = alpha * (self.points[rows] - self.centre)
            squares = own - 2.0 * (x @ places.T) + (places**2).sum(axis=1)
            yield rows, np.maximum(squares, 0.0)
