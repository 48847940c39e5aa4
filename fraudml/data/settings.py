"""What a user says about a table: where it is, how it is written, which column plays which role."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from fraudml.addresses import is_database, refuse_password, shown_address
from fraudml.errors import ConfigError, all_problems, listing

TimeUnit = Literal["ns", "us", "ms", "s", "m", "h", "d", "excel"]
NullLabel = Literal["unknown", "legitimate"]


@dataclass(frozen=True)
class ColumnRoles:
    """Which column plays which role; only `label` is required.

    Parameters
    ----------
    label : str
        1 or true for fraud, 0 or false for legitimate, or any two values with `data.positive`;
        null where it is not known.
    time : str, optional
        When the transaction happened.
    id, entity : str, optional
        The transaction's name; the card or customer behind it.
    amount : str, optional
        What is at stake, in money; a refund (at most 0) counts 0 in costs.
    label_time : str, optional
        When the label became known.
    group : str, optional
        A protected attribute, for the fairness table alone.
    categorical : tuple of str
        Columns whose values are names, whatever their type.
    exclude : tuple of str
        Columns kept out of features, artefacts and reports.
    label_delay : str, optional
        Instead of `label_time`, how long the label took: durations, or numbers of
        `data.label_unit`.
    """

    label: str = "label"
    time: str | None = None
    id: str | None = None
    entity: str | None = None
    amount: str | None = None
    label_time: str | None = None
    group: str | None = None
    categorical: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    label_delay: str | None = None

    def __post_init__(self) -> None:
        single = [self.label, self.time, self.id, self.entity, self.amount, self.group]
        arrival = [self.label_time, self.label_delay]
        taken = [name for name in (*single, *arrival, *self.exclude) if name is not None]
        twice = sorted({name for name in taken if taken.count(name) > 1})
        if twice:
            raise ConfigError(
                f"data.columns gives two roles to {listing(twice)}. A column plays one role; "
                "only 'categorical' may name one that has another."
            )
        if None not in arrival:
            raise ConfigError(
                f"data.columns.label_time is '{self.label_time}' and data.columns.label_delay "
                f"'{self.label_delay}'. Either says when labels arrive: set one of them to null."
            )

    @property
    def named(self) -> tuple[str, ...]:
        """Every column that has a role, in a stable order, once."""
        single = [self.label, self.time, self.id, self.entity, self.amount]
        more = [self.label_time, self.label_delay, self.group, *self.categorical, *self.exclude]
        return tuple(dict.fromkeys(name for name in (*single, *more) if name is not None))


def _one_character(text: str | None) -> bool:
    return text is not None and len(text) == 1 and text.isascii() and text not in "\r\n"


@dataclass(frozen=True)
class CsvSettings:
    """How a delimited text file is written.

    Parameters
    ----------
    separator : str, optional
        One character, or `tab`; by default a tab in `.tsv` files and a comma in all others.
    quote : str
        One character; empty where nothing is quoted.
    decimal_comma : bool, optional
        Whether 3,14 is a number; null where values that have one reading alone may tell.
    null_values : tuple of str
        Besides the empty field.
    encoding : str
        `utf8`, or any name that Python knows.
    time_format : str, optional
        As in strftime, for date-times that are not ISO 8601: `%d/%m/%Y %H:%M`.
    """

    separator: str | None = None
    quote: str = '"'
    decimal_comma: bool | None = None
    null_values: tuple[str, ...] = ("NA", "NaN", "nan", "NULL", "null", "None")
    encoding: str = "utf8"
    time_format: str | None = None

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in data.csv.", problems))

    def _problems(self) -> Iterator[str]:
        if self.separator not in {None, "tab"} and not _one_character(self.separator):
            yield f"data.csv.separator is '{self.separator}'. It is one ASCII character, or tab."
        if self.quote and not _one_character(self.quote):
            yield f"data.csv.quote is '{self.quote}'. It is one ASCII character, or empty."
        if self.decimal_comma and self.separator == ",":
            yield "data.csv.decimal_comma is true and data.csv.separator a comma. Set another one."
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            yield (
                f"data.csv.encoding is '{self.encoding}', which Python does not know. "
                "Expected a name such as utf8, latin-1, cp1252 or utf-16."
            )


@dataclass(frozen=True)
class SimulateSettings:
    """The built-in simulation: cards that buy at terminals, and three kinds of fraud.

    Parameters
    ----------
    rows, days, cards, terminals : int
        Size; `rows` is met exactly.
    prevalence : float
        Share of frauds, met to a few per cent.
    drift : float
        How strongly the patterns of fraud change at a moment, from 0 to 1.
    drift_date : str, optional
        That moment, as 2026-02-01; by default the middle of the time.
    seed : int
        The table's own seed: the same for every model seed.
    """

    rows: int = 200_000
    days: int = 90
    cards: int = 5_000
    terminals: int = 1_000
    prevalence: float = 0.005
    drift: float = 0.0
    drift_date: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rows", "days", "cards", "terminals"):
            if getattr(self, name) < 1:
                raise ConfigError(
                    f"data.simulate.{name} is {getattr(self, name)}. It is at least 1."
                )
        if not 0 < self.prevalence < 0.5:
            raise ConfigError(
                f"data.simulate.prevalence is {self.prevalence}. It lies between 0 and 0.5."
            )
        if not 0 <= self.drift <= 1:
            raise ConfigError(f"data.simulate.drift is {self.drift}. It lies between 0 and 1.")
        if self.drift_date is not None:
            try:
                datetime.fromisoformat(self.drift_date)
            except ValueError as error:
                raise ConfigError(
                    f"data.simulate.drift_date is '{self.drift_date}'. It is a date such as "
                    "2026-02-01; the simulated table starts on 2026-01-05."
                ) from error


@dataclass(frozen=True)
class DataSettings:
    """Where the table is and what its columns mean.

    Parameters
    ----------
    path : str, optional
        A Parquet, CSV or Arrow IPC file, a folder or a glob of them.
    uri : str, optional
        A PostgreSQL database instead, as `postgresql://host/database`; never with a password:
        PGPASSWORD is for that.
    query : str, optional
        The SELECT that gives the table, with an ORDER BY.
    simulate : SimulateSettings, optional
        Simulate the table instead of reading it.
    columns : ColumnRoles
        The roles.
    positive : str or int, optional
        Which of the label's two values is fraud, where it is not 1 or true.
    null_label : str
        What a label that is null means: `unknown` (not known, or not yet) or `legitimate`.
    label_unit : str, optional
        The unit of `label_delay`, or of a `label_time` that is a number where the time is none.
    label_time_unknown : tuple of str
        Values of `label_time` that mean 'not known', as 1900-01-01.
    time_unit : str, optional
        The unit of a time that is a number; by default seconds, where it looks like them.
    csv : CsvSettings
        How delimited text is written.
    labels_complete : bool
        Whether the labels of even the youngest rows have arrived.
    as_of : str, optional
        The moment at which the table was taken; by default the last time in it.
    keep_legit : float
        The share of legitimate rows to fit on; those kept weigh 1 / `keep_legit`.
    """

    path: str | None = None
    uri: str | None = None
    query: str | None = None
    simulate: SimulateSettings | None = None
    columns: ColumnRoles = field(default_factory=ColumnRoles)
    positive: str | int | None = None
    null_label: NullLabel = "unknown"
    label_unit: TimeUnit | None = None
    label_time_unknown: tuple[str, ...] = ()
    time_unit: TimeUnit | None = None
    csv: CsvSettings = field(default_factory=CsvSettings)
    labels_complete: bool = False
    as_of: str | None = None
    keep_legit: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.keep_legit <= 1:
            raise ConfigError(
                f"data.keep_legit is {self.keep_legit}. It is a share above 0, at most 1."
            )
        refuse_password(self.path, "data.path")
        refuse_password(self.uri, "data.uri")
        if self.uri is not None and not is_database(self.uri):
            raise ConfigError(
                f"data.uri is '{shown_address(self.uri)}'. It is like postgresql://host/database; "
                "files are data.path."
            )
        if (self.uri is None) != (self.query is None):
            raise ConfigError("data.uri and data.query go together: set both, or none.")

    @property
    def place(self) -> str:
        """Where the table is, as messages say it."""
        return str(self.path) if self.uri is None else shown_address(self.uri)
