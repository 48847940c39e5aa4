"""Universal Binary JSON (draft 12) as XGBoost writes its models: read strictly, all or nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

_MAX_DEPTH = 32
_NUMBERS = {
    b"i": ">i1",
    b"U": ">u1",
    b"I": ">i2",
    b"l": ">i4",
    b"L": ">i8",
    b"d": ">f4",
    b"D": ">f8",
}
_DTYPES = {mark: np.dtype(name) for mark, name in _NUMBERS.items()}
_WHOLE = {mark: dtype.itemsize for mark, dtype in _DTYPES.items() if dtype.kind in "iu"}
_CONSTANTS = {b"T": True, b"F": False, b"Z": None}


def read_ubjson(content: bytes) -> Any:
    """Read a document: objects as dicts, arrays of one type as numpy arrays, others as lists.

    Parameters
    ----------
    content : bytes
        One value and nothing behind it.

    Raises
    ------
    ValueError
        It is cut off, goes on, nests too deep, repeats a key, or has a mark that is not known.
    """
    value, end = _value(content, 0, 0)
    if end != len(content):
        raise ValueError(f"{len(content) - end} bytes follow the document")
    return value


# Each function takes where it starts, and returns what it read with where that ends.


def _value(content: bytes, at: int, depth: int) -> tuple[Any, int]:
    mark, at = content[at : at + 1], at + 1
    if depth > _MAX_DEPTH:
        raise ValueError(f"it nests deeper than {_MAX_DEPTH}")
    if mark == b"{":
        return _mapping(content, at, depth)
    if mark == b"[":
        return _array(content, at, depth)
    if mark == b"S":
        return _text(content, at)
    if mark in _CONSTANTS:
        return _CONSTANTS[mark], at
    if mark not in _DTYPES:
        raise ValueError(f"byte {at - 1} is no mark of a value: {mark!r}")
    values, at = _numbers(content, at, mark, 1)
    return values[0].item(), at


def _numbers(content: bytes, at: int, mark: bytes, count: int) -> tuple[Any, int]:
    dtype = _DTYPES[mark]
    end = _end(content, at, count * dtype.itemsize)
    return np.frombuffer(content, dtype, count, at), end


def _end(content: bytes, at: int, size: int) -> int:
    if not 0 <= size <= len(content) - at:
        raise ValueError(f"byte {at} announces {size} bytes, more than there are")
    return at + size


def _length(content: bytes, at: int) -> tuple[int, int]:
    size = _WHOLE.get(content[at : at + 1])
    if size is None:
        raise ValueError(f"byte {at} is no mark of a length: {content[at : at + 1]!r}")
    end = _end(content, at + 1, size)
    return int.from_bytes(content[at + 1 : end], signed=True), end


def _text(content: bytes, at: int) -> tuple[str, int]:
    length, at = _length(content, at)
    end = _end(content, at, length)
    return content[at:end].decode("utf-8"), end


def _mapping(content: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    result: dict[str, Any] = {}
    while content[at : at + 1] != b"}":
        key, at = _text(content, at)
        if key in result:
            raise ValueError(f"the key '{key[:40]}' stands twice")
        result[key], at = _value(content, at, depth + 1)
    return result, at + 1


def _array(content: bytes, at: int, depth: int) -> tuple[Any, int]:
    kind = b""
    if content[at : at + 1] == b"$":
        kind, at = content[at + 1 : at + 2], at + 2
        if kind not in _DTYPES or content[at : at + 1] != b"#":
            raise ValueError(f"byte {at - 1} is no mark of an array of numbers: {kind!r}")
    if content[at : at + 1] != b"#":
        raise ValueError(f"the array at byte {at} does not say how long it is")
    count, at = _length(content, at + 1)
    if kind:
        return _numbers(content, at, kind, count)
    _end(content, at, count)  # a value takes a byte at least
    values = []
    for _ in range(count):
        value, at = _value(content, at, depth + 1)
        values.append(value)
    return values, at
