"""Settings of an export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from fraudml.errors import ConfigError, nearest

Format = Literal["onnx", "c", "lightgbm"]
FORMATS: tuple[Format, ...] = get_args(Format)

Engine = Literal["native", "onnx"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

TOLERANCE = 1e-5
"""How far a probability may lie from the bundle's own."""


@dataclass(frozen=True)
class ExportSettings:
    """How a bundle is exported.

    Parameters
    ----------
    format : str
        `onnx`, `c` or `lightgbm`.
    tolerance : float
        How far a probability may lie from the bundle's own on any row of the check.
    """

    format: Format
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise ConfigError(f"tolerance is {self.tolerance}. It is from 0 and below 1.")


def as_format(name: str | None) -> Format:
    """Return a format by its name; raise a `ConfigError` where there is none."""
    if name not in FORMATS:
        problem = f"format is '{name}'. {nearest(name, FORMATS)}" if name else "format is not set."
        raise ConfigError(f"{problem} Write format=onnx, format=c or format=lightgbm.")
    return name


def as_engine(name: str) -> Engine:
    """Return an engine by its name; raise a `ConfigError` where there is none."""
    if name not in ENGINES:
        raise ConfigError(f"engine is '{name}'. {nearest(name, ENGINES)}")
    return name
