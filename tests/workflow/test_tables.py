"""The commands that write one table: features and simulate."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from builders import CapSys, simulated
from fraudml.cli import main
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

TABLE = SimulateSettings(rows=2000, prevalence=0.05, cards=100)
SMALL = simulated(TABLE)


@pytest.mark.parametrize(
    ("ending", "read"),
    [(".parquet", pl.read_parquet), (".arrow", pl.read_ipc)],
)
def test_simulate_writes_the_built_in_table(ending: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / f"new folder/cards{ending}"
    assert main(["simulate", *SMALL, f"output={path}"]) == 0
    assert_frame_equal(read(path), simulate(TABLE))  # type: ignore[operator]
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_simulated_csv_can_be_trained_on(tmp_path: Path) -> None:
    path = tmp_path / "cards.csv"
    assert main(["simulate", *SMALL, "data.simulate.rows=6000", f"output={path}"]) == 0
    own = [
        "data=table",
        f"data.path={path}",
        "data.columns.time=time",
        "data.columns.id=transaction_id",
    ]
    more = ["learner.num_iterations=20", "evaluation.replicates=100", "data.labels_complete=true"]
    more += ["data.columns.label_time=label_time", f"output_dir={tmp_path / 'run'}"]
    assert main(["train", *own, *more]) in (0, 4)


def test_patterns_change_at_the_date_that_is_asked_for() -> None:
    plain = simulate(SimulateSettings(rows=20_000, prevalence=0.05))
    turned = simulate(
        SimulateSettings(rows=20_000, prevalence=0.05, drift=1.0, drift_date="2026-03-01")
    )
    frauds = [one.filter(pl.col("label") == 1).sort("transaction_id") for one in (plain, turned)]
    cut = pl.lit("2026-03-01").str.to_datetime()
    before = [one.filter(pl.col("time") < cut)["amount"].median() for one in frauds]
    after = [one.filter(pl.col("time") >= cut)["amount"].median() for one in frauds]
    assert before[0] == pytest.approx(before[1], rel=0.2)
    assert after[0] != pytest.approx(after[1], rel=0.2)


def test_features_are_those_of_the_plan(tmp_path: Path, capsys: CapSys) -> None:
    path = tmp_path / "features.parquet"
    more = ["features=transactions", "features.windows=[2d]", "features.rename={hour: clock}"]
    assert main(["features", *SMALL, *more, f"output={path}"]) == 0
    made, table = pl.read_parquet(path), simulate(TABLE).sort("time", maintain_order=True)
    assert made.columns[:3] == ["transaction_id", "time", "label"]
    assert_frame_equal(made.select(made.columns[:3]), table.select(made.columns[:3]))
    assert made["merchant_category"].equals(table["merchant_category"])
    others = [name for name in made.columns[3:] if made[name].dtype != pl.String]
    assert {made[name].dtype for name in others} == {pl.Float64}
    assert {"clock", "weekday", "count 2d by card_id", "fraud rate 2d by terminal_id"} <= set(
        others
    )
    expected = table.rolling("time", period="2d", group_by="card_id").agg(pl.len().alias("n"))
    first = made.join(table.select("transaction_id", "card_id"), on="transaction_id")
    both = first.join(expected.unique(), on=["card_id", "time"])
    assert (both["count 2d by card_id"] == both["n"]).all()
    shown = capsys.readouterr().out
    assert "rows of the same card_id over 2 days" in " ".join(shown.split())
    assert "history needed" in shown


@pytest.mark.parametrize("command", ["features", "simulate"])
@pytest.mark.parametrize(
    ("output", "words"),
    [
        (None, "output is not set"),
        ("table.xlsx", "Its name ends with .parquet"),
        ("there.csv", "exists. Set overwrite=true"),
    ],
)
def test_where_it_cannot_write_is_said_first(
    command: str,
    output: str | None,
    words: str,
    tmp_path: Path,
    capsys: CapSys,
) -> None:
    (tmp_path / "there.csv").write_text("mine")
    given = [] if output is None else [f"output={tmp_path / output}"]
    assert main([command, *SMALL, *given]) == 2
    assert words in capsys.readouterr().err
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_a_file_is_replaced_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "there.csv"
    path.write_text("mine")
    assert main(["simulate", *SMALL, f"output={path}", "overwrite=true"]) == 0
    assert path.read_text().startswith("transaction_id,")


def test_half_a_file_is_never_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(table: pl.DataFrame, path: Path) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(__import__("fraudml.records.output", fromlist=["_"])._WRITERS, ".csv", full)
    assert main(["simulate", *SMALL, f"output={tmp_path / 'cards.csv'}"]) == 7
    assert not list(tmp_path.iterdir())
