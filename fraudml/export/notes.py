"""Texts that accompany an export: what it contains, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.export.settings import Format
from fraudml.printable import printable

_ALWAYS = (
    "the features: fraudml makes the columns of a table; those that look back need its history",
    "the policy: an alert is p ≥ the row's threshold, which the policy makes of its costs",
)
_LACKS: dict[Format, tuple[str, ...]] = {
    "onnx": (),
    "c": (),
    "lightgbm": (
        "prior correction: add 'offset' to the raw score",
        "calibration: the sigmoid of the raw score is not the probability of fraud",
    ),
}


def lacks(form: Format) -> list[str]:
    """Return what a format leaves out of a bundle."""
    return [*_LACKS[form], *_ALWAYS]


def readme(bundle: DecisionBundle, columns: Iterable[dict[str, Any]], library: str) -> str:
    """Return the text that accompanies C code; `columns` are those of `columns_of`."""
    listed = "\n".join(f"{number:>5}  {_describe(column)}" for number, column in enumerate(columns))
    kind, parameters = bundle.calibrator.kind, list(bundle.calibrator.parameters)
    excluded = "\n".join(f"- {part}" for part in lacks("c"))
    return f"""\
A fraud model in C, written by fraudml.

fraudml_model.h   what to call
fraudml_model.c   missing values, margin, calibration
trees/            the trees, by tl2cgen; `predict` there gives their sum alone
{library}   all of it, compiled for the machine that wrote it
export.json       how it was checked against the bundle, and the calibration's parameters

To compile: cc -std=c99 -O2 -fPIC -shared -ffp-contract=off -o {library} \\
  fraudml_model.c trees/*.c -lm

A row is FRAUDML_FEATURES numbers of the type float; NAN is missing. `fraudml_margin` has prior
correction within ({bundle.offset!r} is added to the learner's margin); `fraudml_calibrate` makes
the probability of it: {kind}, parameters {parameters if len(parameters) < 4 else "in export.json"}.
All functions may be called from several threads at a time.

Not in it:
{excluded}

Columns, in their order:
{listed}
"""


def _describe(column: dict[str, Any]) -> str:
    text = printable(f"{column['name']}: {column['from']}")
    if "levels" not in column:
        return text
    missing, unseen = column["missing"], column["unseen"]
    return f"{text}; {missing} is missing, {unseen} a level that is not in export.json"
