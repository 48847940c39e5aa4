"""A bundle that scores tables in memory, and single rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fraudml.bundle import DecisionBundle, read_bundle
from fraudml.data.check import conform_table
from fraudml.data.frames import as_polars
from fraudml.data.schema import Dataset
from fraudml.errors import DataError, listing
from fraudml.matrix import DesignMatrix
from fraudml.openmp import warn_of_spinning
from fraudml.scoring.reasons import check_reasons, explain_rows, reason_columns
from fraudml.scoring.single_row import SingleRow


@dataclass(frozen=True)
class Scorer:
    """A bundle that scores tables.

    Parameters
    ----------
    bundle : DecisionBundle
        What decides.
    """

    bundle: DecisionBundle

    def score(self, frame: Any, history: Any = None, *, reasons: int = 0) -> pl.DataFrame:
        """Score the rows of a table, in their order, each by itself and what came before it.

        Parameters
        ----------
        frame : polars or pandas DataFrame
            The columns that the model was trained on, by name. Labels are not needed; where they
            are in the table, features that look at known labels see those that had arrived.
        history : polars or pandas DataFrame, optional
            Earlier rows for features that look back, with their labels as far as they are known,
            null elsewhere; `bundle.features.history_needed` seconds of it are enough. Rows of
            the table itself are in each other's past already, and must not be here too.
        reasons : int
            How many reasons an alert is given.

        Returns
        -------
        DataFrame
            The id column under its own name (without one `row`, from 0), `score` (Float64, the
            calibrated probability), `alert` (Boolean), `threshold` (Float64; infinite where an
            alert cannot pay), and `reason_1` and on (String; null without an alert, and where
            nothing more contributes to fraud).

        Raises
        ------
        ConfigError
            Reasons are asked for, and the learner has none.
        DataError
            Columns are missing (all are named), an amount or a time cannot be read, or the id is
            named as a column of the scores.
        """
        bundle, (table, X) = self.bundle, self._read(frame, history)
        decisions = bundle.decide(table, X)
        alert = decisions.alert
        scores = {"score": decisions.p, "alert": alert, "threshold": decisions.threshold}
        columns: dict[str, Any] = dict(scores)
        if reasons:
            columns |= reason_columns(bundle, table, X, alert, reasons)
        ids = self._ids(table)
        if ids.name in columns:
            raise DataError(
                f"column '{ids.name}' is the id, and a column of the scores has that name. "
                "Rename it before training and scoring."
            )
        return pl.DataFrame({ids.name: ids, **columns})

    def explain(
        self,
        frame: Any,
        history: Any = None,
        *,
        rows: Sequence[int] | None = None,
        most: int = 3,
    ) -> pl.DataFrame:
        """Return what contributes most to fraud, row by row; takes as long as a hundred scores.

        Parameters
        ----------
        frame, history
            As in `score`.
        rows : sequence of int, optional
            Positions in the table, each once; by default the alerts.
        most : int
            How many reasons a row at most.

        Returns
        -------
        DataFrame
            One row a reason: the id under its own name (without one `row`), `rank` (from 1),
            `group` (of features), `feature` (the one of the group that contributes most), `value`
            (as people write it, null where missing), `contribution` (of the group, in log-odds,
            above 0) and `text`.

        Raises
        ------
        ConfigError
            The learner has no reasons.
        DataError
            As `score`, or a row that the table does not have.
        """
        bundle, (table, X) = self.bundle, self._read(frame, history)
        check_reasons(bundle)
        if rows is None:
            chosen = np.flatnonzero(bundle.decide(table, X).alert)
        else:
            chosen = np.asarray(rows, dtype=np.int64)
            if len(np.unique(chosen)) < len(chosen) or ((chosen < 0) | (chosen >= len(X))).any():
                raise DataError(
                    f"rows are {listing(rows)}. Expected positions from 0 to {len(X) - 1}, each "
                    "once."
                )
        reasons, ids = explain_rows(bundle, table, X, chosen, most), self._ids(table)
        named = reasons.with_columns(ids.gather(reasons["row"]).alias("row"))
        return named.rename({"row": ids.name})

    def _read(self, frame: Any, history: Any) -> tuple[Dataset, DesignMatrix]:
        rows, bundle = as_polars(frame), self.bundle
        schema, looks_at_labels = bundle.schema, bundle.features.history.uses_labels
        has_labels = looks_at_labels and schema.roles.label in rows.columns
        table = conform_table(rows, schema, bundle.needed_columns, labelled=has_labels)
        earlier = None
        if history is not None and bundle.needed_history:
            earlier = conform_table(
                as_polars(history), schema, bundle.needed_history, labelled=looks_at_labels
            )
        return table, bundle.features.matrix(table, history=earlier)

    def _ids(self, table: Dataset) -> pl.Series:
        name = table.schema.roles.id
        return table.facts["row"] if name is None else table.frame[name]

    def score_one(self, row: Mapping[str, Any], history: Any = None) -> dict[str, Any]:
        """Score one row for a service: the same bits as in a table, on one thread.

        Plain values (numbers, names, date-times, ISO 8601) and features of the row alone take some
        tenths of a millisecond; everything else is scored as a table. Threads may share a scorer.

        Parameters
        ----------
        row : mapping
            The columns that the model was trained on, by name; None is missing.
        history : polars or pandas DataFrame, optional
            As in `score`.

        Returns
        -------
        dict
            The id under its own name where there is one, `score`, `alert` and `threshold`.

        Raises
        ------
        DataError
            As `score`.
        """
        decision = None
        if self.bundle.needed_columns <= row.keys():
            decision = self._single_row.decide(row)
        if decision is None:
            frame = pl.DataFrame({name: [value] for name, value in row.items()})
            scored = self.score(frame, history).row(0, named=True)
            if self.bundle.schema.roles.id is None:
                del scored["row"]
            return scored
        name = self.bundle.schema.roles.id
        score, alert, threshold = decision
        named = {name: row[name]} if name is not None and name in row else {}
        return {**named, "score": score, "alert": alert, "threshold": threshold}

    @cached_property
    def _single_row(self) -> SingleRow:
        return SingleRow(self.bundle)


def load_bundle(path: str | Path, threads: int = 1) -> Scorer:
    """Read a bundle, check every byte of it, and return its scorer.

    Parameters
    ----------
    path : path
        The bundle's folder.
    threads : int
        How many threads to score with; one row always takes one.

    Raises
    ------
    BundleError
        The bundle is damaged or unknown.
    """
    warn_of_spinning(threads)
    return Scorer(read_bundle(path, threads))
