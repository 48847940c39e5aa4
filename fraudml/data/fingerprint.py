"""The fingerprint of a table: which data a model was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

_SLICE = 1_000_000


def fingerprint(frame: pl.DataFrame) -> str:
    """Hash a table: its column names, types and values, in their order.

    Parameters
    ----------
    frame : DataFrame
        Any columns. What a null stands on does not count, nor do chunks, nor the file it came from;
        text, categorical and enum columns with the same words are the same.

    Returns
    -------
    str
        `sha256:` and 64 hexadecimal digits.

    Notes
    -----
    Reads the table once, a million rows of a column at a time.

    Examples
    --------
    >>> a = pl.DataFrame({"amount": [1.5, None]})
    >>> b = pl.concat([a[:1], a[1:]], rechunk=False)
    >>> fingerprint(a) == fingerprint(b)
    True
    >>> fingerprint(a) == fingerprint(a.reverse())
    False
    """
    digest = hashlib.sha256(f"{frame.height} {frame.width}\n".encode())
    for column in frame.iter_columns():
        digest.update(repr((column.name, _type_name(column.dtype))).encode())
        for start in range(0, frame.height, _SLICE):
            _add(digest, column.slice(start, _SLICE))
    return f"sha256:{digest.hexdigest()}"


def fingerprint_files(paths: Iterable[Path]) -> str:
    """Hash the bytes of files in their order, whatever they are called; read in pieces.

    Parameters
    ----------
    paths : iterable of Path
        The files.
    """
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()}"


def _type_name(dtype: pl.DataType) -> str:
    return "String" if isinstance(dtype, pl.Categorical | pl.Enum) else str(dtype)


def _add(digest: hashlib._Hash, values: pl.Series) -> None:
    missing = values.null_count()
    digest.update(missing.to_bytes(8, "little"))
    if missing:
        digest.update(np.packbits(values.is_null().to_numpy()).tobytes())
    plain = _plain(values)
    if plain.dtype == pl.String:
        present = plain.drop_nulls()
        digest.update(_little_endian(present.str.len_bytes()))
        digest.update(present.str.join("").item().encode())
    elif plain.dtype != pl.Null:
        digest.update(_little_endian(plain.fill_null(0)))


def _plain(values: pl.Series) -> pl.Series:
    """Bring any type to numbers that numpy knows or to text."""
    dtype = values.dtype
    if dtype.is_nested():
        return pl.select(pl.struct(values.alias("")).struct.json_encode()).to_series()
    if dtype == pl.Boolean:
        return values.cast(pl.UInt8)
    if dtype == pl.Binary:
        return values.bin.encode("hex")
    if dtype.is_temporal():
        return values.to_physical()
    if dtype.is_integer() or dtype.is_float():
        return values if dtype not in {pl.Int128, pl.UInt128} else values.cast(pl.String)
    return values if dtype == pl.Null else values.cast(pl.String)


def _little_endian(numbers: pl.Series) -> memoryview:
    values = np.ascontiguousarray(numbers.to_numpy())
    return values.astype(values.dtype.newbyteorder("<"), copy=False).data
