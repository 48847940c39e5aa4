"""A command: how many rows a table has."""

from dataclasses import dataclass

from fraudml import Settings
from fraudml.data.read import load_table
from fraudml.progress import Progress


@dataclass(frozen=True)
class Count:
    rows: int

    def summary(self) -> tuple[str, list[tuple[str, str]]]:
        return "Count", [("rows", f"{self.rows:,}")]


def run(settings: Settings, *, progress: Progress) -> Count:
    return Count(load_table(settings.data).height)
