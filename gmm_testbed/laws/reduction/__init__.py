"""Laws in any dimension, of problems that live in a line or a plane."""
