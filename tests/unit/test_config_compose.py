"""YAML files and overrides, composed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from fraudml.config import sources
from fraudml.config.compose import chosen_options, compose
from fraudml.config.overrides import expand
from fraudml.config.sources import groups
from fraudml.config.text import to_yaml
from fraudml.errors import ConfigError

FILES = {
    "train.yaml": """
        defaults:
          - resampling: none
          - data: simulated
          - _self_
        command: train
        """,
    "backtest.yaml": """
        defaults:
          - data: simulated
          - _self_
        command: backtest
        """,
    "resampling/none.yaml": "_target_: null",
    "resampling/smote.yaml": """
        _target_: imblearn.over_sampling.SMOTE
        k_neighbors: 5
        """,
    "resampling/random_under.yaml": "_target_: imblearn.under_sampling.RandomUnderSampler",
    "data/simulated.yaml": "rows: 100",
    "data/table.yaml": "path: ???",
    "data/ours.yaml": """
        # @package _global_
        data: {path: "${oc.env:SOME_FOLDER,data}/ours.parquet"}
        costs: {fixed: 3}
        """,
    "experiment/smote.yaml": """
        # @package _global_
        # Do synthetic frauds help?
        defaults:
          - override /resampling: smote
        command: train
        run_name: smote
        """,
    "experiment/weeks.yaml": """
        # @package _global_
        defaults:
          - override /resampling: smote
        command: backtest
        """,
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = text.splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    path.write_text("\n".join(line[indent:] for line in lines).strip() + "\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand for fraudml's own files, in a folder whose name needs quoting."""
    folder = tmp_path / "it's, our = conf"
    for name, text in FILES.items():
        write(folder, name, text)
    monkeypatch.setattr(sources, "packaged_conf", lambda: folder)
    return folder


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "my (own) files"
    folder.mkdir()
    return folder


def refusal(*overrides: str, work: Callable[..., object] = compose, **more: object) -> str:
    arguments = ("train", overrides) if work is compose else (overrides,)
    with pytest.raises(ConfigError) as caught:
        work(*arguments, **more)
    return str(caught.value)


def test_defaults_come_from_the_commands_own_file() -> None:
    assert compose("train") == {
        "resampling": {"_target_": None},
        "data": {"rows": 100},
        "command": "train",
    }


def test_a_group_is_replaced_and_a_key_is_set() -> None:
    config = compose("train", ["resampling=smote", "resampling.k_neighbors=3", "seed=0"])
    assert config["resampling"]["k_neighbors"] == 3
    assert config["resampling"]["_target_"].endswith("SMOTE")
    assert config["seed"] == 0


def test_a_plus_before_a_key_makes_no_difference() -> None:
    for plus in ("", "+", "++"):
        assert compose("train", [f"{plus}data.rows=3"])["data"] == {"rows": 3}
        assert compose("train", [f"{plus}split.kind=time"])["split"] == {"kind": "time"}


def test_a_later_override_wins() -> None:
    assert compose("train", ["seed=1", "seed=2"])["seed"] == 2
    assert compose("train", ["resampling=smote", "resampling=none"])["resampling"] == {
        "_target_": None
    }


def test_an_experiment_with_its_plus() -> None:
    config = compose("train", ["+experiment=smote", "resampling.k_neighbors=2"])
    assert config["resampling"]["k_neighbors"] == 2
    assert config["run_name"] == "smote"
    assert "experiment" not in config


def test_the_command_line_wins_over_an_experiment() -> None:
    config = compose("train", ["+experiment=smote", "resampling=random_under", "run_name=x"])
    assert config["resampling"] == {"_target_": "imblearn.under_sampling.RandomUnderSampler"}
    assert config["run_name"] == "x"


def test_an_experiment_without_its_plus_says_so() -> None:
    message = refusal("experiment=smote")
    assert message == (
        "'experiment=smote' needs a plus, as no experiment is chosen by default. "
        "Write '+experiment=smote'."
    )


def test_an_experiment_of_another_command_names_its_command() -> None:
    assert refusal("+experiment=weeks") == (
        "experiment/weeks is for the command 'backtest', not 'train'. "
        "Run: python -m fraudml backtest +experiment=weeks"
    )


def test_a_config_of_another_command_names_its_command(mine: Path) -> None:
    write(mine, "config.yaml", "command: sweep\nseed: 1")
    message = refusal(config_dir=mine, config_name="config")
    assert "is for the command 'sweep', not 'train'" in message


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        (
            "resampling=smot",
            ["Did you mean 'smote'?", "Options are 'none', 'random_under', 'smote'."],
        ),
        ("resampling=zzz", ["there is no option 'zzz' in the group 'resampling'. Options are"]),
        ("resampling=null", ["there is no option 'null'"]),
        ("resampling=3", ["there is no option '3'"]),
        ("+experiment=smoot", ["no option 'smoot' in the group 'experiment'", "'smote'"]),
        ("++experiment=smote", ["a plus too many: '+experiment=smote'"]),
        ("+resampling=smote", ["resampling is chosen already", "'resampling=smote'"]),
        ("data=cards.csv", ["no option 'cards.csv'", "data=table data.path=cards.csv"]),
        ("+experimant=smote", ["no group or key 'experimant'", "'+experiment=smote'"]),
        ("resampeling=smote", ["Did you mean 'resampling=smote'?"]),
        ("data@here=simulated", ["data@here"]),
        ("other@here=simulated", ["there is no folder 'other'"]),
        ("seed", ["'seed' is not an override. It is written KEY=VALUE or GROUP=OPTION."]),
        ("=3", ["is not an override"]),
        ("data.path=a(1).csv", ["cannot be read", "\"data.path='a(1).csv'\""]),
        ("data.path=~/x.csv", ["\"data.path='~/x.csv'\""]),
        ("data.columns=[a", ["cannot be read"]),
        ("data.path=a,b.csv", ["data.path=[a,b.csv]", "\"data.path='a,b.csv'\"", "--multirun"]),
        ("seed=range(3)", ["stands for several runs. Add --multirun."]),
        ("hydra.run.dir=x", ["has no effect", "output_dir"]),
        ("hydra/launcher=basic", ["has no effect"]),
        ("~nothing", ["'~nothing': there is no such key. Known are 'command', 'data'"]),
        ("~data.row", ["'~data.row': there is no such key. Did you mean 'rows'?"]),
        ("~resampling=smote", ["resampling=smote"]),
        ("data=table", ["'data.path' is required. Set: data.path=…"]),
        ("seed=${nothing}", ["seed: '${…}' cannot be resolved", "nothing"]),
        ("seed=${oc.env:NO_SUCH_VARIABLE}", ["environment variable NO_SUCH_VARIABLE is not set"]),
        ("seed=${unknown:1}", ["cannot be resolved"]),
    ],
)
def test_what_is_wrong_is_said_with_what_to_type(override: str, parts: list[str]) -> None:
    message = refusal(override)
    for part in parts:
        assert part in message


def test_all_wrong_overrides_are_said_at_once() -> None:
    message = refusal("seed", "data.path=~/x", "seed=1,2")
    assert message.startswith("3 overrides are wrong.\n  - ")
    message = refusal("resampling=a", "data=b")
    assert message.startswith("2 overrides are wrong.\n  - ")


def test_values_have_the_types_of_hydras_grammar() -> None:
    config = compose(
        "train",
        [
            "a=1e-3",
            "b=true",
            "c=null",
            "d='1.5'",
            "e=[a,1]",
            "f={x: 1}",
            "g=data/*.csv",
            "h=C:\\x\\y z.csv",
            "i=",
        ],
    )
    assert [config[key] for key in "abcdefghi"] == [
        0.001,
        True,
        None,
        "1.5",
        ["a", 1],
        {"x": 1},
        "data/*.csv",
        "C:\\x\\y z.csv",
        "",
    ]


def test_a_mapping_is_laid_over_a_section_and_a_list_replaces_one() -> None:
    config = compose("train", ["data={path: x}", "data.names=[a,b]", "data.names=[c]"])
    assert config["data"] == {"rows": 100, "path": "x", "names": ["c"]}


def test_a_key_below_null_makes_a_section() -> None:
    assert compose("train", ["data.rows=null", "data.rows.of=3"])["data"] == {"rows": {"of": 3}}


def test_a_key_and_a_choice_can_be_taken_away() -> None:
    assert compose("train", ["~data.rows"])["data"] == {}
    assert "resampling" not in compose("train", ["~resampling"])


def test_the_environment_is_read_while_composing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_FOLDER", "/there")
    config = compose("train", ["data=ours"])
    assert config["data"] == {"path": "/there/ours.parquet"}
    assert config["costs"] == {"fixed": 3}


def test_a_users_experiment_is_found_and_may_build_on_ours(mine: Path) -> None:
    write(
        mine,
        "experiment/mine.yaml",
        """
        # @package _global_
        defaults:
          - /experiment/smote
        seed: 5
        """,
    )
    config = compose("train", ["+experiment=mine"], config_dir=mine)
    assert (config["seed"], config["resampling"]["k_neighbors"]) == (5, 5)
    assert groups(mine)["experiment"] == ["mine", "smote", "weeks"]
    assert groups()["experiment"] == ["smote", "weeks"]


def test_a_users_file_wins_over_ours_of_the_same_name(mine: Path) -> None:
    write(mine, "resampling/smote.yaml", "_target_: their.SMOTE")
    config = compose("train", ["resampling=smote"], config_dir=mine)
    assert config["resampling"] == {"_target_": "their.SMOTE"}
    write(mine, "train.yaml", "defaults:\n- resampling: smote\n- _self_\nseed: 9")
    assert compose("train", config_dir=mine)["seed"] == 9


def test_a_users_new_group_and_nested_option(mine: Path) -> None:
    write(mine, "team/reds.yaml", "x: 1")
    write(mine, "experiment/sub/one.yaml", "# @package _global_\nseed: 4")
    assert compose("train", ["+team=reds"], config_dir=mine)["team"] == {"x": 1}
    assert compose("train", ["+experiment=sub/one"], config_dir=mine)["seed"] == 4
    assert groups(mine)["experiment"][-2:] == ["sub/one", "weeks"]


def test_a_folder_without_yaml_is_no_group(mine: Path) -> None:
    (mine / "bundle" / "deep").mkdir(parents=True)
    write(mine, "config.yaml", "command: train")
    config = compose("train", ["bundle=x"], config_dir=mine, config_name="config")
    assert config["bundle"] == "x"
    assert "bundle" not in groups(mine)


def test_a_runs_config_is_read_back_whole(mine: Path) -> None:
    content = {"command": "train", "resampling": {"_target_": "a.B", "k": 3}, "seed": 0}
    write(mine, "config.yaml", to_yaml(content))
    for name in ("config", "config.yaml"):
        config = compose("train", ["output_dir=new"], config_dir=mine, config_name=name)
        assert config == {**content, "output_dir": "new"}


def test_a_group_beside_a_whole_config_replaces_the_section(mine: Path) -> None:
    content = {
        "command": "train",
        "resampling": {"_target_": "a.B", "old": 3},
        "data": {"rows": 1},
        "costs": {"fixed": 1, "other": 2},
    }
    write(mine, "config.yaml", to_yaml(content))

    def composed(*overrides: str) -> dict[str, object]:
        return compose("train", overrides, config_dir=mine, config_name="config")

    assert composed("resampling=smote", "resampling.k_neighbors=2")["resampling"] == {
        "_target_": "imblearn.over_sampling.SMOTE",
        "k_neighbors": 2,
    }
    # What an option sets outside of its section is laid over what is there.
    assert composed("data=ours")["costs"] == {"fixed": 3, "other": 2}
    assert "path" in composed("data=ours")["data"]
    with pytest.raises(ConfigError, match="needs a primary config with a defaults list"):
        composed("+experiment=smote")


def test_an_experiment_without_its_package_line_is_told_so(mine: Path) -> None:
    write(mine, "experiment/mine.yaml", "seed: 3")
    message = refusal("+experiment=mine", config_dir=mine)
    assert "begins with the line '# @package _global_'" in message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("defaults:\n- override /resampling: smot", ["In 'train.yaml'", "'smot'", "'smote'"]),
        ("defaults:\n- override /resamplin: smote", ["In 'experiment/bad.yaml'", "'resamplin'"]),
        ("defaults:\n- /resampling: smote", ["chosen twice", "'- override /resampling: …'"]),
        ("defaults:\n- /nothing", ["there is no config 'nothing'"]),
        ("a: [1\nb: {", ["bad.yaml', line 3 is not valid YAML"]),
        ("a: 1\na: 2", ["duplicate key a"]),
        ("a:\tb\n\tc: d", ["is not valid YAML"]),
        ("- 1\n- 2", ["bad.yaml' holds no keys"]),
        ("x: ${y", ["bad.yaml' cannot be read"]),
    ],
)
def test_a_file_that_is_wrong_is_named(mine: Path, text: str, parts: list[str]) -> None:
    path = mine / "experiment" / "bad.yaml"
    path.parent.mkdir()
    path.write_text(f"# @package _global_\n{text}\n", encoding="utf-8")
    message = refusal("+experiment=bad", config_dir=mine)
    for part in parts:
        assert part in message
    assert "provider=" not in message


def test_a_file_that_is_not_utf8_is_refused(mine: Path) -> None:
    path = write(mine, "experiment/bad.yaml", "x")
    path.write_bytes(b"# @package _global_\nname: caf\xe9\n")
    assert "not UTF-8" in refusal("+experiment=bad", config_dir=mine)


def test_an_empty_file_changes_nothing(mine: Path) -> None:
    write(mine, "experiment/empty.yaml", "# @package _global_")
    assert compose("train", ["+experiment=empty"], config_dir=mine) == compose("train")


def test_a_folder_or_primary_config_that_is_not_there(mine: Path) -> None:
    assert refusal(config_dir=mine / "no") == (
        f"--config-dir: '{mine / 'no'}' does not exist. It is a folder of YAML files; name the "
        "file in it with --config-name."
    )
    path = write(mine, "mine.yaml", "seed: 1")
    assert "is a file" in refusal(config_dir=path)
    assert "Did you mean 'mine'?" in refusal(config_dir=mine, config_name="mime")
    assert "Give its folder with --config-dir." in refusal(config_name="config")
    write(mine, "scalar.yaml", "3")
    assert "scalar.yaml' cannot be read" in refusal(config_dir=mine, config_name="scalar")


def test_a_relative_folder_is_one_of_the_working_directory(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(mine, "experiment/mine.yaml", "# @package _global_\nseed: 2")
    monkeypatch.chdir(mine.parent)
    assert compose("train", ["+experiment=mine"], config_dir=mine.name)["seed"] == 2


def test_our_own_folder_may_be_named(conf: Path) -> None:
    assert compose("train", config_dir=conf) == compose("train")


def test_nothing_is_written_and_no_hydra_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    compose("train", ["+experiment=smote"])
    assert not list(empty.iterdir())
    assert not GlobalHydra.instance().is_initialized()


def test_the_hydra_of_an_application_around_it_is_left_alone(conf: Path) -> None:
    from hydra import compose as theirs
    from hydra import initialize_config_dir

    with initialize_config_dir(str(conf), version_base="1.3"):
        compose("train", ["resampling=smote"])
        assert theirs("train").resampling == {"_target_": None}


def test_chosen_options_are_those_composed_from(mine: Path) -> None:
    assert chosen_options("train") == {"resampling": "none", "data": "simulated"}
    assert chosen_options("train", ["+experiment=smote", "data=ours"]) == {
        "resampling": "smote",
        "data": "ours",
        "experiment": "smote",
    }
    write(mine, "config.yaml", "seed: 1")
    more = {"config_dir": mine, "config_name": "config"}
    assert chosen_options("train", ["data=ours"], **more) == {"data": "ours"}


def test_a_multirun_is_every_combination_in_order() -> None:
    assert expand(["seed=1,2", "+experiment=smote", "resampling=none,smote"]) == [
        ("seed=1", "+experiment=smote", "resampling=none"),
        ("seed=1", "+experiment=smote", "resampling=smote"),
        ("seed=2", "+experiment=smote", "resampling=none"),
        ("seed=2", "+experiment=smote", "resampling=smote"),
    ]
    assert expand([]) == [()]


@pytest.mark.parametrize(
    ("override", "values"),
    [
        ("x=range(1,4)", ["1", "2", "3"]),
        ("x=range(0,1,0.5)", ["0.0", "0.5"]),
        ("x=choice(a,b)", ["a", "b"]),
        ("x=choice('a,b',c)", ["a\\,b", "c"]),
        ("x=[1,2],[3]", ["[1,2]", "[3]"]),
        ("x=sort(3,1)", ["1", "3"]),
        ("x='a,b'", ["'a,b'"]),
        ("resampling=glob(*)", ["none", "random_under", "smote"]),
        ("resampling=glob(*,exclude=none)", ["random_under", "smote"]),
        ("resampling=glob([s*,n*])", ["none", "smote"]),
    ],
)
def test_a_sweep_is_expanded_as_hydra_does(override: str, values: list[str]) -> None:
    key = override.partition("=")[0]
    assert expand([override]) == [(f"{key}={value}",) for value in values]


def test_a_plus_stays_on_what_is_swept() -> None:
    assert expand(["+experiment=smote,weeks"]) == [("+experiment=smote",), ("+experiment=weeks",)]


def test_what_cannot_be_swept_is_refused() -> None:
    assert "without steps" in refusal("x=interval(0,1)", work=expand)
    assert "no run at all" in refusal("resampling=glob(z*)", work=expand)
    assert "is not an override" in refusal("x", work=expand)
