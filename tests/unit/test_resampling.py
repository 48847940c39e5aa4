import numpy as np
import pytest

from fraudml.errors import ConfigError, DataError
from fraudml.matrix import DesignMatrix
from fraudml.resampling import Counts, resample, sampler_step, sampler_steps

SMOTE = "imblearn.over_sampling.SMOTE"
UNDER = "imblearn.under_sampling.RandomUnderSampler"


def matrix(rows: int = 400, frauds: int = 20, seed: int = 0) -> DesignMatrix:
    rng = np.random.default_rng(seed)
    label = np.zeros(rows, dtype=np.int8)
    label[rng.choice(rows, frauds, replace=False)] = 1
    values = rng.normal(size=(rows, 3)).astype(np.float32) + label[:, np.newaxis]
    return DesignMatrix(values, ("a", "b", "c"), label=label)


def test_smote_equals_the_library_where_nothing_is_missing():
    from imblearn.over_sampling import SMOTE as LIBRARY

    train = matrix()
    step = sampler_step(SMOTE, {"random_state": 7, "sampling_strategy": 0.5}, scale=False)
    done = resample(train, [step], seed=0)
    values, label = LIBRARY(sampling_strategy=0.5, random_state=7).fit_resample(
        train.values, train.y
    )
    np.testing.assert_allclose(done.matrix.values, values, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(done.matrix.y, label)


def test_random_under_sampling_tells_the_share_that_was_kept():
    done = resample(matrix(), [sampler_step(UNDER, fraud_share=0.2)], seed=0)
    assert done.after == Counts(legitimate=80, frauds=20)
    assert done.beta == pytest.approx(80 / 380)


def test_no_step_returns_the_same_matrix():
    train = matrix()
    done = resample(train, sampler_steps(None), seed=0)
    assert done.matrix is train
    assert done.beta == 1.0


def test_a_share_below_the_prevalence_is_refused():
    with pytest.raises(DataError, match=r"fraud_share is 0\.01, but 0\.05 of the rows"):
        resample(matrix(), [sampler_step(SMOTE, fraud_share=0.01)], seed=0)


def test_a_sampler_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(ConfigError, match=r"Did you mean 'SMOTE'.*imblearn.combine.SMOTEENN"):
        sampler_step("imblearn.over_sampling.SMOT")
