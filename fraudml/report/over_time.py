"""A backtest over time: average precision and alerts, fold after fold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

_TITLES = {"average_precision": "average precision", "alerts_per_day": "alerts per day"}
_COLOURS = ("#1f5fa8", "#c2571a")


def plot_over_time(table: pl.DataFrame, path: Path) -> None:
    """Draw one panel a metric, one line a model, with intervals as bars.

    Parameters
    ----------
    table : DataFrame
        `model`, `start`, `metric`, `value`, `low`, `high`, `baseline`; as a backtest records them.
    path : Path
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 6.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(_TITLES), 1, sharex=True)
    for panel, (metric, title) in zip(panels, _TITLES.items(), strict=True):
        _draw(panel, table.filter(pl.col("metric") == metric))
        panel.set_ylabel(title)
        panel.set_ylim(bottom=0.0)
        panel.grid(axis="y", color="#dddddd", linewidth=0.7)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, loc="lower left")
    panels[-1].set_xlabel("first transaction of the test period")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _draw(panel: Any, table: pl.DataFrame) -> None:
    starts = table["start"].unique(maintain_order=True).to_list()
    models = table["model"].unique(maintain_order=True).to_list()
    for number, model in enumerate(models):
        lines = table.filter(pl.col("model") == model)
        shift = 0.06 * (number - (len(models) - 1) / 2)
        places = [starts.index(start) + shift for start in lines["start"]]
        value = lines["value"].to_numpy()
        colour = _COLOURS[number % len(_COLOURS)]
        panel.plot(places, value, marker="o", color=colour, label=model)
        known = lines.with_columns(place=pl.Series(places)).drop_nulls(["value", "low", "high"])
        panel.vlines(known["place"], known["low"], known["high"], color=colour, linewidth=1.2)
    baseline = table.filter(pl.col("model") == models[0])["baseline"]
    if baseline.null_count() == 0:
        panel.plot(range(len(starts)), baseline, color="#777777", linestyle=":", label="chance")
    panel.set_xticks(range(len(starts)), [start[:10] for start in starts])
