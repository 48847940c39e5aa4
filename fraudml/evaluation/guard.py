"""The guard: a model that is no better than the majority class gets no bundle."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from fraudml.errors import ConfigError


@dataclass(frozen=True)
class GuardSettings:
    """When a model is refused.

    Parameters
    ----------
    margin : float
        The lower bound of average precision must exceed this many times the prevalence. Of 200
        shuffles of the labels with 75 frauds 5 % pass at 1, none at 1.25.
    level : float
        Confidence of that one-sided bound.
    """

    margin: float = 1.25
    level: float = 0.95

    def __post_init__(self) -> None:
        if not 1 <= self.margin < inf:
            raise ConfigError(f"guard.margin is {self.margin}. It is at least 1, and finite.")
        if not 0.5 <= self.level < 1:
            raise ConfigError(f"guard.level is {self.level}. It lies in [0.5, 1).")


@dataclass(frozen=True)
class Verdict:
    """Whether a model may be kept, and the reasons where it may not."""

    passed: bool
    reasons: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {"passed": self.passed, "reasons": list(self.reasons)}


def judge(
    *,
    average_precision_bound: float,
    prevalence: float,
    alerts: int,
    rows: int,
    settings: GuardSettings,
    cost: float | None = None,
    trivial_cost: float | None = None,
    unmet: str | None = None,
) -> Verdict:
    """Judge a model by its test block.

    The bound is one-sided, and the prevalence is the average precision of a random score. `cost`
    and `trivial_cost` (of the cheaper of alerting never and always) are given where the user set
    costs and the policy uses them; `unmet` is the constraint that the policy does not meet.

    Examples
    --------
    >>> judge(average_precision_bound=0.2, prevalence=0.01, alerts=5, rows=1000,
    ...       settings=GuardSettings()).passed
    True
    """
    reasons = []
    if not average_precision_bound > settings.margin * prevalence:
        reasons.append(
            f"average precision is at least {average_precision_bound:.4g} with "
            f"{settings.level:.0%} confidence, and a random score reaches {prevalence:.4g}: it "
            f"must exceed {settings.margin:g} times that (guard.margin)"
        )
    if alerts == 0:
        reasons.append("the policy alerts no row: it predicts the majority class")
    if alerts == rows:
        reasons.append("the policy alerts every row")
    if cost is not None and trivial_cost is not None and not cost < trivial_cost:
        reasons.append(
            f"the policy costs {cost:,.2f}, and the cheaper of alerting never and always "
            f"{trivial_cost:,.2f}"
        )
    if unmet is not None:
        reasons.append(f"{unmet} (policy.unmet=closest would keep the model)")
    return Verdict(not reasons, tuple(reasons))
