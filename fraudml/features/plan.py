"""The feature plan, fitted: the table's own columns, the clock, and the rows before.

Features are float64 and depend on the row, its past and what was learnt on the fit block, never on
what comes later. `FittedFeatures` turns into JSON and back; training and scoring run it alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.schema import Dataset
from fraudml.errors import ConfigError, DataError, all_problems, listing, nearest
from fraudml.features.columns import (
    ColumnFeature,
    Kind,
    fit_columns,
    free_name,
    refuse_text,
    time_part,
    with_sources,
)
from fraudml.features.history import HistoryPlan, plan_history
from fraudml.features.settings import FeatureSettings, HistoryKind, TimePart
from fraudml.features.texts import check_texts
from fraudml.features.timeline import Timeline
from fraudml.features.windows import Floats
from fraudml.matrix import DesignMatrix

_log = logging.getLogger(__name__)

_CHUNK = 500_000


@dataclass(frozen=True)
class FittedFeatures:
    """Features that have learnt their categories; the same for training and scoring.

    Parameters
    ----------
    own : tuple of ColumnFeature
        What columns become by themselves, first in the design matrix.
    time_parts : tuple of str
        The parts of the clock that follow them.
    history : HistoryPlan
        What is made from the rows before, last.
    rename : mapping
        Names of features, where others are wanted.
    history_needed : float
        How many seconds of history before a row its features look at.
    texts : mapping
        What features say as reasons, where other words are wanted than `words` makes.
    """

    own: tuple[ColumnFeature, ...]
    time_parts: tuple[TimePart, ...] = ()
    history: HistoryPlan = field(default_factory=HistoryPlan)
    rename: Mapping[str, str] = field(default_factory=dict)
    history_needed: float = 0.0
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        names: list[str] = []
        own = (feature.name for feature in self.own)
        for name in (*own, *self.time_parts, *self.history.names):
            names.append(free_name(self.rename.get(name, name), names))
        return tuple(names)

    @property
    def categorical(self) -> tuple[int, ...]:
        """Positions of the features that are codes."""
        return tuple(i for i, feature in enumerate(self.own) if feature.kind == "category")

    @property
    def uses_time(self) -> bool:
        """Whether a row needs a time."""
        ages = any(feature.kind == "age" for feature in self.own)
        return bool(self.time_parts or self.history.features) or ages

    @property
    def columns(self) -> frozenset[str]:
        """The table's columns that the features are made from."""
        return frozenset(feature.column for feature in self.own) | self.history.columns

    def explained(self) -> Iterator[tuple[str, str]]:
        """Name each feature, and say in words what it is made of."""
        kinds = {"number": "column {}", "category": "category {}", "age": "days from {} to the row"}
        texts = [kinds[feature.kind].format(feature.column) for feature in self.own]
        texts += ["the row's time"] * len(self.time_parts)
        texts += [feature.explained() for feature in self.history.features]
        yield from zip(self.names, texts, strict=True)

    def transform(
        self,
        table: Dataset,
        history: Dataset | None = None,
        *,
        threads: int = 1,
        by_name: bool = False,
    ) -> pl.DataFrame:
        """Compute the features of each row of a table.

        Parameters
        ----------
        table : Dataset
            The rows, in any order; theirs is kept. They are in each other's past too.
        history : Dataset, optional
            Earlier rows, with their labels as far as they are known; none of the table's own.
        threads : int
            How many keys are looked at side by side.
        by_name : bool
            Whether categories stand by their names, whatever was learnt, instead of codes.

        Returns
        -------
        DataFrame of Float64
            One row a row, one column a feature; null is missing, a category is a code.

        Raises
        ------
        DataError
            A column that was a number in the fit is none here, or a date cannot be read.
        """
        own = self._transform_own(table)
        if by_name:
            own = own.with_columns(_names_of(table, own, self.own))
        history_values = np.full((len(self.history.features), len(table)), np.nan)
        self._look_back(table, history, history_values.__setitem__, threads)
        columns = [
            *own.iter_columns(),
            *(pl.Series(values).fill_nan(None) for values in history_values),
        ]
        named = zip(self.names, columns, strict=True)
        return pl.DataFrame([column.alias(name) for name, column in named])

    def matrix(
        self,
        table: Dataset,
        rows: NDArray[np.int64] | None = None,
        history: Dataset | None = None,
        *,
        history_values: NDArray[np.float32] | None = None,
        threads: int = 1,
    ) -> DesignMatrix:
        """Compute the features and lay them out for a learner, without labels.

        Rows are transformed in pieces, and what looks back column by column, so that the float64
        features of the whole table never stand beside the float32 matrix.

        Parameters
        ----------
        table : Dataset
            The rows.
        rows : ndarray of int64, optional
            Which rows, increasing; all by default. The others are in their past all the same.
        history : Dataset, optional
            As in `transform`.
        history_values : ndarray of float32, optional
            What `compute_history` gave for this table, where it has been computed already.
        threads : int
            As in `transform`.
        """
        rows = np.arange(len(table)) if rows is None else rows
        values = np.empty((len(rows), len(self.names)), dtype=np.float32)
        first = len(self.own) + len(self.time_parts)
        for start in range(0, len(rows), _CHUNK):
            piece = rows[start : start + _CHUNK]
            own = self._transform_own(_piece(table, piece))
            values[start : start + len(piece), :first] = own.cast(pl.Float32).to_numpy()

        def put(position: int, column: Floats) -> None:
            values[:, first + position] = column[rows]

        if history_values is None:
            self._look_back(table, history, put, threads)
        else:
            values[:, first:] = history_values[rows]
        return DesignMatrix(values, self.names, self.categorical)

    def compute_history(
        self, table: Dataset, history: Dataset | None = None, *, threads: int = 1
    ) -> NDArray[np.float32]:
        """Compute what is made from the rows before, for every row of a table.

        It depends on the plan and the table, not on the rows of a fit: folds share it.

        Parameters
        ----------
        table, history, threads
            As in `transform`.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_history_features)
            NaN is missing.
        """
        history_values = np.empty((len(table), len(self.history.features)), dtype=np.float32)

        def put(position: int, column: Floats) -> None:
            history_values[:, position] = column

        self._look_back(table, history, put, threads)
        return history_values

    def _transform_own(self, table: Dataset) -> pl.DataFrame:
        source = with_sources(table, self.own)
        own = [feature.expression() for feature in self.own]
        # Two of one name may meet here; `names` tells them apart.
        columns = [*own, *(time_part(part) for part in self.time_parts)]
        named = [column.alias(str(i)) for i, column in enumerate(columns)]
        return source.select(named) if named else pl.DataFrame(height=len(table))

    def _look_back(
        self,
        table: Dataset,
        history: Dataset | None,
        put: Callable[[int, Floats], None],
        threads: int,
    ) -> None:
        if not self.history.features:
            return
        for rows in (table,) if history is None else (history, table):
            refuse_text(rows.frame[name] for name in sorted(self.history.numbers))
        both = table if history is None else together(history, table, self.history)
        earlier = len(both) - len(table)
        Timeline(both, self.history).compute(
            lambda position, values: put(position, values[earlier:]), threads
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return {
            "own": [asdict(feature) | {"levels": list(feature.levels)} for feature in self.own],
            "time_parts": list(self.time_parts),
            "history": self.history.to_dict(),
            "rename": dict(self.rename),
            "history_needed": self.history_needed,
            "texts": dict(self.texts),
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> FittedFeatures:
        """Make features from what `to_dict` gave.

        Raises
        ------
        ValueError
            A feature is of a kind that this fraudml does not know.
        ConfigError
            As `check_texts`.
        """
        features = cls(
            tuple(
                ColumnFeature(**{**feature, "levels": tuple(feature["levels"])})
                for feature in content["own"]
            ),
            tuple(content["time_parts"]),
            HistoryPlan.from_dict(content["history"]),
            content["rename"],
            content["history_needed"],
            content.get("texts", {}),  # the first bundles have none
        )
        _refuse_unknown((feature.kind for feature in features.own), Kind)
        _refuse_unknown(features.time_parts, TimePart)
        _refuse_unknown((feature.kind for feature in features.history.features), HistoryKind)
        check_texts(features.texts, features.names)
        return features


def _refuse_unknown(kinds: Iterable[str], known: Any) -> None:
    if unknown := [kind for kind in kinds if kind not in get_args(known)]:
        raise ValueError(f"no features are of the kind {listing(unknown)}")


def _names_of(
    table: Dataset, codes: pl.DataFrame, features: tuple[ColumnFeature, ...]
) -> list[pl.Series]:
    """The names of categories in the place of their codes."""
    return [
        table.names(feature.column).alias(position)
        for position, feature in zip(codes.columns, features, strict=False)
        if feature.kind == "category"
    ]


def together(history: Dataset, table: Dataset, plan: HistoryPlan) -> Dataset:
    """Put earlier rows before a table's own, with the columns alone that are looked back on.

    Parameters
    ----------
    history, table : Dataset
        Earlier rows, and rows. A name is the same name whatever its type, a number float64.
    plan : HistoryPlan
        What is looked back on.
    """
    frames = [
        pl.DataFrame(
            [
                rows.frame[name].cast(pl.Float64) if name in plan.numbers else rows.names(name)
                for name in sorted(plan.columns)
            ]
        )
        for rows in (history, table)
    ]
    facts = pl.concat([history.facts, table.facts.select(history.facts.columns)])
    return Dataset(pl.concat(frames), facts, table.schema)


def _piece(table: Dataset, rows: NDArray[np.int64]) -> Dataset:
    if len(rows) and int(rows[-1]) - int(rows[0]) + 1 == len(rows):
        first, count = int(rows[0]), len(rows)
        return Dataset(
            table.frame.slice(first, count), table.facts.slice(first, count), table.schema
        )
    return table.take(rows)


def fit_features(
    dataset: Dataset,
    rows: NDArray[np.int64],
    settings: FeatureSettings,
    *,
    label_delay: timedelta = timedelta(0),
    never: frozenset[str] = frozenset(),
) -> FittedFeatures:
    """Decide what each column becomes, and learn its categories from the rows of the fit block.

    Numbers and booleans stay as they are; text, and what is named categorical, becomes codes; other
    dates become days before the row's time. Columns that name (nearly) every row, text with more
    than `max_levels` levels, and columns with one value are left out, and said. What looks back
    learns nothing: it is the same for every fit block of a table.

    Parameters
    ----------
    dataset : Dataset
        The table.
    rows : ndarray of int64
        The development window.
    settings : FeatureSettings
        What to make.
    label_delay : timedelta
        How long a label takes to arrive where the table does not say.
    never : frozenset of str
        Columns that are no features for a reason outside the table, such as costs.

    Raises
    ------
    ConfigError
        As `plan_history`; or a look names the label, an id, a protected attribute or a cost, or
        `rename` or `texts` a feature that is not made.
    DataError
        A column that is named is not there, or of the wrong type, or no column is left that varies.
    """
    schema, frame = dataset.schema, dataset.frame
    history = plan_history(settings, schema, label_delay)
    _refuse_secrets(history, schema.secret | never)
    _check_named(settings, history, frame)
    out = schema.never_features | never | {*settings.keys, *settings.drop}
    own = fit_columns(_piece(dataset, rows).frame, schema, settings, out)
    calendar = dataset.has_time and schema.calendar
    time_parts = settings.time_parts if calendar else ()
    if not own and not time_parts and not history.features:
        raise DataError(
            f"No column is left to learn from: each of the {frame.width} columns has a role, one "
            f"value alone in the {len(rows):,} rows of the development window, or names every row. "
            "Bring columns that vary, or check data.columns and features.drop."
        )
    labels_have_times = schema.roles.label_time is not None
    needed = history.needed(labels_have_times=labels_have_times)
    features = FittedFeatures(own, time_parts, history, settings.rename, needed, settings.texts)
    _check_renamed(features)
    check_texts(settings.texts, features.names)
    _say_keyless(dataset)
    _say_what_is_short(dataset, history)
    return features


def _refuse_secrets(history: HistoryPlan, secret: frozenset[str]) -> None:
    if named := sorted(history.columns & secret):
        raise ConfigError(
            f"features.history looks at {listing(named)}, which is the label, its time, an id, a "
            "protected attribute or a cost: none of these is ever a feature. Leave it out. Labels "
            "are looked at as they arrive, by the kinds fraud_rate, recent_labels and since_label."
        )


def _check_named(settings: FeatureSettings, history: HistoryPlan, frame: pl.DataFrame) -> None:
    named = [("keys", name) for name in settings.keys]
    named += [("drop", name) for name in settings.drop]
    known = {name for _, name in named}
    named += [("history", name) for name in sorted(history.columns - known)]
    problems = [
        f"features.{key} names column '{name}', which is not in the table. "
        f"{nearest(name, frame.columns)} Correct it under features.{key}."
        for key, name in named
        if name not in frame.columns
    ]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns are missing.", problems))
    problems = [
        f"features.history makes statistics of column '{name}', which is of type "
        f"{frame[name].dtype}. Expected a number. Convert it at the source, or look at another."
        for name in sorted(history.numbers)
        if not (frame[name].dtype.is_numeric() or frame[name].dtype == pl.Boolean)
    ]
    if problems:
        raise DataError(all_problems(f"{len(problems)} columns are no numbers.", problems))


def _check_renamed(features: FittedFeatures) -> None:
    own = (feature.name for feature in features.own)
    names = {*own, *features.time_parts, *features.history.names}
    problems = [
        f"features.rename has '{name}', and no feature is called so. {nearest(name, names)}"
        for name in features.rename
        if name not in names
    ]
    if problems:
        raise ConfigError(all_problems(f"{len(problems)} names are unknown.", problems))


def _say_keyless(dataset: Dataset) -> None:
    name = dataset.schema.roles.entity
    if name is not None and (empty := dataset.names(name).null_count()):
        _log.info(
            "%s of %s rows have no '%s': each stands alone, and what looks back on it is missing.",
            f"{empty:,}",
            f"{len(dataset):,}",
            name,
        )


def _say_what_is_short(dataset: Dataset, history: HistoryPlan) -> None:
    if not history.features:
        return
    first, last = dataset.facts["time"].min(), dataset.facts["time"].max()
    span = (last - first).total_seconds()  # type: ignore[operator, union-attr]
    longest = max(feature.window for feature in history.features) / 1e6
    if longest > span:
        _log.info(
            "The longest look back is %.3g days, and the table %.3g days long: no row sees more.",
            longest / 86_400,
            span / 86_400,
        )
