"""PostgreSQL end to end: a table in, scores out, kills, and what must never be seen of it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from fraudml.cli import main
from fraudml.data.read import read_table
from fraudml.data.run_rows import RunTable, replace_rows
from fraudml.data.settings import ColumnRoles, DataSettings, SimulateSettings
from fraudml.data.simulate import simulate
from fraudml.errors import ConfigError, DataError, MachineError

psycopg = pytest.importorskip("psycopg", reason="needs the extra [postgres]")
pgserver = pytest.importorskip(
    "pgserver", reason="no PostgreSQL for this Python: pgserver's wheels end before 3.13"
)

CapSys = pytest.CaptureFixture[str]
SIMULATED = {"rows": 6000, "prevalence": 0.05, "cards": 400, "terminals": 60}


def started(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pgserver.get_server(folder)


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    """The address of a real PostgreSQL that has the simulated table `cards`."""
    # Not in pytest's own folder: as root, the server is another user, who may not enter that.
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        server = started(Path(folder))
        address = str(server.get_uri())
        fill(address, "cards", simulate(SimulateSettings(**SIMULATED)))  # type: ignore[arg-type]
        yield address
        server.cleanup()


TYPES = {pl.Int64: "bigint", pl.Int8: "smallint", pl.Float64: "float8", pl.Boolean: "boolean"}


def fill(uri: str, name: str, frame: pl.DataFrame) -> None:
    columns = ", ".join(
        f"{column} {'timestamp' if dtype.is_temporal() else TYPES.get(type(dtype), 'text')}"
        for column, dtype in frame.schema.items()
    )
    with psycopg.connect(uri) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({columns})")
        with cursor.copy(f"COPY {name} FROM STDIN CSV") as copy:
            copy.write(frame.write_csv(include_header=False, quote_style="non_numeric").encode())


def execute(uri: str, sql: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def read(uri: str, query: str, **roles: Any) -> pl.DataFrame:
    return read_table(DataSettings(uri=uri, query=query, columns=ColumnRoles(**roles)), needed=())


def test_types_come_as_they_are(uri: str) -> None:
    made = read(
        uri,
        """SELECT * FROM (VALUES
             (1::smallint, 9007199254740993, 0.1::float4, 0.1::float8, 12.345::numeric, true,
              ''::text, 'x"y
,é'::varchar(9), date '2026-01-31', timestamp '2026-01-31 23:59:59.000001',
              timestamptz '2026-01-31 23:59:59+02', 12345678901234567890::numeric),
             (null, null, null, null, null, null, null, null, null, null, null, null),
             (2::smallint, 1, 'inf', '-infinity', 'NaN', false, 'NULL', '\\N', '0001-01-01',
              '2026-01-01', '2026-01-01+00', 7))
           AS t (small, big, single, double, exact, flag, empty, text, day, moment, zoned, id)
           ORDER BY small DESC NULLS FIRST;""",
        id="id",
    )
    assert made.schema == {
        **{"small": pl.Int16, "big": pl.Int64, "single": pl.Float32, "double": pl.Float64},
        **{"exact": pl.Float64, "flag": pl.Boolean, "empty": pl.String, "text": pl.String},
        **{"day": pl.Date, "moment": pl.Datetime("us"), "zoned": pl.Datetime("us", "UTC")},
        "id": pl.String,
    }
    assert made.row(0) == (None,) * 12
    assert made["big"].to_list() == [None, 1, 9007199254740993]
    assert made["double"].to_list() == [None, float("-inf"), 0.1]
    assert made["single"][1] == float("inf")
    assert made["exact"].is_nan()[1]
    assert made["exact"][2] == 12.345
    assert made["flag"].to_list() == [None, False, True]
    assert made["empty"].to_list() == [None, "NULL", ""]
    assert made["text"].to_list() == [None, "\\N", 'x"y\n,é']
    assert str(made["moment"][2]) == "2026-01-31 23:59:59.000001"
    assert str(made["zoned"][2]) == "2026-01-31 21:59:59+00:00"
    assert made["id"].to_list() == [None, "7", "12345678901234567890"]


def test_a_column_of_missing_values_alone_keeps_its_rows(uri: str) -> None:
    assert read(uri, "SELECT null::text AS a FROM generate_series(1, 3) ORDER BY 1").height == 3


def test_columns_that_cannot_be_read_are_named_with_their_types(uri: str) -> None:
    query = "SELECT 1 AS a, '{}'::int[] AS tags, '{}'::jsonb AS said ORDER BY 1"
    with pytest.raises(DataError, match=r"(?s)'tags' is of type _int4.*'said' is of type jsonb"):
        read(uri, query)
    assert read(uri, query, exclude=("tags", "said")).columns == ["a"]


@pytest.mark.parametrize(
    ("query", "kind", "said"),
    [
        ("SELECT 1 AS a", ConfigError, "no ORDER BY"),
        ("SELEC 1 ORDER BY 1", ConfigError, "cannot read the SQL"),
        ("SELECT nothing FROM cards ORDER BY 1", DataError, 'column "nothing" does not exist'),
        ("SELECT 1 AS a FROM nowhere ORDER BY 1", DataError, '"nowhere" does not exist'),
        ("SELECT 1 AS a, 2 AS a ORDER BY 1", DataError, "several columns of the name 'a'"),
        ("SELECT timestamp 'infinity' AS a ORDER BY 1", DataError, "cannot be read"),
        ("SELECT 1/0 AS a ORDER BY 1", DataError, "division by zero"),
        ("SELECT amount FROM cards WHERE false ORDER BY 1", DataError, "no rows"),
        ("SELECT lo_create(0)::bigint AS a ORDER BY 1", MachineError, "only"),
    ],
)
def test_a_query_that_is_wrong_is_said(uri: str, query: str, kind: type, said: str) -> None:
    with pytest.raises(kind, match=said):
        read(uri, query)


QUERY = "SELECT * FROM cards ORDER BY time, transaction_id"
SMALL = (
    *("features=columns", "threads=1", "proof=false"),
    *("learner.num_iterations=30", "evaluation.replicates=0"),
)


@pytest.fixture(scope="module")
def model(uri: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on the database."""
    folder = tmp_path_factory.mktemp("model") / "run"
    place = [f"data.uri='{uri}'", f"data.query='{QUERY}'", "data.simulate=null"]
    assert main(["train", *SMALL, *place, f"output_dir={folder}"]) == 0
    return folder


def test_a_model_of_a_database_is_that_of_the_same_file(
    uri: str, model: Path, tmp_path: Path
) -> None:
    read(uri, QUERY).write_parquet(tmp_path / "cards.parquet")
    words = [f"data.path={tmp_path / 'cards.parquet'}", "data.simulate=null"]
    assert main(["train", *SMALL, *words, f"output_dir={tmp_path / 'run'}"]) == 0
    for name in ("metrics.json", "test_scores.parquet"):
        one, other = (folder / name for folder in (model, tmp_path / "run"))
        if name == "metrics.json":
            made, expected = (json.loads(path.read_text()) for path in (one, other))
            assert {**made, "run": 0} == {**expected, "run": 0}
        else:
            assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("key", ["data.uri", "input", "history", "output", "sweep.storage"])
@pytest.mark.parametrize(
    "address",
    ["postgresql://me:s3cr3t@db/fraud", "'postgresql://db/fraud?user=me&password=s3cr3t'"],
)
def test_a_password_is_refused_and_never_repeated(
    key: str, address: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = {"data.uri": "train", "sweep.storage": "sweep"}.get(key, "score")
    words = [f"{key}={address}", f"output_dir={tmp_path / 'run'}"]
    assert main([command, *words]) == 2
    assert main(words) == 2
    said = "".join(capfd.readouterr())
    assert f"{key} holds a password" in said
    assert "s3cr3t" not in said
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_not_there_exits_7(tmp_path: Path, capsys: CapSys) -> None:
    words = [f"data.uri='postgresql://me@/db?host={tmp_path}'", f"data.query='{QUERY}'"]
    assert main(["train", *words, "data.simulate=null", f"output_dir={tmp_path / 'run'}"]) == 7
    said = " ".join(capsys.readouterr().err.split())
    assert "'postgresql:///db' cannot be reached" in said
    assert not (tmp_path / "run").exists()


SCORES = "SELECT * FROM scores ORDER BY transaction_id"


def words(uri: str, model: Path, folder: Path, *more: str) -> list[str]:
    return [
        *("score", f"bundle={model}", f"input='{uri}'", f"input_query='{QUERY}'", "threads=1"),
        *(f"output='{uri}'", "output_table=scores", f"record={folder / 'scores.json'}", *more),
    ]


@pytest.fixture
def scores(uri: str) -> Iterator[str]:
    """The name of a table of scores that is not there yet, and of its rejects."""
    execute(uri, "DROP TABLE IF EXISTS scores, scores_rejects")
    yield "scores"
    execute(uri, "DROP TABLE IF EXISTS scores, scores_rejects")


def test_scores_of_a_database_are_those_of_the_same_file(
    uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    assert main(words(uri, model, tmp_path, "chunk_rows=500")) == 0
    table, output = tmp_path / "cards.parquet", tmp_path / "scores.parquet"
    read(uri, QUERY).write_parquet(table)
    assert main(["score", f"bundle={model}", f"input={table}", f"output={output}"]) == 0
    expected = pl.read_parquet(output)
    rows = execute(uri, SCORES)
    made = pl.DataFrame(rows, schema=["run_id", *expected.columns], orient="row")
    assert made.drop("run_id").equals(expected)
    record = json.loads((tmp_path / "scores.json").read_text())
    assert made["run_id"].unique().to_list() == [record["run_id"]]
    assert record["scored"] == 6000
    assert "@" not in json.dumps(record["run"])
    assert not list(tmp_path.glob("scores.json.*"))


def test_the_same_batch_twice_leaves_one_set_of_rows(
    uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    assert main(words(uri, model, tmp_path)) == 0
    before = execute(uri, SCORES)
    assert main(words(uri, model, tmp_path)) == 0
    assert execute(uri, SCORES) == before
    assert main(words(uri, model, tmp_path, "run_id=today")) == 0
    assert execute(uri, "SELECT count(*) FROM scores WHERE run_id = 'today'") == [(6000,)]
    assert execute(uri, "SELECT count(*) FROM scores") == [(12_000,)]


def test_names_are_quoted_as_they_are(uri: str, model: Path, tmp_path: Path) -> None:
    execute(uri, 'CREATE SCHEMA "Odd "')
    assert main(words(uri, model, tmp_path, "output_table='Odd .1%s\";'")) == 0
    assert execute(uri, 'SELECT count(*) FROM "Odd "."1%s"";"') == [(6000,)]
    execute(uri, 'DROP SCHEMA "Odd " CASCADE')


def test_rejects_go_beside_the_scores_and_do_not_stay(
    uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    columns = [
        "CASE WHEN transaction_id % 100 > 0 THEN amount END AS amount" if one == "amount" else one
        for one in read(uri, QUERY).columns
    ]
    some = QUERY.replace("*", ", ".join(columns))
    more = ("run_id=today", "max_rejected=0.02")
    assert main(words(uri, model, tmp_path, f"input_query='{some}'", *more)) == 0
    assert execute(uri, "SELECT count(*) FROM scores") == [(5940,)]
    [(run, reason, count)] = execute(
        uri, "SELECT run_id, reason, count(*) FROM scores_rejects GROUP BY 1, 2"
    )
    assert (run, reason, count) == ("today", "no amount in 'amount'", 60)
    assert main(words(uri, model, tmp_path, *more)) == 0
    assert execute(uri, "SELECT count(*) FROM scores") == [(6000,)]
    assert execute(uri, "SELECT count(*) FROM scores_rejects") == [(0,)]


def test_a_history_may_be_a_query_too(uri: str, scores: str, tmp_path: Path) -> None:
    small = [one for one in SMALL if not one.startswith("features")]
    place = [f"data.uri='{uri}'", f"data.query='{QUERY}'", "data.simulate=null"]
    run = tmp_path / "run"
    assert main(["train", *small, *place, "features=transactions", f"output_dir={run}"]) == 0
    expected = pl.read_parquet(run / "test_scores.parquet")
    first = expected["time"].min()
    queries = [QUERY.replace("ORDER", f"WHERE time {sign} '{first}' ORDER") for sign in (">=", "<")]
    more = [f'input_query="{queries[0]}"', f"history='{uri}'", f'history_query="{queries[1]}"']
    assert main(words(uri, run, tmp_path, *more)) == 0
    rows = execute(uri, "SELECT transaction_id, score, alert FROM scores")
    made = pl.DataFrame(rows, schema=["id", "score", "alert"], orient="row")
    assert made.equals(expected.select("id", "score", "alert"))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ("a int", "it has no column 'run_id' (text)"),
        (
            "run_id text, transaction_id bigint, score real, alert boolean, threshold float8",
            "its column 'score' is real, and the values are double precision",
        ),
        (
            "run_id text, transaction_id bigint, score float8, alert boolean, threshold float8, "
            "day date NOT NULL",
            "its column 'day' must have a value",
        ),
    ],
)
def test_a_table_with_other_columns_is_refused_before_a_row_is_scored(
    uri: str, model: Path, scores: str, columns: str, said: str, tmp_path: Path, capsys: CapSys
) -> None:
    execute(uri, f"CREATE TABLE scores ({columns})")
    assert main(words(uri, model, tmp_path)) == 3
    assert said in capsys.readouterr().err
    assert execute(uri, "SELECT count(*) FROM scores") == [(0,)]
    assert not list(tmp_path.iterdir())


def test_a_table_may_have_columns_of_its_own(
    uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    execute(
        uri,
        "CREATE TABLE scores (at timestamptz NOT NULL DEFAULT now(), threshold numeric, note text, "
        "transaction_id varchar, score float8, alert boolean, run_id varchar(16))",
    )
    assert main(words(uri, model, tmp_path)) == 0
    assert execute(uri, "SELECT count(DISTINCT transaction_id) FROM scores") == [(6000,)]


def test_a_value_that_the_table_refuses_leaves_it_as_it_was(
    uri: str, model: Path, scores: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(words(uri, model, tmp_path, "run_id=today")) == 0
    execute(uri, "ALTER TABLE scores ADD CHECK (score < 2 OR run_id = 'x'), ADD n serial")
    execute(uri, "ALTER TABLE scores ADD CHECK (n <= 11000)")
    assert main(words(uri, model, tmp_path, "run_id=today")) == 3
    assert "violates check constraint" in capsys.readouterr().err
    assert execute(uri, "SELECT count(*), max(n) FROM scores") == [(6000, 6000)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("input_query=null",), "input_query is not set"),
        (("input_query='SELECT 1 AS a'",), "no ORDER BY"),
        (("output_table=null",), "output_table is not set"),
        (("output_table=a.b.c",), "It is 'table' or 'schema.table'"),
        (("record=null",), "record is not set"),
        (("record=here.parquet",), "ends with .json"),
        (("input=cards.parquet",), "input_query is set, and input is not a database"),
        (("output=scores.parquet",), "output is not a database"),
    ],
)
def test_what_does_not_go_together_is_said(
    uri: str, model: Path, more: tuple[str, ...], said: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(words(uri, model, tmp_path, *more)) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_a_column_that_is_renamed_is_named_with_the_nearest(
    uri: str, model: Path, scores: str, tmp_path: Path, capsys: CapSys
) -> None:
    query = "SELECT amount AS amounts FROM cards ORDER BY time"
    assert main(words(uri, model, tmp_path, f"input_query='{query}'")) == 3
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "column 'amount' is not in input 'postgresql:///postgres'. Did you mean 'amounts'?" in said
    )


POSIX = pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL; run it on Linux or macOS")
SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
CREATE TRIGGER slowly AFTER INSERT ON scores FOR EACH STATEMENT EXECUTE FUNCTION slowly()
"""


def begun(arguments: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fraudml", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def wait_for_copy(uri: str, what: str, job: subprocess.Popen[bytes]) -> int:
    """Wait until a job is in the middle of a COPY; return its process in the database."""
    sql = (
        "SELECT pid FROM pg_stat_activity "
        f"WHERE query LIKE 'COPY%{what}%' AND wait_event = 'PgSleep'"
    )
    while job.poll() is None:
        if found := execute(uri, sql):
            return int(found[0][0])
        time.sleep(0.02)
    raise AssertionError(job.communicate()[1].decode())


@POSIX
def test_a_job_that_is_killed_while_it_writes_leaves_nothing_and_goes_on(
    uri: str, model: Path, scores: str, tmp_path: Path, capsys: CapSys
) -> None:
    assert main(words(uri, model, tmp_path)) == 0
    expected = execute(uri, SCORES)
    execute(uri, "DELETE FROM scores")
    execute(uri, SLOWLY)
    try:
        job = begun(words(uri, model, tmp_path))
        pid = wait_for_copy(uri, "scores", job)
        job.send_signal(signal.SIGKILL)
        job.communicate()
        assert execute(uri, "SELECT count(*) FROM scores") == [(0,)]
        assert (tmp_path / "scores.json.partial").exists()
        execute(uri, f"SELECT pg_terminate_backend({pid})")  # it sleeps; it would find out then
    finally:
        execute(uri, "DROP TRIGGER slowly ON scores; DROP FUNCTION slowly")
    capsys.readouterr()
    assert main(words(uri, model, tmp_path)) == 0
    assert "Resuming from the rows that an earlier run" in capsys.readouterr().err
    assert execute(uri, SCORES) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


@POSIX
@pytest.mark.parametrize("when", ["read", "write"])
def test_a_database_that_goes_away_in_the_middle_exits_7(
    when: str, uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    more = []
    if when == "read":
        slow = QUERY.replace("ORDER", "WHERE pg_sleep(0.01)::text = '' ORDER")
        more = [f'input_query="{slow}"']
    else:
        assert main(words(uri, model, tmp_path, "run_id=before")) == 0
        execute(uri, SLOWLY)
    try:
        job = begun(words(uri, model, tmp_path, *more))
        pid = wait_for_copy(uri, "", job)
        execute(uri, f"SELECT pg_terminate_backend({pid})")
        said = job.communicate(timeout=60)[1].decode()
    finally:
        execute(uri, "DROP FUNCTION IF EXISTS slowly CASCADE")
    assert job.returncode == 7, said
    said = " ".join(said.split())
    assert "'postgresql:///postgres' failed: terminating connection" in said
    assert "Run the same command again" in said
    if when == "write":
        assert execute(uri, "SELECT run_id, count(*) FROM scores GROUP BY 1") == [("before", 6000)]
    else:
        assert execute(uri, "SELECT to_regclass('scores')") == [(None,)]
        assert not list(tmp_path.iterdir())


@POSIX
@pytest.mark.slow
def test_twenty_kills_never_leave_a_part_nor_a_row_twice(
    uri: str, model: Path, scores: str, tmp_path: Path
) -> None:
    started_at = time.monotonic()
    job = words(uri, model, tmp_path, "chunk_rows=100")
    assert begun(job).communicate() is not None
    seconds = time.monotonic() - started_at
    expected = execute(uri, SCORES)
    assert len(expected) == 6000
    rng, kills, told = random.Random(0), 0, b""
    while kills < 20:
        process = begun(job)
        try:
            told += process.communicate(timeout=seconds * rng.uniform(0.3, 1.0))[1]
            assert process.returncode == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            told += process.communicate()[1]
            kills += 1
        [(there,)] = execute(uri, "SELECT count(*) FROM scores")
        assert there in (0, 6000)
        if process.returncode == 0:
            assert execute(uri, SCORES) == expected
            execute(uri, "TRUNCATE scores")
    assert b"Resuming from the rows that an earlier run" in told
    assert main(job) == 0
    assert execute(uri, SCORES) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["scores.json"]


@POSIX
@pytest.mark.slow
def test_a_server_that_dies_is_said_and_the_job_goes_on_when_it_is_back(
    model: Path, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres") as folder:
        server = started(Path(folder))
        uri = str(server.get_uri())
        fill(uri, "cards", simulate(SimulateSettings(**SIMULATED)))  # type: ignore[arg-type]
        assert main(words(uri, model, tmp_path)) == 0
        expected = execute(uri, SCORES)
        execute(uri, SLOWLY)
        job = begun(words(uri, model, tmp_path))
        wait_for_copy(uri, "scores", job)
        postmaster = int((Path(folder) / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGQUIT)  # ends at once, as in a crash
        said = job.communicate(timeout=60)[1].decode()
        assert job.returncode == 7, said
        assert main(words(uri, model, tmp_path)) == 7
        server.ensure_postgres_running()
        assert execute(uri, SCORES) == expected
        execute(uri, "DROP FUNCTION slowly CASCADE")
        assert main(words(uri, model, tmp_path)) == 0
        assert execute(uri, SCORES) == expected
        server.cleanup()


def test_a_full_disk_while_the_input_lands_exits_7(
    uri: str, model: Path, scores: str, tmp_path: Path, capsys: CapSys
) -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounts a disk: run it as root on Linux")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounts a disk: run it where root may")
    try:
        assert main(words(uri, model, place)) == 7
        assert not list(place.iterdir())
    finally:
        subprocess.run(["umount", str(place)], check=False)
    assert "o space left on device" in capsys.readouterr().err
    assert execute(uri, "SELECT to_regclass('scores')") == [(None,)]


def test_files_and_databases_go_together_and_no_secret_is_written(
    uri: str, model: Path, scores: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cr3t")
    table, output = tmp_path / "cards.parquet", tmp_path / "scores.parquet"
    read(uri, QUERY).write_parquet(table)
    into = [f"output='{uri}'", "output_table=scores", f"record={tmp_path / 'record.json'}"]
    assert main(["score", f"bundle={model}", f"input={table}", *into, "threads=1"]) == 0
    asks = [f"input='{uri}'", f"input_query='{QUERY}'", f"output={output}"]
    assert main(["score", f"bundle={model}", *asks, "threads=1"]) == 0
    expected = pl.read_parquet(output)
    made = execute(uri, SCORES.replace("*", "transaction_id, score, alert, threshold"))
    assert made == expected.sort("transaction_id").rows()
    names = ["cards.parquet", "record.json", "scores.parquet", "scores.parquet.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for path in [*tmp_path.rglob("*"), *model.rglob("*")]:
        assert path.is_dir() or b"s3cr3t" not in path.read_bytes()


def test_an_empty_query_gives_an_empty_table(
    uri: str, model: Path, scores: str, tmp_path: Path, capsys: CapSys
) -> None:
    empty = QUERY.replace("ORDER", "WHERE false ORDER")
    assert main(words(uri, model, tmp_path, f"input_query='{empty}'")) == 0
    assert "has no rows: the output has none" in " ".join(capsys.readouterr().err.split())
    assert execute(uri, "SELECT count(*) FROM scores") == [(0,)]
    assert json.loads((tmp_path / "scores.json").read_text())["rows"] == 0


def test_two_writers_of_one_run_leave_one_set_of_rows(uri: str, scores: str) -> None:
    frame = pl.LazyFrame({"transaction_id": range(1000), "score": [0.5] * 1000})

    def write(_: int) -> None:
        replace_rows({RunTable(uri, "scores"): (frame, True)}, "today", 100)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(8)))
    assert execute(uri, "SELECT count(*), count(DISTINCT transaction_id) FROM scores") == [
        (1000, 1000)
    ]
