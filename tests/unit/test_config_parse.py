"""The strict way from plain data into dataclasses, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from fraudml.config.components import Component
from fraudml.config.parse import dump, parse
from fraudml.errors import ConfigError


@dataclass(frozen=True)
class Split:
    test_share: float = 0.2
    label_delay: str | None = None
    kind: Literal["auto", "time"] = "auto"

    def __post_init__(self) -> None:
        if not 0 < self.test_share < 1:
            raise ConfigError(f"split.test_share is {self.test_share}. It is a share.")


@dataclass(frozen=True)
class Source:
    rows: int = 100
    columns: tuple[str, ...] = ()
    pair: tuple[int, str] = (1, "a")
    renamed: Mapping[str, float] = field(default_factory=dict)
    positive: str | int | None = None


@dataclass(frozen=True)
class Tree:
    path: str = "x"
    strict: bool = False
    level: Literal[1, 2, "high"] = 1
    folder: Path | None = None
    split: Split = field(default_factory=Split)
    source: Source = field(default_factory=lambda: Source(rows=7, columns=("a",)))
    other: Source | None = None
    part: Component = field(default_factory=lambda: Component("sklearn.svm.SVC", {"C": 2.0}))
    anything: Any = None


@dataclass(frozen=True)
class Needy:
    name: str
    rows: int
    more: Split = field(default_factory=Split)


FULL = {
    "path": "y",
    "strict": True,
    "level": "high",
    "folder": "runs",
    "split": {"test_share": 0.3, "label_delay": "7d", "kind": "time"},
    "source": {
        "rows": 3,
        "columns": ["b", "c"],
        "pair": [2, "z"],
        "renamed": {"u": 1.5},
        "positive": 2,
    },
    "other": {"rows": 1, "columns": [], "pair": [1, "a"], "renamed": {}, "positive": "yes"},
    "part": {"_target_": "a.b", "inner": {"_target_": "c.d", "e": [1, [2]]}, "table": {0: 1}},
    "anything": {"free": [1, "two"]},
}


def refusal(mapping: Any, cls: type = Tree) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(cls, mapping)
    return str(caught.value)


def test_the_empty_mapping_gives_the_defaults() -> None:
    assert parse(Tree, {}) == Tree()


def test_what_is_dumped_is_complete_and_parses_to_the_same() -> None:
    tree = parse(Tree, FULL)
    assert dump(tree) == FULL
    assert parse(Tree, dump(tree)) == tree
    assert parse(Tree, dump(Tree())) == Tree()
    assert list(dump(Tree())) == list(FULL)


def test_types_after_parsing_are_those_of_the_hints() -> None:
    tree = parse(Tree, FULL)
    assert tree.source.columns == ("b", "c")
    assert tree.folder == Path("runs")
    assert tree.part.arguments["inner"] == Component("c.d", {"e": (1, (2,))})
    whole = parse(Tree, {"split": {"test_share": 0.5}, "path": 3, "source": {"renamed": {"u": 1}}})
    assert whole.path == "3"
    assert isinstance(whole.source.renamed["u"], float)


def test_a_union_keeps_what_fits_as_it_is() -> None:
    assert parse(Source, {"positive": 1}).positive == 1
    assert parse(Source, {"positive": "1"}).positive == "1"
    assert parse(Source, {"positive": None}).positive is None


def test_a_section_that_is_given_in_part_keeps_the_default_of_its_parent() -> None:
    tree = parse(Tree, {"source": {"pair": [5, "q"]}})
    assert tree.source == Source(rows=7, columns=("a",), pair=(5, "q"))
    # An optional section has no default to keep.
    assert parse(Tree, {"other": {"rows": 2}}).other == Source(rows=2)


def test_arguments_without_a_target_are_laid_over_the_default_part() -> None:
    assert parse(Tree, {"part": {"gamma": 1}}).part == Component(
        "sklearn.svm.SVC", {"C": 2.0, "gamma": 1}
    )
    assert parse(Tree, {"part": {"_target_": "a.b"}}).part == Component("a.b")
    assert parse(Tree, {"part": None}).part == Component()


def test_an_unknown_key_is_named_in_full_with_the_nearest() -> None:
    assert refusal({"splt": {}}) == "splt is not a key. Did you mean 'split'?"
    message = refusal({"split": {"tset_share": 0.3}})
    assert message == "split.tset_share is not a key. Did you mean 'test_share'?"


def test_a_key_in_the_wrong_section_is_sent_to_its_place() -> None:
    assert (
        refusal({"test_share": 0.3}) == "test_share is not a key. Did you mean 'split.test_share'?"
    )
    assert "'source.rows', 'other.rows'" in refusal({"split": {"rows": 1}})


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"source": {"rows": 1.5}}, "source.rows is 1.5, a number. It is a whole number."),
        (
            {"source": {"rows": 1e6}},
            "source.rows is 1000000.0, a number. It is a whole number. Write 1000000.",
        ),
        (
            {"source": {"rows": "5"}},
            "source.rows is '5', a text. It is a whole number. Write it without quotes.",
        ),
        ({"source": {"rows": True}}, "source.rows is true. It is a whole number."),
        ({"source": {"rows": None}}, "source.rows is null. It is a whole number."),
        ({"strict": 1}, "strict is 1, a whole number. It is true or false."),
        (
            {"strict": "false"},
            "strict is 'false', a text. It is true or false. Write it without quotes.",
        ),
        ({"strict": "yes"}, "strict is 'yes', a text. It is true or false."),
        ({"path": None}, "path is null. It is a text."),
        ({"path": True}, "path is true. It is a text. Put quotes around it: \"'true'\"."),
        ({"path": 1.5}, "path is 1.5, a number. It is a text. Put quotes around it: \"'1.5'\"."),
        ({"path": ["a"]}, "path is a list. It is a text."),
        (
            {"split": {"test_share": float("nan")}},
            "split.test_share is nan. It is a finite number.",
        ),
        (
            {"split": {"test_share": float("inf")}},
            "split.test_share is inf. It is a finite number.",
        ),
        ({"split": {"test_share": False}}, "split.test_share is false. It is a number."),
        ({"split": {"label_delay": []}}, "split.label_delay is a list. It is a text or null."),
        ({"split": 3}, "split is 3, a whole number. It is a section."),
        ({"split": None}, "split is null. It is a section."),
        ({"split": {"kind": "tim"}}, "split.kind is 'tim', a text. It is one of 'auto', 'time'."),
        ({"level": True}, "level is true. It is one of 1, 2, 'high'."),
        ({"level": 1.0}, "level is 1.0, a number. It is one of 1, 2, 'high'."),
        (
            {"source": {"columns": "card"}},
            "source.columns is 'card', a text. It is a list. Write [card].",
        ),
        ({"source": {"columns": {"a": 1}}}, "source.columns is a section. It is a list."),
        ({"source": {"columns": ["a", None]}}, "source.columns[1] is null. It is a text."),
        ({"source": {"pair": [1]}}, "source.pair has 1 items of 2."),
        ({"source": {"pair": ["a", "b"]}}, "source.pair[0] is 'a', a text. It is a whole number."),
        ({"source": {"renamed": 3}}, "source.renamed is 3, a whole number. It is a section."),
        ({"source": {"renamed": {"u": "x"}}}, "source.renamed.u is 'x', a text. It is a number."),
        (
            {"source": {"positive": 1.5}},
            "source.positive is 1.5, a number. It is a text or a whole number or null.",
        ),
        ({"other": 3}, "other is 3, a whole number. It is a section or null."),
        ({"other": {"rows": "x"}}, "other.rows is 'x', a text. It is a whole number."),
        ({"folder": 1.5}, "folder is 1.5, a number. It is a path or null."),
        ({"part": {"_target_": 3}}, "part._target_ is 3. It is a dotted path, or null."),
        ({"split": {"test_share": 2}}, "split.test_share is 2.0. It is a share."),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(mapping: Any, message: str) -> None:
    assert refusal(mapping) == message


def test_a_config_that_is_no_mapping_is_refused() -> None:
    assert refusal([1]).startswith("The config is a list. It is a section")


def test_arguments_for_no_part_say_which_option_is_missing() -> None:
    message = refusal({"part": {"_target_": None, "k_neighbors": 3}})
    assert "part.k_neighbors is set" in message
    assert "part=…" in message


def test_an_option_where_a_part_belongs_says_how_options_are_chosen() -> None:
    assert "defaults list" in refusal({"part": "smote"})


def test_all_problems_are_said_at_once() -> None:
    message = refusal(
        {
            "path": None,
            "split": {"test_share": 2, "kid": "time"},
            "source": {"rows": "x", "columns": [1.5, True]},
            "part": 3,
        }
    )
    assert message.startswith("7 problems in the config.\n  - ")
    for where in (
        "path",
        "split.test_share",
        "split.kid",
        "source.rows",
        "source.columns[0]",
        "source.columns[1]",
        "part",
    ):
        assert f"\n  - {where} is " in message


def test_missing_keys_are_named() -> None:
    message = refusal({"rows": 3}, Needy)
    assert message == "name is required. It is a text."
    assert refusal({}, Needy).count("is required") == 2


def test_a_rule_of_the_class_is_told_even_beside_an_unknown_key() -> None:
    message = refusal({"split": {"test_share": 5, "nonsense": 1}})
    assert "It is a share." in message
    assert "split.nonsense" in message


def test_a_path_may_stand_before_the_keys() -> None:
    with pytest.raises(ConfigError, match=r"^a\.b\.rows is 'x'"):
        parse(Source, {"rows": "x"}, key_path="a.b")


def test_a_sequence_is_read_as_a_tuple() -> None:
    @dataclass(frozen=True)
    class Steps:
        names: Sequence[str] = ()

    # Hints of a class inside a function are resolved here.
    Steps.__annotations__["names"] = Sequence[str]
    assert parse(Steps, {"names": ["a", 1]}).names == ("a", "1")
    assert refusal({"names": "a"}, Steps) == "names is 'a', a text. It is a list. Write [a]."


def test_a_hint_that_cannot_be_read_is_a_defect() -> None:
    @dataclass(frozen=True)
    class Odd:
        numbers: bytes = b""

    # Hints of a class inside a function are resolved here.
    Odd.__annotations__["numbers"] = bytes
    with pytest.raises(TypeError, match="numbers"):
        parse(Odd, {"numbers": 1})


def test_parsing_does_not_change_what_it_is_given() -> None:
    given = {"source": {"columns": ["b"]}, "part": {"_target_": "a.b", "x": [1]}}
    before = repr(given)
    tree = parse(Tree, given)
    dump(tree)["part"]["x"].append(2)
    assert repr(given) == before
    assert tree.part.arguments["x"] == (1,)
