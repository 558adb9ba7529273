"""Tests of the exercises: that right is right, and wrong is wrong for its own reason."""
