"""How often a precision floor that was tuned on few frauds is violated, and what recall it leaves.

    python scripts/simulate_precision_floor.py [--runs 500] [--floor 0.5] [--confidence 0.95]

Each run draws tuning rows from a scorer whose precision is known at every threshold, tunes on them,
and asks for the true precision and recall of the threshold. Scorers: `falling`, whose best recall
at the floor is .45; `plateau`, whose highest alerts are a plateau of a precision .02 under the
floor, so that every threshold is a violation. Cards: none, or three transactions each whose scores
and labels go together. Beside it: the lowest threshold whose sample precision keeps the floor, as
is usual. Recall is the mean over all runs; one that found no threshold counts 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import record
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

from fraudml.decisions.constraints import PrecisionFloor
from fraudml.decisions.costs import CostMatrix
from fraudml.decisions.policies import NEVER, TuningRows

Floats = NDArray[np.float64]

PREVALENCE = 0.005
RECALL = 0.45
"""What the falling scorer could reach at the floor."""
ROWS_A_CARD = 3
ALIKE = 0.7
"""Share of a score's variance that the rows of a card have in common."""
PLATEAU = 0.3
"""Share of the frauds on the plateau."""


@dataclass(frozen=True)
class Scorer:
    """A scorer whose truth is known.

    Parameters
    ----------
    draw : callable
        From a generator and a number of rows to scores, labels and cards.
    precision, recall : callable
        Of a threshold.
    """

    draw: Callable[[np.random.Generator, int, bool], tuple[Floats, NDArray[np.int8]]]
    precision: Callable[[float], float]
    recall: Callable[[float], float]


def _effects(rng: np.random.Generator, rows: int, cards: bool) -> Floats:
    """Standard normal numbers, alike on a card."""
    if not cards:
        return rng.standard_normal(rows)
    shared = np.repeat(rng.standard_normal(rows // ROWS_A_CARD), ROWS_A_CARD)
    return np.asarray(np.sqrt(ALIKE) * shared + np.sqrt(1 - ALIKE) * rng.standard_normal(rows))


def _labels(rng: np.random.Generator, rows: int, cards: bool, share: float) -> NDArray[np.int8]:
    """Labels of a share; a card's are all the same."""
    if not cards:
        return (rng.random(rows) < share).astype(np.int8)
    return np.repeat(rng.random(rows // ROWS_A_CARD) < share, ROWS_A_CARD).astype(np.int8)


def falling(floor: float) -> Scorer:
    """Normal scores of both classes, so far apart that the best recall at the floor is `RECALL`."""
    odds = PREVALENCE / (1 - PREVALENCE)
    cut = float(ndtri(1 - odds * RECALL * (1 - floor) / floor))
    ahead = cut - float(ndtri(1 - RECALL))

    def precision(threshold: float) -> float:
        caught, wrong = odds * ndtr(ahead - threshold), ndtr(-threshold)
        return float(caught / (caught + wrong)) if caught + wrong else 1.0

    def draw(rng: np.random.Generator, rows: int, cards: bool) -> tuple[Floats, NDArray[np.int8]]:
        label = _labels(rng, rows, cards, PREVALENCE)
        return _effects(rng, rows, cards) + ahead * label, label

    return Scorer(draw, precision, lambda threshold: float(ndtr(ahead - threshold)))


def plateau(floor: float) -> Scorer:
    """Above 0 a precision just under the floor, whatever the threshold; below, few frauds."""
    level = floor - 0.02
    alerts = PREVALENCE * PLATEAU / level
    rest = PREVALENCE * (1 - PLATEAU) / (1 - alerts)

    def draw(rng: np.random.Generator, rows: int, cards: bool) -> tuple[Floats, NDArray[np.int8]]:
        high = _labels(rng, rows, cards, alerts) == 1
        label = np.where(
            high, _labels(rng, rows, cards, level), _labels(rng, rows, cards, rest)
        ).astype(np.int8)
        size = np.abs(_effects(rng, rows, cards)) + 1e-9
        return np.where(high, size, -size), label

    def recall(threshold: float) -> float:
        return float(PLATEAU * 2 * ndtr(-threshold)) if threshold > 0 else 1.0

    return Scorer(draw, lambda threshold: level if threshold > 0 else PREVALENCE, recall)


def _lowest(rows: TuningRows, keeps: Callable[[Floats, Floats], NDArray[np.bool_]]) -> float:
    order = np.argsort(-rows.p_fraud, kind="stable")
    hits, alerts = np.cumsum(rows.y_true[order], dtype=np.float64), np.arange(1.0, len(order) + 1)
    good = np.flatnonzero(keeps(hits, alerts))
    return float(rows.p_fraud[order[good[-1]]]) if len(good) else NEVER


@dataclass(frozen=True)
class Outcome:
    """Shares of the runs that were violated and that found nothing, and the mean recall."""

    violated: float
    none: float
    recall: float


def simulate(
    scorer: Scorer, *, frauds: int, cards: bool, floor: float, confidence: float, runs: int
) -> dict[str, Outcome]:
    """Tune on many draws; return each method's outcome."""
    size = round(frauds / PREVALENCE / ROWS_A_CARD) * ROWS_A_CARD
    entity = np.arange(size) // ROWS_A_CARD if cards else None
    nothing = np.zeros(size)
    costs = CostMatrix(nothing, nothing, nothing, nothing)
    outcomes: dict[str, list[tuple[float, float]]] = {}
    for run in range(runs):
        score, label = scorer.draw(np.random.default_rng([frauds, cards, run]), size, cards)
        if not label.any():
            continue
        rows = TuningRows(expit(score), label, costs, entity=entity)
        for name, threshold in _tuned(rows, floor, confidence).items():
            at = np.inf if threshold >= NEVER else float(np.log(threshold / (1 - threshold)))
            truth = (scorer.precision(at), scorer.recall(at)) if np.isfinite(at) else (np.nan, 0.0)
            outcomes.setdefault(name, []).append(truth)
    return {name: _outcome(np.array(truths), floor) for name, truths in outcomes.items()}


def _tuned(rows: TuningRows, floor: float, confidence: float) -> dict[str, float]:
    policy = PrecisionFloor(floor, confidence, unmet="closest").tune(rows)
    assert policy.constraint is not None
    assert policy.threshold is not None
    return {
        "fixed sequence": policy.threshold if policy.constraint.met else NEVER,
        "sample value": _lowest(rows, lambda hits, alerts: hits >= floor * alerts),
    }


def _outcome(truth: Floats, floor: float) -> Outcome:
    none = np.isnan(truth[:, 0])
    violated = truth[:, 0] < floor - 1e-9
    return Outcome(float(violated.mean()), float(none.mean()), float(truth[:, 1].mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--floor", type=float, default=0.5)
    parser.add_argument("--confidence", type=float, default=0.95)
    record.add_option(parser)
    arguments = parser.parse_args()
    with record.recording(__file__, __doc__, arguments) as figures:
        _print_table(arguments, figures)


def _print_table(arguments: argparse.Namespace, figures: record.Figures) -> None:
    print("| scorer | cards | frauds | method | violated | none found | recall |")
    print("|---|---|---|---|---|---|---|")
    for name, make in SCORERS.items():
        for cards in (False, True):
            for frauds in (60, 200):
                outcomes = simulate(
                    make(arguments.floor),
                    frauds=frauds,
                    cards=cards,
                    floor=arguments.floor,
                    confidence=arguments.confidence,
                    runs=arguments.runs,
                )
                for method, outcome in outcomes.items():
                    values = f"{outcome.violated:.3f} | {outcome.none:.3f} | {outcome.recall:.3f}"
                    kind = f"{ROWS_A_CARD} a card" if cards else "no"
                    print(f"| {name} | {kind} | {frauds} | {method} | {values} |", flush=True)
                    case = f"{name}, cards: {kind}, {frauds} frauds, {method}"
                    figures.add(f"{case}, violated", outcome.violated, "share")
                    figures.add(f"{case}, recall", outcome.recall, "recall")


SCORERS: dict[str, Callable[[float], Scorer]] = {"falling": falling, "plateau": plateau}

if __name__ == "__main__":
    main()
