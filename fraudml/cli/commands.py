"""The table of commands: what each does in a line, and where it lives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command: what it does in a line, and where its function lives.

    The function is called with the settings and `progress`. What it returns may have `summary()`,
    a title, rows and perhaps a header that are shown at the end, and `refusal`, the error that
    decides the exit code once everything is written.
    """

    text: str
    module: str
    function: str = "run"
    examples: tuple[str, ...] = ()


COMMANDS = {
    "train": Command(
        "fit a model on the past, judge it on the latest block, keep it as a bundle",
        "fraudml.workflows.train",
        examples=(
            "+experiment=smote",
            "data=table data.path=cards.parquet data.columns.label=is_fraud",
            "resampling=random_under learner.num_leaves=15 seed=1",
            "from_run=runs/… refit=latest data.path=today.parquet",
            "--multirun seed=0,1,2",
        ),
    ),
    "backtest": Command(
        "walk a table through time: fit, wait for the labels, test, and on by a step",
        "fraudml.workflows.backtest",
        examples=(
            "features=transactions backtest.folds=3",
            "+experiment=handbook",
            "backtest.train_days=28 backtest.refit=never",
        ),
    ),
    "sweep": Command(
        "search settings within a budget, keep the best model; the same command goes on",
        "fraudml.workflows.sweep",
        examples=(
            "+sweep=lightgbm budget.trials=40 budget.seconds=1800",
            "+sweep=resampling +experiment=handbook sweep.blocks=folds sweep.folds_end=2018-08-01",
            "+sweep=xgboost budget.price_per_hour=0.4 budget.max_money=2",
        ),
    ),
    "score": Command(
        "score a table by a bundle, as the nightly job does",
        "fraudml.workflows.score",
        examples=(
            "bundle=runs/…/bundle input=new.parquet output=scores.parquet",
            "bundle=runs/…/bundle input=new.csv history=earlier.parquet output=scores.csv",
            "bundle=runs/…/bundle input=new.parquet output=postgresql://host/database "
            "output_table=scores record=scores.json",
        ),
    ),
    "export": Command(
        "write a bundle's model as ONNX, C or LightGBM's text, checked on real rows",
        "fraudml.workflows.export",
        examples=(
            "bundle=runs/…/bundle format=onnx output=model.onnx",
            "bundle=runs/…/bundle format=c output=model_c input=new.parquet",
        ),
    ),
    "show": Command(
        "say what a bundle is: trained on what, its numbers, its policy, its features",
        "fraudml.workflows.show",
        examples=("bundle=runs/…/bundle",),
    ),
    "compare": Command(
        "compare models on the same rows: which is better for what, with intervals",
        "fraudml.workflows.compare",
        examples=(
            "runs=[runs/…_train,runs/…_smote]",
            "bundles=[runs/…/bundle,runs/…/bundle] data=table data.path=may.parquet",
        ),
    ),
    "audit": Command(
        "before training, find what in a table will hurt",
        "fraudml.workflows.audit",
        examples=(
            "data=table data.path=cards.parquet data.columns.label=is_fraud data.columns.time=at",
            "data=handbook features=transactions",
        ),
    ),
    "features": Command(
        "write the table of features that a model would see",
        "fraudml.workflows.features",
        examples=(
            "features=transactions output=features.parquet",
            "+experiment=handbook_book output=features.parquet",
        ),
    ),
    "simulate": Command(
        "write a simulated table of card transactions",
        "fraudml.workflows.simulate",
        examples=(
            "output=cards.parquet data.simulate.rows=1000000 data.simulate.prevalence=0.002",
            "output=drifting.csv data.simulate.drift=1 data.simulate.drift_date=2026-02-15",
        ),
    ),
    "doctor": Command(
        "say what this machine is and has: what to paste into an issue",
        "fraudml.workflows.doctor",
        examples=("", "output_dir=/data/runs/first"),
    ),
}
"""Every command there is. A new one is one entry here and its config `conf/<command>.yaml`."""
