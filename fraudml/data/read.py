"""Files into a table: where they are, what they are, and whether they belong together.

Everything goes through polars' lazy reader, so that columns that are excluded are never in memory.
What the columns mean is the business of `schema`; how text is taken apart, of `delimited`.
"""

from __future__ import annotations

import contextlib
import glob
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import polars as pl

from fraudml.data.delimited import TextFile, scan_typed
from fraudml.data.fingerprint import fingerprint
from fraudml.data.names import Spelling, names_of
from fraudml.data.numbers import find_marked
from fraudml.data.query import asked
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.data.simulate import simulate
from fraudml.data.snapshot import Snapshot
from fraudml.errors import (
    ConfigError,
    DataError,
    MachineError,
    all_problems,
    listing,
    nearest,
)

__all__ = ["fingerprint", "load_table", "read_table", "reading", "scan_table", "table_files"]

_log = logging.getLogger(__name__)

_TEXT, _PARQUET, _IPC = "delimited text", "Parquet", "Arrow IPC"
_FORMATS = {
    ".csv": _TEXT,
    ".tsv": _TEXT,
    ".txt": _TEXT,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
    ".arrow": _IPC,
    ".ipc": _IPC,
    ".feather": _IPC,
}
_STREAM = b"\xff\xff\xff\xff"
_CONTENTS = {
    b"PAR1": _PARQUET,
    b"PARE": "encrypted Parquet",
    b"ARROW1": _IPC,
    _STREAM: _IPC,
    b"FEA1": "Feather version 1",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of before 2007",
    b"SQLite format 3": "an SQLite database",
}


def load_table(
    settings: DataSettings, needed: Collection[str] | None = None, names: Collection[str] = ()
) -> pl.DataFrame:
    """Simulate the table or read it, as the settings say.

    Parameters
    ----------
    settings, needed, names
        As in `read_table`.

    Raises
    ------
    ConfigError
        There is neither `data.path` nor `data.uri` nor `data.simulate`, or more than one.
    DataError
        As `read_table`.
    """
    if settings.simulate is None:
        return read_table(settings, needed, names)
    if settings.path is not None or settings.uri is not None:
        key = "data.path" if settings.uri is None else "data.uri"
        raise ConfigError(
            f"{key} is '{settings.place}' and data.simulate is set too. A table is read or "
            "simulated. For a table of your own choose data=table."
        )
    return simulate(settings.simulate)


def read_table(
    settings: DataSettings, needed: Collection[str] | None = None, names: Collection[str] = ()
) -> pl.DataFrame:
    """Read the table that `data.path` or `data.uri` names, without excluded columns.

    Parameters
    ----------
    settings : DataSettings
        Where it is, how text is written, and which columns must be there.
    needed, names
        As in `scan_table`.

    Returns
    -------
    DataFrame
        At least one row, in the order of the files, by name, and of their rows.

    Raises
    ------
    ConfigError
        `data.path` is not set, or names no local file; or as `asked`.
    DataError
        As `scan_table` or `asked`; the table has no rows.
    MachineError
        The database cannot be reached, or went away.
    """
    if settings.uri is not None:
        frame = _read_query(settings.uri, settings, needed)
    else:
        frame = _read_files(settings, needed, names)
    if frame.height == 0:
        raise DataError(
            f"'{settings.place}' has a header of {frame.width} columns and no rows. "
            "Check how it was written."
        )
    return frame


def _read_files(
    settings: DataSettings, needed: Collection[str] | None, names: Collection[str]
) -> pl.DataFrame:
    snapshot = Snapshot.of("data.path", table_files(settings))
    with snapshot.reading():
        table = scan_table(settings, needed, names)
        with reading(settings):
            frame = table.collect(engine="streaming")
    if not holds_text(snapshot.files):
        return frame
    text = _text_columns(settings, names)
    marked = list(find_marked(frame, [name for name in frame.columns if name not in text]))
    for column in marked:
        _log.warning("%s", column.message)
    return frame.with_columns(column.values for column in marked if column.values is not None)


def _text_columns(settings: DataSettings, names: Collection[str]) -> set[str | None]:
    """The columns of delimited text that stay text."""
    roles = settings.columns
    text = {roles.id, roles.entity, *roles.categorical, *names}
    times = settings.csv.time_format is not None
    return text | {roles.time, roles.label_time} if times else text


def _read_query(uri: str, settings: DataSettings, needed: Collection[str] | None) -> pl.DataFrame:
    """Read what a database gives; columns that are excluded stay there."""
    if settings.path is not None:
        raise ConfigError(
            f"data.path is '{settings.path}' and data.uri is set too. Set one of them to null."
        )
    with asked(uri, settings.query, settings.columns, ("data.uri", "data.query")) as answer:
        kept = _kept_columns({settings.place: tuple(answer.schema)}, settings, needed)
        return pl.concat(answer.frames(kept))


def scan_table(
    settings: DataSettings,
    needed: Collection[str] | None = None,
    names: Collection[str] = (),
    *,
    as_text: bool = False,
    used: Collection[str] | None = None,
) -> pl.LazyFrame:
    """Scan the table that `data.path` names, to be collected within `reading`.

    Parameters
    ----------
    settings : DataSettings
        Where it is and how text is written. In delimited text the columns `id`, `entity` and
        `categorical` stay text, and so do `time` and `label_time` where there is a `time_format`.
    needed : collection of str, optional
        The columns that must be there; by default every column that has a role.
    names : collection of str
        Further columns that name things: they stay text where they are, and their type may differ
        between files.
    as_text : bool
        Whether the columns of delimited text all stay text, for one who knows what they should be.
    used : collection of str, optional
        The columns that count; others are there only where nothing is wrong with them. By default
        all count.

    Returns
    -------
    LazyFrame
        All columns but the excluded ones.

    Raises
    ------
    ConfigError
        `data.path` is not set, or names no local file.
    DataError
        There is no such file, it may not be read, it is empty, it is not what its name says, it is
        damaged; files of one folder that differ in format or columns; columns without a name or
        with the same; columns that are missing. All that one look shows is reported at once.
    """
    files = table_files(settings)
    with reading(settings):
        _refuse_unreadable([problem for path in files if (problem := _unreadable(path))])
        refusals = [refusal for path in files if (refusal := _refusal(path))]
        if refusals:
            raise DataError(all_problems(f"{len(refusals)} files cannot be read.", refusals))
        if _format(files[0]) == _TEXT:
            return _scan_text(files, settings, needed, None if as_text else names, used)
        return _scan_binary(files, settings, needed, names, used)


@contextlib.contextmanager
def reading(settings: DataSettings) -> Iterator[None]:
    """Turn what goes wrong while a scanned table is collected into a `DataError`."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"'{settings.path}' cannot be read: {reason}. Check that it is whole and may be read, "
            "or write it again."
        ) from error


def holds_text(files: Sequence[Path]) -> bool:
    """Whether files that `table_files` found are delimited text, which has no types."""
    return _format(files[0]) == _TEXT


def table_files(settings: DataSettings) -> list[Path]:
    """Find the files that `data.path` names, in the order of their names, all of one format.

    Parameters
    ----------
    settings : DataSettings
        Where the table is.

    Raises
    ------
    ConfigError
        `data.path` is not set, or names no local file.
    DataError
        There is no such file, none is a table, or they differ in format.
    MachineError
        A link leads nowhere, or a folder may not be entered.
    """
    if settings.path is None:
        raise ConfigError(
            "data.path is not set, and nothing is simulated. Set data.path to a Parquet, CSV or "
            "Arrow IPC file, data.uri and data.query to a database's, or choose data=simulated."
        )
    if "://" in settings.path:
        raise ConfigError(
            f"data.path is '{settings.path}'. Expected a file, a folder or a glob on this machine. "
            "Fetch the file first."
        )
    given = Path(settings.path).expanduser()
    matches = [given] if os.path.lexists(given) else _globbed(given)
    if not matches:
        raise DataError(_not_found(settings.path, given))
    files = _files_of(matches)
    known = [path for path in files if _format(path)]
    if not known:
        raise DataError(_none_known(settings.path, given, files))
    if len(files) > len(known):
        others = [path.name for path in files if not _format(path)]
        _log.info("Files that are no tables are left out: %s.", listing(others))
    _refuse_mixed(settings.path, known)
    return known


def _globbed(pattern: Path) -> list[Path]:
    """Return what a pattern matches; `glob` itself passes over folders that it may not enter."""
    closed = [
        f"'{folder}' may not be entered by this user. {_MEND}"
        for parent in pattern.parents
        for folder in glob.glob(str(parent), recursive=True)  # noqa: PTH207
        if Path(folder).is_dir() and not os.access(folder, os.R_OK | os.X_OK)
    ]
    _refuse_unreadable(closed)
    return sorted(map(Path, glob.glob(str(pattern), recursive=True)))  # noqa: PTH207


def _files_of(matches: Sequence[Path]) -> list[Path]:
    """Return files, and those of folders, linked ones too, but for hidden ones and Spark's own."""
    problems = list[str]()
    files = [file for match in matches for file in _walk(match, frozenset(), problems)]
    _refuse_unreadable(problems)
    values = {part for match in matches for file in files for part in _hive(file, match)}
    if values:
        _log.warning("Values in the names of folders do not become columns: %s.", listing(values))
    return files


def _hive(file: Path, match: Path) -> Iterator[str]:
    if file.is_relative_to(match):
        yield from (part for part in file.relative_to(match).parts if "=" in part)


def _walk(path: Path, above: frozenset[tuple[int, int]], problems: list[str]) -> Iterator[Path]:
    """Find the files below a path in the order of their names; a link upwards ends there."""
    try:
        stat = path.stat()
        entries = sorted(path.iterdir()) if path.is_dir() else None
    except OSError as error:
        link = f", a link to '{path.readlink()}'," if path.is_symlink() else ""
        problems.append(f"'{path}'{link} cannot be read: {error.strerror}. {_MEND}")
        return
    if entries is None:
        yield path
        return
    inode = (stat.st_dev, stat.st_ino)
    for entry in entries if inode not in above else ():
        if not entry.name.startswith((".", "_")):
            yield from _walk(entry, above | {inode}, problems)


_MEND = "Its rows would be missing: mend or remove it, then run the same command again."


def _refuse_unreadable(problems: Sequence[str]) -> None:
    if problems:
        heading = f"{len(problems)} files or folders cannot be read."
        raise MachineError(all_problems(heading, [f"data.path: {text}" for text in problems]))


def _format(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    if suffixes and suffixes[-1] == ".gz":
        inner = _FORMATS.get(suffixes[0]) if len(suffixes) == 2 else None
        return inner if inner == _TEXT else None
    return _FORMATS.get(suffixes[-1]) if suffixes else None


def _not_found(path: str, given: Path) -> str:
    place = given.absolute()
    there = place.parent
    message = f"data.path is '{path}', and there is no '{place}'. "
    root = os.environ.get("FRAUDML_DATA")
    if root is None and given.parts[:1] == ("data",):
        return message + "Set FRAUDML_DATA to the folder that holds it, or data.path to the file."
    if there.is_dir():
        names = [entry.name for entry in there.iterdir() if not entry.name.startswith(".")]
        return message + f"In its folder: {nearest(place.name, names)} Correct data.path."
    hint = f"FRAUDML_DATA is '{root}'. " if root else ""
    return message + f"Its folder does not exist either. {hint}Correct data.path."


def _none_known(path: str, given: Path, files: Sequence[Path]) -> str:
    known = ", ".join(_FORMATS)
    if given.is_file():
        return (
            f"data.path is '{path}', whose name does not say what it is. Expected a name that ends "
            f"in {known}, or .gz after the first three. Rename it."
        )
    held = f"It holds {listing(file.name for file in files)}." if files else "It is empty."
    return f"data.path is '{path}' and no file there ends in {known}. {held} Correct data.path."


def _refuse_mixed(path: str, files: Sequence[Path]) -> None:
    counts = Counter(_format(file) for file in files)
    if len(counts) > 1:
        mixture = " and ".join(f"{count:,} of {kind}" for kind, count in counts.most_common())
        raise DataError(
            f"data.path is '{path}' and holds files of several formats: {mixture}. Expected one "
            "format. Set data.path to a glob such as folder/*.parquet."
        )


def _unreadable(path: Path) -> str | None:
    """Say why a file cannot be opened."""
    if path.exists() and not path.is_file():
        return None
    try:
        with path.open("rb"):
            return None
    except PermissionError:
        return f"'{path}' may not be read by this user. {_MEND}"
    except OSError as error:
        return f"'{path}' cannot be opened: {error.strerror}. {_MEND}"


def _refusal(path: Path) -> str | None:
    """Say why a file is not even opened by a reader."""
    if os.fsencode(path) != str(path).encode(errors="replace"):
        return f"'{path}' is not written in UTF-8. Expected such a name. Rename the file or folder."
    if not path.is_file():
        return f"'{path}' is a pipe or a device. Expected a file: write the rows to one first."
    with path.open("rb") as file:
        start = file.read(16)
        file.seek(-min(8, path.stat().st_size), os.SEEK_END)
        end = file.read()
    if not start:
        return f"'{path}' is empty: it has 0 bytes. Write it again."
    held = next((kind for magic, kind in _CONTENTS.items() if start.startswith(magic)), None)
    expected = "gzip" if path.suffix.lower() == ".gz" else _format(path)
    if held != expected and (held, expected) != (None, _TEXT):
        content = held or "neither by its first bytes"
        return (
            f"'{path}' should be {expected} by its name and is {content} by its content. "
            "Rename it after what it is, or write it again."
        )
    if (held == _PARQUET and end[-4:] != b"PAR1") or (
        start.startswith(b"ARROW1") and end[-6:] != b"ARROW1"
    ):
        return f"'{path}' is cut short: its end is missing. Copy or write it again."
    return None


def _scan_text(
    files: Sequence[Path],
    settings: DataSettings,
    needed: Collection[str] | None,
    names: Collection[str] | None,
    used: Collection[str] | None,
) -> pl.LazyFrame:
    opened = [TextFile.open(path, settings.csv) for path in files]
    kept = _kept_columns({file.path: file.columns for file in opened}, settings, needed, used)
    stay = kept if names is None else _text_columns(settings, names)
    return scan_typed(opened, kept, {name for name in stay if name is not None})


def _scan_binary(
    files: Sequence[Path],
    settings: DataSettings,
    needed: Collection[str] | None,
    names: Collection[str],
    used: Collection[str] | None,
) -> pl.LazyFrame:
    scans = {path: _scan_file(path) for path in files}
    schemas = {path: scan.collect_schema() for path, scan in scans.items()}
    headers = {path: tuple(schema) for path, schema in schemas.items()}
    kept = _kept_columns(headers, settings, needed, used)
    as_names = {*_text_columns(settings, names), settings.columns.label}
    differing = [
        (name, text) for name, text in _type_problems(schemas, kept) if name not in as_names
    ]
    problems = [text for name, text in differing if used is None or name in used]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns differ in type.", problems))
    kept = [name for name in kept if name not in {name for name, _ in differing}]
    spelling = Spelling(missing=settings.csv.null_values)
    columns = [
        _as_names(name, spelling)
        if name in as_names and len({_sort(schema[name]) for schema in schemas.values()}) > 1
        else _as_text(schemas.values(), name)
        for name in kept
    ]
    return pl.concat([scan.select(columns) for scan in scans.values()], how="vertical_relaxed")


def _sort(dtype: pl.DataType) -> str:
    """What a type holds: integers of any width are the same, and so are floats."""
    if dtype.is_integer() or dtype.is_float():
        return "integer" if dtype.is_integer() else "float"
    return str(dtype)


def _as_names(name: str, spelling: Spelling) -> pl.Expr:
    """A column whose type differs between files as what it names, which does not."""
    return pl.col(name).map_batches(
        lambda column: names_of(column, spelling), return_dtype=pl.String, is_elementwise=True
    )


def _as_text(schemas: Iterable[pl.Schema], name: str) -> pl.Expr:
    """A column that is categories in one file and text in another, as text in all."""
    types = {schema[name] for schema in schemas}
    mixed = len(types) > 1 and any(dtype in _WORDS for dtype in types)
    return pl.col(name).cast(pl.String) if mixed else pl.col(name)


_WORDS = (pl.String, pl.Categorical, pl.Enum)


def _scan_file(path: Path) -> pl.LazyFrame:
    if _format(path) == _PARQUET:
        return pl.scan_parquet(path, glob=False, hive_partitioning=False)
    with path.open("rb") as file:
        if file.read(4) == _STREAM:
            return pl.read_ipc_stream(path).lazy()
    return pl.scan_ipc(path, glob=False, hive_partitioning=False)


def _kept_columns(
    headers: Mapping[Any, Sequence[str]],
    settings: DataSettings,
    needed: Collection[str] | None,
    used: Collection[str] | None = None,
) -> list[str]:
    present = next(iter(headers.values()))
    excluded = set(settings.columns.exclude)
    roles = {name for _, name in _wanted(settings.columns)} if needed is None else set(needed)
    ignored = excluded | _left_out(headers, roles) if used is None else _faulty(headers) - set(used)
    headers = {
        path: [name for name in names if name not in ignored] for path, names in headers.items()
    }
    problems = [problem for path, names in headers.items() for problem in _names(path, names)]
    problems += _differences(headers)
    if not problems:
        problems += _missing(present, settings, needed)
    if problems:
        raise DataError(all_problems(f"{len(problems)} problems with the columns.", problems))
    return [name for name in present if name not in ignored | excluded]


def _left_out(headers: Mapping[Any, Sequence[str]], roles: Collection[str]) -> set[str]:
    """Columns without a name, and those that some files lack; unless they have a role."""
    counts = Counter(name for names in headers.values() for name in dict.fromkeys(names))
    nameless = {name for name in counts if not name.strip()}
    partial = {
        name: count
        for name, count in counts.items()
        if count < len(headers) and name not in {*nameless, *roles}
    }
    for path, names in headers.items():
        if places := [str(place) for place, name in enumerate(names, 1) if name in nameless]:
            _log.warning(
                "'%s' has %d columns without a name (at %s), which are left out. An index that "
                "pandas wrote is none with to_csv(index=False).",
                path,
                len(places),
                listing(places),
            )
    if partial:
        shown = (f"{name} (in {count} of {len(headers)})" for name, count in partial.items())
        _log.warning("Columns that some files lack are left out: %s.", listing(shown))
    return nameless | partial.keys()


def _faulty(headers: Mapping[Any, Sequence[str]]) -> set[str]:
    """Columns that are nameless, patterns or double in a file, or not in all files."""
    shared = set.intersection(*map(set, headers.values()))
    names = {name for header in headers.values() for name in header}
    double = {
        name for header in headers.values() for name, count in Counter(header).items() if count > 1
    }
    return double | {
        name for name in names if name not in shared or not name.strip() or _is_pattern(name)
    }


def _is_pattern(name: str) -> bool:
    return name == "*" or (name[:1] == "^" and name[-1:] == "$")


def _names(path: object, names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield f"'{path}' has no columns. Expected a header with their names."
    nameless = [str(position) for position, name in enumerate(names, 1) if not name.strip()]
    if nameless:
        yield (
            f"'{path}' has {len(nameless)} columns without a name (at {listing(nameless)}). Every "
            "column needs one. An index that pandas wrote is left out by to_csv(index=False)."
        )
    patterns = list(filter(_is_pattern, names))
    if patterns:
        yield f"'{path}' has columns whose names are patterns: {listing(patterns)}. Rename them."
    twice = [name for name, count in Counter(names).items() if count > 1 and name.strip()]
    if twice:
        yield f"'{path}' has several columns of the name {listing(twice)}. Rename all but one."


def _differences(headers: Mapping[Any, Sequence[str]]) -> Iterator[str]:
    (model, expected), *others = headers.items()
    for path, names in others:
        lacking = [name for name in expected if name not in names]
        added = [name for name in names if name not in expected]
        if lacking or added:
            lacks = [f"lacks {listing(lacking)}"] if lacking else []
            has = [f"has {listing(added)} besides"] if added else []
            yield (
                f"'{path}' {' and '.join(lacks + has)}, compared with '{model}'. The files of one "
                "table have the same columns. Correct it, or name fewer files in data.path."
            )


def _missing(
    names: Sequence[str], settings: DataSettings, needed: Collection[str] | None
) -> Iterator[str]:
    for key, name in _wanted(settings.columns) if needed is None else (("", n) for n in needed):
        if name not in names:
            where = f"data.columns.{key} is '{name}': this" if key else f"'{name}': this needed"
            yield (
                f"{where} column is not in '{settings.place}'. {nearest(name, names)}"
                f"{_separator_hint(names)}"
            )


def _wanted(roles: ColumnRoles) -> Iterator[tuple[str, str]]:
    for field in fields(roles):
        value = getattr(roles, field.name)
        for name in value if isinstance(value, tuple) else (value,):
            if name is not None:
                yield field.name, name


def _separator_hint(names: Sequence[str]) -> str:
    marks = [mark for mark in ";\t|," if len(names) == 1 and mark in names[0]]
    if not marks:
        return ""
    mark = "tab" if marks[0] == "\t" else marks[0]
    return f" The file has this one column alone: set data.csv.separator='{mark}'."


def _type_problems(schemas: Mapping[Path, pl.Schema], kept: Sequence[str]) -> list[tuple[str, str]]:
    """Columns whose types differ between files, with the problem."""
    (model, expected), *others = schemas.items()
    return [
        (
            name,
            f"column '{name}' is {expected[name]} in '{model}' and {schema[name]} in '{path}'. "
            "Expected one type. Write one of them again.",
        )
        for path, schema in others
        for name in kept
        if not _alike(expected[name], schema[name])
    ]


def _alike(first: pl.DataType, second: pl.DataType) -> bool:
    """Whether two types have one that holds the values of both."""
    if isinstance(first, pl.Datetime) and isinstance(second, pl.Datetime):
        return first.time_zone == second.time_zone
    numbers = first.is_numeric() and second.is_numeric()
    words = first in _WORDS and second in _WORDS
    return first == second or numbers or words or pl.Null in (first, second)
