"""The table of commands: a line about each, and its module."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.errors import ConfigError, nearest
from fraudml.parts import parts


@dataclass(frozen=True)
class Command:
    """A command: a line of text, the module and name of its function, examples.

    The function is called with the settings and `progress`. Its result may have `summary()`, the
    title, rows and perhaps header of a closing table, and `refusal`, the error that decides the
    exit code once everything is written.
    """

    text: str
    module: str
    function: str = "run"
    examples: tuple[str, ...] = ()


COMMANDS = {
    "train": Command(
        "fit a model on the past, evaluate it on the latest block, write it as a bundle",
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
        "move through time: fit, wait for the labels, test, and on by a step",
        "fraudml.workflows.backtest",
        examples=(
            "features=transactions backtest.folds=3",
            "+experiment=handbook",
            "backtest.train_days=28 backtest.refit=never",
        ),
    ),
    "sweep": Command(
        "search settings within a budget, keep the best model; the same command resumes",
        "fraudml.workflows.sweep",
        examples=(
            "+sweep=lightgbm budget.trials=40 budget.seconds=1800",
            "+sweep=resampling +experiment=handbook sweep.blocks=folds sweep.folds_end=2018-08-01",
            "+sweep=xgboost budget.price_per_hour=0.4 budget.max_money=2",
        ),
    ),
    "score": Command(
        "score a table with a bundle, as a nightly job",
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
        "describe a bundle: its training data, metrics, policy and features",
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
        "find problems of a table before training",
        "fraudml.workflows.audit",
        examples=(
            "data=table data.path=cards.parquet data.columns.label=is_fraud data.columns.time=at",
            "data=handbook features=transactions",
        ),
    ),
    "features": Command(
        "write the table of features that a model would get",
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
        "describe this machine and its libraries, to paste into an issue",
        "fraudml.workflows.doctor",
        examples=("", "output_dir=/data/runs/first"),
    ),
}
"""fraudml's own commands. A new one is an entry here and its config `conf/<command>.yaml`."""


def command_names() -> list[str]:
    """Return the names of all commands, those of installed packages last."""
    return [*COMMANDS, *(name for name in parts("command") if name not in COMMANDS)]


def find_command(name: str) -> Command:
    """Return a command of fraudml or of an installed package; load nothing.

    Raises
    ------
    ConfigError
        There is none of that name.
    """
    if name in COMMANDS:
        return COMMANDS[name]
    if name not in parts("command"):
        raise ConfigError(f"Unknown command '{name}'. {nearest(name, command_names())}")
    part = parts("command")[name]
    text = f"{part.summary} ({part.package})" if part.summary else f"a command of {part.package}"
    return Command(text, part.module, part.attribute)
