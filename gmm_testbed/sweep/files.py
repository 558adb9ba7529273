"""Files that are there as a whole or not at all, and arrays named by their content."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np


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


def save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> str:
    """Writes arrays as one compressed file of `folder`, named by their hash.

    Returns:
        The hash. Arrays that are there already are not written again.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(repr((name, array.dtype.str, arrays[name].shape)).encode())
        digest.update(array.tobytes())
    path = folder / f"{digest.hexdigest()}.npz"
    if not path.exists():
        with replacing(path) as file:
            np.savez_compressed(file, **arrays)
    return digest.hexdigest()


def load_arrays(folder: Path, digest: str) -> dict[str, np.ndarray]:
    """The arrays that were written under this hash."""
    with np.load(folder / f"{digest}.npz", allow_pickle=False) as file:
        return dict(file)
