"""Laws on the line."""
