"""The out-of-fold engine: who sees what, and when rounds are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fraudml.errors import ConfigError
from fraudml.evaluation.out_of_fold import OutOfFold, RoundsSettings, out_of_fold
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.protocol import FitContext
from fraudml.matrix import FIRST_LEVEL_CODE, UNSEEN_CODE, DesignMatrix
from fraudml.metrics import average_precision
from fraudml.recipe import Recipe
from fraudml.split import Fold
from fraudml.weighting import ClassWeight

CONTEXT = FitContext(seed=5)
NEVER = RoundsSettings(choose=False)


@dataclass(frozen=True)
class Seen:
    """A fit: the rows that it saw, and those that it scored, by their number in column 0."""

    fit: list[int]
    seed: int
    rounds: int | None
    scored: list[tuple[list[int], int | None]] = field(default_factory=list)
    codes: list[list[int]] = field(default_factory=list)


@dataclass(frozen=True)
class SpyModel:
    """Margins that say which fit gave them and at how many rounds they are best."""

    seen: Seen
    best: int | None
    kind: str = "spy"
    rounds: int | None = None

    def margin(self, X: DesignMatrix, rounds: int | None = None) -> NDArray[np.float64]:
        number = X.values[:, 0].astype(np.int64)
        self.seen.scored.append((number.tolist(), rounds))
        self.seen.codes.append(X.values[:, 1].astype(np.int64).tolist())
        right = rounds == self.best
        return np.where((X.values[:, 2] == 1) == right, 1.0, 0.0) + number * 1e-6

    def contributions(self, X: DesignMatrix) -> NDArray[np.float64]:
        raise AssertionError("nobody asks")

    def save(self, folder: Path) -> dict[str, Any]:
        raise AssertionError("nobody asks")


@dataclass(frozen=True)
class Spy:
    """A learner that writes down what it was fitted on."""

    max_rounds: int | None = None
    best: int | None = None
    fits: list[Seen] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {}

    def fit(
        self,
        train: DesignMatrix,
        context: FitContext,
        *,
        valid: DesignMatrix | None = None,
        rounds: int | None = None,
    ) -> SpyModel:
        assert valid is None
        context.progress("fit", 0.5)
        seen = Seen(train.values[:, 0].astype(np.int64).tolist(), context.seed, rounds)
        self.fits.append(seen)
        return SpyModel(seen, self.best)


def matrix(size: int = 100) -> DesignMatrix:
    """Column 0 numbers the rows, column 1 is a category that changes, column 2 the label."""
    rows = np.arange(size)
    label = (rows % 5 == 0).astype(np.int8)
    codes = FIRST_LEVEL_CODE + rows // 25
    values = np.column_stack([rows, codes, label]).astype(np.float32)
    return DesignMatrix(values, ("row", "code", "label"), categorical=(1,), label=label)


def forward(size: int = 100, gap: int = 3) -> list[Fold]:
    return [
        Fold(np.arange(start - gap), np.arange(start, min(start + 20, size)))
        for start in range(40, size, 20)
    ]


def scored_by(spy: Spy, folds: Sequence[Fold], rounds: RoundsSettings = NEVER) -> OutOfFold:
    return out_of_fold(matrix(), folds, Recipe(spy), CONTEXT, rounds)


def test_each_step_sees_its_fit_rows_and_scores_its_own() -> None:
    spy, folds = Spy(), forward()
    made = scored_by(spy, folds)
    assert [seen.fit for seen in spy.fits] == [fold.fit.tolist() for fold in folds]
    assert [seen.scored for seen in spy.fits] == [[(fold.score.tolist(), None)] for fold in folds]
    assert made.rows.tolist() == list(range(40, 100))
    assert made.step.tolist() == [0] * 20 + [1] * 20 + [2] * 20


def test_steps_that_come_in_any_order_give_the_same() -> None:
    made, again = scored_by(Spy(), forward()), scored_by(Spy(), forward()[::-1])
    for name in ("rows", "margin", "step"):
        assert getattr(made, name).tobytes() == getattr(again, name).tobytes()


def test_scores_stand_beside_their_rows_where_steps_are_mixed() -> None:
    rows = np.random.default_rng(0).permutation(100)
    folds = [Fold(np.sort(rows[k::4]), np.sort(rows[(k + 1) % 4 :: 4])) for k in range(4)]
    made = scored_by(Spy(), folds)
    assert made.rows.tolist() == list(range(100))
    assert made.margin == pytest.approx((np.arange(100) % 5 == 0) + np.arange(100) * 1e-6)
    first = sorted(folds, key=lambda fold: fold.score[0])
    assert all((made.step[fold.score] == i).all() for i, fold in enumerate(first))


def test_every_step_has_the_seed_of_the_final_fit() -> None:
    spy = Spy()
    scored_by(spy, forward())
    Recipe(spy).fit(matrix(), CONTEXT)
    assert len({seen.seed for seen in spy.fits}) == 1


def test_a_step_without_rows_to_score_is_left_out() -> None:
    spy = Spy()
    made = scored_by(spy, [*forward(), Fold(np.arange(50), np.arange(0))])
    assert len(spy.fits) == 3
    assert made.rows.tolist() == list(range(40, 100))


def test_a_category_that_the_fit_rows_lack_is_unseen() -> None:
    spy = Spy()
    scored_by(spy, [Fold(np.arange(25), np.arange(20, 60))])
    assert spy.fits[0].codes == [[FIRST_LEVEL_CODE] * 5 + [UNSEEN_CODE] * 35]


def test_the_margin_is_corrected_for_the_prior() -> None:
    recipe = Recipe(Spy(), weighting=ClassWeight(4.0))
    made = out_of_fold(matrix(), forward(), recipe, CONTEXT, NEVER)
    assert made.margin == pytest.approx(scored_by(Spy(), forward()).margin - np.log(4))


def test_progress_runs_from_0_to_1_once() -> None:
    told: list[tuple[str, float]] = []
    context = FitContext(progress=lambda stage, share: told.append((stage, share)))
    out_of_fold(matrix(), forward(), Recipe(Spy()), context, NEVER)
    assert told == [("out-of-fold scores", pytest.approx((i + 0.5) / 3)) for i in range(3)]


@pytest.mark.parametrize("best", [20, 40])
def test_rounds_are_those_of_the_best_average_precision(best: int) -> None:
    spy = Spy(max_rounds=40, best=best)
    made = scored_by(spy, forward(), RoundsSettings(min_frauds=12))
    assert made.rounds == best
    assert max(made.tried, key=made.tried.__getitem__) == best
    assert made.tried[best] == 1
    assert all(seen.scored[-1][1] == best for seen in spy.fits)
    assert average_precision(matrix().y[made.rows], made.margin) == 1


def test_too_few_frauds_choose_no_rounds() -> None:
    spy = Spy(max_rounds=40, best=20)
    made = scored_by(spy, forward(), RoundsSettings(min_frauds=13))  # there are 12
    assert made.rounds == 40
    assert made.tried == {}
    assert [seen.scored[0][1] for seen in spy.fits] == [None] * 3


@pytest.mark.parametrize("spy", [Spy(), Spy(max_rounds=40, best=20)])
def test_rounds_are_left_alone_where_nobody_asks(spy: Spy) -> None:
    made = scored_by(spy, forward(), NEVER)
    assert made.rounds == spy.max_rounds
    assert made.tried == {}


def test_a_learner_without_rounds_gets_none() -> None:
    assert scored_by(Spy(), forward(), RoundsSettings(min_frauds=1)).rounds is None


def test_of_equally_good_numbers_of_rounds_the_smaller_is_taken() -> None:
    made = scored_by(Spy(max_rounds=40, best=7), forward(), RoundsSettings(min_frauds=1))
    assert len(set(made.tried.values())) == 1
    assert made.rounds == min(made.tried)


def test_what_comes_later_moves_no_earlier_score() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, 3)).astype(np.float32)
    label = (values[:, 0] + rng.normal(size=600) > 1).astype(np.int8)
    folds = [Fold(np.arange(start), np.arange(start, start + 100)) for start in (300, 400, 500)]
    recipe = Recipe(LightGBM(num_iterations=10, min_data_in_leaf=5))

    def scores(label: NDArray[np.int8]) -> NDArray[np.float64]:
        table = DesignMatrix(values, ("a", "b", "c"), label=label)
        return out_of_fold(table, folds, recipe, CONTEXT, NEVER).margin

    changed = label.copy()
    changed[400:] = 1 - changed[400:]
    one, other = scores(label), scores(changed)
    assert one[:200].tobytes() == other[:200].tobytes()
    assert (one[200:] != other[200:]).any()


def test_at_least_one_fraud_chooses() -> None:
    with pytest.raises(ConfigError, match=r"rounds\.min_frauds"):
        RoundsSettings(min_frauds=0)
