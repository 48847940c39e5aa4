"""Libraries that exports need and fraudml does not: which extra brings them."""

from __future__ import annotations

import importlib
from typing import Any

from fraudml.errors import ConfigError


def import_for(where: str, library: str, extra: str) -> Any:
    """Import a library that an export needs.

    Parameters
    ----------
    where : str
        The key and value that need it.
    library : str
        What is imported.
    extra : str
        The extra of fraudml that brings it.

    Raises
    ------
    ConfigError
        It is not there, or cannot be loaded; the text says what to install.
    """
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where} needs the library {error.name or library}, and it is not installed. "
            f'Run: pip install "fraudml[{extra}]"'
        ) from error
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"{where}: {library} is installed and cannot be loaded: {error}. Install it again: "
            f'pip install --force-reinstall "fraudml[{extra}]"'
        ) from error
