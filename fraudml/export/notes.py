"""What a person is told beside an export: what it holds, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fraudml.bundle import DecisionBundle
from fraudml.export.settings import Format

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
    """List what a format leaves out of a bundle."""
    return [*_LACKS[form], *_ALWAYS]


def readme(bundle: DecisionBundle, columns: Iterable[dict[str, Any]], library: str) -> str:
    """Write the text that goes with C code.

    Parameters
    ----------
    bundle : DecisionBundle
        What was exported.
    columns : iterable of dict
        As `columns_of` gives them.
    library : str
        What the shared library is called.
    """
    listed = "\n".join(f"{number:>5}  {_column(one)}" for number, one in enumerate(columns))
    kind, parameters = bundle.calibrator.kind, list(bundle.calibrator.parameters)
    left_out = "\n".join(f"- {one}" for one in lacks("c"))
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
{left_out}

Columns, in their order:
{listed}
"""


def _column(one: dict[str, Any]) -> str:
    if "levels" not in one:
        return f"{one['name']}: {one['from']}"
    others = f"{one['missing']} is missing, {one['unseen']} a level that is not in export.json"
    return f"{one['name']}: {one['from']}; {others}"
