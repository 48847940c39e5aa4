"""Several problems of one config, collected and raised at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fraudml.errors import ConfigError, all_problems


class ProblemsError(ConfigError):
    """More than one problem, with a message each."""

    def __init__(self, messages: list[str], heading: str) -> None:
        super().__init__(all_problems(heading.format(len(messages)), messages))
        self.messages = messages


class Collector:
    """Collects the errors of several checks; `heading` holds `{}` for their number."""

    def __init__(self, heading: str = "{} problems in the config.") -> None:
        self._heading = heading
        self._errors: list[ConfigError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Keep a `ConfigError` for later."""
        try:
            yield
        except ConfigError as error:
            self._errors.append(error)

    def add(self, message: str | None) -> None:
        """Add a problem by its message; None is none."""
        if message is not None:
            self._errors.append(ConfigError(message))

    def raise_all(self) -> None:
        """Raise what was collected; a single error as it is, with its cause."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            messages = [text for error in self._errors for text in messages_of(error)]
            raise ProblemsError(messages, self._heading)


def messages_of(error: ConfigError) -> list[str]:
    """Return the message of each problem of an error."""
    return error.messages if isinstance(error, ProblemsError) else [str(error)]
