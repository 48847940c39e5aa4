"""The settings of an earlier run, for a fit on other rows: only the rows may differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fraudml.config.compose import compose
from fraudml.config.overrides import read_overrides, typed_texts
from fraudml.config.sources import Files
from fraudml.errors import ConfigError, listing

_KEY = "from_run"
_TABLE = ("data.path", "data.uri", "data.query")
_FREE = (_KEY, "refit", "output_dir", "run_name", "threads", "data.as_of", *_TABLE)


def names_run(overrides: Sequence[str]) -> bool:
    """Whether overrides name a run to take the settings of."""
    return any(text.lstrip("+").partition("=")[0] == _KEY for text in overrides)


def compose_from_run(
    command: str, overrides: Sequence[str], config: str | Path | None = None
) -> dict[str, Any]:
    """Compose the settings of a run, with the few keys that may differ from it.

    A table that is named anew replaces that of the run, as of its own last time unless
    `data.as_of` is set too. Naming another config or command is refused.

    Raises
    ------
    ConfigError
        There is no such run, or anything else is set.
    """
    given = {
        override.key_or_group: override
        for override in read_overrides(overrides, Files.of(None), swept=False)
    }
    more = sorted(key for key in given if key not in _FREE)
    if more or config is not None or command != "train":
        problem = f"{listing(more)} are set" if more else "another command or config is named"
        raise ConfigError(
            f"from_run fits the settings of a run as they are, and {problem}. Only "
            f"{', '.join(_FREE[1:])} may be set. Other settings are another model: train and "
            "evaluate it first."
        )
    folder = Path(str(given[_KEY].value())).expanduser()
    _check_run(folder)
    plain = compose(command, config_dir=folder, config_name="config")
    plain |= {"output_dir": None, "run_name": "refit"}
    if any(key in given for key in _TABLE):
        plain["data"] |= {"path": None, "uri": None, "query": None, "simulate": None, "as_of": None}
    for key, override in given.items():
        section, _, name = key.rpartition(".")
        (plain[section] if section else plain)[name] = override.value()
    plain.typed |= typed_texts(given.values())
    return plain


def _check_run(folder: Path) -> None:
    for command in ("sweep", "backtest"):
        if (folder / f"{command}.json").is_file():
            raise ConfigError(
                f"from_run: '{folder}' is of {command}. Train with its settings first (sweep.json "
                "has the overrides of the best trial), and name that run."
            )
    if not (folder / "config.yaml").is_file():
        raise ConfigError(
            f"from_run: there is no '{folder / 'config.yaml'}'. Expected the folder of a run of "
            "train."
        )
