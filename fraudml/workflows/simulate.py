"""Simulate: write the built-in table, of any size, to a file."""

from __future__ import annotations

from dataclasses import dataclass

from fraudml.config.settings import Settings
from fraudml.data.simulate import simulate
from fraudml.errors import ConfigError
from fraudml.progress import Progress, silent, stage
from fraudml.records.output import output_path, write_output
from fraudml.records.table import ClosingTable, closing_table


@dataclass(frozen=True)
class SimulatedTable:
    """What was written: the file, its rows and frauds, its first and last time."""

    path: str
    rows: int
    frauds: int
    first: str
    last: str

    def summary(self) -> ClosingTable:
        """Return the closing table."""
        rows = [
            ("rows", f"{self.rows:,}"),
            ("frauds", f"{self.frauds:,} ({self.frauds / self.rows:.3%})"),
            ("from", self.first),
            ("to", self.last),
        ]
        return closing_table("Simulated card transactions", rows, folder=self.path)


def run(settings: Settings, *, progress: Progress = silent) -> SimulatedTable:
    """Run the command: simulate what `data.simulate` says, and write it to `output`."""
    path = output_path(settings)
    if settings.data.simulate is None:
        raise ConfigError("simulate needs data.simulate. Choose data=simulated.")
    with stage(progress, "simulate"):
        table = simulate(settings.data.simulate)
    write_output(table, path, settings)
    frauds, times = int(table["label"].sum()), table["time"]
    return SimulatedTable(str(path), table.height, frauds, str(times.min()), str(times.max()))
