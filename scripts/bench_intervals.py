"""Time card-clustered intervals against replicating rows and calling scikit-learn.

1,000 replicates of average precision, recall at a false-positive rate of 1 % and savings, on
500,000 rows with 4,000 frauds on 50,000 cards. scikit-learn's way is timed on a few replicates and
scaled up. First both are given the same draws on a small sample: the largest difference is printed.

    python scripts/bench_intervals.py [--replicates 1000] [--threads 2]
"""

from __future__ import annotations

import argparse
from time import perf_counter, process_time

import numpy as np
import record
from numpy.typing import NDArray

from fraudml.metrics import METRICS, ScoredRows, bootstrap, choose_clusters
from fraudml.metrics._replicates import draw, per_replicate

NAMES = ("average_precision", "recall_at_fpr_0.01", "savings")
REVIEW = 10.0
Float = NDArray[np.float64]


def simulate(n_rows: int, frauds: int, cards: int, seed: int = 0) -> ScoredRows:
    """Return scored rows; a compromised card has several frauds, and scores have no ties."""
    random = np.random.default_rng(seed)
    entity = random.integers(0, cards, n_rows)
    risky = np.flatnonzero(entity < cards // 20)
    y_true = np.zeros(n_rows, dtype=bool)
    y_true[random.choice(risky, frauds, replace=False)] = True
    margin = random.normal(size=n_rows) + 2.5 * y_true + random.normal(size=cards)[entity] / 2
    p_fraud = 1 / (1 + np.exp(5 - margin))
    amount = random.gamma(1.5, 60, n_rows)
    return ScoredRows(
        y_true,
        y_score=margin,
        p_fraud=p_fraud,
        alert=p_fraud * amount > REVIEW,
        amount=amount,
        day=np.sort(random.integers(0, 30, n_rows)),
        entity=entity,
        tp_cost=REVIEW,
        fp_cost=REVIEW,
        fn_cost=amount,
        tn_cost=0.0,
    )


def by_rows(rows: ScoredRows, drawn: NDArray[np.int64]) -> Float:
    """Evaluate one replicate the plain way: its rows, scikit-learn, and a sum of costs."""
    from sklearn.metrics import average_precision_score, roc_curve

    y, score = rows.y_true[drawn], rows.y_score[drawn]
    alert, amount = rows.alert[drawn], rows.amount[drawn]
    fpr, tpr, _ = roc_curve(y, score, drop_intermediate=False)
    cost = np.where(alert, REVIEW, y * amount).sum()
    trivial = min((y * amount).sum(), REVIEW * len(y))
    recall = tpr[fpr <= 0.01].max()
    return np.array([average_precision_score(y, score), recall, 1 - cost / trivial])


class Rows:
    """The rows of each card, to be put together for a replicate."""

    def __init__(self, codes: NDArray[np.int64], count: int) -> None:
        self.order = np.argsort(codes, kind="stable")
        self.size = np.bincount(codes, minlength=count)
        self.start = np.cumsum(self.size) - self.size

    def of(self, times: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return the positions of a replicate that draws each card so many times."""
        cards = np.repeat(np.arange(len(times)), times)
        size = self.size[cards]
        first = np.repeat(self.start[cards] - (np.cumsum(size) - size), size)
        positions: NDArray[np.int64] = self.order[first + np.arange(size.sum())]
        return positions


def largest_difference() -> float:
    """Compare both ways on one small sample with ties, replicate by replicate."""
    rows = simulate(8_000, 150, 400)
    tied = ScoredRows(**{**vars(rows), "y_score": np.round(rows.y_score, 1)})
    clusters = choose_clusters(entity=rows.entity)
    bootstrapped = bootstrap(tied, NAMES, clusters, replicates=40)
    ours = np.column_stack([bootstrapped.draws[name] for name in NAMES])
    counts = per_replicate(draw(0, range(40), clusters.count))
    cards = Rows(clusters.codes, clusters.count)
    theirs = np.array([by_rows(tied, cards.of(times)) for times in counts])
    return float(np.abs(ours - theirs).max())


def time_ours(rows: ScoredRows, names: tuple[str, ...], args: argparse.Namespace) -> Float:
    clusters = choose_clusters(entity=rows.entity)
    wall, cpu = perf_counter(), process_time()
    bootstrap(rows, names, clusters, replicates=args.replicates, threads=args.threads)
    return np.array([perf_counter() - wall, process_time() - cpu])


def time_theirs(rows: ScoredRows, args: argparse.Namespace, tried: int = 10) -> Float:
    clusters = choose_clusters(entity=rows.entity)
    cards = Rows(clusters.codes, clusters.count)
    counts = per_replicate(draw(0, range(tried), clusters.count))
    by_rows(rows, cards.of(counts[0]))
    wall, cpu = perf_counter(), process_time()
    for times in counts[:tried]:
        by_rows(rows, cards.of(times))
    spent = np.array([perf_counter() - wall, process_time() - cpu])
    return np.asarray(spent * args.replicates / tried)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--frauds", type=int, default=4_000)
    parser.add_argument("--cards", type=int, default=50_000)
    parser.add_argument("--replicates", type=int, default=1_000)
    parser.add_argument("--threads", type=int, default=2)
    record.add_option(parser)
    args = parser.parse_args()
    with record.recording(__file__, __doc__, args) as figures:
        compare(args, figures)


def compare(args: argparse.Namespace, figures: record.Figures) -> None:
    """Print one table of both ways."""
    rows = simulate(args.rows, args.frauds, args.cards)
    every = tuple(each.name for each in METRICS if each.form is not None)
    ours = time_ours(rows, NAMES, args)
    all_ours = time_ours(rows, every, args)
    theirs = time_theirs(rows, args)
    print(f"{args.rows:,} rows, {args.frauds:,} frauds, {args.cards:,} cards, ", end="")
    print(f"{args.replicates:,} replicates, {args.threads} threads")
    print(f"{'way':<44}{'wall s':>9}{'CPU s':>9}")
    for way, (wall, cpu) in (
        ("fraudml: AP, recall at FPR 1 %, savings", ours),
        (f"fraudml: all {len(every)} metrics with a form", all_ours),
        ("rows replicated, scikit-learn (scaled up)", theirs),
    ):
        print(f"{way:<44}{wall:>9.2f}{cpu:>9.2f}")
        figures.add(way, wall, "s")
        figures.add(f"{way}, CPU", cpu, "s")
    wall, cpu = theirs / ours
    print(f"{'ratio of the last to the first':<44}{wall:>9.0f}{cpu:>9.0f}")
    figures.add("ratio of scikit-learn to fraudml, CPU", cpu, "×")
    difference = largest_difference()
    print(f"largest difference on a small sample: {difference:.1e}")
    figures.add("largest difference on a small sample", difference, "")


if __name__ == "__main__":
    main()
