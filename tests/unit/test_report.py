"""The report: every number with its range, every text escaped, and nothing fetched."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

from fraudml.report.chart import Axis, Bar, Chart, Line, Rule, Spot
from fraudml.report.document import Code, Document, Notice, Plot, Section, Table, Text
from fraudml.report.html import to_html
from fraudml.report.markdown import to_markdown
from fraudml.report.model import ReportedModel
from fraudml.report.sections import model_sections
from fraudml.report.summary import opening
from fraudml.report.svg import draw, to_svg

EVIL = '<script>alert("1")</script> & | `x` "q"'


def ranged(value: float | None, low: float | None = None, high: float | None = None) -> Any:
    found: dict[str, Any] = {"value": value, "low": low, "high": high}
    return found if value is not None else {**found, "reason": "no amount"}


def with_interval(**columns: list[float | None]) -> pl.DataFrame:
    made = {}
    for name, values in columns.items():
        made |= {name: values, f"{name}_low": values, f"{name}_high": values}
    return pl.DataFrame(made)


def reported(**changes: Any) -> ReportedModel:
    outcomes = with_interval(rows=[62.0, 38.0, 138.0, 9762.0], amount=[6e3, 2e3, 9e3, 9e5])
    outcomes = outcomes.with_columns(
        pl.Series("rows_low", [50.0, 28.0, 120.0, 9700.0]),
        pl.Series("rows_high", [75.0, 49.0, 150.0, 9800.0]),
        *with_interval(cost=[310.0, 2e3, 690.0, 0.0]),
        outcome=pl.Series(
            ["frauds caught", "frauds missed", "false alerts", "legitimate, left alone"]
        ),
    )
    made: dict[str, Any] = {
        "name": "cards",
        "level": 0.95,
        "data": {"rows": 50_000, "fingerprint": "sha256:abc"},
        "blocks": {
            "development": {
                "rows": 40_000,
                "frauds": 400,
                "start": "2026-01-01 00:00:00",
                "end": "2026-02-20 00:00:00",
            },
            "test": {
                "rows": 10_000,
                "frauds": 100,
                "start": "2026-02-27 00:00:00",
                "end": "2026-03-13 00:00:00",
            },
        },
        "test": {
            "average_precision": {**ranged(0.5, 0.4, 0.6), "baseline": 0.01},
            "recall_at_fpr_0.01": ranged(0.61, 0.5, 0.7),
            "value_recall": ranged(0.71, 0.6, 0.8),
            "cost": ranged(3000.0, 2000.0, 4000.0),
            "savings": ranged(0.48, 0.14, 0.63),
        },
        "policy": {"kind": "fixed", "threshold": 0.2, "constraint": None},
        "alerts": {
            "precision": ranged(0.31, 0.24, 0.38),
            "recall": ranged(0.62, 0.55, 0.69),
            "alerts_per_day": ranged(140.2, 121.0, 160.0),
        },
        "calibration": {
            "kind": "beta",
            "reliability": [
                {
                    "low": 0.0,
                    "high": 1e-3,
                    "rows": 9000,
                    "frauds": 0,
                    "mean_p": 2e-4,
                    "rate": 0.0,
                    "rate_low": 0.0,
                    "rate_high": 4e-4,
                },
                {
                    "low": 0.1,
                    "high": 1.0,
                    "rows": 200,
                    "frauds": 80,
                    "mean_p": 0.4,
                    "rate": 0.4,
                    "rate_low": 0.3,
                    "rate_high": 0.5,
                },
            ],
        },
        "baselines": {
            "best_column": {
                "column": EVIL,
                **{
                    name: {"value": 0.2, "ahead": {"difference": 0.3, "low": 0.2, "high": 0.4}}
                    for name in ("average_precision", "recall_at_fpr_0.01")
                },
            }
        },
        "proof": {},
        "fairness": {"column": None, "reason": "no column plays the role 'group'"},
        "guard": {"passed": True, "reasons": []},
        "by_threshold": pl.DataFrame(
            {"threshold": [0.9, 0.2, 0.0001], "alerts": [10, 200, 10_000]}
        ).with_columns(
            *with_interval(
                alerts_per_day=[0.7, 14.0, 700.0],
                precision=[0.9, 0.31, 0.01],
                recall=[0.09, 0.62, 1.0],
                value_recall=[0.1, 0.71, 1.0],
                cost=[7.2e3, 3e3, 5e4],
            )
        ),
        "over_time": pl.DataFrame(
            {
                "start": [0, 7 * 86_400_000_000],
                "end": [7 * 86_400_000_000, 14 * 86_400_000_000],
                "days": [7.0, 7.0],
                "rows": [5000, 5000],
                "frauds": [50, 50],
                "alerts": [100, 100],
                "label": ["2026-02-27", "2026-03-06"],
            }
        ).with_columns(
            pl.col("start", "end").cast(pl.Datetime("us")),
            *with_interval(precision=[0.3, None], recall=[0.6, 0.64], alerts_per_day=[14.0, 15.0]),
        ),
        "outcomes": outcomes,
        "cost_never": 8000.0,
        "cost_always": 5e4,
        "drivers": pl.DataFrame(
            {
                "feature": [EVIL, "hour"],
                "weight": [1.0, 0.5],
                "share": [2 / 3, 1 / 3],
                "in_alerts": [2.0, -0.1],
                "correlation": [0.9, None],
                "direction": ["higher", "by category"],
            }
        ),
        "explained": (600, 200),
        "findings": [("warning", EVIL)],
        "texts": {
            "costs": "a missed fraud costs its amount and an alert 5",
            "calibration": "right: their mean over the base rate is 1.00",
            "clusters": "draws of whole entities, 900 of them",
            "cases": "",
            "period": "over the whole block",
            "delay": "labels arrive within 7 days",
        },
        "verdicts": {},
        "repeat": "python -m fraudml train --config-dir RUN --config-name config",
    }
    return ReportedModel(**{**made, **changes})


def document(of: ReportedModel) -> Document:
    return Document(f"{of.name}: what it can do", EVIL, opening(of), model_sections(of))


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def said(of: ReportedModel) -> str:
    return " ".join(block.words for block in opening(of) if isinstance(block, Text))


def test_the_first_paragraph_says_every_number_with_its_range() -> None:
    text = said(reported())
    assert text.startswith("Of 100 alerts about 31 (24 to 38) are fraud.")
    for part in (
        "It finds 62 % (55 to 69) of the frauds and 71 % (60 to 80) of the money in them",
        "with 140 (121 to 160) alerts a day",
        "It does not find the other 38 % (31 to 45): 38 (28 to 49) of 100 frauds",
        "it saves 48 % (14 to 63) of the cost, where a missed fraud costs its amount",
        "counted on 10,000 rows",
        "from 2026-02-27 to 2026-03-13",
        "The numbers hold while new rows look like these, about 1.0 % of them are fraud",
    ):
        assert part in text, (part, text)


@pytest.mark.parametrize("write", [to_html, to_markdown])
def test_the_page_and_the_card_say_the_same(write: Any) -> None:
    text = re.sub(r"<[^>]+>", "", write(document(reported())))
    for part in (
        "31 (24 to 38)",
        "0.50 (0.40 to 0.60)",
        "+0.30 (+0.20 to +0.40)",
        "40 % (30 to 50)",
        "sha256:abc",
        "Comparison with baselines",
        "What the audit found",
        "--config-name config",
    ):
        assert part in text, part


def test_a_model_that_saves_nothing_or_alerts_nothing_is_described_as_that() -> None:
    one = reported()
    lucky = reported(test={**one.test, "savings": ranged(0.1, -0.2, 0.3)})
    assert "it may save nothing" in said(lucky)
    assert "it may save nothing" not in said(one)
    silent = reported(alerts={**one.alerts, "precision": ranged(None)})
    assert said(silent).startswith("The policy raises no alert at all")


def test_without_time_amount_and_replicates_there_are_no_blanks_that_mislead() -> None:
    one = reported()
    bare = reported(
        test={**one.test, "value_recall": ranged(None), "savings": ranged(None)},
        alerts={**one.alerts, "alerts_per_day": ranged(None), "recall": ranged(0.62)},
        over_time=pl.DataFrame(schema={"start": pl.Datetime("us")}),
        outcomes=one.outcomes.with_columns(
            amount=pl.lit(None, pl.Float64), rows_low=pl.lit(None, pl.Float64)
        ),
        by_threshold=one.by_threshold.with_columns(
            alerts_per_day=pl.lit(None, pl.Float64), value_recall=pl.lit(None, pl.Float64)
        ),
        blocks={name: {**block, "start": None, "end": None} for name, block in one.blocks.items()},
        drivers=pl.DataFrame(),
        texts={**one.texts, "no_drivers": "There are no reasons for it."},
        baselines={},
    )
    text = to_markdown(document(bare))
    assert "with 200 alerts among 10,000 rows" in text
    assert "the money" not in said(bare)
    assert "No column has the role of the time" in text
    assert "There are no reasons for it." in text
    assert "None" not in text
    assert "nan" not in text
    to_html(document(bare))


def test_a_refused_model_is_called_refused_before_anything_else() -> None:
    refused = reported(guard={"passed": False, "reasons": ["average precision is too low"]})
    first = opening(refused)[0]
    assert isinstance(first, Notice)
    assert "refused" in first.title
    page = to_html(document(refused))
    assert page.index("average precision is too low") < page.index("Of 100 alerts")


def test_every_text_is_escaped() -> None:
    page = to_html(document(reported(name=EVIL)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    parsed = Page(page)
    assert not parsed.open
    assert not {"script", "img", "iframe", "object"} & set(parsed.tags)
    card = to_markdown(document(reported(name=EVIL)))
    assert "<script" not in card
    assert all(line.count("|") >= 2 for line in card.splitlines() if line.startswith("|"))


def test_nothing_is_fetched() -> None:
    page = to_html(document(reported()))
    fetching = {"src", "srcset", "poster", "data", "action", "xlink:href"}
    links = [value for name, value in Page(page).attributes if name == "href"]
    assert not [name for name, _ in Page(page).attributes if name in fetching]
    assert all(link.startswith(("#", "data:,")) for link in links)
    assert "url(http" not in page
    assert "@import" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_a_page_can_be_read_without_seeing_it() -> None:
    page = to_html(document(reported()))
    names = re.findall(r'id="([^"]+)"', page)
    assert len(names) == len(set(names))
    for labels in re.findall(r'aria-labelledby="([^"]+)"', page):
        assert set(labels.split()) <= set(names)
    assert page.count("<svg") == page.count("</desc>") == page.count("<details>")
    assert page.count("<table>") == page.count("<caption>")
    assert re.findall(r"<h(\d)", page)[0] == "1"
    assert set(re.findall(r"<h(\d)", page)) == {"1", "2"}
    assert '<a class="skip" href="#main">' in page
    assert '<html lang="en">' in page
    for target in re.findall(r'href="#([^"]+)"', page):
        assert target in names


def test_a_chart_leaves_out_what_it_cannot_place_and_never_draws_nan() -> None:
    chart = Chart(
        Axis("x", scale="log"),
        Axis("y", scale="log"),
        [
            Line([0.0, 0.1, 1.0, 10.0], [1.0, None, 0.0, 5.0], "a", low=[0.0] * 4, high=[9.0] * 4),
            Line([0.1, 1.0], [2.0, 3.0], "b", 1, dots=True, low=[0.0, None], high=[4.0, None]),
            Spot(1.0, 2.0, "c", (0.5, 2.0), (0.0, 3.0)),
            Rule(3.0, "d"),
            Rule(2.0, "e", "x"),
        ],
    )
    drawn = draw(chart, title=EVIL, description="d", name="n")
    assert "nan" not in drawn
    assert "None" not in drawn
    assert "<script" not in drawn


@pytest.mark.parametrize("value", [0.0, 5.0, 1e-9, 1e12])
def test_a_chart_of_one_value_has_axes(value: float) -> None:
    lines = [Line([1.0], [value], "a", dots=True)]
    drawn = draw(Chart(Axis("x"), Axis("y"), lines), title="t", description="d", name="n")
    assert "nan" not in drawn
    assert drawn.count("<circle") == 1


def test_plots_as_a_document_of_their_own_need_no_page() -> None:
    many = [Line([0.0, 1.0], [i, 2.0], f"model number {i}", i % 5, dots=i == 1) for i in range(5)]
    chart = Chart(Axis("x"), Axis("y"), [*many, Line([0.0, 1.0], [1.0, 1.0], opacity=0.25)])
    table = Table("c", ("a",), (("b",),))
    text = to_svg([Plot(EVIL, "first", chart, table), Plot("two", "second", chart, table)])
    root = ElementTree.fromstring(text)
    panels = root.findall("{*}g")
    assert [panel.findtext("{*}title") for panel in panels] == [EVIL, "two"]
    assert [panel.findtext("{*}desc") for panel in panels] == ["first", "second"]
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("model number 4") == 2
    assert text.count('opacity="0.25"') == 2
    names = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(names) == len(set(names))
    assert "var(" not in text
    assert "href" not in text
    heights = [float(panel.get("transform", "").split()[1].rstrip(")")) for panel in panels]
    assert heights == sorted(set(heights))
    assert float(root.get("viewBox", "").split()[3]) > max(heights) + 270


def test_bars_say_their_names() -> None:
    bars = [Bar(0.0, 0.0, 0.5, 0, "higher", "a name that is very long " * 5)]
    axis = Axis("", ticks=(), low=-0.5, high=0.7)
    drawn = draw(Chart(Axis("x"), axis, bars), title="t", description="d", name="n")
    assert "higher" in drawn
    assert "…" in drawn


def test_code_in_a_card_cannot_end_its_fence() -> None:
    text = to_markdown(Document("t", "s", (Code("echo ```\n````"),), []))
    assert text.count("`````bash") == 1


def test_a_section_without_blocks_is_left_out() -> None:
    table = Table("c", ("a",), (("b",),))
    plot = Plot("p", "d", Chart(Axis("x"), Axis("y")), table)
    made = Document("t", "s", (), [Section("Empty", ()), Section("Full", (plot, table))])
    assert "Empty" not in to_html(made)
    assert "Full" in to_markdown(made)


def test_a_backtest_has_no_proof_and_no_findings_to_speak_of() -> None:
    page = to_html(document(replace(reported(), proof=None, findings=None)))
    assert "Ablation" not in page
    assert "What the audit found" not in page
