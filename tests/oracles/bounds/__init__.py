"""Both sides of every theorem recomputed by NumPy and SciPy, from the printed formulas."""
