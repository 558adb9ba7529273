"""`python -m gmm_testbed.cli`."""

from . import main

main()
