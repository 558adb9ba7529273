"""Gaussian mixtures and their closed operations."""

from .mixture import GaussianMixture as GaussianMixture
