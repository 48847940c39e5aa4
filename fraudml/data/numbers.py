"""Numbers and dates as people write them: money as text, and words for 'missing' among them.

Which way of writing a column has is decided once, on all of its values; scoring reads by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import polars as pl

from fraudml.data.clock import MOMENT

Style = Literal["point", "comma"]
"""How decimals of money are written: 1,234.50 or 1.234,50."""

MARKERS = frozenset(
    {"\\n", "n/a", "#n/a", "na", "?", "-", "--", "---", ".", "..", "<na>", "nat", "nan", "nil"}
    | {"null", "<null>", "(null)", "[null]", "none", "missing", "(missing)", "(blank)", "#null!"}
)
"""What is written for 'missing' among numbers and dates, in lower case."""

_ALMOST = 0.9
_SAMPLE = 1_000
_FEW = 20

_SPACE = r"[\s\x{a0}\x{202f}\x{2009}'’]"
_CODES = (
    "AED|ARS|AUD|BDT|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KES"
    "|KRW|KWD|LKR|MAD|MXN|MYR|NGN|NOK|NZD|PEN|PHP|PKR|PLN|QAR|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH"
    "|USD|VND|ZAR"
)
_CURRENCY = rf"(?:[A-Z]{{1,3}}\p{{Sc}}|\p{{Sc}}|{_CODES}|kr\.?|zł|Fr\.?)"
_SIGN = r"[-−+]"


def _money(thousands: str, decimals: str) -> str:
    """A pattern of money: a sign or brackets, a currency before or after, digits in groups."""
    grouped = rf"[1-9]\d{{0,2}}(?:{thousands}\d{{2,3}})*{thousands}\d{{3}}"
    digits = rf"(?:{grouped}|0|[1-9]\d*)(?:{decimals}\d*)?|{decimals}\d+"
    before = rf"{_SIGN}?\s*{_CURRENCY}?\s*{_SIGN}?\s*"
    plain = rf"{before}(?:{digits})\s*{_CURRENCY}?\s*-?\s*{_CURRENCY}?"
    inner = rf"{_CURRENCY}?\s*(?:{digits})\s*{_CURRENCY}?"
    bracketed = rf"{_CURRENCY}?\s*\(\s*{inner}\s*\)\s*{_CURRENCY}?"
    return rf"^(?:{plain}|{bracketed})$"


_AT_LEAST = "^[^0-9A-Za-z]*[A-Za-z.]{0,3}[^0-9A-Za-z]*[0-9][^A-Za-z]*[A-Za-z]{0,3}"
"""What all money is like; far cheaper to look for than for money itself."""

_PATTERNS: dict[Style, str] = {
    "point": _money(rf"(?:,|{_SPACE})", r"\."),
    "comma": _money(rf"(?:\.|{_SPACE})", ","),
}


def is_marker(text: pl.Series, words: Collection[str] = ()) -> pl.Series:
    """Whether a text is blank, a usual word for 'missing', or one of these; null where null."""
    stripped = text.str.strip_chars()
    usual = stripped.str.to_lowercase().is_in(["", *MARKERS])
    return usual | stripped.is_in(list(words)) if words else usual


def without_markers(text: pl.Series, words: Collection[str] = ()) -> pl.Series:
    """Strip text, and turn what is a word for 'missing' into null."""
    known = ~is_marker(text, words)
    return pl.select(pl.when(known).then(text.str.strip_chars()).alias(text.name)).to_series()


def read_money(text: pl.Series, style: Style) -> pl.Series:
    """Read money by one way of writing it; null where it is not written so, or missing.

    Parameters
    ----------
    text : Series of String
        As `$1,234.50`, `1.234,50 €`, `(2.50)` or `2.50-`.
    style : str
        Which character stands before the decimals.
    """
    text = text.str.strip_chars()
    fits = text.str.contains(_PATTERNS[style])
    if style == "comma":
        number = text.str.replace_all(r"[^0-9,]", "").str.replace(",", ".", literal=True)
    else:
        number = text.str.replace_all(r"[^0-9.]", "").str.strip_chars_end(".")
    values = number.cast(pl.Float64, strict=False)
    signed = pl.when(text.str.contains(r"[-−(]")).then(-values).otherwise(values)
    return pl.select(pl.when(fits).then(signed).alias(text.name)).to_series()


@dataclass(frozen=True)
class Money:
    """What a column of text is as money.

    Parameters
    ----------
    style : str, optional
        How all values are written; None where no way fits all, or two fit.
    problem : str
        Why it is refused.
    rows : int, optional
        In how many rows.
    ambiguous : bool
        Whether two ways fit.
    """

    style: Style | None = None
    problem: str = ""
    rows: int | None = None
    ambiguous: bool = False


def find_money(text: pl.Series, *, is_amount: bool, comma: bool | None) -> Money | None:
    """Say how money is written in a column of text; None where it is none.

    Parameters
    ----------
    text : Series of String
        The column.
    is_amount : bool
        Whether it must be money.
    comma : bool, optional
        Whether decimals stand after a comma, where the user said so.
    """
    styles: list[Style] = ["point", "comma"] if comma is None else ["comma" if comma else "point"]
    if not is_amount and not _looks_like_money(_sample(text), styles):
        return None
    known = without_markers(text)
    if comma is None and not known.cast(pl.Float64, strict=False).null_count() > known.null_count():
        return Money("point")
    read = {style: read_money(known, style) for style in styles}
    fitting = [style for style in styles if read[style].null_count() == known.null_count()]
    if len(fitting) == 1:
        return Money(fitting[0])
    if not fitting:
        return misfits(text, known, max(read.values(), key=lambda values: -values.null_count()))
    apart = (read["point"] != read["comma"]).fill_null(value=False)
    if not apart.any():
        return Money("point")
    first = apart.arg_max() or 0
    return Money(
        None,
        f"column '{text.name}' is of type String and fits two ways of writing numbers, in "
        f"{apart.sum():,} of {len(text):,} rows (first at row {first:,}: '{text[first]}' is "
        f"{read['point'][first]:.10g} or {read['comma'][first]:.10g}). Expected one reading. Set "
        "data.csv.decimal_comma=false for the first, or true for the second.",
        int(apart.sum()),
        ambiguous=True,
    )


def _looks_like_money(sample: pl.Series, styles: Sequence[Style]) -> bool:
    """Whether almost all values are money, and some of them no plain numbers."""
    known = without_markers(sample).drop_nulls()
    if known.is_empty() or not known.cast(pl.Float64, strict=False).null_count():
        return False
    if known.str.contains(_AT_LEAST).mean() < _ALMOST:  # type: ignore[operator]
        return False
    return any(known.str.contains(_PATTERNS[style]).mean() >= _ALMOST for style in styles)  # type: ignore[operator]


def misfits(text: pl.Series, known: pl.Series, read: pl.Series) -> Money | None:
    """Say in which rows text is not what it was read as; None where it always is."""
    wrong = known.is_not_null() & read.is_null()
    if not wrong.any():
        return None
    first, count = wrong.arg_max() or 0, int(wrong.sum())
    return Money(
        None,
        f"column '{text.name}' is text and no number or money in {count:,} of {len(text):,} rows "
        f"(first at row {first:,}: '{text[first]}'). Expected one way of writing in every row.",
        count,
    )


@dataclass(frozen=True)
class Marked:
    """Words among the numbers or dates of a column of text.

    Parameters
    ----------
    column : str
        Its name.
    values : Series, optional
        The column as numbers or moments, where all words mean 'missing'.
    message : str
        The same in words.
    """

    column: str
    values: pl.Series | None
    message: str


def find_marked(frame: pl.DataFrame, columns: Sequence[str]) -> Iterator[Marked]:
    """Find columns of text of which almost all values are numbers, or dates, but for a few words.

    Parameters
    ----------
    frame : DataFrame
        From delimited text.
    columns : sequence of str
        Which columns may be numbers or dates.
    """
    for name in columns:
        if frame[name].dtype != pl.String:
            continue
        sample = without_markers(_sample(frame[name])).drop_nulls()
        for kind, read in _READERS.items():
            if sample.is_empty() or read(sample).is_not_null().mean() < _ALMOST:  # type: ignore[operator]
                continue
            text = frame[name].str.strip_chars()
            if marked := _marked(text, read(text), kind):
                yield marked
            break


def _sample(text: pl.Series) -> pl.Series:
    """The first values that are there."""
    first = text.head(10 * _SAMPLE).drop_nulls()
    return (text.drop_nulls() if first.is_empty() else first).head(_SAMPLE)


def _marked(text: pl.Series, read: pl.Series, kind: str) -> Marked | None:
    wrong = text.is_not_null() & read.is_null() & (text != "").fill_null(value=False)
    counted = text.filter(wrong).value_counts()
    words = counted.sort("count", text.name, descending=[True, False])
    others = words.filter(~is_marker(words[text.name]))
    known = len(text) - text.null_count()
    if words.is_empty() or len(others) > _FEW or others["count"].sum() > (1 - _ALMOST) * known:
        return None
    counts = ", ".join(f"'{word}' in {count:,}" for word, count in words.head(5).iter_rows())
    message = (
        f"column '{text.name}' holds {kind} in all but {wrong.sum():,} of {known:,} rows that are "
        f"filled ({counts} rows; first at row {wrong.arg_max():,})"
    )
    if others.is_empty():
        return Marked(text.name, read, f"{message}: read as {kind}, with these as missing.")
    note = (
        f"{message}, and stays text. If these mean 'missing', set "
        f"data.csv.null_values=[{listing_of(others[text.name])}]."
    )
    return Marked(text.name, None, note)


def listing_of(words: pl.Series) -> str:
    """Write words as a list that can be typed."""
    return ",".join(f"'{word}'" for word in words)


def _as_numbers(text: pl.Series) -> pl.Series:
    # Leading zeros, or more digits than a float holds, are a code.
    code = text.str.contains(r"^[-+]?0\d|^[-+]?\d{19,}$")
    text = pl.select(pl.when(~code).then(text).alias(text.name)).to_series()
    numbers = text.cast(pl.Float64, strict=False)
    whole = text.cast(pl.Int64, strict=False)
    return whole if whole.null_count() == numbers.null_count() else numbers


def _as_moments(text: pl.Series) -> pl.Series:
    moments = pl.Series(text.name, [None], MOMENT).new_from_index(0, len(text))
    for written in ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"):
        read = text.str.to_datetime(written, time_unit="us", strict=False)
        moments = pl.select(pl.coalesce(moments, read).alias(text.name)).to_series()
    return moments


_READERS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "numbers": _as_numbers,
    "dates": _as_moments,
}
