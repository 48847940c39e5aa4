"""The test block, scored from its raw table by the bundle, is what training said of it, to the bit.

On three data sets and by four learners, in this process and, where `FRAUDML_OTHER_PYTHON` names the
interpreter of another Python version with fraudml's dependencies, in that one.
"""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from fraudml.cli import main
from fraudml.data.settings import SimulateSettings
from fraudml.data.simulate import simulate

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("FRAUDML_DATA", "data"))
OTHER = os.environ.get("FRAUDML_OTHER_PYTHON")
LEARNERS = {
    "lightgbm": ["learner.num_iterations=40"],
    "xgboost": ["learner.n_estimators=40"],
    "catboost": ["learner.iterations=40"],
    "logistic": [],
}
FEATURES = {"simulated": "transactions", "ulb": "columns", "handbook": "transactions"}
IDS = {"simulated": "transaction_id", "ulb": "row", "handbook": "TRANSACTION_ID"}
TIMES = {"simulated": "time", "ulb": "Time", "handbook": "TX_DATETIME"}


def table(data: str) -> pl.DataFrame:
    """The whole table; of the Handbook's half year, 25 days."""
    if data == "simulated":
        return simulate(SimulateSettings(rows=60_000))
    path = DATA / f"{data}.parquet"
    if not path.exists():
        pytest.skip(f"{path.name} is in the folder FRAUDML_DATA to run this")
    rows = pl.scan_parquet(path)
    if data == "handbook":
        june = datetime(2018, 6, 1), datetime(2018, 6, 26)
        rows = rows.filter(pl.col("TX_DATETIME").is_between(*june, closed="left"))
    return rows.collect()


@pytest.fixture(scope="module", params=FEATURES)
def blocks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table; the runs put its parts beside it."""
    folder: Path = tmp_path_factory.mktemp("bits") / request.param
    folder.mkdir()
    table(request.param).write_parquet(folder / "table.parquet")
    return folder


@pytest.fixture(scope="module", params=LEARNERS)
def run(request: pytest.FixtureRequest, blocks: Path) -> Path:
    """A run of a learner on a table, with the raw rows of its test block and those before."""
    data, folder = blocks.name, blocks / request.param
    command = ["train", f"data={data}", f"data.path={blocks / 'table.parquet'}", "proof=false"]
    command += ["data.simulate=null"] if data == "simulated" else []
    command += [f"features={FEATURES[data]}", f"learner={request.param}", *LEARNERS[request.param]]
    command += ["rounds.choose=false", "evaluation.replicates=0", "threads=1"]
    assert main([*command, f"output_dir={folder}"]) == 0
    whole = pl.read_parquet(blocks / "table.parquet")
    tested = pl.read_parquet(folder / "test_scores.parquet")
    test = (
        whole.tail(len(tested))
        if data == "ulb"
        else whole.filter(pl.col(IDS[data]).is_in(tested["id"].implode()))
    )
    test.write_parquet(folder / "test.parquet")
    before = whole.filter(pl.col(TIMES[data]) < test[TIMES[data]].min())
    before.write_parquet(folder / "before.parquet")
    return folder


def command(run: Path, output: Path) -> list[str]:
    return [
        *("score", f"bundle={run}", f"input={run / 'test.parquet'}", f"output={output}"),
        *(f"history={run / 'before.parquet'}", "threads=1"),
    ]


def check(run: Path, output: Path) -> None:
    expected, made = pl.read_parquet(run / "test_scores.parquet"), pl.read_parquet(output)
    name = IDS[run.parent.name]
    if name != "row":
        expected = expected.with_columns(pl.col("id").cast(made[name].dtype))
        expected = made.select(name).join(
            expected, left_on=name, right_on="id", how="left", maintain_order="left"
        )
    assert made["score"].to_numpy().tobytes() == expected["score"].to_numpy().tobytes()
    assert made["alert"].equals(expected["alert"])
    assert made["score"].n_unique() > 10


def test_the_test_block_scores_as_in_training(run: Path, tmp_path: Path) -> None:
    assert main(command(run, tmp_path / "out.parquet")) == 0
    check(run, tmp_path / "out.parquet")


@pytest.mark.skipif(
    OTHER is None,
    reason="FRAUDML_OTHER_PYTHON names a Python of another version, with fraudml's dependencies",
)
def test_another_python_gives_the_same_bits(run: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    house = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([str(OTHER), "-m", "fraudml", *command(run, output)], check=True, env=house)
    check(run, output)
