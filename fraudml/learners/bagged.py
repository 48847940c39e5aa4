"""LightGBM models, each on all frauds and a part of the legitimate rows, margins averaged.

docs/defaults.md has the measurements behind the defaults.
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

from fraudml.errors import DataError
from fraudml.learners.boosting import accept_early_end, unreadable
from fraudml.learners.lightgbm import FittedLightGBM, LightGBM, read_text
from fraudml.learners.losses import Loss
from fraudml.learners.parameters import Number, parameter
from fraudml.learners.protocol import FitContext, check_fit_rows
from fraudml.matrix import DesignMatrix
from fraudml.seeds import child_generator, child_seed

_log = logging.getLogger(__name__)

KIND = "bagged"
MODEL_FILE = "model_{}.txt"


@dataclass(frozen=True, init=False)
class BaggedLightGBM(LightGBM):
    """Settings of several LightGBM models whose margins are averaged.

    Each is fitted as `LightGBM` fits, on every fraud and on its own part of the legitimate rows;
    its margins are corrected for the share of them that it saw, so that their mean is on the scale
    of the log-odds. The parts are consecutive pieces of a shuffle of the legitimate rows. The
    parameters of `LightGBM` are those of each member.

    On the CPU the same rows, seed and version of LightGBM give the same model with any number of
    threads; more members leave those before them as they are.

    Examples
    --------
    >>> learner = BaggedLightGBM(n_members=3, num_leaves=15)
    >>> learner.n_members, learner.member.num_leaves
    (3, 15)
    """

    n_members: int = parameter(
        5,
        Number(1, whole=True),
        "Number of models; scoring takes as many times as long as with one.",
    )
    fraud_share: float = parameter(
        0.02,
        Number(0, 1, inclusive=False),
        "Share of frauds among the rows of a member, each row counted with its weight. Where "
        "frauds are no rarer, every member gets all rows, and the log says so.",
    )

    @property
    def member(self) -> LightGBM:
        """The settings of each member."""
        own = self.to_dict()
        del own["n_members"], own["fraud_share"]
        return LightGBM(**own)

    def fit(
        self, train: DesignMatrix, context: FitContext, *, rounds: int | None = None
    ) -> FittedBagged:
        """Fit one member after the other, each on a copy of its rows; see `Booster.fit`.

        Once the deadline has passed, the members that are complete are kept, with a warning in the
        log; the first one also with a tenth of its rounds.
        """
        check_fit_rows(train)
        member = self.placed(context).member
        wanted = self.max_rounds if rounds is None else rounds
        models: list[FittedLightGBM] = []
        offsets: list[float] = []
        for number, (part, share) in enumerate(self._parts(train, context.seed)):
            booster, done = member.boost(part, self._context_of(number, context), wanted)
            if done < wanted:
                if models:
                    break
                accept_early_end(done, wanted, self.rounds_key)
            models.append(member.fitted(booster, part, context.threads))
            offsets.append(_offset(share, part, train, context.loss))
            if done < wanted:
                break
        if len(models) < self.n_members:
            _log.warning(
                "Time budget exhausted: the model has %d of %d members. Raise budget.seconds for "
                "all of them.",
                len(models),
                self.n_members,
            )
        return FittedBagged(models, offsets)

    def _context_of(self, number: int, context: FitContext) -> FitContext:
        """The context of one member's fit."""

        def progress(stage: str, share: float) -> None:
            context.progress(stage, (number + share) / self.n_members)

        return replace(
            context,
            seed=child_seed(context.seed, f"booster {number}"),
            progress=progress,
            callback=None,  # it would be given the margins of one member after the other
            bins=None,  # each member has its own rows
        )

    def _parts(self, train: DesignMatrix, seed: int) -> Iterator[tuple[DesignMatrix, float]]:
        """The rows of each member, and the share of the legitimate weight among them."""
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
                "every member gets all of them.",
                self.fraud_share,
            )
        shuffled = child_generator(seed, "legitimate rows").permutation(legit)
        for start in range(0, self.n_members * size, size):
            chosen = shuffled.take(np.arange(start, start + size), mode="wrap")
            share = weight[chosen].sum() / weight[legit].sum()
            yield train.take(np.sort(np.concatenate([frauds, chosen]))), float(share)


class FittedBagged:
    """LightGBM models whose margins are averaged, an offset added to those of each."""

    kind = KIND

    def __init__(self, models: Sequence[FittedLightGBM], offsets: Sequence[float]) -> None:
        self.models = tuple(models)
        self.offsets = tuple(offsets)

    @property
    def rounds(self) -> int:
        """The number of boosting rounds of the longest member."""
        return max(model.rounds for model in self.models)

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        """Return the mean of the members' log-odds; see `FittedBooster.margin`."""
        return self._mean(
            model.margin(X, rounds) + offset
            for model, offset in zip(self.models, self.offsets, strict=True)
        )

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        """Return the mean of the members' Shapley values; see `FittedBooster.contributions`."""
        parts = self._mean(model.contributions(X) for model in self.models)
        parts[:, -1] += sum(self.offsets) / len(self.offsets)
        return parts

    def save(self, folder: Path) -> dict[str, Any]:
        """Write a text for each member; return the names of the columns, and the offsets."""
        for number, model in enumerate(self.models):
            model.write(folder / MODEL_FILE.format(number))
        return {"names": list(self.models[0].names), "offsets": list(self.offsets)}

    def _mean(self, parts: Iterable[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Add in order: a sum along an axis takes another order for a single row."""
        total: NDArray[np.float64] = reduce(np.add, parts)
        return total / len(self.models)


def load(files: Mapping[str, bytes], metadata: Mapping[str, Any], threads: int = 1) -> FittedBagged:
    """Read back what `FittedBagged.save` wrote; margins are the same bits.

    Raises
    ------
    BundleError
        A file is missing or no LightGBM model, or its columns are not those of the metadata.
    """
    try:
        offsets = [float(offset) for offset in metadata["offsets"]]
        if not offsets or not np.isfinite(offsets).all():
            raise ValueError(f"the offsets are {offsets}")
    except (KeyError, TypeError, ValueError) as error:
        raise unreadable(MODEL_FILE, error) from error
    names = [MODEL_FILE.format(number) for number in range(len(offsets))]
    return FittedBagged([read_text(files, name, metadata, threads) for name in names], offsets)


def _offset(share: float, part: DesignMatrix, train: DesignMatrix, loss: Loss | None) -> float:
    """What takes a member's margins to the scale of a model fitted on all rows.

    The prior correction for the share of legitimate rows that it saw (Dal Pozzolo et al. 2015).
    The scores of a loss of its own have no prior to correct: there it is the difference between
    the starting margins of the part and of all rows.
    """
    return math.log(share) if loss is None else loss.start(part) - loss.start(train)
