"""Training points (N, d) from an array, a file of numbers, or a folder of images."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from ..._checks import InputError, check_real, choose, fail, require

_IMAGES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".webp",
    ".ppm",
    ".pgm",
}
_FEWEST = 10  # points, of which some are held out


class Points(NamedTuple):
    """A training set.

    Attributes:
        values: (N, d).
        shape: of one point as it was given: (h, w), (h, w, channels), or (d,).
        name: of the file, or "array".
        scaled: what was done to its numbers, in words; empty if nothing.
    """

    values: Float[np.ndarray, "N d"]
    shape: tuple[int, ...]
    name: str
    scaled: str = ""


def read(data: Any, shape: tuple[int, ...] | None = None) -> Points:
    """Training points of an array (N, ...), a file, or a folder of images.

    Whole numbers of 8 bits, as pixels have, become -1 to 1; other numbers are kept.

    Args:
        data: an array; or the path of a .npy, .npz ("file.npz:name" for one of several
            arrays), .csv or .parquet file, a row a point; or of a folder of images.
        shape: of one point, if the numbers are the pixels of a picture row by row.

    Raises:
        InputError: if there is no such file, or what it holds is no set of real and
            finite points; the message says what to do.
    """
    name, found = "array", data
    if isinstance(data, str | Path):
        name, found = str(data), _of_path(str(data))
    try:
        values = np.asarray(found)
        check_real(values, f"the data of {name}")
        plain = values.dtype.kind in "fiub"
    except InputError:
        raise
    except Exception:  # lists of unequal lengths
        values, plain = np.empty(0), False
    require(
        plain and values.ndim >= 1,
        f"{name} is no array of numbers",
        got=f"{type(found).__name__} of {values.dtype}",
        expected="an array (N, ...) of real numbers, a row a point",
        hint="np.save('points.npy', points), with points (N, d)",
    )
    if values.ndim == 1:
        values = values[:, None]
    require(
        len(values) >= _FEWEST and values.size > 0,
        f"{name} has too few points",
        got=f"shape {values.shape}",
        expected=f"(N, ...), N at least {_FEWEST}: some are held out to be measured",
        hint="the first axis counts the points: transpose it if it should not",
    )
    scaled = ""
    if values.dtype == np.uint8:
        values = values / 127.5 - 1.0
        scaled = "pixels from 0 to 255 became -1 to 1"
    values = np.asarray(values, np.float64)
    rows = values.reshape(len(values), -1)
    bad = ~np.isfinite(rows).all(axis=1)
    require(
        not bad.any(),
        f"{name} has numbers that are not finite",
        got=f"NaN or infinity in {bad.sum()} of {len(rows)} points, as in {bad.argmax()}",
        expected="finite numbers",
        hint="leave these points out: points[np.isfinite(points).all(axis=1)]",
    )
    return Points(rows, _shaped(rows, values.shape[1:], shape, name), name, scaled)


def split(points: Points, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points to train with, and `count` random ones (count, d) that are held out.

    What is held out is no copy of a point that stays: copies go with it.

    Args:
        points: N of them.
        count: how many to hold out.
        seed: of the choice.

    Raises:
        InputError: unless there are more different points than twice the count.
    """
    rows = points.values
    _, label = np.unique(rows, axis=0, return_inverse=True)
    label = label.reshape(-1)
    different = int(label.max()) + 1
    require(
        different >= 2 * count,
        "too few points to hold some out",
        got=f"{different} different points of {len(rows)}, {count} of them held out",
        expected=f"{2 * count} different points or more",
        hint="give fewer observations, or more data",
    )
    out = np.random.default_rng(seed).choice(different, count, replace=False)
    first = np.full(different, -1)
    first[label[::-1]] = np.arange(len(rows))[::-1]
    return rows[~np.isin(label, out)], rows[first[out]]


def _shaped(rows, given, wanted, name) -> tuple[int, ...]:
    """The shape of one point, once it fits."""
    if wanted is None:
        return tuple(given) or (rows.shape[1],)
    require(
        int(np.prod(wanted)) == rows.shape[1],
        "the shape does not fit the points",
        got=f"shape {'x'.join(map(str, wanted))}, points of {rows.shape[1]} numbers",
        expected=f"a shape of {rows.shape[1]} numbers",
        hint="height x width, or height x width x channels: --shape 28x28",
    )
    return tuple(wanted)


def _of_path(text: str) -> Any:
    path, _, part = text.partition(".npz:")
    path = Path(path + ".npz" if part else text)
    require(
        path.exists(),
        "there is no such file",
        got=text,
        expected="a .npy, .npz, .csv or .parquet file, or a folder of images",
        hint=f"the current folder is {Path.cwd().name}/: give the path from there",
    )
    if path.is_dir():
        return _folder(path)
    read_file = choose(path.suffix.lower(), _READERS, "kind of file")
    try:
        return read_file(path, part)
    except InputError:
        raise
    except (OSError, ValueError, EOFError) as error:
        fail(
            f"{path.name} cannot be read",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
            expected=f"a {path.suffix} file of numbers, a row a point",
            hint="save it again, as np.save('points.npy', points)",
        )


def _npy(path: Path, part: str) -> np.ndarray:
    return np.load(path, allow_pickle=False)


def _npz(path: Path, part: str) -> np.ndarray:
    with np.load(path, allow_pickle=False) as found:
        names = list(found)
        if part:
            return found[
                choose(
                    part, dict(zip(names, names, strict=True)), f"array of {path.name}"
                )
            ]
        require(
            len(names) == 1,
            f"{path.name} has several arrays",
            got=", ".join(names) or "none",
            expected="one, or the name of one",
            hint=f"write {path.name}:{names[0] if names else 'name'}",
        )
        return found[names[0]]


def _csv(path: Path, part: str) -> np.ndarray:
    import pandas

    with path.open(encoding="utf-8", errors="replace") as file:
        first = [cell.strip().strip('"') for cell in file.readline().split(",")]
    counted = first == [str(number) for number in range(len(first))]  # as pandas writes
    words = any(not _numeric(cell) for cell in first if cell)
    header = 0 if words or (counted and len(first) > 1) else None
    return _frame(pandas.read_csv(path, header=header), path)


def _parquet(path: Path, part: str) -> np.ndarray:
    import pandas

    try:
        frame = pandas.read_parquet(path)
    except ImportError:
        fail(
            "parquet files need pyarrow, which is not installed",
            got=path.name,
            expected="the extra parquet",
            hint="pip install 'gmm-testbed[parquet]', or save a .npy file",
        )
    return _frame(frame, path)


def _frame(frame, path: Path) -> np.ndarray:
    """The numbers of a table, all of whose columns must be numbers."""
    words = [str(name) for name in frame if frame[name].dtype.kind not in "fiub"]
    shown = ", ".join(words[:3])
    require(
        not words,
        f"{path.name} has columns that are no numbers",
        got=f"{len(words)} of {frame.shape[1]} columns: {shown}",
        expected="numbers only, a row a point",
        hint=f"leave them out: frame.drop(columns={words[:3]}).to_csv(...), or turn "
        "categories into numbers",
    )
    return frame.to_numpy(np.float64)


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


_READERS = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".parquet": _parquet}


def _folder(path: Path) -> np.ndarray:
    """Pixels (N, h, w) or (N, h, w, 3) of the images of a folder, in order of names."""
    from PIL import Image, UnidentifiedImageError  # comes with matplotlib

    files = sorted(f for f in path.iterdir() if f.suffix.lower() in _IMAGES)
    require(
        files,
        f"there are no images in {path}",
        got=f"{sum(1 for _ in path.iterdir())} other files",
        expected=f"files that end in {', '.join(sorted(_IMAGES))}",
        hint="folders inside it are not looked into: move the images into one",
    )
    found, first = [], None
    for file in files:
        try:
            with Image.open(file) as image:
                grey = image.mode in ("1", "L", "I", "I;16", "F", "LA")
                pixels = np.asarray(image.convert("L" if grey else "RGB"))
        except (UnidentifiedImageError, OSError) as error:
            fail(
                f"{file.name} is no image",
                got=f"{type(error).__name__}: {error}",
                expected=f"images alone among the {len(files)} files",
                hint="remove it from the folder",
            )
        first = pixels.shape if first is None else first
        require(
            pixels.shape == first,
            "the images differ in size or colour",
            got=f"{files[0].name} {first}, {file.name} {pixels.shape}",
            expected="one height and width, and all grey or all in colour",
            hint="resize or convert them first, as by Pillow's image.resize((32, 32))",
        )
        found.append(pixels)
    return np.stack(found)
