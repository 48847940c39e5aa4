"""Column roles, and the table that has been checked against them.

What comes after the border trusts a `Dataset`; whether a table is what the settings say is decided
in `check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from fraudml.data.names import Spelling, names_of, ordered_codes
from fraudml.data.numbers import Style
from fraudml.data.settings import ColumnRoles, NullLabel, TimeUnit


@dataclass(frozen=True)
class Schema:
    """What the columns of a table mean; goes into the bundle.

    Parameters
    ----------
    roles : ColumnRoles
        Which column plays which role; a role that the table does not fill is None.
    positive : str, optional
        The label's value that is fraud, where it is not 1 or true.
    time_unit : str
        The unit of a time that is a number.
    numeric_time : bool
        Whether the time is a number, and moments are written as such.
    dated : bool
        Whether such numbers are dates: counted from 1970, or Excel's.
    time_format : str, optional
        How a time that is text is written, where it is not ISO 8601.
    spelling : Spelling
        How keys, ids, categories and label words are read.
    label_words : tuple, optional
        The label's two words, legitimate first; None for the first means that null is legitimate.
        Bundles of format 1 have none.
    null_label : str
        What a label that is null means: `unknown` or `legitimate`.
    label_unit : str, optional
        The unit of a `label_delay` that is a number, or of a `label_time` that is one where the
        time is none.
    label_time_unknown : tuple of str
        Values of `label_time` that mean 'not known'.
    money : mapping
        Columns that are money as text, and how each is written: see `data.numbers`.
    label_days : bool
        Whether `label_time` is a day, on a clock with hours: the label is known when it is over.
    """

    roles: ColumnRoles
    positive: str | int | None = None
    time_unit: TimeUnit = "s"
    numeric_time: bool = False
    dated: bool = False
    time_format: str | None = None
    spelling: Spelling = field(default_factory=Spelling)
    label_words: tuple[str | None, str] | None = None
    null_label: NullLabel = "unknown"
    label_unit: TimeUnit | None = None
    label_time_unknown: tuple[str, ...] = ()
    label_days: bool = False
    money: Mapping[str, Style] = field(default_factory=dict)

    @property
    def calendar(self) -> bool:
        """Whether times have dates, and so hours and weekdays."""
        return self.dated or not self.numeric_time

    @property
    def never_features(self) -> frozenset[str]:
        """The columns that are never features as they stand."""
        roles = self.roles
        named = (roles.id, roles.entity, roles.time, roles.group, *self._of_label, *roles.exclude)
        return frozenset(name for name in named if name is not None)

    @property
    def secret(self) -> frozenset[str]:
        """The columns that nothing is made of: not known in time, or not to be used."""
        roles = self.roles
        named = (roles.id, roles.group, *self._of_label, *roles.exclude)
        return frozenset(name for name in named if name is not None)

    @property
    def _of_label(self) -> tuple[str | None, ...]:
        return self.roles.label, self.roles.label_time, self.roles.label_delay

    def number_unit(self, column: str) -> TimeUnit | None:
        """Return the unit of a column of moments that are numbers; None where they are dates."""
        roles = self.roles
        if self.numeric_time and column in (roles.time, roles.label_time):
            return self.time_unit
        return self.label_unit if column == roles.label_time else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON; `from_dict` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Schema:
        """Make a schema from what `to_dict` gave."""
        roles = dict(content["roles"])
        for name in ("categorical", "exclude"):
            roles[name] = tuple(roles[name])
        spelling, words = Spelling(**content["spelling"]), content["label_words"]
        return cls(
            **{
                **content,
                "roles": ColumnRoles(**roles),
                "spelling": replace(spelling, missing=tuple(spelling.missing)),
                "label_words": None if words is None else (words[0], words[1]),
                "label_time_unknown": tuple(content.get("label_time_unknown", ())),
            }
        )


def upgrade_schema(old: dict[str, Any]) -> dict[str, Any]:
    """Give the schema of a bundle of format 1 the rules by which its values were read.

    Parameters
    ----------
    old : dict
        What `Schema.to_dict` gave then; it is not changed.
    """
    return {**old, "spelling": {"rule": 1, "missing": []}, "label_words": None}


@dataclass(frozen=True)
class Dataset:
    """A checked table in the order of its clock.

    Parameters
    ----------
    frame : DataFrame
        The columns as they came, without the excluded ones, sorted by time (ties: as they came).
    facts : DataFrame
        The roles in one form, in the same order: `row` (position in the input, Int64), `label`
        (Int8, null = not known), `time` and `label_time` (Datetime('us'), UTC; null without the
        role), `amount` (Float64, null without the role).
    schema : Schema
        What the columns mean.
    """

    frame: pl.DataFrame
    facts: pl.DataFrame
    schema: Schema

    def __len__(self) -> int:
        return self.facts.height

    @property
    def has_time(self) -> bool:
        """Whether there is a clock."""
        return self.schema.roles.time is not None

    @property
    def label(self) -> NDArray[np.int8]:
        """Labels: 1 fraud, 0 legitimate, -1 not known."""
        return self.facts["label"].fill_null(-1).to_numpy()

    @property
    def amount(self) -> NDArray[np.float64] | None:
        """What is at stake on each row, at least 0 (a refund counts 0); NaN where not known."""
        if self.schema.roles.amount is None:
            return None
        amount: NDArray[np.float64] = self.facts["amount"].cast(pl.Float64).to_numpy()
        return np.maximum(amount, 0.0)

    def names(self, column: str) -> pl.Series:
        """Return a column's values as names; null where there is none."""
        return names_of(self.frame[column], self.schema.spelling)

    def entity_codes(self) -> NDArray[np.int64] | None:
        """Return a whole number a card, from 0; a row without one is a card of its own."""
        return self._entity_codes

    @cached_property
    def _entity_codes(self) -> NDArray[np.int64] | None:
        if self.schema.roles.entity is None:
            return None
        codes = ordered_codes(self.frame[self.schema.roles.entity], self.schema.spelling)
        alone = pl.int_range(len(codes), eager=True) + len(codes)
        return codes.fill_null(alone).to_numpy()

    def take(self, rows: NDArray[np.int64]) -> Dataset:
        """Select rows by position."""
        return replace(self, frame=self.frame[rows], facts=self.facts[rows])
