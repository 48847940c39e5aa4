"""Alerts by group: counts, rates, their ratios, and what equal rates would cost."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from fraudml.decisions.costs import CostMatrix
from fraudml.errors import DataError
from fraudml.evaluation import fairness
from fraudml.evaluation.fairness import (
    NOT_KNOWN,
    fairness_sentence,
    judge_groups,
    no_groups,
    read_groups,
    trade_off,
)
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.scored import ScoredFrame
from fraudml.metrics import Clusters
from fraudml.metrics._replicates import draw, per_replicate

NONE = BootstrapOptions(replicates=0)
FEW = BootstrapOptions(replicates=200, seed=3)
RATES = ("false_positive_rate", "true_positive_rate", "precision", "alert_rate", "ratio")


def scored(
    margin: NDArray[np.float64], label: NDArray[np.int8], entity: NDArray[np.int64]
) -> ScoredFrame:
    nothing = pl.Series([None]).new_from_index(0, len(margin))
    return ScoredFrame(
        pl.DataFrame(
            {
                "margin": margin,
                "label": label,
                "time": nothing.cast(pl.Datetime("us")),
                "entity": entity,
            }
        )
    )


def costs(amount: NDArray[np.float64]) -> CostMatrix:
    review = np.full(len(amount), 10.0)
    return CostMatrix(review, review, amount, np.zeros(len(amount)))


def table(size: int = 3000, seed: int = 0) -> dict[str, Any]:
    """Cards of three groups, one of which is scored higher for nothing."""
    random = np.random.default_rng(seed)
    entity = random.integers(0, 150, size)
    names = np.array(["north", "south", None], dtype=object)
    group = names[entity % 3]
    label = (random.random(size) < 0.05).astype(np.int8)
    margin = np.round(random.normal(size=size) + 2.0 * label + 0.8 * (entity % 3 == 1), 2)
    return {
        "scored": scored(margin, label, entity),
        "alert": margin > 1.8,
        "costs": costs(random.gamma(1.0, 60.0, size)),
        "groups": read_groups(pl.Series("region", group.tolist(), dtype=pl.String)),
    }


def judged(made: dict[str, Any], options: BootstrapOptions = FEW) -> dict[str, Any]:
    return judge_groups(**made, options=options)


def counts(made: dict[str, Any], times: NDArray[Any]) -> dict[str, Counter[str]]:
    """The slow way: row by row."""
    found: dict[str, Counter[str]] = {level: Counter() for level in made["groups"].levels}
    rows = zip(made["groups"].codes, made["scored"].label, made["alert"], times, strict=True)
    for code, label, alert, n in rows:
        cell = {(0, 0): "tn", (0, 1): "fp", (1, 0): "fn", (1, 1): "tp"}[(int(label), int(alert))]
        found[made["groups"].levels[code]][cell] += int(n)
    return found


def slow_rates(made: dict[str, Any], times: NDArray[Any]) -> dict[str, dict[str, float]]:
    found = counts(made, times)
    false = sum(c["fp"] for c in found.values())
    overall = false / sum(c["fp"] + c["tn"] for c in found.values())
    return {
        level: {
            "false_positive_rate": c["fp"] / (c["fp"] + c["tn"]),
            "true_positive_rate": c["tp"] / (c["tp"] + c["fn"]),
            "precision": c["tp"] / (c["tp"] + c["fp"]),
            "alert_rate": (c["tp"] + c["fp"]) / c.total(),
            "ratio": c["fp"] / (c["fp"] + c["tn"]) / overall,
        }
        for level, c in found.items()
    }


def test_values_and_intervals_equal_a_slow_loop_over_copied_rows() -> None:
    made = table()
    found = judged(made)
    values = slow_rates(made, np.ones(3000))
    entity = made["scored"].frame["entity"].to_numpy()
    distinct, codes = np.unique(entity, return_inverse=True)
    drawn = [
        slow_rates(made, count[codes])
        for count in per_replicate(draw(3, range(200), len(distinct)))
    ]
    assert set(found["groups"]) == {"north", "south", NOT_KNOWN}
    for level, entry in found["groups"].items():
        for name in RATES:
            ends = np.quantile([each[level][name] for each in drawn], [0.025, 0.975])
            got = [entry[name][part] for part in ("value", "low", "high")]
            assert got == pytest.approx([values[level][name], *ends])
    equality = found["predictive_equality"]
    assert equality["highest"] == "south"
    ends_of = (equality["lowest"], equality["highest"])
    two = [[each[level]["false_positive_rate"] for level in ends_of] for each in drawn]
    ends = np.quantile([low / high for low, high in two], [0.025, 0.975])
    assert [equality["low"], equality["high"]] == pytest.approx(ends)
    assert equality["high"] < 0.8


def test_counts_by_hand() -> None:
    label = np.array([1] * 10 + [0] * 90 + [1] * 6 + [0] * 94, np.int8)
    alert = np.zeros(200, bool)
    alert[:8] = alert[10:19] = alert[100:103] = alert[110:115] = True
    made = {
        "scored": scored(alert.astype(float), label, np.arange(200)),
        "alert": alert,
        "costs": costs(np.full(200, 50.0)),
        "groups": read_groups(pl.Series("sex", ["f"] * 100 + ["m"] * 100)),
    }
    found = judged(made, NONE)
    f, m = found["groups"]["f"], found["groups"]["m"]
    assert (f["rows"], f["frauds"], f["alerts"]) == (100, 10, 17)
    assert (m["rows"], m["frauds"], m["alerts"]) == (100, 6, 8)
    assert f["true_positive_rate"] == {"value": 0.8, "low": None, "high": None}
    assert f["false_positive_rate"]["value"] == 0.1
    assert m["false_positive_rate"]["value"] == pytest.approx(5 / 94)
    assert m["precision"]["value"] == 3 / 8
    assert found["predictive_equality"]["value"] == pytest.approx(5 / 94 / 0.1)
    assert f["ratio"]["value"] == pytest.approx(0.1 / (14 / 184))
    assert fairness_sentence(found) == (
        "sex: the lowest false-positive rate is 0.53 of the highest (m 5.32%, f 10.00%)"
    )


def test_few_rows_and_few_frauds_have_counts_and_a_reason() -> None:
    made = table()
    group = np.array(["many"] * 3000, dtype=object)
    group[np.flatnonzero(made["scored"].label == 0)[:7]] = "seven"
    group[np.flatnonzero(made["scored"].label == 0)[7:107]] = "honest"
    made["groups"] = read_groups(pl.Series("tribe", group.tolist(), dtype=pl.String))
    found = judged(made)
    seven, honest = found["groups"]["seven"], found["groups"]["honest"]
    assert (seven["rows"], seven["frauds"]) == (7, 0)
    assert {seven[name]["value"] for name in RATES} == {None}
    assert "7 rows; at least 20" in seven["alert_rate"]["reason"]
    assert honest["true_positive_rate"]["value"] is None
    assert "0 frauds; at least 5" in honest["true_positive_rate"]["reason"]
    assert honest["false_positive_rate"]["value"] is not None
    assert found["compared"] == ["many"] or found["compared"] == ["honest", "many"]
    json.dumps(found, allow_nan=False)


def test_groups_that_are_too_small_are_not_compared() -> None:
    made = table()
    made["groups"] = read_groups(pl.Series("tribe", ["one"] * 2970 + ["other"] * 30))
    found = judged(made)
    assert found["compared"] == ["one"]
    assert found["predictive_equality"]["value"] is None
    assert fairness_sentence(found).startswith("tribe: fewer than two groups")


def test_no_alert_at_all_has_rates_and_no_ratio() -> None:
    made = table() | {"alert": np.zeros(3000, bool)}
    found = judged(made)
    assert found["groups"]["north"]["false_positive_rate"]["value"] == 0.0
    assert found["groups"]["north"]["precision"]["value"] is None
    assert found["groups"]["north"]["ratio"]["value"] is None
    assert found["predictive_equality"]["value"] is None
    assert found["equal_rates"]["equal"]["alerts"] == 0
    json.dumps(found, allow_nan=False)


def test_equal_scores_of_alike_groups_have_ratios_around_one() -> None:
    inside = 0
    for seed in range(40):
        made = table(seed=seed)
        entity = made["scored"].frame["entity"].to_numpy()
        made["groups"] = read_groups(pl.Series("coin", (entity // 3) % 2))
        found = judged(made)["groups"]["0"]["ratio"]
        inside += found["low"] <= 1 <= found["high"]
    assert inside >= 33


def slow_trade_off(made: dict[str, Any]) -> tuple[float | None, NDArray[np.bool_]]:
    """Try every cap: for each group the lowest margin that keeps it."""
    margin, fraud = made["scored"].margin, made["scored"].label == 1
    codes, budget = made["groups"].codes, made["alert"].sum()
    best: tuple[float | None, NDArray[np.bool_]] = (None, np.zeros(len(margin), bool))
    caps = {0.0}
    for code in np.unique(codes):
        legit = ((codes == code) & ~fraud).sum()
        caps |= {k / legit for k in range(legit + 1)} if legit else set()
    for cap in sorted(caps):
        alert = np.zeros(len(margin), bool)
        for code in np.unique(codes):
            inside = codes == code
            legit = max((inside & ~fraud).sum(), 1)
            for threshold in np.unique(margin[inside])[::-1]:
                above = inside & (margin >= threshold)
                if (above & ~fraud).sum() / legit > cap:
                    break
                alert |= above
        if alert.sum() > budget:
            break
        if alert.any():
            best = (cap, alert)
    return best


@pytest.mark.parametrize("seed", range(8))
def test_equal_rates_equal_a_slow_search(seed: int) -> None:
    made = table(size=150, seed=seed)
    rounded = np.round(made["scored"].margin * 4) / 4
    made["scored"] = ScoredFrame(made["scored"].frame.with_columns(margin=rounded))
    made["alert"] = made["scored"].margin > [1.0, 2.0, 3.0, -9.0][seed % 4]
    fraud = made["scored"].label == 1
    args = (made["scored"].margin, fraud, made["alert"], made["costs"], made["groups"].codes)
    found = trade_off(*args)
    _, alert = slow_trade_off(made)
    assert found["equal"]["alerts"] == alert.sum() <= made["alert"].sum()
    assert found["equal"]["frauds_caught"] == (alert & fraud).sum()
    amount = made["costs"].fn_cost
    assert found["equal"]["cost"] == pytest.approx(np.where(alert, 10.0, fraud * amount).sum())
    assert found["price"]["frauds_caught"] == (
        found["equal"]["frauds_caught"] - found["one_threshold"]["frauds_caught"]
    )


def test_equal_rates_are_equal_and_keep_the_budget() -> None:
    made = table(size=20_000)
    margin, fraud = made["scored"].margin, made["scored"].label == 1
    codes = made["groups"].codes
    cap, alert = fairness._within_budget(margin, fraud, codes, int(made["alert"].sum()))
    assert alert.sum() <= made["alert"].sum()
    rates = [alert[(codes == code) & ~fraud].mean() for code in range(3)]
    assert rates == pytest.approx([cap] * 3, abs=2e-3)
    assert max(rates) <= cap
    for code in range(3):  # a threshold by group: no row below one that is left out
        inside = codes == code
        assert margin[inside & alert].min() > margin[inside & ~alert].max()


def test_too_many_levels_are_refused_by_name() -> None:
    with pytest.raises(DataError, match=r"'age' plays the role 'group' and has 60 levels"):
        read_groups(pl.Series("age", range(60)))
    assert len(read_groups(pl.Series("age", range(50))).levels) == 50


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([True, None, False], ("false", NOT_KNOWN, "true")),
        ([2, 1, 2], ("1", "2")),
        ([0.5, None, None], ("0.5", NOT_KNOWN)),
        (pl.Series(["b", "a", None], dtype=pl.Categorical), ("a", "b", NOT_KNOWN)),
    ],
)
def test_any_column_with_few_levels_makes_groups(values: Any, levels: tuple[str, ...]) -> None:
    column = values.alias("g") if isinstance(values, pl.Series) else pl.Series("g", values)
    found = read_groups(column)
    assert found.levels == levels
    text = column.cast(pl.String).fill_null(NOT_KNOWN).to_list()
    assert [found.levels[code] for code in found.codes] == text


def test_without_a_group_there_is_a_reason() -> None:
    assert no_groups()["column"] is None
    assert "data.columns.group" in no_groups()["reason"]


def test_counts_of_cells_are_those_of_copied_rows_whatever_the_threads() -> None:
    from fraudml.metrics import bootstrap_counts

    random = np.random.default_rng(0)
    entity, cell = random.integers(0, 30, 500), random.integers(0, 7, 500)
    clusters = Clusters(entity, 30, "entity", "entity")
    drawn = bootstrap_counts(cell, clusters, cells=7, replicates=21, seed=5)
    for i, count in enumerate(per_replicate(draw(5, range(24), 30))[:21]):
        assert drawn[i].tolist() == np.bincount(cell, count[entity], minlength=7).tolist()
    again = bootstrap_counts(cell, clusters, cells=7, replicates=21, seed=5, threads=2)
    assert again.tobytes() == drawn.tobytes()
    with pytest.raises(DataError, match="One cluster a row"):
        bootstrap_counts(cell[:4], clusters, cells=7)
