"""Deterministic methods: the density moves with the points."""
