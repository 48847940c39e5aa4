"""Children of the run's seed, derived by name, so that adding a part moves no other."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def child_generator(seed: int, name: str) -> np.random.Generator:
    """Return the random generator of one named part.

    Parameters
    ----------
    seed : int
        The run's seed; 0 is a seed like any other.
    name : str
        The part that draws.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, crc32(name.encode())]))


def child_seed(seed: int, name: str) -> int:
    """Return the seed of one named part, for libraries that want a number below 2**31.

    Examples
    --------
    >>> child_seed(0, "learner") == child_seed(0, "learner")
    True
    >>> child_seed(0, "learner") == child_seed(0, "split")
    False
    """
    return int(child_generator(seed, name).integers(2**31 - 1))
