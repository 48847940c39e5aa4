"""Simulate: write the built-in table, of any size, to a file."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.config.settings import Settings
from fraudml.data.simulate import simulate
from fraudml.errors import ConfigError
from fraudml.progress import Progress, silent
from fraudml.records.table import output_path, write_output


@dataclass(frozen=True)
class Simulated:
    """What was written.

    Parameters
    ----------
    path : str
        The file.
    rows, frauds : int
        How many there are.
    first, last : str
        When it starts and ends.
    """

    path: str
    rows: int
    frauds: int
    first: str
    last: str

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        """Return a title and the rows of the closing table."""
        rows = [
            ("rows", f"{self.rows:,}"),
            ("frauds", f"{self.frauds:,} ({self.frauds / self.rows:.3%})"),
            ("from", self.first),
            ("to", self.last),
            ("written to", self.path),
        ]
        return "Simulated card transactions", rows


def run(settings: Settings, *, progress: Progress = silent) -> Simulated:
    """Run the command: simulate what `data.simulate` says, and write it to `output`.

    Parameters
    ----------
    settings : Settings
        What decides the table.
    progress : Progress
        Whom to tell where it is.
    """
    path = output_path(settings)
    if settings.data.simulate is None:
        raise ConfigError("simulate needs data.simulate. Choose data=simulated.")
    progress("simulate", 0.0)
    table = simulate(settings.data.simulate)
    progress("simulate", 1.0)
    write_output(table, path, settings)
    times = table["time"]
    return Simulated(
        path=str(path),
        rows=table.height,
        frauds=int(table["label"].sum()),
        first=str(times.min()),
        last=str(times.max()),
    )
