"""What features are in words, for people who read why a row was alerted.

Words are made from the plan alone, never from a row: a key is named by its column ('this card'),
never by its value. Which features tell one fact, and count as one reason, is said here too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from fraudml.features.columns import ColumnFeature
from fraudml.features.history import HistoryFeature, in_words
from fraudml.features.settings import TimePart
from fraudml.features.texts import OWN, VALUE, Text, parse_text

if TYPE_CHECKING:
    from fraudml.features.plan import FittedFeatures


Reading = Literal["number", "money", "share", "category", "hour", "weekday", "flag"]


@dataclass(frozen=True)
class ReasonTemplate:
    """What one feature says, in words.

    Parameters
    ----------
    feature : str
        Its name.
    group : str
        The fact that it tells; features of one group count as one reason.
    text : Text
        What it says, with slots for the value and, where there is a `column`, for its own.
    missing : str
        What it says where the value is missing.
    reading : str
        How the value is written: a `category` is a code of `levels`, a `flag` is yes or no.
    otherwise : str, optional
        What a flag says where it is 0.
    levels : tuple of str
        The names of a category's codes.
    column : str, optional
        The table's column whose value `{own}` is.
    money : bool
        Whether `{own}` is an amount.
    """

    feature: str
    group: str
    text: Text
    missing: str
    reading: Reading = "number"
    otherwise: str | None = None
    levels: tuple[str, ...] = ()
    column: str | None = None
    money: bool = False


def reason_templates(
    features: FittedFeatures, amount: str | None = None
) -> tuple[ReasonTemplate, ...]:
    """Say in words what each feature of a plan is, in the order of the design matrix.

    Parameters
    ----------
    features : FittedFeatures
        The plan; its `texts` come before the words that are made here.
    amount : str, optional
        The column that is written as money.
    """
    own = [_of_column(feature, amount) for feature in features.own]
    clock = [_of_clock(part) for part in features.time_parts]
    derived = frozenset(features.history.names)
    past = [_of_past(feature, amount, derived) for feature in features.history.features]
    return tuple(
        _reworded(replace(template, feature=name), features.texts.get(name))
        for name, template in zip(features.names, (*own, *clock, *past), strict=True)
    )


def _reworded(template: ReasonTemplate, text: str | None) -> ReasonTemplate:
    if text is None:
        return template
    parts = parse_text(text)
    missing = "".join("missing" if part is VALUE else str(part) for part in parts)
    return replace(template, text=parts, missing=missing, otherwise=None, column=None)


def _of_column(feature: ColumnFeature, amount: str | None) -> ReasonTemplate:
    name = feature.column
    missing = f"{name} is missing"
    match feature.kind:
        case "category":
            text = (f"{name} is ", VALUE)
            return ReasonTemplate(name, name, text, missing, "category", levels=feature.levels)
        case "age":
            return ReasonTemplate(
                feature.name, feature.name, (VALUE, f" days since {name}"), missing
            )
        case "number":
            reading: Reading = "money" if name == amount else "number"
            return ReasonTemplate(name, name, (f"{name} is ", VALUE), missing, reading)


_DAY, _WEEK = "time of day", "day of the week"


def _of_clock(part: TimePart) -> ReasonTemplate:
    missing = "the time is missing"
    time, day = ("the time of day",), ("the day of the week",)
    day_of_month = ("the day of the month is ", VALUE)
    night, weekend = "it is not night", "it is not a weekend"
    templates: dict[TimePart, ReasonTemplate] = {
        "hour": ReasonTemplate(part, _DAY, ("the time is ", VALUE), missing, "hour"),
        "night": ReasonTemplate(part, _DAY, ("it is night",), missing, "flag", night),
        "hour_sin": ReasonTemplate(part, _DAY, time, missing),
        "hour_cos": ReasonTemplate(part, _DAY, time, missing),
        "weekday": ReasonTemplate(part, _WEEK, ("the day is ", VALUE), missing, "weekday"),
        "weekend": ReasonTemplate(part, _WEEK, ("it is a weekend",), missing, "flag", weekend),
        "weekday_sin": ReasonTemplate(part, _WEEK, day, missing),
        "weekday_cos": ReasonTemplate(part, _WEEK, day, missing),
        "day_of_month": ReasonTemplate(part, "day of the month", day_of_month, missing),
    }
    return templates[part]


def _of_past(
    feature: HistoryFeature, amount: str | None, derived: frozenset[str]
) -> ReasonTemplate:
    subject = feature.column or feature.partner
    of_subject = "" if subject is None else f" {subject}"
    group = f"{feature.kind.replace('_', ' ')}{of_subject} by {feature.key}"
    text, missing = _past_in_words(feature)
    template = ReasonTemplate(feature.name, group, text, missing)
    match feature.kind:
        case "first_seen":
            met = f"this {feature.key} has met this {feature.partner} before"
            return replace(template, reading="flag", otherwise=met)
        case "fraud_rate" | "recent_labels" | "frequency":
            shares = feature.kind != "fraud_rate" or feature.statistic == "rate"
            return replace(template, reading="share" if shares else "number")
        case "ratio" if feature.column not in derived:
            text = (f"{feature.column} ", OWN, " is ", *text[1:])
            money = feature.column == amount
            return replace(template, text=text, column=feature.column, money=money)
        case "aggregate":
            return replace(
                template, reading="money" if feature.column == amount is not None else "number"
            )
        case _:
            return template


def _past_in_words(feature: HistoryFeature) -> tuple[Text, str]:
    """What a look back says of a row, and what it says where there is nothing to look at."""
    span, key, owner = in_words(feature.window), f"this {feature.key}", f"this {feature.key}'s"
    column, partner, statistic = feature.column, feature.partner, feature.statistic
    text: Text
    missing = f"no earlier row of {key} in {span}"
    match feature.kind:
        case "aggregate":
            over = f"over {span}" if feature.present else f"in the {span} before"
            subject = "rows" if column is None else f"{statistic} of {column}"
            text = (f"{owner} {subject} {over}: ", VALUE)
        case "ratio":
            period = in_words(feature.window, joined=True)
            text = (f"{column} is ", VALUE, f" × {owner} {period} {statistic}")
        case "distinct":
            text = (f"different {partner} of {key} over {span}: ", VALUE)
        case "time_since":
            pair = "" if partner is None else f" with this {partner}"
            text = (VALUE, f" days since {owner} last row{pair}")
            missing = f"no row of {key}{pair} in the {span} before"
        case "first_seen":
            text = (f"{key} has not met this {partner} in the {span} before",)
            missing = f"{key} or this {partner} is missing"
        case "fraud_rate":
            text = (f"{owner} {_RISKS[str(statistic)]} over {span}: ", VALUE)
            missing = f"no label of {key} arrived over {span}"
        case "recent_labels":
            text = (VALUE, f" of {owner} last {feature.last} known labels are fraud")
            missing = f"no label of {key} is known"
        case "since_label":
            text = (VALUE, f" days since {owner} last row that is known as {statistic}")
            missing = f"no row of {key} is known as {statistic}"
        case "frequency":
            text = (f"{key} is ", VALUE, f" of all rows over {span}")
            missing = f"{key} is missing"
    return text, missing


_RISKS = {"rate": "known fraud rate", "frauds": "known frauds", "known": "known labels"}
