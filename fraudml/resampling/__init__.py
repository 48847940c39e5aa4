"""The boundary to samplers: on rows that are fitted on, and on no other."""

from fraudml.resampling.boundary import Counts, Resampled, resample
from fraudml.resampling.frames import resample_frame
from fraudml.resampling.steps import SamplerStep, chain, known_samplers, sampler_step, sampler_steps

__all__ = [
    "Counts",
    "Resampled",
    "SamplerStep",
    "chain",
    "known_samplers",
    "resample",
    "resample_frame",
    "sampler_step",
    "sampler_steps",
]
