"""Settings: their tree (`settings`), strict parsing (`parse`), their parts (`components`), and the
composition of YAML files (`compose`, `overrides` and `space`, the only modules that know Hydra).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fraudml.config.components import Component
    from fraudml.config.settings import Settings


def load_settings(
    command: str,
    overrides: Sequence[str] = (),
    *,
    config_dir: str | Path | None = None,
    config_name: str | None = None,
) -> Settings:
    """Compose a command's config and read it into settings, complete and with every part checked.

    Parameters
    ----------
    command : str
        The command that the settings are for.
    overrides : sequence of str
        As on the command line: `resampling=smote`, `+experiment=smote`, `split.test_share=0.3`.
    config_dir : path, optional
        The user's own config files; they win over fraudml's of the same name.
    config_name : str, optional
        The primary config; by default the command's own.

    Raises
    ------
    ConfigError
        Anything that is wrong with it, before any work is done.
    """
    from fraudml.config.compose import compose
    from fraudml.config.from_run import compose_from_run, names_run

    if names_run(overrides):
        return read_settings(compose_from_run(command, overrides, config_dir or config_name))
    plain = compose(command, overrides, config_dir=config_dir, config_name=config_name)
    return read_settings(plain)


def read_config(path: Path) -> Settings:
    """Read the `config.yaml` of a run; one that this version cannot read is a `ConfigError`."""
    import yaml

    from fraudml.errors import ConfigError

    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(plain, dict):
            raise ConfigError("it has no keys")
        return read_settings(plain)
    except (yaml.YAMLError, UnicodeDecodeError, ConfigError) as error:
        raise ConfigError(f"'{path}' is not a config of this version: {error}") from error


def read_settings(plain: dict[str, object]) -> Settings:
    """Read a composed, plain config into settings, with every part checked and complete."""
    from fraudml.config.checks import check_tree
    from fraudml.config.parse import parse
    from fraudml.config.renamed import current_keys
    from fraudml.config.settings import Settings
    from fraudml.config.targets import ALLOWED

    settings = parse(Settings, current_keys(plain), typed=getattr(plain, "typed", None))
    allowed = getattr(getattr(settings, "components", None), "allowed", ALLOWED)
    return check_tree(settings, allowed, {"resampling": _samplers, "learner": _learner})


def _samplers(component: Component) -> Iterable[object]:
    from fraudml.resampling import sampler_steps

    steps = sampler_steps(component.target, component.plain_arguments())
    return [step.sampler for step in steps]


def _learner(component: Component) -> Iterable[object] | None:
    from fraudml.config.targets import find_target
    from fraudml.learners import is_learner
    from fraudml.learners.sklearn import SklearnLearner

    assert component.target is not None
    if is_learner(find_target(component.target, "learner", (component.target.partition(".")[0],))):
        return None
    SklearnLearner(component.target, **component.plain_arguments())
    return ()
