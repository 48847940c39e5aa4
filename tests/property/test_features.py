"""Laws of the features: no future, no label, no neighbour, and the same bits after JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from fraudml.data.check import check_table, conform_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.features.settings import FeatureSettings
from fraudml.matrix import MISSING_CODE, UNSEEN_CODE, DesignMatrix

START = datetime(2026, 1, 1)
SOME = settings(max_examples=25, deadline=None)
ROLES = ColumnRoles(time="t", entity="card", amount="amount", categorical=("shop",))


@st.composite
def frames(draw: st.DrawFn, lowest: int = 10) -> pl.DataFrame:
    """Rows in time order with a column of each kind, some of all of them missing."""
    rows = draw(st.integers(lowest, 60))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def holed(values: pl.Series) -> pl.Series:
        missing = pl.Series(generator.random(rows) < 0.2)
        return pl.select(pl.when(~missing).then(values)).to_series()

    minutes = pl.Series(np.sort(generator.integers(0, 20_000, rows)))
    days = pl.Series(generator.integers(0, 900, rows))
    label = generator.integers(0, 2, rows)
    label[:2] = [0, 1]
    words = np.array(["a", "b", "c", "é", "", "a b"])
    return pl.DataFrame(
        {
            "label": label,
            "t": START + minutes * timedelta(minutes=1),
            "card": generator.integers(0, 5, rows),
            "amount": holed(pl.Series(generator.lognormal(3, 2, rows))),
            "count": holed(pl.Series(generator.integers(-9, 9, rows))),
            "flag": holed(pl.Series(generator.random(rows) < 0.5)),
            "word": holed(pl.Series(generator.choice(words, rows))),
            "shop": holed(pl.Series(generator.integers(0, 8, rows))),
            "since": holed(START - days * timedelta(days=1)),
            "hour": pl.Series(generator.random(rows)),
        }
    )


def checked(frame: pl.DataFrame) -> Dataset:
    return check_table(frame, DataSettings(columns=ROLES))


def fitted(table: Dataset, rows: int | None = None) -> FittedFeatures:
    return fit_features(table, np.arange(len(table) if rows is None else rows), FeatureSettings())


def to_score(frame: pl.DataFrame, table: Dataset, features: FittedFeatures) -> Dataset:
    return conform_table(frame, table.schema, features.columns)


@SOME
@given(frames(), st.data())
def test_no_future(frame: pl.DataFrame, data: st.DataObject) -> None:
    table = checked(frame)
    cut = data.draw(st.integers(5, len(table)))
    features = fitted(table, cut)
    made = features.transform(table)
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1).select(pl.all().exclude("t"))
    other = pl.concat(
        [frame.head(cut), shuffled.with_columns(frame["t"])[cut:].select(frame.columns)]
    )
    changed = to_score(other, table, features)
    assert_frame_equal(features.transform(changed).head(cut), made.head(cut), check_exact=True)
    removed = to_score(frame.head(cut), table, features)
    assert_frame_equal(features.transform(removed), made.head(cut), check_exact=True)


@SOME
@given(frames(), st.data())
def test_fitting_sees_no_later_row(frame: pl.DataFrame, data: st.DataObject) -> None:
    cut = data.draw(st.integers(5, len(frame)))
    later = frame[cut:].with_columns(
        word=pl.lit("never seen"), shop=pl.lit(99, pl.Int64), count=pl.lit(0, pl.Int64)
    )
    other = checked(pl.concat([frame.head(cut), later]))
    assert fitted(checked(frame), cut) == fitted(other, cut)


@SOME
@given(frames())
def test_no_label_changes_a_feature(frame: pl.DataFrame) -> None:
    turned = checked(frame.with_columns(label=1 - pl.col("label")))
    table = checked(frame)
    assert fitted(turned) == fitted(table)
    assert_frame_equal(
        fitted(turned).transform(turned), fitted(table).transform(table), check_exact=True
    )


@SOME
@given(frames(), st.data())
def test_the_transform_of_a_piece_is_the_piece_of_the_transform(
    frame: pl.DataFrame, data: st.DataObject
) -> None:
    table = checked(frame)
    features = fitted(table)
    whole = features.transform(table)
    some = data.draw(st.sets(st.integers(0, len(table) - 1), min_size=1))
    rows = np.array(sorted(some), dtype=np.int64)
    assert_frame_equal(features.transform(table.take(rows)), whole[rows], check_exact=True)
    np.testing.assert_array_equal(
        features.matrix(table, rows).values, features.matrix(table).values[rows]
    )


@SOME
@given(frames(), st.integers(0, 99))
def test_the_order_of_the_rows_changes_no_value(frame: pl.DataFrame, seed: int) -> None:
    table = checked(frame)
    features = fitted(table)
    order = np.random.default_rng(seed).permutation(len(frame))
    turned = to_score(frame[order], table, features)
    assert_frame_equal(
        features.transform(turned), features.transform(table)[order], check_exact=True
    )
    assert (
        fitted(checked(frame.unique(keep="any", maintain_order=True)[::-1])).names == features.names
    )


@SOME
@given(frames())
def test_missing_and_unseen_names_have_codes_of_their_own(frame: pl.DataFrame) -> None:
    table = checked(frame)
    features = fitted(table)
    word, shop = (made for made in features.own if made.kind == "category")
    new = frame.with_columns(word=pl.lit("never seen"), shop=pl.lit(99))
    assert features.transform(to_score(new, table, features))["word"].unique().to_list() == [
        UNSEEN_CODE
    ]
    made = features.transform(table)
    for feature in (word, shop):
        held = frame[feature.column].cast(pl.String).replace("", None)
        missing = held.is_null().to_numpy()
        codes = made[feature.name].to_numpy()
        np.testing.assert_array_equal(codes == MISSING_CODE, missing)
        assert not (codes == UNSEEN_CODE).any()
        names = [feature.levels[int(code) - 2] for code in codes[~missing]]
        assert names == held.drop_nulls().to_list()


@SOME
@given(frames())
def test_a_name_that_is_a_number_has_one_code_in_every_type(frame: pl.DataFrame) -> None:
    table = checked(frame)
    features = fitted(table)
    expected = features.transform(table)["shop"]
    for dtype in (pl.Float64, pl.Float32, pl.Int8, pl.String):
        again = to_score(frame.with_columns(pl.col("shop").cast(dtype)), table, features)
        assert features.transform(again)["shop"].equals(expected)


@SOME
@given(frames())
def test_json_and_back_gives_equal_objects_and_the_same_bits(frame: pl.DataFrame) -> None:
    table = checked(frame)
    features = fitted(table)
    content: Any = json.loads(json.dumps(features.to_dict(), allow_nan=False))
    again = FittedFeatures.from_dict(content)
    assert again == features
    assert again.names == features.names
    assert bits(again.matrix(table)) == bits(features.matrix(table))


def bits(made: DesignMatrix) -> bytes:
    return made.values.tobytes()


@SOME
@given(frames())
def test_features_are_float64_with_names_apart(frame: pl.DataFrame) -> None:
    table = checked(frame)
    features = fitted(table)
    made = features.transform(table)
    assert set(made.dtypes) == {pl.Float64}
    assert tuple(made.columns) == features.names
    assert len(set(features.names)) == len(features.names)
    assert not set(features.names) & {"label", "t", "card"}
    assert sum(made[name].is_nan().sum() for name in made.columns) == 0
