"""Files that are there as a whole or not at all, and whether one has changed."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` once it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not of `tempfile`, which lets nobody else read it.
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of the last change of a file, which tell whether to read it again."""
    try:
        found = path.stat()
    except OSError:
        return None
    # The time of the last change of content can be set back; the other cannot.
    return found.st_size, max(found.st_mtime_ns, found.st_ctime_ns)
