"""Tables that a caller brings: polars as it is, pandas turned into polars."""

from __future__ import annotations

from typing import Any

import polars as pl

from fraudml.errors import DataError


def as_polars(frame: Any) -> pl.DataFrame:
    """Return a table as a polars DataFrame.

    Parameters
    ----------
    frame : polars DataFrame, polars LazyFrame or pandas DataFrame
        A pandas index is dropped, and its NaN becomes null.

    Raises
    ------
    DataError
        It is none of these, or a pandas frame that polars cannot hold: columns of one name, or of
        mixed values.
    """
    if isinstance(frame, pl.DataFrame):
        return frame
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if type(frame).__module__.partition(".")[0] == "pandas":
        return _from_pandas(frame)
    raise DataError(
        f"The table is of the type {type(frame).__name__}. Expected a polars or pandas DataFrame."
    )


def _from_pandas(frame: Any) -> pl.DataFrame:
    try:
        return pl.from_pandas(frame)
    except ImportError:
        raise
    except Exception as error:
        raise DataError(
            f"The pandas table cannot be turned into polars: {error}. Expected columns with names "
            "of their own and values of one type each. Rename or convert them, for example with "
            "astype(str)."
        ) from error
