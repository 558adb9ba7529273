"""Settings of the whole suite: double precision, no implicit promotion, fixed keys."""

import os

os.environ.setdefault("NPROC", "4")  # before jax starts its threads

import itertools
import pathlib
import shutil
import zlib
from typing import NamedTuple

import jax
import jaxtyping
import matplotlib
import pytest

_ended = itertools.count(1)  # tests of this process
FLOAT32 = os.environ.get("GMM_TESTBED_FLOAT32") == "1"

jax.config.update("jax_enable_x64", not FLOAT32)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")
matplotlib.use("Agg")


def pytest_configure(config):
    """Keeps compiled programs from run to run, except from benchmarks, which time them.

    Two thirds of a first run are compilation. The processes of a run share the programs.
    """
    if not config.getoption("benchmark_only"):
        folder = config.rootpath / ".jax_cache"
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


class Tolerance(NamedTuple):
    """How far two numbers may be apart, by kind.

    Attributes:
        identity: relative, between two ways to write the same number.
        quadrature: relative, against a numerical integral.
        z: statistics, in standard errors.
        slope: absolute, between a fitted and a stated order of convergence.
    """

    identity: float
    quadrature: float
    z: float
    slope: float


@pytest.fixture(scope="session")
def tolerance() -> Tolerance:
    """Tolerances in the precision of this run."""
    if FLOAT32:
        return Tolerance(identity=5e-4, quadrature=5e-3, z=4.5, slope=0.2)
    return Tolerance(identity=1e-9, quadrature=1e-6, z=4.5, slope=0.2)


@pytest.fixture
def key(request) -> jax.Array:
    """A key of its own for every test, the same in every run."""
    return jax.random.key(zlib.crc32(request.node.name.encode()))


@pytest.fixture
def without_shape_checks():
    """The package as users have it: the shape annotations are checked in tests only.

    With them, a wrong shape is refused before the package's own message is reached.
    """
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(autouse=True)
def room_for_programs():
    """Forgets compiled programs before a process has more of them than Linux can map.

    XLA crashes at 65,530 mappings, the default of `vm.max_map_count`. To count them takes
    hundredths of a second, so that it is done after every tenth test.
    """
    yield
    if next(_ended) % 10 == 0:
        maps = pathlib.Path("/proc/self/maps")
        if maps.exists() and maps.read_text().count("\n") > 30_000:
            jax.clear_caches()


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window; the test is skipped where there is none."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("no browser: needs chromium and chromedriver (see .ci/run)")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for name in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{name}")
    options.add_argument("--window-size=1300,1000")
    logs = {"browser": "ALL", "performance": "ALL"}  # the console, and every request
    options.set_capability("goog:loggingPrefs", logs)
    service = webdriver.ChromeService(driver)
    opened = webdriver.Chrome(options=options, service=service)
    yield opened
    opened.quit()
