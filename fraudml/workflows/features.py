"""Features: the table that a model would see, to look at or to use elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset
from fraudml.errors import DataError, listing
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.machine import granted_threads
from fraudml.pipeline.components import build_components
from fraudml.progress import Progress, silent
from fraudml.records.table import output_path, write_output


@dataclass(frozen=True)
class FeatureTable:
    """What was written.

    Parameters
    ----------
    path : str
        The file.
    rows : int
        How many there are.
    features : FittedFeatures
        What was made.
    """

    path: str
    rows: int
    features: FittedFeatures

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        rows = list(self.features.explained())
        days = self.features.history_needed / 86_400
        rows.append(("history needed", f"{days:g} days before a row"))
        rows.append(("written to", self.path))
        return f"{len(self.features.names)} features of {self.rows:,} rows", rows


def run(settings: Settings, *, progress: Progress = silent) -> FeatureTable:
    """Run the command: compute the features of every row, and write them to `output`.

    The columns are the id (without one `row`), the time and the label as they came, then the
    features as float64; categories stand by their names, so that nothing is learnt from any row.

    Parameters
    ----------
    settings : Settings
        The table and the plan.
    progress : Progress
        Whom to tell where it is.
    """
    path = output_path(settings)
    costs = build_components(settings).costs
    progress("read", 0.0)
    dataset = check_table(load_table(settings.data, names=settings.features.keys), settings.data)
    progress("read", 1.0)
    progress("features", 0.0)
    features = fit_features(
        dataset,
        np.arange(len(dataset)),
        settings.features,
        label_delay=settings.backtest.delay(settings.split),
        never=frozenset(costs.columns),
    )
    table = _table(dataset, features, settings.threads or granted_threads())
    progress("features", 1.0)
    write_output(table, path, settings)
    return FeatureTable(str(path), table.height, features)


def _table(dataset: Dataset, features: FittedFeatures, threads: int) -> pl.DataFrame:
    roles = dataset.schema.roles
    named = [name for name in (roles.id, roles.time, roles.label) if name is not None]
    first = dataset.frame.select(named)
    if roles.id is None:
        first = first.insert_column(0, dataset.facts["row"])
    made = features.transform(dataset, threads=threads, by_name=True)
    if twice := sorted(set(first.columns) & set(made.columns)):
        raise DataError(
            f"{listing(twice)} would stand twice: as id, time or label, and as a feature. Rename "
            "the feature under features.rename."
        )
    return pl.concat([first, made], how="horizontal")
