"""Faults that are planted in the package, and which of them the tests see."""
