"""Boosters of LightGBM, each on all frauds and a part of the legitimate rows, margins averaged.

How the defaults were found is told in docs/defaults.md.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraudml.errors import BundleError, ConfigError, DataError, all_problems
from fraudml.learners.boosting import accept_early_end
from fraudml.learners.lightgbm import FittedLightGBM, LightGBM, read_model
from fraudml.learners.losses import Loss
from fraudml.learners.protocol import FitContext, check_fit_rows, log_device_changes
from fraudml.matrix import DesignMatrix
from fraudml.progress import Progress
from fraudml.seeds import child_generator, child_seed

_log = logging.getLogger(__name__)

KIND = "bagged"
MODEL_FILE = "model_{}.txt"


@dataclass(frozen=True, init=False)
class BaggedLightGBM:
    """Settings of boosters whose margins are averaged.

    Each is fitted as `LightGBM` fits, on every fraud and on its own part of the legitimate rows,
    and its margins are corrected for the share of them that it saw: their mean is on the scale of
    the log-odds. The parts are cut one after the other from a shuffle of the rows.

    Parameters
    ----------
    n_members : int
        How many; a score costs as many times that of one.
    fraud_share : float
        The share of frauds that a booster sees, each row counted with its weight. Where frauds
        are no rarer, every booster sees all rows, and the log says so.
    member : LightGBM, optional
        The settings of each booster, where they are at hand; for `dataclasses.replace`.
    **parameters
        Those of `LightGBM`, laid over `member`.

    Raises
    ------
    ConfigError
        What `LightGBM` refuses, or a value out of range: all of them at once.

    Examples
    --------
    >>> learner = BaggedLightGBM(n_members=3, num_leaves=15)
    >>> learner.n_members, learner.member.num_leaves
    (3, 15)
    """

    n_members: int
    fraud_share: float
    member: LightGBM

    def __init__(
        self,
        *,
        n_members: int = 5,
        fraud_share: float = 0.02,
        member: LightGBM | None = None,
        **parameters: Any,
    ) -> None:
        problems = _wrong_values(n_members, fraud_share)
        try:
            base = {} if member is None else member.to_dict()
            object.__setattr__(self, "member", LightGBM(**base | parameters))
        except ConfigError as error:
            problems.append(str(error))
        if problems:
            raise ConfigError(all_problems(f"{len(problems)} problems in learner.", problems))
        object.__setattr__(self, "n_members", n_members)
        object.__setattr__(self, "fraud_share", fraud_share)

    devices = LightGBM.devices
    rounds_key = LightGBM.rounds_key

    def on(self, device: str, *, deterministic: bool = False) -> BaggedLightGBM:
        """Return the learner as it runs on a device; see `LightGBM.on`."""
        member = self.member.on(device, deterministic=deterministic)
        return self if member is self.member else replace(self, member=member)

    @property
    def max_rounds(self) -> int:
        """How many rounds each booster makes where nothing else is said."""
        return self.member.max_rounds

    def to_dict(self) -> dict[str, Any]:
        """Return all parameters; `BaggedLightGBM(**…)` makes an equal learner."""
        own = {"n_members": self.n_members, "fraud_share": self.fraud_share}
        return own | self.member.to_dict()

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        rounds: int | None = None,
    ) -> FittedBagged:
        """Fit one booster after the other, each on a copy of its rows.

        On the CPU the same rows, seed and version of LightGBM give the same model, whatever the
        threads; more boosters leave those before them as they are.

        Parameters
        ----------
        train : DesignMatrix
            With labels of both classes.
        context : FitContext
            Seed, threads, device, deadline, progress.
        rounds : int, optional
            How many rounds each booster makes, instead of `num_iterations`.

        Raises
        ------
        BudgetError
            The deadline passed before a tenth of the first booster's rounds. Later, what is whole
            is kept, with a warning in the log.
        ConfigError
            LightGBM refuses a parameter, or the device is not there.
        DataError
            No feature, one class only, a weight that is negative or not finite, or a class
            without any weight.
        """
        check_fit_rows(train)
        member = self.member.on(context.device)
        log_device_changes(self.member, member, context.device)
        wanted = self.max_rounds if rounds is None else rounds
        models: list[FittedLightGBM] = []
        offsets: list[float] = []
        for number, (part, share) in enumerate(self._parts(train, context.seed)):
            own = replace(
                context,
                seed=child_seed(context.seed, f"booster {number}"),
                progress=_reporting(context.progress, number, self.n_members),
                watch=None,  # it would see one booster after the other
                bins=None,  # each has rows of its own
            )
            model, done = member.fit_in_time(part, own, wanted)
            if done < wanted and models:
                break
            models.append(model)
            offsets.append(_offset(share, part, train, context.loss))
            if done < wanted:
                accept_early_end(done, wanted, "num_iterations")
                break
        if len(models) < self.n_members:
            _log.warning(
                "The time was over: the model has %d of %d boosters. Raise budget.seconds for all "
                "of them.",
                len(models),
                self.n_members,
            )
        return FittedBagged(models, offsets)

    def _parts(self, train: DesignMatrix, seed: int) -> Iterator[tuple[DesignMatrix, float]]:
        """The rows of each booster, and the share of the legitimate weight among them."""
        weight = np.ones(len(train)) if train.weight is None else train.weight
        frauds, legit = (np.flatnonzero((train.y == label) & (weight > 0)) for label in (1, 0))
        if not len(frauds) or not len(legit):
            raise DataError(
                f"All {'frauds' if not len(frauds) else 'legitimate rows'} of the fit have the "
                "weight 0. Check the weighting settings and what they are computed from."
            )
        odds = (1 - self.fraud_share) / self.fraud_share
        size = max(1, round(float(weight[frauds].sum() * odds / weight[legit].mean())))
        if size >= len(legit):
            size = len(legit)
            _log.warning(
                "learner.fraud_share is %g, and frauds are no rarer among the rows of the fit: "
                "every booster sees all of them.",
                self.fraud_share,
            )
        shuffled = child_generator(seed, "legitimate rows").permutation(legit)
        for start in range(0, self.n_members * size, size):
            chosen = shuffled.take(np.arange(start, start + size), mode="wrap")
            share = weight[chosen].sum() / weight[legit].sum()
            yield train.take(np.sort(np.concatenate([frauds, chosen]))), float(share)


class FittedBagged:
    """Boosters whose margins are averaged.

    Parameters
    ----------
    models : sequence of FittedLightGBM
        At least one, of the same columns.
    offsets : sequence of float
        What is added to the margins of each.
    """

    kind = KIND

    def __init__(self, models: Sequence[FittedLightGBM], offsets: Sequence[float]) -> None:
        self.models = tuple(models)
        self.offsets = tuple(offsets)

    @property
    def rounds(self) -> int:
        """How many boosting rounds there are: those of the longest booster."""
        return max(model.rounds for model in self.models)

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return the log-odds of fraud, one float64 a row: the mean of the boosters'.

        Parameters
        ----------
        X : DesignMatrix
            The columns of the fit, in their order.
        rounds : int, optional
            Use only the first rounds of each booster, at least 1; more than there are means all.

        Raises
        ------
        DataError
            Other columns than those of the fit.
        """
        return self._mean(
            model.margin(X, rounds) + offset
            for model, offset in zip(self.models, self.offsets, strict=True)
        )

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return the mean of the boosters' Shapley values, shape (n_rows, n_features + 1).

        A row sums to its margin up to rounding; the last column is the base, the same in each row.
        """
        parts = self._mean(model.contributions(X) for model in self.models)
        parts[:, -1] += sum(self.offsets) / len(self.offsets)
        return parts

    def save(self, folder: Path) -> dict[str, Any]:
        """Write a text for each booster; return the names of the columns, and the offsets."""
        for number, model in enumerate(self.models):
            model.write(folder / MODEL_FILE.format(number))
        return {"names": list(self.models[0].names), "offsets": list(self.offsets)}

    def _mean(self, parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Add one by one: a sum along an axis takes another order for a single row."""
        total: NDArray[np.float64] = reduce(np.add, parts)
        return total / len(self.models)


def load(folder: Path, facts: Mapping[str, Any], threads: int = 1) -> FittedBagged:
    """Read back what `FittedBagged.save` wrote; margins are the same bits.

    Parameters
    ----------
    folder : Path
        Holds the boosters' texts.
    facts : mapping
        What `save` returned.
    threads : int
        How many threads to score with.

    Raises
    ------
    BundleError
        A file is missing or is no model of LightGBM's, or its columns are not those of the facts.
    """
    try:
        offsets = [float(offset) for offset in facts["offsets"]]
        if not offsets or not np.isfinite(offsets).all():
            raise ValueError(f"the offsets are {offsets}")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"Cannot read '{folder}': {error!r}. Write the bundle again.") from error
    paths = [folder / MODEL_FILE.format(number) for number in range(len(offsets))]
    return FittedBagged([read_model(path, facts, threads) for path in paths], offsets)


def _wrong_values(n_members: Any, fraud_share: Any) -> list[str]:
    problems = []
    if not isinstance(n_members, int) or isinstance(n_members, bool) or n_members < 1:
        problems.append(f"learner.n_members is {n_members!r}. It is a whole number from 1.")
    if not isinstance(fraud_share, (int, float)) or not 0 < fraud_share < 1:
        problems.append(f"learner.fraud_share is {fraud_share!r}. It is above 0 and below 1.")
    return problems


def _offset(share: float, part: DesignMatrix, train: DesignMatrix, loss: Loss | None) -> float:
    """What takes a booster's margins to the scale that one of all rows would have.

    Prior correction by the legitimate rows that it saw (Dal Pozzolo et al. 2015); for a loss of its
    own, whose scores have no prior to correct, where it started from beside where all rows would.
    """
    return math.log(share) if loss is None else loss.start(part) - loss.start(train)


def _reporting(progress: Progress, done: int, n_members: int) -> Progress:
    def report(stage: str, share: float) -> None:
        progress(stage, (done + share) / n_members)

    return report
