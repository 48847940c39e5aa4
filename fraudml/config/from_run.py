"""The settings of a run that exists, for a fit on other rows: nothing but the rows may differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fraudml.config.compose import compose
from fraudml.config.overrides import read_overrides
from fraudml.config.sources import Files
from fraudml.errors import ConfigError, listing

_KEY = "from_run"
_TABLE = ("data.path", "data.uri", "data.query")
_FREE = (_KEY, "refit", "output_dir", "run_name", "threads", "data.as_of", *_TABLE)


def names_run(overrides: Sequence[str]) -> bool:
    """Whether overrides name a run to take the settings of."""
    return any(one.lstrip("+").partition("=")[0] == _KEY for one in overrides)


def compose_from_run(
    command: str, overrides: Sequence[str], other: str | Path | None = None
) -> dict[str, Any]:
    """Compose the settings of a run, with the few keys that may differ from it.

    A table that is named anew takes the place of the run's, and is taken as of its own last time
    unless `data.as_of` is set too.

    Parameters
    ----------
    command : str
        Only `train` fits anew.
    overrides : sequence of str
        From the command line.
    other : str, optional
        Another config that was named, which is refused.

    Raises
    ------
    ConfigError
        There is no such run, or anything else is set.
    """
    given = {
        one.key_or_group: one for one in read_overrides(overrides, Files.of(None), swept=False)
    }
    others = sorted(key for key in given if key not in _FREE)
    if others or other is not None or command != "train":
        what = f"{listing(others)} are set" if others else "another command or config is named"
        raise ConfigError(
            f"from_run fits the settings of a run as they are, and {what}. Beside it stand "
            f"{', '.join(_FREE[1:])}. Other settings are another model: train and judge it first."
        )
    folder = Path(str(given[_KEY].value())).expanduser()
    for other_command in ("sweep", "backtest"):
        if (folder / f"{other_command}.json").is_file():
            raise ConfigError(
                f"from_run: '{folder}' is of {other_command}. Train with its settings first (the "
                "overrides of a sweep's best trial stand in sweep.json), and name that run."
            )
    if not (folder / "config.yaml").is_file():
        raise ConfigError(
            f"from_run: there is no '{folder / 'config.yaml'}'. Expected the folder of a run of "
            "train."
        )
    plain = compose(command, config_dir=folder, config_name="config")
    plain |= {"output_dir": None, "run_name": "refit"}
    if any(key in given for key in _TABLE):
        plain["data"] |= {"path": None, "uri": None, "query": None, "simulate": None, "as_of": None}
    for key, one in given.items():
        section, _, name = key.rpartition(".")
        (plain[section] if section else plain)[name] = one.value()
    return plain
