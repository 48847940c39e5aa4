"""A sweep in one picture: its history, what mattered, how trials learnt, and which did well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

_BLUE, _ORANGE, _GREY = "#1f5fa8", "#c2571a", "#b5b5b5"
_MOST = 8
"""Dimensions that are drawn, the most important first."""


def plot_sweep(
    trials: pl.DataFrame,
    importance: Mapping[str, float],
    *,
    chosen: int,
    lower_is_better: bool,
    path: Path,
) -> None:
    """Draw a sweep: its history, the importance of keys, learning curves, each trial's settings.

    Parameters
    ----------
    trials : DataFrame
        `trial`, `value` (null where there is none), `rounds` and `curve` (lists: the value after
        so many rounds) and `overrides` (a list of `key=value`), in order.
    importance : mapping
        Share of the variance of the values that each key explains; may be empty.
    chosen : int
        The chosen trial.
    lower_is_better : bool
        Which way is better.
    path : Path
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = trials.with_row_index("order").drop_nulls("value")
    drawn = [dict(word.split("=", 1) for word in words) for words in known["overrides"]]
    value = known["value"].to_numpy()
    keys = list(dict.fromkeys(key for one in drawn for key in one))
    keys = sorted(keys, key=lambda key: -importance.get(key, 0.0))[:_MOST]
    ours = int((known["trial"] == chosen).arg_max() or 0)
    figure = Figure(figsize=(12.0, 8.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 3, height_ratios=(1, 1.2))
    _history(figure.add_subplot(grid[0, 0]), known["order"].to_numpy(), value, lower_is_better)
    _importance(figure.add_subplot(grid[0, 1]), keys, importance)
    _curves(
        figure.add_subplot(grid[0, 2]), known["rounds"].to_list(), known["curve"].to_list(), ours
    )
    worth = -value if lower_is_better else value
    _parallel(figure.add_subplot(grid[1, :]), keys, drawn, worth, ours)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _history(panel: Any, order: Any, value: Any, lower_is_better: bool) -> None:
    best = np.minimum.accumulate(value) if lower_is_better else np.maximum.accumulate(value)
    panel.plot(order, value, "o", color=_GREY, markersize=4, label="trial")
    panel.step(order, best, where="post", color=_BLUE, label="best so far")
    panel.set_xlabel("trial")
    panel.set_ylabel("value")
    panel.legend(frameon=False)
    panel.spines[["top", "right"]].set_visible(False)


def _curves(
    panel: Any, rounds: Sequence[Sequence[int]], curves: Sequence[Sequence[float]], chosen: int
) -> None:
    """The value after so many rounds, one line a trial; the chosen one in orange."""
    panel.set_title("learning curves", fontsize=10)
    for trial, (steps, values) in enumerate(zip(rounds, curves, strict=True)):
        if trial != chosen:
            panel.plot(steps, values, color=_BLUE, alpha=0.3, linewidth=1.0)
    panel.plot(rounds[chosen], curves[chosen], "o-", color=_ORANGE, markersize=3, label="chosen")
    panel.set_xlabel("rounds")
    panel.spines[["top", "right"]].set_visible(False)
    if any(len(steps) > 1 for steps in rounds):
        panel.legend(frameon=False)
    else:
        panel.text(0.5, 0.5, "none are told", ha="center", transform=panel.transAxes)


def _importance(panel: Any, keys: Sequence[str], importance: Mapping[str, float]) -> None:
    panel.set_title("share of the spread that each explains", fontsize=10)
    shares = [importance.get(key, 0.0) for key in keys]
    panel.barh(range(len(keys)), shares, color=_BLUE)
    panel.set_yticks(range(len(keys)), keys, fontsize=8)
    panel.invert_yaxis()
    panel.set_xlim(0, 1)
    panel.spines[["top", "right"]].set_visible(False)
    if not importance:
        panel.text(0.5, 0.5, "too few trials to tell", ha="center", transform=panel.transAxes)


def _parallel(
    panel: Any, keys: Sequence[str], drawn: Sequence[Mapping[str, str]], worth: Any, chosen: int
) -> None:
    """One line a trial through its values; the better, the darker; the chosen one in orange."""
    places = np.array([[_place(key, one, drawn) for key in keys] for one in drawn])
    order = np.argsort(worth, kind="stable")
    order = np.append(order[order != chosen], chosen)  # drawn last, over the others
    for rank, trial in enumerate(order):
        best = trial == chosen
        panel.plot(
            range(len(keys)),
            places[trial],
            color=_ORANGE if best else _BLUE,
            alpha=1.0 if best else 0.08 + 0.5 * rank / len(order),
            linewidth=2.0 if best else 1.0,
            label="chosen" if best else None,
        )
    panel.set_xticks(range(len(keys)), keys, fontsize=8, rotation=15)
    panel.set_yticks([0, 1], ["lowest", "highest"])
    panel.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.08))
    panel.spines[["top", "right"]].set_visible(False)


def _place(key: str, one: Mapping[str, str], drawn: Sequence[Mapping[str, str]]) -> float:
    """Where a trial's value of a key stands among those of all trials, by rank from 0 to 1."""
    if key not in one:
        return float("nan")
    every = {other[key] for other in drawn if key in other}
    ranked = sorted(every, key=lambda text: (_number(text) is None, _number(text) or 0.0, text))
    return ranked.index(one[key]) / max(len(ranked) - 1, 1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
