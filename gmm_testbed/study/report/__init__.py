"""A store as one HTML page: figures, claims, tables and laws over time."""

from .page import write as write
