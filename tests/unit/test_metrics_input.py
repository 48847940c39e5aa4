"""What the metrics refuse and in what words, what they import, and that their examples run."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

import fraudml.metrics as fm
from fraudml.errors import ConfigError, DataError
from fraudml.metrics.clusters import choose_clusters


def test_the_package_loads_no_heavy_library() -> None:
    code = (
        "import sys, fraudml.metrics; "
        "heavy = {'sklearn', 'scipy', 'polars', 'pandas', 'lightgbm', 'matplotlib', 'omegaconf'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_there_and_documented() -> None:
    for name in fm.__all__:
        assert getattr(fm, name).__doc__ if name != "METRICS" else fm.METRICS


@pytest.mark.parametrize(
    ("y_true", "y_score", "message"),
    [
        ([0, 2, 2], [1, 2, 3], r"y_true is 2.0 in row 1 \(2 such of 3 rows\). Expected was 0 or 1"),
        ([0, 1], [0.1, np.nan], r"y_score is nan in row 1 \(1 such of 2 rows\)"),
        ([0, 1], [0.1], "y_true has 2, y_score has 1"),
        ([], [], "no rows"),
        ([[0, 1]], [0.1, 0.2], r"y_true has shape \(1, 2\)"),
        ([0, 1], ["a", "b"], "y_score has dtype <U1. Numbers were expected"),
        ([0, None], [0.1, 0.2], "y_true is nan in row 1"),
        ([0, 0], [0.1, 0.2], "y_true holds no fraud"),
    ],
)
def test_bad_columns_are_named(y_true: object, y_score: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fm.average_precision(y_true, y_score)


def test_all_problems_come_at_once() -> None:
    with pytest.raises(DataError) as caught:
        fm.average_precision([0, 5], [np.nan, 1.0], weight=[-1, 2])
    message = str(caught.value)
    assert message.startswith("3 problems in the input.")
    assert all(part in message for part in ("y_true is 5.0", "y_score is nan", "weight is -1.0"))


def test_one_class_has_a_documented_value_or_is_refused() -> None:
    frauds, legit, score = [1, 1], [0, 0], [0.2, 0.7]
    assert fm.average_precision(frauds, score) == 1.0
    assert fm.recall_at_fpr(frauds, score, 0.0) == 1.0
    assert fm.precision_at_k(legit, score, 1) == 0.0
    assert fm.card_precision_at_k(legit, score, [0, 0], [1, 2], 1) == 0.0
    for metric in (fm.roc_auc, fm.partial_auc, fm.precision_recall_gain_area):
        for y_true in (frauds, legit):
            with pytest.raises(DataError, match="one class only"):
                metric(y_true, score)
    for metric in (fm.recall_at_fpr, fm.recall_at_precision, fm.precision_recall_curve):
        with pytest.raises(DataError, match="no fraud"):
            metric(legit, score)


def test_weights_that_leave_one_class_are_one_class() -> None:
    with pytest.raises(DataError, match="no fraud"):
        fm.average_precision([0, 1], [0.1, 0.2], weight=[1, 0])
    with pytest.raises(DataError, match="weight is 0 in every row"):
        fm.average_precision([0, 1], [0.1, 0.2], weight=[0, 0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fm.recall_at_fpr([0, 1], [0, 1], 1.5), "cap is 1.5"),
        (lambda: fm.recall_at_fpr([0, 1], [0, 1], float("nan")), "cap is nan"),
        (lambda: fm.recall_at_precision([0, 1], [0, 1], -0.1), "floor is -0.1"),
        (lambda: fm.partial_auc([0, 1], [0, 1], 0.0), "max_fpr is 0.0"),
        (lambda: fm.precision_at_k([0, 1], [0, 1], 0), "k is 0"),
        (lambda: fm.precision_at_k([0, 1], [0, 1], 1.5), "k is 1.5"),
        (lambda: fm.reliability([0, 1], [0, 1], per_decade=0), "per_decade is 0"),
        (lambda: fm.alerts_per_day([1], [0], n_days=0), "n_days is 0"),
        (lambda: fm.find_metric("average_precison"), "Did you mean 'average_precision'"),
        (lambda: fm.find_metric("accuracy"), "'accuracy' is not a metric here"),
        (lambda: fm.find_metric("precision_at_0"), "k is 0"),
    ],
)
def test_bad_settings_are_named(call: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()  # type: ignore[operator]


def test_polars_columns_and_infinite_scores_are_taken() -> None:
    frame = pl.DataFrame({"y": [False, True, False, True], "s": [-np.inf, 0.4, 0.5, np.inf]})
    assert fm.average_precision(frame["y"], frame["s"]) == pytest.approx(5 / 6)
    assert fm.roc_auc(frame["y"], frame["s"]) == 0.75


def test_alerts_of_a_day_are_distinct_cards_where_they_are_known() -> None:
    alert, day = [1, 1, 1, 1, 0], [0, 0, 0, 5, 5]
    assert fm.alerts_per_day(alert, day) == 2.0
    assert fm.alerts_per_day(alert, day, entity=[1, 1, 2, 1, 9]) == 1.5
    assert fm.alerts_per_day(alert, day, n_days=0.5) == 8.0
    weighed = fm.alerts_per_day(alert, day, entity=[1, 1, 2, 1, 9], weight=[1, 3, 2, 0, 1])
    assert weighed == (3 + 2) / 2
    assert fm.alerts_per_day([0] * 5, day, entity=[1] * 5) == 0.0


def test_rates_without_a_base_are_none_or_refused() -> None:
    found = fm.confusion([0, 1, 1], [0, 0, 0])
    assert (found.precision, found.recall, found.false_positive_ratio) == (None, 0.0, None)
    assert (found.alert_rate, found.prevalence) == (0.0, pytest.approx(2 / 3))
    assert fm.confusion([1], [1]).false_positive_rate is None
    assert fm.confusion([0], [1]).recall is None
    rows = fm.ScoredRows([0, 1, 1], alert=[0, 0, 0])
    assert fm.measure(rows, "precision").reason.startswith("No row is alerted")
    assert fm.measure(rows, "false_positive_ratio").reason.startswith("No fraud is alerted")
    assert fm.measure(rows, "recall").value == 0.0


def test_baselines_stand_beside_the_values() -> None:
    y_true, day, entity = [0, 0, 0, 1, 1], [0, 0, 1, 1, 1], [1, 2, 1, 2, 3]
    rows = fm.ScoredRows(y_true, y_score=[1, 2, 3, 4, 5], day=day, entity=entity)
    assert fm.measure(rows, "average_precision").reference_values == {"baseline": 0.4}
    assert fm.measure(rows, "recall_at_fpr_0.05").reference_values == {"baseline": 0.05}
    found = fm.measure(rows, "card_precision_at_4")
    assert found.value == found.reference_values["attainable"] == 0.25


@pytest.mark.parametrize("entity", [[1e300, 2e300], [2.0**53, 1.0], np.float32([2**24, 1])])
def test_entities_that_a_float_cannot_tell_apart_are_refused(entity: Any) -> None:
    with pytest.raises(DataError, match=r"entity is .* in row 0 \(\d such of 2 rows\)"):
        choose_clusters(entity=entity, minimum=1)
    exact = choose_clusters(entity=[2.0**53 - 1, 2.0**53 - 2], minimum=1)
    assert exact.count == 2
