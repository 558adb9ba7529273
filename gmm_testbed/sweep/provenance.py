"""What computed a cell: device, versions, and the sources of this package."""

import functools
import hashlib
import importlib.metadata
import subprocess
from pathlib import Path
from typing import NamedTuple

import jax

PACKAGE = Path(__file__).parents[1]


class Provenance(NamedTuple):
    """What computed a cell.

    Attributes:
        device: platform and kind of the default device.
        jax: version.
        package: version of this package; "" where it is not installed.
        revision: of the package's git checkout, "-dirty" after it if files differ; ""
            where there is none.
        sources: hash of the package's Python files. Unlike the revision it changes with
            each edit of them, and with nothing else.
    """

    device: str
    jax: str
    package: str
    revision: str
    sources: str

    def __str__(self) -> str:
        """As "gmm_testbed 0.1.0, revision 1a2b3c, sources 4d5e6f, JAX 0.6.0, cpu"."""
        parts = (
            (f"{PACKAGE.name} ", self.package or "not installed"),
            ("revision ", self.revision),
            ("sources ", self.sources),
            ("JAX ", self.jax),
            ("", " ".join(dict.fromkeys(self.device.split()))),  # "cpu cpu" is "cpu"
        )
        return ", ".join(name + what for name, what in parts if what)


def described() -> str:
    """What draws or writes something now, in a line for the metadata of a file."""
    return f"made by {provenance()}"


@functools.cache
def provenance() -> Provenance:
    """Of this process."""
    device = jax.devices()[0]
    try:
        package = importlib.metadata.version(PACKAGE.name)
    except importlib.metadata.PackageNotFoundError:
        package = ""
    kind = f"{device.platform} {device.device_kind}"
    return Provenance(kind, jax.__version__, package, _revision(), sources(PACKAGE))


def sources(folder: Path) -> str:
    """Hash of the Python files of a folder, by name and content."""
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.rglob("*.py")):
        content = file.read_bytes()
        name = file.relative_to(folder).as_posix()
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def _revision() -> str:
    if not (PACKAGE.parent / ".git").exists():  # else it is another project's checkout
        return ""
    command = ["git", "-C", str(PACKAGE.parent), "describe", "--always", "--dirty"]
    try:
        command += ["--abbrev=40", "--exclude=*"]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=20
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
