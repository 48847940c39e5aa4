"""The boundary to samplers: on rows that are fitted on, and on no other."""

from fraudml.resampling.boundary import Counts, Resampled, resample
from fraudml.resampling.steps import SamplerStep, chain, known_samplers, sampler_step, sampler_steps

__all__ = [
    "Counts",
    "Resampled",
    "SamplerStep",
    "chain",
    "known_samplers",
    "resample",
    "sampler_step",
    "sampler_steps",
]
