import logging
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import BudgetError, ConfigError, DataError
from fraudml.matrix import DesignMatrix
from fraudml.progress import Deadline
from fraudml.resampling import (
    Counts,
    SamplerStep,
    chain,
    known_samplers,
    resample,
    resample_frame,
    sampler_step,
    sampler_steps,
)
from fraudml.resampling.library import changed_class
from fraudml.resampling.matching import matching_rows
from fraudml.resampling.view import column_statistics, neighbour_view

CONF = Path(__file__).parents[2] / "conf" / "resampling"
OVER, UNDER, BOTH = "imblearn.over_sampling.", "imblearn.under_sampling.", "imblearn.combine."
SMOTE, RANDOM_UNDER = OVER + "SMOTE", UNDER + "RandomUnderSampler"
SLOW_FILES = ("all_knn", "ncr", "repeated_enn", "smote_enn", "smote_tomek", "tomek_links")


def matrix(rows: int = 400, frauds: int = 20, seed: int = 0, columns: int = 3) -> DesignMatrix:
    """Numbers without a gap; the amount of a row is its position."""
    rng = np.random.default_rng(seed)
    label = np.zeros(rows, dtype=np.int8)
    label[rng.choice(rows, frauds, replace=False)] = 1
    values = rng.normal(size=(rows, columns)).astype(np.float32) + label[:, np.newaxis]
    names = tuple(f"x{column}" for column in range(columns))
    return DesignMatrix(values, names, label=label, miss_cost=np.arange(rows, dtype=np.float64))


def plain_step(target: str, **arguments: object) -> SamplerStep:
    """A step in the columns' own units, with the library's seed."""
    step = sampler_step(target, arguments, scale=False)
    if "random_state" in step.sampler.get_params(deep=False):
        step.sampler.set_params(random_state=7)
    return step


# What the library does on a table without gaps or names is what the boundary does.


OVER_SAMPLERS = [
    (SMOTE, {"sampling_strategy": 0.5}),
    (SMOTE, {"sampling_strategy": {0: 400, 1: 60}}),
    (OVER + "BorderlineSMOTE", {"sampling_strategy": 0.5}),
    (OVER + "BorderlineSMOTE", {"sampling_strategy": 0.5, "kind": "borderline-2"}),
    (OVER + "SVMSMOTE", {"sampling_strategy": 0.5, "out_step": 0.0}),
    (OVER + "KMeansSMOTE", {"kmeans_estimator": 3, "cluster_balance_threshold": 0.01}),
    (OVER + "ADASYN", {"sampling_strategy": 0.5}),
]


@pytest.mark.parametrize(("target", "arguments"), OVER_SAMPLERS)
def test_over_samplers_make_the_rows_that_the_library_makes(target, arguments):
    train = matrix()
    step = plain_step(target, **arguments)
    values, label = step.sampler.fit_resample(train.values, train.y)
    done = resample(train, [step], seed=0)
    np.testing.assert_allclose(done.matrix.values, values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(done.matrix.y, label)
    assert done.synthetic == len(values) - len(train)


@pytest.mark.parametrize(("target", "arguments"), OVER_SAMPLERS)
def test_a_synthetic_row_lies_between_its_parent_and_another_row(target, arguments):
    train = matrix()
    done = resample(train, [plain_step(target, **arguments)], seed=0)
    first = done.parents[len(train) :]
    np.testing.assert_array_equal(done.matrix.miss_cost[len(train) :], first)
    others = train.values if arguments.get("kind") == "borderline-2" else None
    for made, parent in zip(done.matrix.values[len(train) :], first, strict=True):
        among = train.values[train.y == train.y[parent]] if others is None else others
        towards = among - train.values[parent]
        length = (towards**2).sum(axis=1)
        share = (towards @ (made - train.values[parent])) / np.where(length > 0, length, 1)
        off = np.abs(train.values[parent] + share[:, np.newaxis] * towards - made).max(axis=1)
        assert ((off < 1e-5) & (share > -1e-5) & (share < 1 + 1e-5)).any()


@pytest.mark.parametrize(
    "name",
    [
        "NearMiss",
        "TomekLinks",
        "EditedNearestNeighbours",
        "RepeatedEditedNearestNeighbours",
        "AllKNN",
        "CondensedNearestNeighbour",
        "OneSidedSelection",
        "NeighbourhoodCleaningRule",
        "RandomUnderSampler",
    ],
)
def test_under_samplers_keep_the_rows_that_the_library_keeps(name):
    train = matrix(frauds=80)
    step = plain_step(UNDER + name)
    step.sampler.fit_resample(train.values, train.y)
    done = resample(train, [step], seed=0)
    np.testing.assert_array_equal(done.parents, np.unique(step.sampler.sample_indices_))


@pytest.mark.parametrize("name", ["SMOTEENN", "SMOTETomek"])
def test_combined_samplers_keep_the_rows_that_the_library_keeps(name):
    train = matrix(frauds=80)
    step = plain_step(BOTH + name)
    values, _ = step.sampler.fit_resample(train.values, train.y)
    done = resample(train, [step], seed=0)
    ours, theirs = (np.sort(rows.sum(axis=1)) for rows in (done.matrix.values, values))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert 0 < done.synthetic < len(done.matrix)


# What a synthetic row is made of.


def clones(rows: int = 300, frauds: int = 12) -> DesignMatrix:
    """Frauds in one spot, so that every synthetic row has the same neighbours."""
    rng = np.random.default_rng(1)
    label = (np.arange(rows) < frauds).astype(np.int8)
    values = rng.normal(size=(rows, 4)).astype(np.float32)
    values[:, 3] = rng.integers(2, 9, rows)
    values[:frauds, :2] = 5 + rng.normal(scale=1e-3, size=(frauds, 2))
    return DesignMatrix(values, ("a", "b", "c", "code"), categorical=(3,), label=label)


def test_codes_are_voted_on_by_the_neighbours():
    train = clones()
    train.values[:12, 3] = [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3]
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    assert (done.matrix.values[len(train) :, 3] == 3).all()


def test_the_first_parent_wins_a_tie_of_codes():
    train = clones(frauds=6)
    train.values[:6, 3] = [2, 3, 4, 5, 6, 7]
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    new = slice(len(train), None)
    np.testing.assert_array_equal(done.matrix.values[new, 3], train.values[done.parents[new], 3])


def test_a_missing_code_of_the_first_parent_stays_missing_and_has_no_vote():
    train = clones()
    train.values[:12, 3] = [0] * 9 + [4, 4, 4]
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    new = slice(len(train), None)
    parents = train.values[done.parents[new], 3]
    np.testing.assert_array_equal(done.matrix.values[new, 3], parents)
    assert set(parents) == {0, 4}


def test_a_number_is_the_first_parents_where_the_second_has_none():
    train = clones()
    train.values[:12, 2] = np.arange(12) * 0.37
    train.values[1:12, 2] = np.nan
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    made, parents = done.matrix.values[len(train) :, 2], done.parents[len(train) :]
    assert (parents == 0).any()
    assert (made[parents == 0] == train.values[0, 2]).all()
    assert np.isnan(made[parents > 0]).all()


def test_an_extrapolating_sampler_stays_inside_the_range():
    train = matrix()
    train.values[:, 0] = np.clip(train.values[:, 0], 0, 1)
    step = sampler_step(OVER + "SVMSMOTE", {"out_step": 1.0}, fraud_share=0.5)
    made = resample(train, [step], seed=0).matrix.values[len(train) :]
    assert made[:, 0].min() >= 0
    assert made[:, 0].max() <= 1


def test_smoten_votes_on_codes_and_copies_numbers():
    train = clones()
    train.values[:12, 3] = [2] + [3] * 11
    done = resample(train, [sampler_step(OVER + "SMOTEN", fraud_share=0.5)], seed=0)
    new = slice(len(train), None)
    np.testing.assert_array_equal(done.matrix.values[new, :3], train.values[done.parents[new], :3])
    assert (done.matrix.values[new, 3] == 3).mean() > 0.9


# Weights.


def test_random_over_sampling_is_a_weight_and_copies_no_row():
    train = matrix()
    done = resample(train, [sampler_step(OVER + "RandomOverSampler", fraud_share=0.5)], seed=0)
    assert done.matrix.values is train.values
    assert done.matrix.weight[train.y == 1].sum() == pytest.approx(380)
    assert done.beta == pytest.approx(20 / 380)


def test_the_librarys_own_ratio_becomes_the_weight_of_its_copies():
    train = matrix()
    step = sampler_step(OVER + "RandomOverSampler", {"sampling_strategy": 0.5})
    done = resample(train, [step], seed=0)
    assert done.matrix.weight[train.y == 1] == pytest.approx(190 / 20)


def test_rows_drawn_twice_weigh_double():
    train = replace(matrix(), weight=np.full(400, 0.5))
    step = sampler_step(RANDOM_UNDER, {"replacement": True, "sampling_strategy": 0.1})
    done = resample(train, [step], seed=0)
    legitimate = done.matrix.y == 0
    assert done.after.legitimate < 200
    assert done.matrix.weight[legitimate].sum() == pytest.approx(100)


def test_a_share_counts_rows_by_their_weight():
    train = matrix()
    train = train.with_weight(np.where(train.y == 0, 10.0, 1.0))
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.1)], seed=0)
    assert done.after.frauds == round(3800 / 9)
    done = resample(train, [sampler_step(RANDOM_UNDER, fraud_share=0.1)], seed=0)
    assert done.after.legitimate == 18


def test_beta_multiplies_along_a_chain_and_is_lost_after_smote():
    under, over = (
        sampler_step(RANDOM_UNDER, fraud_share=0.2),
        sampler_step(OVER + "RandomOverSampler", fraud_share=0.5),
    )
    train = matrix()
    assert resample(train, [under, over], seed=0).beta == pytest.approx(20 / 380)
    smote = sampler_step(SMOTE, fraud_share=0.1)
    assert resample(train, [smote, under], seed=0).beta is None


def test_a_chain_keeps_synthetic_rows_last_and_their_parents():
    steps = sampler_steps(
        None,
        {
            "steps": [
                {"_target_": SMOTE, "fraud_share": 0.2},
                {"_target_": RANDOM_UNDER, "fraud_share": 0.5},
            ]
        },
    )
    train = matrix()
    done = resample(train, steps, seed=0)
    assert done.synthetic == 75
    assert done.after == Counts(legitimate=95, frauds=95)
    old = len(done.matrix) - done.synthetic
    np.testing.assert_array_equal(done.matrix.values[:old], train.values[done.parents[:old]])
    assert (train.y[done.parents[old:]] == 1).all()


def test_smote_twice_finds_the_rows_that_were_given():
    twice = [sampler_step(SMOTE, fraud_share=share) for share in (0.2, 0.5)]
    done = resample(matrix(), twice, seed=0)
    assert done.synthetic == 360
    assert done.parents.max() < 400


# The view.


def test_the_view_has_no_gap_and_a_spread_of_one():
    train = matrix(rows=2_000, columns=4)
    train.values[:, 0] *= 1e6
    train.values[::3, 1] = np.nan
    train.values[:, 3] = 2.5
    view = neighbour_view(train.values, column_statistics(train))
    assert view.dtype == np.float32
    assert view.shape == (2_000, 3)
    np.testing.assert_allclose(view.std(axis=0), 1, rtol=1e-3)
    median = np.nanmedian(train.values[:, 1])
    assert np.unique(view[::3, 1]).size == 1
    nearest = np.abs(train.values[1::3, 1] - median).argmin()
    assert view[1::3, 1][nearest] == pytest.approx(view[0, 1], abs=0.01)


def test_codes_lie_one_apart_and_their_number_does_not_widen_the_view():
    train = matrix(rows=6_000)
    train.values[:, 2] = np.arange(6_000) % 3
    few = replace(train, categorical=(2,))
    points = neighbour_view(few.values[:3], column_statistics(few))[:, 2:]
    apart = np.linalg.norm(points[:, np.newaxis] - points, axis=2)
    np.testing.assert_allclose(apart[~np.eye(3, dtype=bool)], 1, rtol=1e-6)
    train.values[:, 2] = 2 + np.arange(6_000) % 5_000
    many = replace(train, categorical=(2,))
    assert neighbour_view(many.values, column_statistics(many)).shape == (6_000, 2 + 4)


def test_a_rare_flag_outweighs_nothing():
    train = matrix(rows=5_000)
    train.values[:, 1] = np.arange(5_000) % 1_000 == 0
    view = neighbour_view(train.values, column_statistics(train))
    assert np.ptp(view[:, 1]) == pytest.approx(1)


def test_equal_rows_are_found_in_their_order():
    among = np.array([[1, 2], [3, 4], [1, 2], [-0.0, 5]], dtype=np.float32)
    rows = np.array([[1, 2], [0.0, 5], [9, 9], [1, 2], [1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(matching_rows(rows, among), [0, 3, -1, 2, 0])


# What is refused, and what it says.


def labelled(rows: int, frauds: int) -> DesignMatrix:
    train = matrix(rows)
    return replace(train, label=(np.arange(rows) < frauds).astype(np.int8))


@pytest.mark.parametrize(
    ("frauds", "words"),
    [
        (0, r"got no fraud among 50 rows\. It needs both classes"),
        (50, r"got no legitimate row among 50 rows"),
    ],
)
@pytest.mark.parametrize("target", [SMOTE, RANDOM_UNDER, UNDER + "TomekLinks"])
def test_one_class_alone_is_refused(target, frauds, words):
    with pytest.raises(DataError, match=words):
        resample(labelled(50, frauds), [sampler_step(target)], seed=0)


@pytest.mark.parametrize("name", ["SMOTE", "BorderlineSMOTE", "SVMSMOTE", "KMeansSMOTE", "ADASYN"])
def test_one_fraud_is_too_few_for_neighbours(name):
    with pytest.raises(DataError, match=rf"{name} got 1 fraud in 50 rows.*at least 2"):
        resample(labelled(50, 1), [sampler_step(OVER + name)], seed=0)


def test_one_fraud_is_enough_for_what_only_changes_its_share():
    for target in (RANDOM_UNDER, OVER + "RandomOverSampler"):
        done = resample(labelled(50, 1), [sampler_step(target, fraud_share=0.25)], seed=0)
        assert done.beta == pytest.approx(3 / 49)


def test_few_frauds_reduce_the_neighbours_with_a_note(caplog):
    with caplog.at_level(logging.INFO, logger="fraudml.resampling"):
        done = resample(labelled(50, 3), [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    assert done.after.frauds == 47
    assert "SMOTE: k_neighbors is 2, not 5: 3 frauds" in caplog.text


@pytest.mark.parametrize("target", [SMOTE, RANDOM_UNDER, OVER + "RandomOverSampler"])
def test_a_share_below_the_prevalence_is_refused(target):
    with pytest.raises(DataError, match=r"fraud_share is 0\.01, but 0\.05 of the rows"):
        resample(matrix(), [sampler_step(target, fraud_share=0.01)], seed=0)


@pytest.mark.parametrize("target", [SMOTE, RANDOM_UNDER, OVER + "RandomOverSampler"])
def test_the_share_that_is_there_changes_nothing(target):
    done = resample(matrix(), [sampler_step(target, fraud_share=0.05)], seed=0)
    assert done.after == done.before
    assert done.beta == pytest.approx(1)


@pytest.mark.parametrize("name", sorted({*known_samplers()} - {OVER + "SMOTEN"}))
def test_constant_and_empty_columns_work(name):
    train = matrix(rows=200, frauds=40, columns=4)
    train.values[:, 2], train.values[:, 3] = 3.0, np.nan
    done = resample(train, [sampler_step(name, QUICK.get(name))], seed=0)
    assert (done.matrix.values[:, 2] == 3).all()
    assert np.isnan(done.matrix.values[:, 3]).all()


QUICK = {
    OVER + "BorderlineSMOTE": {"m_neighbors": 30},
    OVER + "SVMSMOTE": {"m_neighbors": 30},
    UNDER + "InstanceHardnessThreshold": {"cv": 2},
}


def test_a_table_of_constants_works():
    train = replace(matrix(), values=np.full((400, 3), 2, dtype=np.float32))
    done = resample(train, [sampler_step(SMOTE, fraud_share=0.5)], seed=0)
    assert (done.matrix.values == 2).all()


def test_a_sampler_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(ConfigError, match=r"no '.*SMOT'.*Did you mean 'SMOTE'") as refusal:
        sampler_step("imblearn.over_sampling.SMOT")
    for name in known_samplers():
        assert name in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: sampler_step(SMOTE, {"k_neighbor": 3}), r"no 'k_neighbor'.*'k_neighbors'"),
        (lambda: sampler_step(SMOTE, fraud_share=1.5), r"fraud_share is 1\.5"),
        (lambda: sampler_step(SMOTE, fraud_share=True), "fraud_share is True"),
        (lambda: sampler_step(UNDER + "TomekLinks", fraud_share=0.1), "cannot reach a given share"),
        (
            lambda: sampler_step(SMOTE, {"sampling_strategy": 0.5}, fraud_share=0.1),
            "Both set the number of rows",
        ),
        (lambda: SamplerStep(object(), "x"), "no method fit_resample"),
        (lambda: sampler_steps(None, {"fraud_share": 0.1}), "without a _target_"),
        (lambda: chain([{"fraud_share": 0.1}]), r"steps\[0\]"),
        (lambda: sampler_step("SMOTE"), "there is no 'SMOTE'"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(make, words):
    with pytest.raises(ConfigError, match=words):
        make()


def test_an_argument_out_of_range_is_a_matter_of_config():
    step = sampler_step(OVER + "ADASYN", {"n_neighbors": -1})
    with pytest.raises(ConfigError, match=r"resampling by ADASYN: .*n_neighbors"):
        resample(matrix(), [step], seed=0)


def test_adasyn_with_a_searcher_of_its_own_finds_parents_by_distance():
    from sklearn.neighbors import NearestNeighbors

    train = matrix()
    step = sampler_step(OVER + "ADASYN", {"n_neighbors": NearestNeighbors(n_neighbors=4)})
    done = resample(train, [step], seed=0)
    assert done.synthetic > 300
    assert (train.y[done.parents[len(train) :]] == 1).all()


def test_what_the_library_refuses_is_told_with_the_counts():
    step = sampler_step(OVER + "KMeansSMOTE", {"cluster_balance_threshold": 0.99})
    with pytest.raises(DataError, match=r"KMeansSMOTE cannot work on 400 rows with 20 frauds"):
        resample(matrix(), [step], seed=0)


def test_a_sampler_that_makes_nothing_is_no_silent_success():
    train = matrix()
    train.values[train.y == 1] += 100
    with pytest.raises(DataError, match="BorderlineSMOTE made no row"):
        resample(train, [sampler_step(OVER + "BorderlineSMOTE")], seed=0)


def test_smoten_wants_names():
    with pytest.raises(DataError, match="SMOTEN votes on categorical columns, and there is none"):
        resample(matrix(), [sampler_step(OVER + "SMOTEN")], seed=0)


def test_a_slow_sampler_is_refused_before_it_is_paid():
    train = matrix(rows=8_000, frauds=80)
    enn = sampler_step(UNDER + "EditedNearestNeighbours")
    with pytest.raises(BudgetError, match="EditedNearestNeighbours would take about"):
        resample(train, [enn], seed=0, deadline=Deadline(0.0))
    assert resample(train, [enn], seed=0, deadline=Deadline(300.0)).after.frauds == 80


# Anything with fit_resample.


class Doubling:
    def fit_resample(self, X, y):
        return np.vstack([X, X[y == 1]]), np.concatenate([y, y[y == 1]])


class Broken:
    def fit_resample(self, X, y):
        return X[:, :1], y


def test_another_sampler_may_copy_rows_which_become_weights():
    done = resample(matrix(), [SamplerStep(Doubling(), "Doubling")], seed=0)
    assert len(done.matrix) == 400
    np.testing.assert_array_equal(done.matrix.weight, 1 + done.matrix.y)
    assert done.beta is None


def test_a_function_of_the_library_works():
    step = sampler_step("imblearn.FunctionSampler", {"func": lambda X, y: (X[50:], y[50:])})
    np.testing.assert_array_equal(resample(matrix(), [step], seed=0).parents, np.arange(50, 400))


def test_an_answer_that_is_no_table_is_refused():
    with pytest.raises(DataError, match="Broken was given rows of 3 columns"):
        resample(matrix(), [SamplerStep(Broken(), "Broken")], seed=0)


def test_warnings_of_a_sampler_go_to_the_log(caplog):
    class Warns:
        def fit_resample(self, X, y):
            warnings.warn("half of it is made up", UserWarning, stacklevel=1)
            return X, y

    done = resample(matrix(), [SamplerStep(Warns(), "Odd")], seed=0)
    assert len(done.matrix) == 400
    assert "Odd: half of it is made up" in caplog.text


def test_seeds_differ_by_seed_and_not_by_what_stands_before():
    train = matrix()
    smote = sampler_step(SMOTE, fraud_share=0.2)
    a, b = (resample(train, [smote], seed=seed).matrix.values for seed in (0, 1))
    assert not np.array_equal(a, b)
    none = SamplerStep(None, "none")
    np.testing.assert_array_equal(resample(train, [none, smote], seed=0).matrix.values, a)


def test_a_random_state_that_is_set_stays():
    train = matrix()
    step = sampler_step(SMOTE, {"random_state": 3}, fraud_share=0.2)
    a, b = (resample(train, [step], seed=seed).matrix.values for seed in (0, 1))
    np.testing.assert_array_equal(a, b)


# Tables.


def table(rows: int = 300) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "id": np.arange(rows, dtype=np.int64) + 2**53 - 1_000,
            "amount": np.exp(rng.normal(size=rows)),
            "count": rng.poisson(4, rows).astype(np.uint8),
            "online": rng.random(rows) < 0.3,
            "shop": rng.choice(["bakery", "kiosk", "travel"], rows),
            "day": pl.date_range(pl.date(2024, 1, 1), pl.date(2025, 12, 31), eager=True)[:rows],
            "label": np.arange(rows) < 20,
        }
    )
    gap = pl.int_range(pl.len()) % 7 == 0
    return frame.with_columns(
        pl.when(~gap).then(pl.col(name)).alias(name) for name in ("amount", "count", "shop")
    )


@pytest.mark.parametrize("arrow", [False, True])
def test_a_table_comes_back_with_its_types_and_its_rows(arrow):
    frame = table()
    step = sampler_step(SMOTE, fraud_share=0.5)
    out = resample_frame(frame.to_arrow() if arrow else frame, [step], seed=0)
    assert out.schema == frame.schema
    assert out[:300].equals(frame)
    made = out[300:]
    assert made.height == 260
    assert made["label"].all()
    assert 0 < made["amount"].null_count() < made.height
    assert made["amount"].max() <= frame["amount"].max()
    assert made["count"].n_unique() > 2
    assert set(made["shop"].drop_nulls()) <= {"bakery", "kiosk", "travel"}
    assert set(made["day"]) <= set(frame["day"][:20])


def test_a_table_gets_a_weight_where_rows_would_be_copied():
    over = sampler_step(OVER + "RandomOverSampler", fraud_share=0.5)
    out = resample_frame(table(), [over], seed=0)
    assert out.height == 300
    assert out.filter(pl.col("label"))["weight"].sum() == pytest.approx(280)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table().rename({"label": "lable"}), "no label column 'label'. Did you mean 'lable'"),
        (table().with_columns(label=pl.lit(2)), "values \\['2'\\]"),
        (table().with_columns(amount=pl.lit(float("inf"))), "'amount' is infinite"),
    ],
)
def test_a_table_that_cannot_be_resampled_is_refused(frame, words):
    with pytest.raises(DataError, match=words):
        resample_frame(frame, [sampler_step(SMOTE)], seed=0)


# The files of conf/resampling.


@pytest.fixture(scope="module")
def simulated() -> DesignMatrix:
    table = simulate(SimulateSettings(rows=20_000, prevalence=0.005))
    names = ["merchant_category", "entry_mode", "country", "device"]
    codes = [pl.col(name).rank("dense").fill_null(-1) + 1 for name in names]
    numbers = ["amount", "card_age_days", "customer_age", "minutes_since_login"]
    frame = table.select(*numbers, pl.col("time").dt.hour(), *codes).cast(pl.Float32)
    return DesignMatrix(
        np.ascontiguousarray(frame.fill_null(np.nan).to_numpy()),
        tuple(frame.columns),
        categorical=(5, 6, 7, 8),
        label=table["label"].to_numpy().astype(np.int8),
        miss_cost=table["amount"].to_numpy(),
    )


def files() -> list:
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW_FILES))
        for path in sorted(CONF.glob("*.yaml"))
    ]


def steps_of(path: Path) -> tuple[SamplerStep, ...]:
    plain = yaml.safe_load(path.read_text())
    return sampler_steps(plain.pop("_target_", None), plain)


@pytest.mark.parametrize("path", files())
def test_every_file_runs_on_transactions(path, simulated):
    done = resample(simulated, steps_of(path), seed=0)
    assert done.after.frauds >= 0.8 * simulated.frauds
    share = done.after.frauds / len(done.matrix)
    if any(changed_class(step.sampler) for step in steps_of(path)) and path.stem != "random_over":
        assert share > 0.04
    np.testing.assert_array_equal(
        np.isnan(done.matrix.values), np.isnan(simulated.values[done.parents])
    )


def test_every_sampler_has_a_file():
    named = {
        f"{type(step.sampler).__module__.split('._')[0]}.{type(step.sampler).__name__}"
        for path in CONF.glob("*.yaml")
        for step in steps_of(path)
    }
    assert named >= {*known_samplers()} - {OVER + "SMOTENC"}
    assert (CONF / "smotenc.yaml").exists()


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_file_opens_by_saying_what_it_does(path):
    assert path.read_text().startswith("# ")
