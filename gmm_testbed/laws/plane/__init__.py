"""Laws in the plane."""
