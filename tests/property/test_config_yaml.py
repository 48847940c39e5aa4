"""What is written as YAML composes to the same values again."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from fraudml.config.text import to_yaml

# OmegaConf has no way to write the text '???', its mark for a missing value.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(lambda x: x != "???")
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
names = st.from_regex(r"[a-z_][a-z0-9_]*", fullmatch=True)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(names, plain, max_size=4))
@example({"a": "1e3", "b": "1_000", "c": "0x1f", "d": "12:30", "e": "null", "f": "~", "g": "on"})
@example({"a": "2024-01-01", "b": " x ", "c": "a: b", "d": "# no", "e": "", "f": "=", "g": "<<"})
@example({"a": "${b}", "b": "\\${c}", "c": "\\\\${d}", "d": "$", "e": "x\\", "f": "${"})
@example({"a": 1e-5, "b": 1e22, "c": -0.0, "d": float("inf"), "e": 10**30, "f": "nan", "g": "é\n"})
def test_yaml_goes_round(data: dict[str, Any]) -> None:
    read = OmegaConf.to_container(OmegaConf.create(to_yaml(data)), resolve=True)
    assert read == data
    assert repr(read) == repr(data)
