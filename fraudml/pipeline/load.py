"""From a source to a checked table with its fingerprint."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.fingerprint import fingerprint
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset
from fraudml.data.settings import DataSettings
from fraudml.progress import Progress, stage

Read = Callable[[], pl.DataFrame]
"""Reads a table when it is called, so that nothing holds it longer than it is needed."""


def table_of(settings: Settings) -> Read:
    """Return what reads the table that the settings name."""
    return lambda: load_table(settings.data, names=settings.features.keys)


def load_frame(read: Read, progress: Progress) -> tuple[pl.DataFrame, str]:
    """Read a table and compute its fingerprint."""
    with stage(progress, "read"):
        table = read()
    return table, fingerprint(table)


def load_dataset(read: Read, data: DataSettings, progress: Progress) -> tuple[Dataset, str]:
    """Read a table, compute its fingerprint, and check it against its roles."""
    table, table_hash = load_frame(read, progress)
    return check_table(table, data), table_hash
