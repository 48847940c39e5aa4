"""An input in chunks has the features of the whole, whatever the chunks and the frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import make_bundle
from fraudml.bundle import DecisionBundle
from fraudml.data.check import check_table, conform_table
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.errors import DataError
from fraudml.features.plan import fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.scoring.chunks import Chunk, KnownPast, Past, check_past, iter_chunks
from fraudml.scoring.columns import required_columns
from fraudml.scoring.rows import ROW, RowValidator
from fraudml.scoring.source import Span

START = datetime(2026, 1, 1)
ROLES = ColumnRoles(
    time="at", entity="card", amount="amount", label_time="known", categorical=("shop",)
)


def table(size: int = 500, seed: int = 0) -> pl.DataFrame:
    """Many rows share a moment; labels take up to three days."""
    rng = np.random.default_rng(seed)
    at = [START + timedelta(hours=int(h)) for h in np.sort(rng.integers(0, 240, size))]
    return pl.DataFrame(
        {
            "at": at,
            "card": rng.integers(0, 25, size),
            "amount": rng.gamma(1.0, 50, size),
            "shop": rng.choice(["web", "till", "kiosk"], size),
            "label": (rng.random(size) < 0.1).astype(np.int8),
            "known": [t + timedelta(hours=int(rng.integers(1, 72))) for t in at],
        }
    )


def bundle(roles: ColumnRoles = ROLES) -> DecisionBundle:
    data = check_table(table(), DataSettings(columns=roles, labels_complete=True))
    settings = FeatureSettings(windows=("6h", "1d"), horizon="2d", history=None)
    features = fit_features(data, np.arange(len(data)), settings, label_delay=timedelta(days=1))
    return make_bundle(data, features, None)


def frames(rows: pl.DataFrame, size: int, made: DecisionBundle) -> Iterator[pl.DataFrame]:
    wants = [want for want in required_columns(made) if want.name in rows.columns]
    sorter = RowValidator(wants, made.schema)
    for start in range(0, max(rows.height, 1), size):
        yield sorter.read(rows[start : start + size].select(sorter.columns), start)


def chunks(
    rows: pl.DataFrame,
    size: int,
    by: int,
    made: DecisionBundle,
    history: pl.DataFrame | None = None,
) -> list[Chunk]:
    earlier = None
    if history is not None:
        earlier = conform_table(history, made.schema, made.needed_history, labelled=True)
    past = Past(made.features.history, made.features.history_needed, earlier)
    return list(iter_chunks(frames(rows, by, made), made, size, past))


def values(cut: list[Chunk], made: DecisionBundle) -> np.ndarray[Any, Any]:
    return np.concatenate(
        [made.features.matrix(one.table, history=one.history).values for one in cut]
    )


@pytest.mark.parametrize("size", [1, 7, 60, 499, 10_000])
def test_pieces_have_the_features_of_the_whole(size: int) -> None:
    made, rows = bundle(), table(seed=1)
    assert made.features.history.uses_labels
    whole = values(chunks(rows, 1 << 62, 500, made), made)
    cut = chunks(rows, size, 64, made)
    np.testing.assert_array_equal(values(cut, made), whole)
    assert (len(cut) > 2) == (size < 100)


@pytest.mark.parametrize("by", [1, 13, 500])
def test_pieces_do_not_depend_on_the_frames_they_come_in(by: int) -> None:
    made, rows = bundle(), table(seed=1)
    sizes = [one.rows for one in chunks(rows, 20, by, made)]
    assert sizes == [one.rows for one in chunks(rows, 20, 100, made)]
    assert sum(sizes) == 500


def test_no_piece_ends_within_a_moment() -> None:
    cut = chunks(table(seed=1), 5, 64, bundle())
    for one, following in pairwise(cut):
        assert one.table.facts["time"].max() < following.table.facts["time"].min()  # type: ignore[operator]


def test_what_is_no_longer_looked_at_is_let_go() -> None:
    made, rows = bundle(), table(2000, seed=1)
    needed = timedelta(seconds=made.features.history_needed)
    spread = rows.with_columns(pl.col("at") + 30 * (pl.col("at") - START), known=None)
    for one in chunks(spread, 5, 64, made):
        if one.history is not None and len(one.history):
            first = one.table.facts["time"].min()
            assert one.history.facts["time"].min() >= first - needed  # type: ignore[operator]
            assert len(one.history) < 1000


def test_rows_that_cannot_be_scored_are_in_no_past() -> None:
    made, rows = bundle(), table(seed=1)
    bad = rows.with_columns(at=pl.when(pl.int_range(pl.len()) % 5 > 0).then("at"))
    cut = chunks(bad, 30, 64, made)
    assert sum(one.refused.height for one in cut) == 100
    kept = bad.filter(pl.col("at").is_not_null())
    alone = values(chunks(kept, 1 << 62, 500, made), made)
    np.testing.assert_array_equal(values(cut, made), alone)
    numbers = pl.concat([one.table.facts["row"] for one in cut]).to_list()
    assert numbers == [row for row in range(500) if row % 5]
    assert cut[0].refused[ROW][0] == 0


def test_without_a_past_pieces_have_the_size_asked_for() -> None:
    made = bundle()
    cut = list(iter_chunks(frames(table(), 64, made), made, 150, None))
    assert [one.rows for one in cut] == [150, 150, 150, 50]
    empty = list(iter_chunks(frames(table(0), 64, made), made, 150, None))
    assert [one.rows for one in empty] == [0]


def test_how_far_back_a_history_must_go() -> None:
    made = bundle()
    needed = timedelta(seconds=made.features.history_needed)
    begin = datetime(2026, 3, 1)
    span = Span(begin, begin, in_order=True)
    late = KnownPast(first=begin - needed + timedelta(hours=1), last=begin - timedelta(days=1))
    early = KnownPast(first=begin - needed, last=begin - timedelta(days=1))
    assert check_past(early, span, made, allow_short=False) == 86_400
    with pytest.raises(DataError, match="allow_short_history=true"):
        check_past(late, span, made, allow_short=False)
    assert check_past(late, span, made, allow_short=True) == 86_400
    with pytest.raises(DataError, match="there is none"):
        check_past(KnownPast(), span, made, allow_short=False)
    assert check_past(KnownPast(), Span(None, None, in_order=True), made, allow_short=False) is None


def test_a_history_as_old_as_the_trainings_table_is_long_enough() -> None:
    made = bundle()
    made.record["data"] = {"start": "2026-01-01 00:00:00"}
    span = Span(datetime(2026, 1, 2), datetime(2026, 1, 3), in_order=True)
    known = KnownPast(first=START, last=datetime(2026, 1, 1, 23))
    assert check_past(known, span, made, allow_short=False) == 3600


GUESTS = st.lists(st.sampled_from([None, "", "  ", "\t", "NA", "a", "b", "c"]), min_size=40)


@settings(max_examples=40, deadline=None)
@given(cards=GUESTS, size=st.integers(1, 50), cut=st.integers(0, 40), seed=st.integers(0, 9))
def test_a_row_without_a_key_is_nobodys_in_any_batch(
    cards: list[str | None], size: int, cut: int, seed: int
) -> None:
    """It is scored, without features of a past; no other row has another bit because of it."""
    made = bundle(replace(ROLES, categorical=()))
    rows = table(len(cards), seed).with_columns(pl.Series("card", cards, dtype=pl.String))
    guest = ~rows["card"].is_in(["a", "b", "c"]).fill_null(value=False)
    whole = chunks(rows, 1 << 62, 500, made)
    assert not sum(chunk.refused.height for chunk in whole)
    expected = values(whole, made)
    first = len(made.features.names) - len(made.features.history.features)
    assert np.isnan(expected[guest.to_numpy(), first:]).all()
    np.testing.assert_array_equal(values(chunks(rows, size, 13, made), made), expected)
    later = chunks(rows[cut:], size, 13, made, history=rows[:cut])
    if cut == 0 or cut == len(rows) or rows["at"][cut - 1] < rows["at"][cut]:
        np.testing.assert_array_equal(values(later, made), expected[cut:])
    others = values(chunks(rows.filter(~guest), size, 13, made), made)
    np.testing.assert_array_equal(others, expected[~guest.to_numpy()])


SPELLINGS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "float": lambda cards: cards.cast(pl.Float64),
    "decimal": lambda cards: cards.cast(pl.Decimal(9, 2)),
    "unsigned": lambda cards: cards.cast(pl.UInt8),
    "text": lambda cards: cards.cast(pl.String),
    "fraction": lambda cards: cards.cast(pl.String) + ".00",
    "blanks": lambda cards: " " + cards.cast(pl.String) + "\t",
    "category": lambda cards: cards.cast(pl.String).cast(pl.Categorical),
}


@pytest.mark.parametrize("earlier", SPELLINGS)
@pytest.mark.parametrize("later", SPELLINGS)
def test_a_key_is_the_same_however_input_and_history_spell_it(earlier: str, later: str) -> None:
    def spelt(rows: pl.DataFrame, spelling: str) -> pl.DataFrame:
        return rows.with_columns(SPELLINGS[spelling](rows["card"]).alias("card"))

    made, rows = bundle(), table(120, seed=1)
    cut = next(i for i in range(60, 120) if rows["at"][i - 1] < rows["at"][i])
    expected = values(chunks(rows, 1 << 62, 500, made), made)[cut:]
    spelt_rows, history = spelt(rows[cut:], later), spelt(rows[:cut], earlier)
    np.testing.assert_array_equal(
        values(chunks(spelt_rows, 20, 7, made, history=history), made), expected
    )
