"""The evaluation of a block: every metric of the contract, with its range or its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import ColumnRoles, DataSettings
from fraudml.decisions.costs import Card, CostMatrix, Fixed
from fraudml.errors import ConfigError
from fraudml.evaluation.intervals import BootstrapOptions, IntervalSettings
from fraudml.evaluation.scored import ScoredFrame, score_rows
from fraudml.evaluation.table import Evaluation, evaluate
from fraudml.metrics.registry import names_in

CONTRACT = {
    "average_precision",
    "roc_auc",
    "card_precision_at_100",
    "recall_at_fpr_0.01",
    "recall_at_fpr_0.05",
    "precision_at_100",
    "value_recall",
    "cost",
    "savings",
    "brier",
    "log_loss",
    "calibration_in_the_large",
    "accuracy_of_never",
}
FEW = BootstrapOptions(replicates=100, seed=3)
ROLES = ColumnRoles(time="time", entity="card", amount="amount")


def dataset(roles: ColumnRoles = ROLES, size: int = 600) -> Dataset:
    """Thirty days; a tenth frauds, which cost more."""
    rng = np.random.default_rng(0)
    label = (rng.random(size) < 0.1).astype(np.int8)
    table = pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1) + timedelta(hours=1.2 * i) for i in range(size)],
            "card": rng.integers(0, 80, size),
            "amount": np.round(rng.gamma(1.0, 60, size) * (1 + label), 2),
            "label": label,
        }
    )
    return check_table(table, DataSettings(columns=roles))


def scored(roles: ColumnRoles = ROLES, first: int = 100) -> tuple[ScoredFrame, Dataset]:
    table = dataset(roles)
    rows = np.arange(first, len(table))
    rng = np.random.default_rng(1)
    margin = rng.normal(size=len(rows)) + 2.0 * table.label[rows] - 2.8
    return score_rows(table, rows, margin, 1 / (1 + np.exp(-margin))), table.take(rows)


def evaluated(
    roles: ColumnRoles = ROLES,
    alert: NDArray[np.bool_] | None = None,
    costs: CostMatrix | None = None,
    guard_level: float = 0.95,
    **options: Any,
) -> Evaluation:
    made, table = scored(roles)
    alert = made.p > 0.3 if alert is None else alert
    if costs is None:
        model = Card() if roles.amount else Fixed()
        costs = model.costs(table.frame, table.amount)
    return evaluate(made, alert, costs, replace(FEW, **options), guard_level=guard_level)


@pytest.fixture(scope="module")
def full() -> Evaluation:
    return evaluated()


def test_every_metric_of_the_contract_has_a_value_and_a_range(full: Evaluation) -> None:
    assert set(names_in("test")) >= CONTRACT
    for block in ("test", "policy"):
        metrics = full.metrics(block)
        assert tuple(metrics) == names_in(block)
        for name, entry in metrics.items():
            assert entry["low"] <= entry["high"], name
            assert np.isfinite([entry["value"], entry["low"], entry["high"]]).all(), name
            assert "reason" not in entry, name


def test_what_stands_beside_a_metric(full: Evaluation) -> None:
    metrics = full.metrics("test")
    assert metrics["average_precision"]["baseline"] == full.prevalence
    assert metrics["roc_auc"]["baseline"] == 0.5
    card = metrics["card_precision_at_100"]
    assert 0 < card["value"] <= card["attainable"] < 1


def test_values_are_those_of_scikit_learn(full: Evaluation) -> None:
    made, _ = scored()
    metrics = full.metrics("test")
    expected = {
        "average_precision": average_precision_score(made.label, made.margin),
        "roc_auc": roc_auc_score(made.label, made.margin),
        "brier": brier_score_loss(made.label, made.p),
        "log_loss": log_loss(made.label, made.p),
        "calibration_in_the_large": made.p.mean() / made.label.mean(),
        "accuracy_of_never": 1 - made.label.mean(),
    }
    assert {name: metrics[name]["value"] for name in expected} == pytest.approx(expected)


def test_alerts_and_money_are_counted_by_a_slow_loop(full: Evaluation) -> None:
    made, table = scored()
    amount = table.frame["amount"].to_list()
    spent = never = always = caught = lost = 0.0
    for p, fraud, value in zip(made.p, made.label, amount, strict=True):
        alerted = p > 0.3
        spent += 10 if alerted else value * fraud
        never += value * fraud
        always += 10
        caught += value * fraud * alerted
        lost += value * fraud
    metrics, policy = full.metrics("test"), full.metrics("policy")
    assert full.alerts == (made.p > 0.3).sum()
    assert full.rows == len(made) == 500
    assert full.cost == pytest.approx(spent) == metrics["cost"]["value"]
    assert full.trivial_cost == pytest.approx(min(never, always))
    assert metrics["savings"]["value"] == pytest.approx(1 - spent / min(never, always))
    assert metrics["value_recall"]["value"] == pytest.approx(caught / lost)
    assert policy["alert_rate"]["value"] == pytest.approx(full.alerts / 500)
    days = made.frame["day"].n_unique()
    cards = made.frame.filter(pl.Series(made.p > 0.3)).select("day", "entity").n_unique()
    assert policy["alerts_per_day"]["value"] == pytest.approx(cards / days)


@pytest.mark.parametrize(("missed", "cheaper"), [(20.0, "never"), (1000.0, "always")])
def test_the_trivial_policy_is_the_cheaper_of_two(missed: float, cheaper: str) -> None:
    made, table = scored()
    found = evaluated(costs=Fixed(fn_cost=missed).costs(table.frame, None))
    costs = {"never": missed * made.label.sum(), "always": 10.0 * len(made)}
    assert min(costs, key=costs.__getitem__) == cheaper
    assert found.trivial_cost == costs[cheaper]


def test_the_table_has_one_row_a_metric_with_its_counts(full: Evaluation) -> None:
    table = full.table
    assert table.columns == [
        "metric",
        "block",
        "slice",
        "value",
        "low",
        "high",
        "rows",
        "frauds",
        "baseline",
        "attainable",
        "reason",
    ]
    assert table.select("metric", "block").is_unique().all()
    made, _ = scored()
    assert set(table["rows"]) == {500}
    assert set(table["frauds"]) == {int(made.label.sum())}


def test_the_guards_bound_is_one_sided(full: Evaluation) -> None:
    precision = full.metrics("test")["average_precision"]
    assert precision["low"] < full.average_precision_bound < precision["value"]
    stricter = evaluated(guard_level=0.99)
    assert stricter.average_precision_bound < full.average_precision_bound


MISSING = {
    "amount": {"value_recall"},
    "entity": {"card_precision_at_100"},
    "time": {"card_precision_at_100", "alerts_per_day"},
}


@pytest.mark.parametrize("role", MISSING)
def test_a_metric_that_the_roles_do_not_allow_is_null_with_a_reason(role: str) -> None:
    made = evaluated(replace(ROLES, **{role: None}))
    null = set()
    for block in ("test", "policy"):
        for name, entry in made.metrics(block).items():
            if entry["value"] is None:
                null.add(name)
                assert entry["reason"]
                assert entry["low"] is entry["high"] is None
    assert null == MISSING[role]
    assert set(made.metrics("test")) >= CONTRACT


def test_amounts_that_are_missing_switch_value_recall_off() -> None:
    made, table = scored()
    frame = made.frame.with_columns(
        amount=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("amount")
    )
    costs = Fixed().costs(table.frame, None)
    found = evaluate(ScoredFrame(frame), made.p > 0.3, costs, FEW, guard_level=0.95)
    assert found.metrics("test")["value_recall"]["value"] is None
    assert found.metrics("test")["cost"]["value"] is not None


@pytest.mark.parametrize(
    ("alerted", "null"), [(False, {"precision", "false_positive_ratio"}), (True, set())]
)
def test_no_alert_and_all_alerts(alerted: bool, null: set[str]) -> None:
    made = evaluated(alert=np.full(500, alerted))
    policy = made.metrics("policy")
    assert {name for name, entry in policy.items() if entry["value"] is None} == null
    assert all("reason" in policy[name] for name in null)
    assert policy["recall"]["value"] == float(alerted)
    assert made.alerts == 500 * alerted


def test_savings_mean_nothing_where_the_cheaper_trivial_policy_earns() -> None:
    _, table = scored()
    costs = Fixed(tn_cost=-100.0).costs(table.frame, None)
    savings = evaluated(costs=costs).metrics("test")["savings"]
    assert savings["value"] is savings["low"] is None
    assert "benefit" in savings["reason"]


def test_without_replicates_there_are_values_and_no_ranges(full: Evaluation) -> None:
    bare = evaluated(replicates=0)
    assert bare.clusters == "none"
    assert bare.table["value"].to_list() == full.table["value"].to_list()
    assert bare.table["low"].null_count() == len(bare.table)
    assert bare.average_precision_bound == bare.metrics("test")["average_precision"]["value"]


CLUSTERS = {"entity": "80 × entity", "time": "× day", "rows": "500 × row"}


@pytest.mark.parametrize("unit", CLUSTERS)
def test_what_was_drawn_is_named(unit: str) -> None:
    roles = {
        "entity": ROLES,
        "time": replace(ROLES, entity=None),
        "rows": replace(ROLES, entity=None, time=None),
    }
    assert CLUSTERS[unit] in evaluated(roles[unit]).clusters


def test_the_same_seed_gives_the_same_table_whatever_the_threads(full: Evaluation) -> None:
    assert evaluated(threads=2).table.equals(full.table)
    other = evaluated(seed=4).table
    assert not other["low"].equals(full.table["low"])
    assert other["value"].equals(full.table["value"])


def test_metrics_are_plain_json(full: Evaluation) -> None:
    for block in ("test", "policy"):
        text = json.dumps(full.metrics(block), allow_nan=False)
        assert json.loads(text) == full.metrics(block)


def test_bins_of_the_probability_hold_every_row(full: Evaluation) -> None:
    assert sum(each["rows"] for each in full.reliability) == full.rows
    for each in full.reliability:
        assert each["low"] <= each["mean_p"] <= each["high"]
        assert each["rate_low"] <= each["rate"] <= each["rate_high"]
    assert json.loads(json.dumps(full.reliability, allow_nan=False)) == list(full.reliability)


def test_scored_rows_stand_beside_the_facts_of_their_rows() -> None:
    made, table = scored()
    frame = made.frame
    assert frame["row"].to_list() == list(range(100, 600))
    assert frame["amount"].to_list() == table.frame["amount"].to_list()
    assert frame["time"].to_list() == table.frame["time"].to_list()
    assert made.label.tolist() == table.label.tolist()
    cards = table.frame["card"].to_list()
    codes = frame["entity"].to_list()
    assert len(set(zip(cards, codes, strict=True))) == len(set(cards)) == len(set(codes))
    days = [(moment - datetime(1970, 1, 1)).days for moment in table.frame["time"]]
    assert frame["day"].to_list() == days


def test_a_role_that_is_not_filled_is_null() -> None:
    made, _ = scored(ColumnRoles())
    for column in ("amount", "day", "time", "entity"):
        assert made.frame[column].null_count() == len(made)
        assert getattr(made, column) is None
    assert made.frame.schema["amount"] == pl.Float64
    assert made.frame.schema["day"] == made.frame.schema["entity"] == pl.Int64


@pytest.mark.parametrize("replicates", [-1, 1, 99])
def test_replicates_are_none_or_enough(replicates: int) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.replicates"):
        IntervalSettings(replicates=replicates)


@pytest.mark.parametrize("level", [0.4, 1.0, float("nan")])
def test_a_level_is_a_confidence(level: float) -> None:
    with pytest.raises(ConfigError, match=r"evaluation\.level"):
        IntervalSettings(level=level)


def test_less_than_a_day_has_no_alerts_per_day() -> None:
    made, table = scored()
    rows = ScoredFrame(made.frame[:15])
    costs = Fixed().costs(table.frame[:15], None)
    evaluation = evaluate(rows, made.p[:15] > 0.3, costs, FEW, guard_level=0.95)
    found = evaluation.metrics("policy")["alerts_per_day"]
    assert found["value"] is found["low"] is None
    assert found["reason"] == "The rows span 18.0 hours: alerts per day need at least a day."
