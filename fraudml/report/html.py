"""Writes a document as one HTML page that loads nothing: no script, no font, no picture."""

from __future__ import annotations

from collections.abc import Iterator

from fraudml.report.document import Block, Code, Document, Notice, Plot, Table, Text
from fraudml.report.escape import escape
from fraudml.report.svg import css, draw, legend

_NO_ICON = "data:,"
"""An empty icon, so that a browser does not request one."""


def to_html(document: Document) -> str:
    """Return a whole page; every text of the document is escaped."""
    style = css("plot") + css("page")
    sections = document.filled
    links = "".join(
        f'<li><a href="#s{i}">{escape(section.title)}</a></li>'
        for i, section in enumerate(sections)
    )
    opening = "".join(_blocks(document.opening, "o"))
    body = "".join(
        f'<section aria-labelledby="s{i}"><h2 id="s{i}">{escape(section.title)}</h2>'
        f"{''.join(_blocks(section.blocks, f'p{i}'))}</section>\n"
        for i, section in enumerate(sections)
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<link rel="icon" href="{_NO_ICON}">\n'
        f"<title>{escape(document.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        '<a class="skip" href="#main">Skip to the report</a>\n'
        f"<header><h1>{escape(document.title)}</h1><p>{escape(document.subtitle)}</p></header>\n"
        f'<main id="main" tabindex="-1">\n{opening}\n'
        f'<nav aria-label="Sections"><ol>{links}</ol></nav>\n{body}</main>\n</body>\n</html>\n'
    )


def _blocks(blocks: tuple[Block, ...], prefix: str) -> Iterator[str]:
    for position, block in enumerate(blocks):
        yield _block(block, f"{prefix}-{position}")


def _block(block: Block, name: str) -> str:
    match block:
        case Text():
            kind = ' class="lead"' if block.lead else ""
            return f"<p{kind}>{escape(block.words)}</p>"
        case Notice():
            lines = "".join(f"<li>{escape(line)}</li>" for line in block.lines)
            return (
                f'<aside class="notice" aria-labelledby="{name}"><p id="{name}">'
                f"<strong>{escape(block.title)}</strong></p><ul>{lines}</ul></aside>"
            )
        case Code():
            label = "Commands that repeat it"
            text = escape(block.text, lines=True)
            return f'<pre tabindex="0" aria-label="{label}"><code>{text}</code></pre>'
        case Plot():
            return _plot(block, name)
        case Table():
            return _table(block)


def _cell(text: str) -> str:
    """A number, and its interval apart, so that a line breaks between them alone."""
    value, space, rest = escape(text).partition(" (")
    if not space or " to " not in rest:
        return escape(text)
    return f'{value} <span class="e">({rest}</span>'


def _plot(plot: Plot, name: str) -> str:
    drawing = draw(plot.chart, title=plot.title, description=plot.description, name=name)
    entries = "".join(
        f'<li><span class="w {kind} c{colour}" aria-hidden="true"></span>{escape(words)}</li>'
        for kind, colour, words in legend(plot.chart)
    )
    legend_ = f'<ul class="legend">{entries}</ul>' if entries else ""
    return (
        f"<figure><figcaption><strong>{escape(plot.title)}</strong> "
        f"{escape(plot.description)}</figcaption>{drawing}{legend_}"
        f"<details><summary>The numbers of this plot</summary>{_table(plot.table)}</details>"
        "</figure>"
    )


def _table(table: Table) -> str:
    def kind(position: int) -> str:
        return "" if position == 0 or position in table.words else ' class="n"'

    header = "".join(
        f'<th scope="col"{kind(i)}>{escape(name)}</th>' for i, name in enumerate(table.header)
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind(i)}>{_cell(cell)}</td>" for i, cell in enumerate(row[1:], 1))
        + "</tr>\n"
        for row in table.rows
    )
    label = escape(table.caption, quote=True)
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}"><table>'
        f"<caption><span>{escape(table.caption)}</span></caption><thead><tr>{header}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )
