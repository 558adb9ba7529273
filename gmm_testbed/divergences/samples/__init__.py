"""Estimates of divergences from samples, each with a standard error."""
