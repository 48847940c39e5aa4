"""Names and values of a table are data: no markup, no format string, no control of a screen."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudml.cli import terminal
from fraudml.data.schema import Schema
from fraudml.data.settings import ColumnRoles
from fraudml.features.columns import ColumnFeature
from fraudml.features.history import HistoryFeature, HistoryPlan
from fraudml.features.plan import FittedFeatures
from fraudml.features.texts import Slot
from fraudml.features.words import reason_templates
from fraudml.printable import printable
from fraudml.report.document import Code, Document, Notice, Section, Table, Text
from fraudml.report.html import to_html
from fraudml.report.markdown import to_markdown
from fraudml.scoring.reasons import _in_words

HOSTILE = "a\x1b[31m{value}{0}\n[red]\u202e%s${x}<b>|`"
SHOWN = "\\x1b[31m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – é 漢", "plain – é 漢"),
        ("a\x1b[2J", "a\\x1b[2J"),
        ("a\x07\x9b\x7f\r\t", "a\\x07\\x9b\\x7f\\x0d\\x09"),
        ("a\u202eb\u2066c\u2028", "a\\u202eb\\u2066c\\u2028"),
        ("a\udcffb", "a\\udcffb"),
        ("a\nb", "a\\x0ab"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text, lines=True) == shown.replace("\\x0a", "\n")


@given(st.text(st.characters(codec=None)))
def test_what_is_printable_controls_nothing(text: str) -> None:
    shown = printable(text)
    assert printable(shown) == shown
    assert not [c for c in shown if ord(c) < 32 or 127 <= ord(c) < 160 or "\ud800" <= c <= "\udfff"]
    shown.encode("utf-8")


def test_the_terminal_shows_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.write(f"column '{HOSTILE}'")
    terminal.table(HOSTILE, [(HOSTILE, HOSTILE)], header=("name", "value"))
    out = capsys.readouterr().out
    assert out.count(SHOWN) == 4
    assert out.count("[red]") == 4
    assert "\x1b" not in out
    assert "\u202e" not in out


def test_the_log_shows_names(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    with terminal.session():
        logging.getLogger("fraudml").warning("Column '%s'", HOSTILE)
    assert SHOWN in (err := capsys.readouterr().err)
    assert "\x1b" not in err


def test_pages_and_cards_show_names() -> None:
    table = Table(HOSTILE, (HOSTILE, "n"), ((HOSTILE, "1"),))
    blocks = (Text(HOSTILE), Notice(HOSTILE, (HOSTILE,)), table, Code(HOSTILE))
    document = Document(HOSTILE, HOSTILE, (), (Section(HOSTILE, blocks),))
    for page in (to_html(document), to_markdown(document)):
        assert "\x1b" not in page
        assert "\u202e" not in page
        assert "x1b" in page
        assert "<b>|" not in page.partition("```")[0]


@pytest.mark.parametrize("name", ["{}", "{value}", "{ISO} x", "{0", "}", "{{own}}", HOSTILE, "%s"])
def test_a_name_is_no_format_of_a_reason(name: str) -> None:
    """Every word that is made of a plan holds the column's own name, whatever it is."""
    own = (ColumnFeature(name, name, "number"), ColumnFeature("c", "c", "category", (name,)))
    kinds = {"aggregate": "count", "ratio": "mean", "fraud_rate": "rate", "since_label": "fraud"}
    every = ["distinct", "time_since", "first_seen", "recent_labels", "frequency", *kinds]
    past = tuple(
        HistoryFeature(kind, kind, name, 10**12, column=name if kind == "ratio" else None,  # type: ignore[arg-type]
                       partner=name, statistic=kinds.get(kind), last=1)
        for kind in every
    )  # fmt: skip
    features = FittedFeatures(own, history=HistoryPlan(past))
    values = np.array([2.0, 0.0, np.nan], dtype=np.float32)
    for template in reason_templates(features, "amount"):
        column = pl.Series([3.0, 4.0, 5.0]) if Slot.OWN in template.text else None
        _, texts = _in_words(template, values, column)
        assert texts.null_count() == 0
        if template.feature == "c":
            assert texts[0] == f"c is {printable(name)}"
        else:
            assert all(printable(name) in text for text in texts)
            assert "\x1b" not in "".join(texts)


def test_a_name_is_data_in_a_user_text() -> None:
    own = (ColumnFeature("{value}", "{value}", "number"),)
    features = FittedFeatures(own, texts={"{value}": "seen {value} times, {value}"})
    (template,) = reason_templates(features)
    values = np.array([2.0, np.nan], dtype=np.float32)
    assert _in_words(template, values, None)[1].to_list() == [
        "seen 2 times, 2", "seen missing times, missing",
    ]  # fmt: skip


def test_explained_features_hold_names_as_they_are() -> None:
    features = FittedFeatures((ColumnFeature("{}", "{}", "number"),))
    assert list(features.explained()) == [("{}", "column {}")]
    Schema(ColumnRoles(label="{}"))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        terminal.write("{}%s")
    assert out.getvalue() == "{}%s\n"
