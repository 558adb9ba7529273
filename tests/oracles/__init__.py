"""Independent references: plain NumPy, no import of the package under test."""
