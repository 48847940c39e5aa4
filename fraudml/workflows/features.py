"""Features: the table that a model would see, to look at or to use elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.schema import Dataset
from fraudml.errors import DataError, listing
from fraudml.features.plan import FittedFeatures, fit_features
from fraudml.machine import thread_count
from fraudml.pipeline.components import build_components
from fraudml.pipeline.load import table_of
from fraudml.progress import Progress, silent, stage
from fraudml.records.output import output_path, write_output
from fraudml.records.table import ClosingTable, closing_table


@dataclass(frozen=True)
class FeatureTable:
    """What was written: the file, how many rows, and the features."""

    path: str
    rows: int
    features: FittedFeatures

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        days = self.features.history_needed / 86_400
        rows = [*self.features.explained(), ("history needed", f"{days:g} days before a row")]
        title = f"{len(self.features.names)} features of {self.rows:,} rows"
        return closing_table(title, rows, folder=self.path)


def run(settings: Settings, *, progress: Progress = silent) -> FeatureTable:
    """Run the command: compute the features of every row, and write them to `output`.

    The columns are the id (without one `row`), the time and the label as they came, then the
    features as float64; categories stand by their names, so that nothing is learnt from any row.
    """
    path = output_path(settings)
    costs = build_components(settings).costs
    with stage(progress, "read"):
        dataset = check_table(table_of(settings)(), settings.data)
    with stage(progress, "features"):
        features = fit_features(
            dataset,
            np.arange(len(dataset)),
            settings.features,
            label_delay=settings.backtest.delay(settings.split),
            never=frozenset(costs.columns),
        )
        table = _table(dataset, features, thread_count(settings.threads))
    write_output(table, path, settings)
    return FeatureTable(str(path), table.height, features)


def _table(dataset: Dataset, features: FittedFeatures, threads: int) -> pl.DataFrame:
    roles = dataset.schema.roles
    columns = [name for name in (roles.id, roles.time, roles.label) if name is not None]
    raw = dataset.frame.select(columns)
    if roles.id is None:
        raw = raw.insert_column(0, dataset.facts["row"])
    computed = features.transform(dataset, threads=threads, by_name=True)
    if twice := sorted(set(raw.columns) & set(computed.columns)):
        raise DataError(
            f"{listing(twice)} would stand twice: as id, time or label, and as a feature. Rename "
            "the feature under features.rename."
        )
    return pl.concat([raw, computed], how="horizontal")
