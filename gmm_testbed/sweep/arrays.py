"""Arrays in files beside a store, each named by the hash of its content."""

import hashlib
import re
import sqlite3
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from .._checks import fail, require
from .files import replacing, stamp

_DIGEST = re.compile("[0-9a-f]{32}")
_PACKED = zipfile.ZIP_DEFLATED


class Arrays:
    """The files of arrays of one store.

    A name is 32 hexadecimal digits; anything else that a store may say is no file, and is
    neither read nor removed.

    Attributes:
        folder: beside the store, under its whole name.
        former: where layout 2 had them: two stores may share it, so it is only read.
        file: the open store, of which the table `files` has what each was when it was
            last found whole.
    """

    def __init__(self, store: Path, file: sqlite3.Connection):
        self.folder = store.with_name(f"{store.name}.arrays")
        self.former = store.with_suffix(".arrays")
        self.file = file

    def save(self, arrays: Mapping[str, np.ndarray]) -> str:
        """Writes arrays, inside a transaction, and gives the name of their file."""
        path = save(self.folder, arrays)
        self._note(path)
        return path.stem

    def load(self, digest: str) -> dict[str, np.ndarray]:
        """Arrays by name.

        Raises:
            InputError: if their file is gone or damaged, or it can be none.
        """
        path = self._place(digest)
        require(
            path is not None,
            "the arrays of a cell have a name that they cannot have",
            got=f"{digest!r}",
            expected="32 hexadecimal digits",
            hint="the store was changed by hand: run the experiment again",
        )
        return load(path)

    def damaged(self, digests: Iterable[str], noting: bool) -> set[str]:
        """Those of which the file is gone, or has not the content that was written.

        Args:
            digests: to look at. One that has the size and time of change with which it
                was found whole is not read again.
            noting: whether to keep what is found whole, which writes to the store.
        """
        names = "SELECT 1 FROM sqlite_master WHERE name = 'files'"
        known = {}
        if self.file.execute(names).fetchone():  # else of layout 2, and only looked at
            rows = self.file.execute("SELECT * FROM files")
            known = {digest: (size, changed) for digest, size, changed in rows}
        broken = set()
        for digest in set(digests):
            path = self._place(digest)
            now = None if path is None else stamp(path)
            if now is not None and now == known.get(digest):
                continue
            if now is None or not _is_intact(path):
                broken.add(digest)
            elif noting:
                self._note(path)
        return broken

    def forget(self, digest: str) -> None:
        """Removes arrays that no cell has any more, inside a transaction."""
        others = "SELECT 1 FROM arrays WHERE digest = ?"
        if _is_digest(digest) and not self.file.execute(others, (digest,)).fetchone():
            self.file.execute("DELETE FROM files WHERE digest = ?", (digest,))
            (self.folder / f"{digest}.npz").unlink(missing_ok=True)

    def _place(self, digest) -> Path | None:
        """The file of a name; None for what is none."""
        if not _is_digest(digest):
            return None
        path, former = (f / f"{digest}.npz" for f in (self.folder, self.former))
        return former if former.is_file() and not path.is_file() else path

    def _note(self, path):
        row = path.stem, *stamp(path)
        self.file.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", row)


def _is_digest(text: object) -> bool:
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def save(folder: Path, arrays: Mapping[str, np.ndarray]) -> Path:
    """Writes arrays as one compressed file of a folder, named by their hash.

    Args:
        folder: it is made if it is not there.
        arrays: by name.

    Returns:
        The file. One that is there and whole is not written again; one that is damaged is
        replaced.
    """
    path = folder / f"{_hash(arrays)}.npz"
    if not _is_intact(path):
        with replacing(path) as file, zipfile.ZipFile(file, "w", _PACKED) as archive:
            # Not `numpy.savez`, whose own arguments are names that no array can have.
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array(entry, array, allow_pickle=False)
    return path


def load(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `save` wrote, by name.

    Raises:
        InputError: if the file is gone, or its content is not what its name says.
    """
    try:
        found = _read(path)
        problem = "" if _hash(found) == path.stem else "its content is another"
    except Exception as error:  # a damaged archive raises whatever it comes upon
        problem = f"{type(error).__name__}: {error}"
    if problem:
        fail(
            "the arrays of a cell cannot be read",
            got=f"{path} ({problem})",
            expected="the file that was written, whole",
            hint="run the experiment again: it computes such cells anew",
        )
    return found


def _is_intact(path: Path) -> bool:
    """Whether a file of arrays is there and has the content that its name says."""
    try:
        return _hash(_read(path)) == path.stem
    except Exception:  # as above
        return False


def _read(path) -> dict[str, np.ndarray]:
    if not path.is_file():  # a device, say, might never end
        raise FileNotFoundError("no such file")
    found = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.namelist():
            with archive.open(entry) as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            found[entry.removesuffix(".npy")] = array
    return found


def _hash(arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(repr((name, array.dtype.str, arrays[name].shape)).encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
