"""Measure how often intervals hold the truth, on cards whose transactions are not independent.

Samples of 2,000 cards with about 11 transactions each are drawn from one population. A compromised
card has several frauds, which the model finds or misses together, of amounts that are alike. From
each sample .95 intervals of average precision, of recall and of savings at a fixed threshold are
made, by cards and by rows; the truth is that of 400,000 cards. Coverage is the share of the samples
whose interval holds it.

    python scripts/simulate_intervals.py [--samples 1000] [--replicates 1000]

By cards it should be .91 to .98 with 120 compromised cards, and at least .88 with 30.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import record

from fraudml.metrics import Clusters, ScoredRows, bootstrap, choose_clusters, measure

METRICS = ("average_precision", "recall", "savings")
CARDS = 2_000
TRUTH_CARDS = 400_000
REVIEW = 10.0
ALERT_FROM = 2.5


@dataclass(frozen=True)
class Coverage:
    """How one kind of interval fared.

    Parameters
    ----------
    compromised : int
        How many compromised cards a sample has on average.
    metric : str
        What the interval is of.
    drawn : str
        What was drawn: cards or rows.
    truth : float
        The value in the population.
    share : float
        Of the samples whose interval holds the truth.
    below, above : float
        Of the samples whose interval lies wholly below the truth, and above it.
    width : float
        Mean width of the intervals.
    """

    compromised: int
    metric: str
    drawn: str
    truth: float
    share: float
    below: float
    above: float
    width: float


def sample(cards: int, share: float, random: np.random.Generator) -> ScoredRows:
    """Draw cards, each compromised with a chance, and score their transactions."""
    compromised = random.random(cards) < share
    rows = 1 + random.poisson(10, cards)
    entity = np.repeat(np.arange(cards), rows)
    chance = np.where(compromised, random.beta(2, 3, cards), 0.0)
    fraud = random.random(len(entity)) < chance[entity]
    visibility = random.normal(2.5, 1.0, cards)
    habit = random.normal(0.0, 0.5, cards)
    score = random.normal(0.0, 0.8, len(entity)) + habit[entity] + fraud * visibility[entity]
    taste = random.normal(3.5, 0.6, cards)
    amount = np.exp(taste[entity] + random.normal(0.0, 0.7, len(entity)) + fraud)
    return ScoredRows(
        fraud,
        y_score=score,
        alert=score > ALERT_FROM,
        amount=amount,
        entity=entity,
        tp_cost=REVIEW,
        fp_cost=REVIEW,
        fn_cost=amount,
        tn_cost=0.0,
    )


def coverage(
    compromised: int, *, samples: int, replicates: int, seed: int = 0, cards: int = CARDS
) -> list[Coverage]:
    """Measure the coverage of every metric, by cards and by rows."""
    share = compromised / cards
    population = sample(TRUTH_CARDS, share, np.random.default_rng([seed, compromised, 0]))
    truth = np.array([measure(population, name).value for name in METRICS], dtype=np.float64)
    ends = np.empty((2, samples, len(METRICS), 2))
    for i in range(samples):
        rows = sample(cards, share, np.random.default_rng([seed, compromised, 1, i]))
        drawn_by = (choose_clusters(entity=rows.entity), choose_clusters(n_rows=len(rows)))
        for kind, clusters in enumerate(drawn_by):
            ends[kind, i] = _ends(rows, clusters, replicates, i)
    low, high = ends[..., 0], ends[..., 1]
    below, above = (high < truth).mean(axis=1), (low > truth).mean(axis=1)
    width = (high - low).mean(axis=1)
    return [
        Coverage(
            compromised=compromised,
            metric=name,
            drawn=drawn,
            truth=float(truth[j]),
            share=float(1 - below[kind, j] - above[kind, j]),
            below=float(below[kind, j]),
            above=float(above[kind, j]),
            width=float(width[kind, j]),
        )
        for j, name in enumerate(METRICS)
        for kind, drawn in enumerate(("cards", "rows"))
    ]


def _ends(
    rows: ScoredRows, clusters: Clusters, replicates: int, seed: int
) -> list[tuple[float | None, float | None]]:
    drawn = bootstrap(rows, METRICS, clusters, replicates=replicates, seed=seed)
    intervals = [drawn.interval(name) for name in METRICS]
    return [(each.low, each.high) for each in intervals]


def table(results: Sequence[Coverage]) -> str:
    """Write the results as a table, one line each."""
    head = f"{'compromised':<13}{'metric':<20}{'drawn':<8}{'truth':>7}{'coverage':>10}"
    lines = [f"{head}{'below':>8}{'above':>8}{'width':>8}"]
    lines += [
        f"{row.compromised:<13}{row.metric:<20}{row.drawn:<8}{row.truth:>7.3f}{row.share:>10.3f}"
        f"{row.below:>8.3f}{row.above:>8.3f}{row.width:>8.3f}"
        for row in results
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000)
    parser.add_argument("--replicates", type=int, default=1_000)
    record.add_option(parser)
    args = parser.parse_args()
    with record.recording(__file__, __doc__, args) as figures:
        results = [
            row
            for compromised in (120, 30)
            for row in coverage(compromised, samples=args.samples, replicates=args.replicates)
        ]
        for row in results:
            name = f"{row.metric}, {row.compromised} compromised cards, by {row.drawn}"
            figures.add(name, row.share, "coverage")
    print(f"{args.samples:,} samples, {args.replicates:,} replicates, nominal .95")
    print(table(results))


if __name__ == "__main__":
    main()
