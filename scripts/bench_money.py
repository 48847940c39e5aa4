"""What fraudml saves and earns on public tables, beside plain LightGBM and what is published.

    FRAUDML_DATA=… python scripts/bench_money.py review   # ULB, review cost 10, last 20 % by time
    FRAUDML_DATA=… python scripts/bench_money.py seeds    # +experiment=ulb_costs, three seeds
    FRAUDML_DATA=… python scripts/bench_money.py splits   # the same, ten seeds of the split
    FRAUDML_DATA=… python scripts/bench_money.py gmsc     # +experiment=gmsc_costs, ten seeds

Each prints a table. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import record
from numpy.typing import NDArray

from fraudml.config import load_settings
from fraudml.config.settings import Settings
from fraudml.data.check import check_table
from fraudml.data.read import load_table
from fraudml.data.schema import Dataset
from fraudml.decisions.costs import CostMatrix
from fraudml.evaluation.intervals import BootstrapOptions
from fraudml.evaluation.paired import PairedComparison, compare_paired
from fraudml.metrics import Clusters, ScoredRows, benefit, choose_clusters, savings
from fraudml.pipeline.components import build_components
from fraudml.pipeline.prepare import row_costs
from fraudml.records.results import Run
from fraudml.split import Split, split_blocks
from fraudml.workflows.train import train

Alerts = NDArray[np.bool_]


def _settings(overrides: Sequence[str], threads: int) -> Settings:
    few = ("evaluation.replicates=0", "evaluation.baselines=false", "proof=false")
    return load_settings("train", [*overrides, *few, f"threads={threads}"])


class Table:
    """A table, its blocks, and what each outcome costs on the test rows."""

    def __init__(self, settings: Settings) -> None:
        self.frame = load_table(settings.data, names=settings.features.keys)
        self.dataset: Dataset = check_table(self.frame, settings.data)
        self.split: Split = split_blocks(self.dataset, settings.split, settings.data, settings.seed)
        model = build_components(settings).costs
        self.never = {name for name in (self.dataset.schema.roles.id, *model.columns) if name}
        costs = row_costs(model, self.dataset)
        self.costs: CostMatrix = costs.take(self.split.test.rows)
        self.y_true = self.dataset.label[self.split.test.rows]

    def plain(self, seed: int, threads: int) -> Alerts:
        """LightGBM as it comes, alerting from .5 on, on the table's own columns."""
        from lightgbm import LGBMClassifier

        frame = self.dataset.frame.drop(self.dataset.schema.roles.label, *self.never)
        X = frame.to_numpy().astype(np.float32)
        rows = self.split.development.rows
        model = LGBMClassifier(random_state=seed, n_jobs=threads, verbosity=-1)
        model.fit(X[rows], self.dataset.label[rows])
        p = np.asarray(model.predict_proba(X[self.split.test.rows]))[:, 1]
        return np.asarray(p >= 0.5)

    def benefit(self, alert: Alerts) -> float:
        return float(benefit(self.y_true, alert, **self.costs.as_mapping()))

    def compare(
        self, models: Mapping[str, Alerts], clusters: Clusters, metric: str
    ) -> PairedComparison:
        costs: dict[str, Any] = self.costs.as_mapping()
        rows = {
            name: [ScoredRows(self.y_true, alert=alert, **costs)] for name, alert in models.items()
        }
        return compare_paired(rows, [clusters], [metric], BootstrapOptions())


def _alerts(run: Run) -> Alerts:
    return run.test_scores["alert"].to_numpy()


def review(threads: int, figures: record.Figures) -> None:
    base = ["data=ulb", "costs.review_cost=10"]
    table = Table(_settings(base, threads))
    clusters = choose_clusters(
        time=table.dataset.facts["time"][table.split.test.rows].to_numpy(),
        n_rows=len(table.y_true),
    )
    models = {
        "plain LightGBM, alert from .5 on": table.plain(0, threads),
        "fraudml (log loss, threshold a row)": _alerts(
            train(table.frame, _settings(base, threads))
        ),
        "fraudml, loss=expected_cost (csboost)": _alerts(
            train(table.frame, _settings([*base, "loss=expected_cost"], threads))
        ),
        "fraudml, weighting=example_cost": _alerts(
            train(table.frame, _settings([*base, "weighting=example_cost"], threads))
        ),
    }
    plain = "plain LightGBM, alert from .5 on"
    paired = table.compare(models, clusters, "savings")
    print("| model | savings | above plain LightGBM |\n|---|---|---|")
    for name in models:
        ahead = paired.differences(name, plain)["savings"]
        text = f"{ahead.value:+.3f} ({ahead.low:+.3f} to {ahead.high:+.3f})" if ahead.value else ""
        saved = paired.mean(name).values["savings"]
        assert saved is not None, "test rows that cost nothing"
        print(f"| {name} | {saved:.3f} | {text} |")
        figures.add(name, saved, "savings")


def seeds(threads: int, figures: record.Figures) -> None:
    print("| seed | benefit € | sd of the block | plain LightGBM | always accept | oracle |")
    print("|---|---|---|---|---|---|")
    benefits: list[tuple[float, float]] = []
    for seed in range(3):
        settings = _settings(["+experiment=ulb_costs", f"seed={seed}"], threads)
        table, run = _trained(settings)
        alert = _alerts(run)
        rows = choose_clusters(n_rows=len(table.y_true))
        paired = table.compare({"fraudml": alert}, rows, "benefit")
        spread = paired.mean("fraudml").draws["benefit"].std()
        plain, never, oracle = _beside(table, seed, threads)
        own = table.benefit(alert)
        benefits.append((own, plain))
        print(
            f"| {seed} | {own:,.0f} | {spread:,.0f} | {plain:,.0f} | {never:,.0f} "
            f"| {oracle:,.0f} |",
            flush=True,
        )
    _add_means(figures, benefits, "benefit €")


def splits(threads: int, figures: record.Figures) -> None:
    print("| split seed | benefit € | always accept | oracle | share gained | plain LightGBM |")
    print("|---|---|---|---|---|---|")
    shares = []
    for seed in range(10):
        settings = _settings(["+experiment=ulb_costs"], threads)
        table, run = _trained(replace(settings, split=replace(settings.split, seed=seed)))
        plain, never, oracle = _beside(table, 0, threads)
        own = table.benefit(_alerts(run))
        gained = [(benefit - never) / (oracle - never) for benefit in (own, plain)]
        shares.append(gained)
        print(
            f"| {seed} | {own:,.0f} | {never:,.0f} | {oracle:,.0f} | {gained[0]:.3f} "
            f"| {gained[1]:.3f} |",
            flush=True,
        )
    mean = np.mean(shares, axis=0)
    print(f"| mean | | | | {mean[0]:.3f} | {mean[1]:.3f} |")
    _add_means(figures, shares, "share gained")


def gmsc(threads: int, figures: record.Figures) -> None:
    print("| seed | savings | plain LightGBM from .5 on |\n|---|---|---|")
    rows = []
    for seed in range(10):
        table, run = _trained(_settings(["+experiment=gmsc_costs", f"seed={seed}"], threads))
        values = [
            savings(table.y_true, alert, **table.costs.as_mapping()).value
            for alert in (_alerts(run), table.plain(seed, threads))
        ]
        rows.append(values)
        print(f"| {seed} | {values[0]:.4f} | {values[1]:.4f} |", flush=True)
    mean = np.mean(np.array(rows, dtype=np.float64), axis=0)
    print(f"| mean | {mean[0]:.4f} | {mean[1]:.4f} |")
    _add_means(figures, rows, "savings")


def _add_means(figures: record.Figures, pairs: Sequence[Sequence[Any]], unit: str) -> None:
    """Add the means of fraudml and of plain LightGBM over the seeds."""
    for name, values in zip(("fraudml", "plain LightGBM"), zip(*pairs, strict=True), strict=True):
        figures.add(name, float(np.mean(values)), unit, values)


def _trained(settings: Settings) -> tuple[Table, Run]:
    table = Table(settings)
    return table, train(table.frame, settings)


def _beside(table: Table, seed: int, threads: int) -> tuple[float, float, float]:
    """Benefit of plain LightGBM, of accepting all, and of knowing the labels."""
    costs, fraud = table.costs, table.y_true == 1
    known = np.where(fraud, costs.tp_cost < costs.fn_cost, costs.fp_cost < costs.tn_cost)
    never = np.zeros(len(known), dtype=bool)
    plain = table.plain(seed, threads)
    return table.benefit(plain), table.benefit(never), table.benefit(known)


def main() -> None:
    tables: dict[str, Any] = {"review": review, "seeds": seeds, "splits": splits, "gmsc": gmsc}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=list(tables))
    parser.add_argument("--threads", type=int, default=1)
    record.add_option(parser)
    arguments = parser.parse_args()
    if "FRAUDML_DATA" not in os.environ:
        sys.exit("Set FRAUDML_DATA to the folder that holds ulb.parquet and gmsc.parquet.")
    with record.recording(__file__, __doc__, arguments, arguments.table) as figures:
        tables[arguments.table](arguments.threads, figures)


if __name__ == "__main__":
    main()
