"""The boundary to samplers, for the rows of a fit alone."""

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
