"""A development window without a test block: all that is known today, for the model that goes live.

What such a model is worth is not measured here: that is what `blocks` are for.
"""

from __future__ import annotations

from fraudml.data.schema import Dataset
from fraudml.data.settings import DataSettings
from fraudml.errors import DataError
from fraudml.split.blocks import (
    Split,
    SplitSettings,
    block_of,
    forward_steps,
    random_steps,
    say_what_gave_way,
    split_kind,
    too_few_to_tune,
)
from fraudml.split.moments import (
    entry_moments,
    usable_rows,
)


def whole_window(dataset: Dataset, settings: SplitSettings, data: DataSettings, seed: int) -> Split:
    """Take every row whose label is known by now, with its out-of-fold steps; no test block.

    Parameters
    ----------
    dataset : Dataset
        In the order of its clock.
    settings : SplitSettings
        Delay and steps; where the test block would begin does not matter.
    data : DataSettings
        `as_of` and `labels_complete`.
    seed : int
        The run's seed; used only without a clock.

    Returns
    -------
    Split
        Its test block is empty.

    Raises
    ------
    DataError
        Too few frauds to tune and calibrate on.
    """
    kind = split_kind(dataset, settings)
    known_at = entry_moments(dataset, settings.delay)
    rows = usable_rows(dataset, known_at, data)
    if kind == "time":
        assert known_at is not None
        steps, delay_kept = forward_steps(dataset, known_at, rows, settings)
    else:
        steps, delay_kept = random_steps(dataset, rows, settings, seed), True
    if (problem := too_few_to_tune(dataset, steps)) is not None:
        raise DataError(
            f"{problem} Of {len(dataset):,} rows {len(rows):,} have a label that is known by now. "
            "Bring more rows."
        )
    cut = Split(
        kind,
        block_of("development", dataset, rows),
        block_of("test", dataset, rows[:0]),
        steps,
        delay_kept=delay_kept,
        left_out=len(dataset) - len(rows),
    )
    say_what_gave_way(dataset, cut, settings)
    return cut
