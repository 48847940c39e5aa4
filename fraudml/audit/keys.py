"""Rows and their names: copies of rows, ids of several rows, and names that differ in spelling."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import polars as pl
import polars.selectors as cs

from fraudml.audit.finding import Finding, Severity, plural, rows_of
from fraudml.errors import listing

MANY_COPIES = 0.01
"""The share of copies from which they hurt."""


def find_duplicate_rows(frame: pl.DataFrame, id_column: str | None) -> Iterator[Finding]:
    """Find rows that are the same as an earlier one in all columns but the id.

    Rows are compared by a hash of 64 bits, so that a pass over the table is enough.

    Parameters
    ----------
    frame : DataFrame
        The table.
    id_column : str, optional
        The id, which copies do not share.
    """
    compared = frame if id_column is None else frame.drop(cs.by_name(id_column))
    if not compared.width:
        return
    copies = frame.height - compared.hash_rows().n_unique()
    if not copies:
        return
    but = "all columns" if id_column is None else "all columns but the id"
    message = (
        f"{rows_of(copies, frame.height)} repeat an earlier row in {but}. Copies that stand in "
        "the development window and in the test block flatter the score, and count twice in costs. "
        "If a join or a second load made them, remove them at the source."
    )
    severity: Severity = "warning" if copies > MANY_COPIES * frame.height else "note"
    yield Finding("copied_rows", None, severity, copies, message)


def find_inconsistent_ids(frame: pl.DataFrame, id_column: str) -> Iterator[Finding]:
    """Find ids that stand on several rows with other values.

    Parameters
    ----------
    frame : DataFrame
        The table.
    id_column : str
        The id.
    """
    ids = frame[id_column]
    again = frame.filter(ids.is_duplicated() & ids.is_not_null())
    columns = [
        name for name in frame.columns if name != id_column and not frame[name].dtype.is_nested()
    ]
    if not again.height or not columns:
        return
    varied = again.group_by(id_column).agg(pl.col(columns).n_unique() > 1).select(columns)
    count = int(varied.select(pl.any_horizontal(pl.all())).to_series().sum())
    if not count:
        return
    differing = {name: int(varied[name].sum()) for name in columns if varied[name].any()}
    most_first = sorted(differing, key=differing.__getitem__, reverse=True)
    message = (
        f"column '{id_column}' is the id, and {plural(count, 'value')} of it stand on rows that "
        f"differ in {listing(most_first)}. These are no copies: the id does not name one row. Name "
        "another column under data.columns.id, or take the role away."
    )
    yield Finding("inconsistent_id", id_column, "warning", count, message)


def find_key_variants(frame: pl.DataFrame, columns: Collection[str]) -> Iterator[Finding]:
    """Find keys whose values differ by case, blanks or leading zeros alone.

    Parameters
    ----------
    frame : DataFrame
        The table.
    columns : collection of str
        The columns that name a row or somebody: id, entity, further keys.
    """
    for name in columns:
        column = frame[name]
        if column.dtype not in (pl.String, pl.Categorical, pl.Enum):
            continue
        spelt = pl.DataFrame({"as it is": column.cast(pl.String).drop_nulls().unique()})
        plain = spelt.with_columns(
            pl.col("as it is")
            .str.replace_all(r"\s", "")
            .str.to_lowercase()
            .str.strip_chars_start("0")
            .alias("plain")
        )
        alike = plain.filter(pl.col("plain").is_duplicated())
        if alike.height:
            rows = column.cast(pl.String).is_in(alike["as it is"].implode())
            message = (
                f"column '{name}' is a key, and {alike.height:,} of its {plain.height:,} values "
                f"are {alike['plain'].n_unique():,} when case, blanks and leading zeros are set "
                f"aside, in {rows_of(int(rows.sum()), frame.height, rows.arg_max())}. What is one "
                "card or terminal has several histories. Write it one way at the source."
            )
            yield Finding("spelling", name, "warning", alike.height, message)
