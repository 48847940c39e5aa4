"""Write docs/reference/: commands, groups, keys, metrics and exit codes, as the code has them.

python scripts/write_reference.py

A test compares the pages with what this writes; run it after every change of a command, a config
file, a settings class or a docstring of theirs. It needs the extras of `[dev]`.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml

from fraudml import errors, metrics
from fraudml.cli.commands import COMMANDS, Command
from fraudml.cli.main import INTERRUPTED
from fraudml.config.components import Component, is_typed
from fraudml.config.describe import parameter_texts
from fraudml.config.metrics import chosen_metrics
from fraudml.config.parse import dump
from fraudml.config.settings import Settings
from fraudml.config.shape import MISSING, shape_of
from fraudml.config.sources import EXPERIMENT, groups, packaged_conf
from fraudml.config.targets import TARGET, find_target
from fraudml.config.text import kind_of, word
from fraudml.metrics.registry import all_metrics
from fraudml.parts import parts as installed_parts

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTICE = "% Written by scripts/write_reference.py from the code: change it there.\n\n"
ADDED = (EXPERIMENT, "sweep")
"""Groups without a default option: they are chosen with a plus."""

Row = Sequence[str]


def pages() -> dict[str, str]:
    """Every page of the reference: its path below the folder, and its text."""
    options = groups()
    pages = {
        "commands.md": commands_page(options),
        "keys.md": keys_page(),
        "groups.md": groups_page(options),
        "metrics.md": metrics_page(),
        "exit-codes.md": codes_page(),
    }
    for group, names in options.items():
        pages[f"groups/{group}.md"] = group_page(group, names)
    return {path: NOTICE + text.rstrip("\n") + "\n" for path, text in pages.items()}


def table(header: Row, rows: Iterable[Row]) -> str:
    """A table of Markdown; a cell may hold anything but a line break."""
    body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Text that Markdown must not read as markup."""
    return re.sub(r"([*_<>\[\]$~])", r"\\\1", text)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def commands_page(options: Mapping[str, Sequence[str]]) -> str:
    parts = [
        "# Commands\n\n"
        "`python -m fraudml COMMAND [GROUP=OPTION | KEY=VALUE | +experiment=NAME] …`, the same as "
        "the console script `fraudml`. `--help` after a command shows its groups and keys with "
        "the values that the command line gives them; [every key](keys.md), [every "
        "group](groups.md) and the [exit codes](exit-codes.md) have pages of their own.",
        *(command_part(name, command, options) for name, command in COMMANDS.items()),
    ]
    return "\n\n".join(parts)


def command_part(name: str, command: Command, options: Mapping[str, Sequence[str]]) -> str:
    lines = "\n".join(
        f"python -m fraudml {name} {example}".rstrip() for example in command.examples
    )
    chosen = defaults_of(name, options)
    defaults = ", ".join(f"`{group}={option}`" for group, option in chosen.items())
    composed = (
        f"Its groups, as they are chosen by default: {defaults}."
        if defaults
        else "It has no groups."
    )
    text = f"{command.text[:1].upper()}{command.text[1:]}."
    return f"## `{name}`\n\n{plain(text)}\n\n```text\n{lines}\n```\n\n{composed}"


def defaults_of(name: str, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What the primary config of a command chooses."""
    content = yaml.safe_load((packaged_conf() / f"{name}.yaml").read_text(encoding="utf-8"))
    chosen = [entry for entry in content["defaults"] if isinstance(entry, dict)]
    return {
        group: option for entry in chosen for group, option in entry.items() if group in options
    }


def keys_page() -> str:
    sections: dict[str, list[Row]] = {"": []}
    for section, row in tree_rows(Settings(), ""):
        sections.setdefault(section, []).append(row)
    header = ("key", "takes", "default", "what it is")
    parts = [
        "# Keys\n\nThe one tree of settings that all commands share. `KEY=VALUE` on the command "
        "line, or the same in an experiment file. The defaults are those of the settings; a "
        "[group](groups.md) that is chosen may state others, and the parts (`learner`, `policy` …) "
        "take the keys of the option that is chosen.",
        *(
            f"## {code(section) if section else 'The run itself'}\n\n{table(header, rows)}"
            for section, rows in sections.items()
        ),
    ]
    return "\n\n".join(parts)


def tree_rows(section: Any, prefix: str) -> Iterator[tuple[str, Row]]:
    """Each key of a tree of settings with its section; keys of their own before sections."""
    cls: Any = type(section)
    texts, hints = parameter_texts(cls, whole=True), shape_of(cls).parameters
    nested: list[tuple[Any, str]] = []
    for field in dataclasses.fields(section):
        path, value = f"{prefix}{field.name}", getattr(section, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, Component):
            nested.append((value, f"{path}."))
            continue
        kind, default = kind_of(hints[field.name].hint), shown(value)
        if isinstance(value, Component):
            kind, default = f"an option of [`{path}`](groups/{path}.md)", code(value.target or "")
        else:
            kind = code(kind)
        nested += [(inside(), f"{path}.") for inside in sections_of(hints[field.name].hint)]
        yield prefix.rstrip("."), (code(path), kind, default, plain(texts.get(field.name, "")))
    for value, below in nested:
        yield from tree_rows(value, below)


def sections_of(hint: Any) -> list[Any]:
    """The sections that a key takes which is null by default."""
    return [part for part in get_args(hint) if dataclasses.is_dataclass(part)]


def shown(value: Any) -> str:
    return code(word(dump(value)))


def groups_page(options: Mapping[str, Sequence[str]]) -> str:
    rows = [
        (f"[`{group}`](groups/{group}.md)", ", ".join(map(code, names)))
        for group, names in options.items()
    ]
    tree = "```{toctree}\n:maxdepth: 1\n:glob:\n:hidden:\n\ngroups/*\n```"
    return (
        "# Groups\n\n`GROUP=OPTION` lays the file `conf/GROUP/OPTION.yaml` over the settings. "
        "Files of your own are found with `--config-dir DIR` in `DIR/GROUP/`.\n\n"
        f"{table(('group', 'options'), rows)}\n\n{tree}"
    )


def group_page(group: str, names: Sequence[str]) -> str:
    plus = "+" if group in ADDED else ""
    parts = [f"# `{plus}{group}=…`"]
    for name in names:
        path = packaged_conf() / group / f"{name}.yaml"
        if path.is_file():
            part = option_part(path.read_text(encoding="utf-8"))
        else:
            installed = installed_parts(group)[name]
            part = f"Of {installed.package}.\n\n{component_part({TARGET: installed.target})}"
        parts.append(f"## `{plus}{group}={name}`\n\n{part}")
    return "\n\n".join(parts)


def option_part(text: str) -> str:
    """What a config file says of itself, what it sets, and what its part takes besides."""
    content = yaml.safe_load(text) or {}
    parts = [*remarks(text)]
    if TARGET in content:
        parts.append(component_part(content))
        return "\n\n".join(parts)
    rows = [(code(path), shown(value)) for path, value in flat(content, "")]
    if rows:
        parts.append(table(("sets", "to"), rows))
    return "\n\n".join(parts) or "Sets nothing."


def remarks(text: str) -> Iterator[str]:
    """The comment that a file opens with: sentences, and its commands as a block."""
    opening: list[str] = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @package"):
            opening.append(line.removeprefix("#").removeprefix(" "))
    for block in re.split(r"((?:^  .*\n?)+)", "\n".join(opening), flags=re.MULTILINE):
        if block.startswith("  "):
            lines = "\n".join(line.strip() for line in block.splitlines())
            yield f"```text\n{lines}\n```"
        elif block.strip():
            yield plain(" ".join(block.split()))


def component_part(content: Mapping[str, Any]) -> str:
    target = content[TARGET]
    if target is None:
        return "Does nothing."
    component = find_target(target, TARGET)
    stated = {name: value for name, value in content.items() if name != TARGET}
    if not is_typed(component):
        more = (
            ""
            if not stated
            else f"\n\n{table(('sets', 'to'), [(code(k), shown(v)) for k, v in stated.items()])}"
        )
        return f"`{target}`; every argument that its library documents is a key.{more}"
    texts, rows = parameter_texts(component, whole=True), []
    for name, parameter in shape_of(component).parameters.items():
        default = stated.get(name, parameter.initial())
        value = "required" if default is MISSING else shown(default)
        rows.append((code(name), code(kind_of(parameter.hint)), value, plain(texts.get(name, ""))))
    passed = "Passed on to the library, which documents it."
    listed = shape_of(component).parameters
    rows += [(code(k), "value", shown(v), passed) for k, v in stated.items() if k not in listed]
    if not rows:
        return f"`{target}`; it has no keys."
    return f"`{target}`\n\n{table(('key', 'takes', 'default', 'what it is'), rows)}"


def flat(content: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """The leaves of a mapping by their dotted paths; chosen groups as they are listed."""
    for name, value in content.items():
        if isinstance(value, dict) and value and TARGET not in value:
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def metrics_page() -> str:
    rows = [
        (
            code(metric.name),
            {"higher": "the higher the better", "lower": "the lower the better"}.get(
                metric.direction, ""
            ),
            f"{metric.domain[0]:g} to {metric.domain[1]:g}",
            ", ".join(map(code, metric.needs)),
            plain(first_line(getattr(metrics, metric.name, metric.function))),
        )
        for metric in (*all_metrics(), *chosen_metrics(installed_parts("metric"), ()))
    ]
    return (
        "# Metrics\n\nEvery metric that a run reports, with what it needs to have a value. The "
        "names with a number at their end take any: `card_precision_at_50`.\n\n"
        + table(("metric", "direction", "domain", "needs", "what it is"), rows)
    )


def first_line(function: Any) -> str:
    function = getattr(function, "func", function)
    return (function.__doc__ or "").strip().splitlines()[0] if function.__doc__ else ""


def codes_page() -> str:
    own: list[type[errors.FraudmlError]] = errors.FraudmlError.__subclasses__()
    texts = {
        error.exit_code: first_line(error) for error in own if error.__module__ == errors.__name__
    }
    rows = [
        ("0", "Done."),
        ("1", "A defect of fraudml; the traceback is shown."),
        *((str(number), plain(text)) for number, text in sorted(texts.items()) if number > 1),
        (str(INTERRUPTED), "Interrupted, by Ctrl-C or SIGTERM."),
    ]
    return (
        "# Exit codes\n\nAn expected error is one message on standard error; "
        "`FRAUDML_DEBUG=1` shows the traceback.\n\n" + table(("code", "meaning"), rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    if folder.exists():
        shutil.rmtree(folder)
    for path, text in pages().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(pages())} pages are in {folder}")


if __name__ == "__main__":
    main()
