"""Prints every pinned side: `python -m tests.oracles.bounds [NAME ...]`."""

import sys
import time

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_compilation_cache_dir", ".jax_cache")
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)

from .catalogue import PINS  # noqa: E402
from .pins import rows  # noqa: E402


def main(names):
    """One line a side: theorem, case, code, oracle, relative difference, noticed."""
    for pin in PINS:
        if names and pin.name not in names:
            continue
        begin = time.perf_counter()
        found, missing = rows(pin)
        seconds = time.perf_counter() - begin
        for row in found:
            error = float(row.found.stderr)
            shown = f"{float(row.found.value):.10g}" + (
                f" +- {error:.1g}" if error else ""
            )
            if row.which == "left":
                noticed = ""
            else:
                noticed = "caught" if row.notices else "NOT CAUGHT"
            good = "" if row.oracle.agrees(row.found) else "  DIFFERS"
            print(
                f"{row.name}  {row.case}  {row.label} ({row.which})  {shown}  "
                f"{row.oracle.value:.10g}  {row.relative:.1e}  {noticed}{good}"
            )
        print(f"   {seconds:.1f} s" + (f"  NOT PINNED: {missing}" if missing else ""))


main(sys.argv[1:])
