"""What all tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Other work on the machine would fail examples by the clock, not by what they show.
settings.register_profile("fraudml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fraudml")
