"""Laws of the boundary, over every sampler of imbalanced-learn and two others."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fraudml.errors import DataError
from fraudml.matrix import DesignMatrix
from fraudml.resampling import Resampled, SamplerStep, known_samplers, resample, sampler_step
from fraudml.resampling.library import changed_class

CHEAP = {
    "KMeansSMOTE": {"kmeans_estimator": 2, "k_neighbors": 2, "cluster_balance_threshold": 0.0},
    "BorderlineSMOTE": {"m_neighbors": 40},
    "SVMSMOTE": {"m_neighbors": 40},
    "InstanceHardnessThreshold": {
        "cv": 2,
        "estimator": {"_target_": "sklearn.linear_model.LogisticRegression"},
    },
    "RandomUnderSampler": {"replacement": True},
}
REPEATING = ("RandomOverSampler", "RandomUnderSampler", "ClusterCentroids")
EXACT = (
    "RandomOverSampler",
    "RandomUnderSampler",
    "SMOTE",
    "SMOTEN",
    "BorderlineSMOTE",
    "NearMiss",
    "ClusterCentroids",
)
COMBINED = ("SMOTEENN", "SMOTETomek")


class Jitter:
    """A sampler from elsewhere: no parameters, no indices; shuffles, drops, and invents."""

    def fit_resample(self, X, y):
        rng = np.random.default_rng(3)
        kept = rng.permutation(len(X))[: len(X) // 2]
        kept = np.unique(np.concatenate([kept, np.flatnonzero(y == 1)]))[::-1]
        fraud = X[y == 1]
        made = (fraud + rng.normal(scale=0.01, size=fraud.shape)).astype(X.dtype)
        return np.vstack([X[kept], made]), np.concatenate([y[kept], np.ones(len(made), int)])


def smoothed() -> SamplerStep:
    target = "imblearn.over_sampling.RandomOverSampler"
    return sampler_step(target, {"shrinkage": 3.0}, fraud_share=0.4)


def step_of(target: str) -> SamplerStep:
    step = sampler_step(target, CHEAP.get(target.rpartition(".")[2]))
    if changed_class(step.sampler):
        step = SamplerStep(step.sampler, step.name, fraud_share=0.4)
    return step


STEPS = {target.rpartition(".")[2]: step_of(target) for target in known_samplers()}
STEPS["RandomOverSampler with shrinkage"] = smoothed()
STEPS["Jitter"] = SamplerStep(Jitter(), "Jitter")


@st.composite
def matrices(draw):
    """Numbers, counts, flags, a share, codes; gaps, ties, constant and empty columns; weights."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    rows = draw(st.integers(60, 140))
    frauds = draw(st.integers(8, rows // 4))
    label = np.zeros(rows, dtype=np.int8)
    label[rng.choice(rows, frauds, replace=False)] = 1
    shift = draw(st.sampled_from([0.0, 1.0, 3.0])) * label
    values = np.column_stack(
        [
            np.exp(rng.normal(shift, 1.0)) * draw(st.sampled_from([1e-3, 1.0, 1e6])),
            rng.poisson(3 + shift),
            rng.random(rows) < 0.1 + 0.2 * label,
            rng.beta(0.5, 0.5, rows),
            rng.integers(0, draw(st.integers(3, 40)), rows),
            rng.integers(2, 5, rows),
            np.full(rows, 7.5),
            np.full(rows, np.nan),
        ]
    ).astype(np.float32)
    gaps = rng.random((rows, 4)) < draw(st.sampled_from([0.0, 0.2, 0.6]))
    values[:, :4][gaps] = np.nan
    if draw(st.booleans()):
        values[rows // 2 : rows // 2 + 5] = values[0]
    weighted = draw(st.booleans())
    return DesignMatrix(
        values,
        tuple("abcdefgh"),
        categorical=(4, 5),
        label=label,
        weight=rng.uniform(0.5, 2.0, rows) if weighted else None,
        miss_cost=rng.exponential(50.0, rows) if draw(st.booleans()) else None,
    )


FEW = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def resampled(train: DesignMatrix, step: SamplerStep, seed: int) -> Resampled:
    """Resample; a refusal in words is no counterexample."""
    try:
        return resample(train, [step], seed=seed)
    except DataError:
        assume(False)
        raise


def bits(values):
    return None if values is None else values.tobytes()


def kept_rows_are_rows_that_were_given(name, train, done):
    kept = done.parents[: len(done.matrix) - done.synthetic]
    assert (np.diff(kept) > 0).all()
    given_rows = train.take(kept)
    still = slice(0, len(kept))
    assert bits(done.matrix.values[still]) == bits(given_rows.values)
    assert bits(done.matrix.y[still]) == bits(given_rows.y)
    if train.miss_cost is not None:
        assert bits(done.matrix.miss_cost[still]) == bits(given_rows.miss_cost)
    if name not in REPEATING:
        weight = None if done.matrix.weight is None else done.matrix.weight[still]
        assert bits(weight) == bits(given_rows.weight)


def synthetic_rows_could_have_come_from_the_table(name, train, done):
    made = done.matrix.values[len(done.matrix) - done.synthetic :]
    parents = train.values[done.parents[len(done.matrix) - done.synthetic :]]
    np.testing.assert_array_equal(np.isnan(made), np.isnan(parents))
    counts = made[~np.isnan(made[:, 1]), 1]
    assert (counts == np.rint(counts)).all()
    np.testing.assert_array_equal(made[:, 2], parents[:, 2])
    for column in range(7):
        low, high = np.nanmin(train.values[:, column]), np.nanmax(train.values[:, column])
        here = made[~np.isnan(made[:, column]), column]
        assert ((here >= low) & (here <= high)).all()
    for column in train.categorical:
        assert set(made[:, column]) <= set(train.values[:, column])
    np.testing.assert_array_equal(made[:, 4] == 0, parents[:, 4] == 0)


def synthetic_rows_have_the_label_weight_and_amount_of_their_parents(name, train, done):
    new = slice(len(done.matrix) - done.synthetic, None)
    parents = done.parents[new]
    np.testing.assert_array_equal(done.matrix.y[new], train.y[parents])
    if train.miss_cost is not None:
        np.testing.assert_array_equal(done.matrix.miss_cost[new], train.miss_cost[parents])
    if train.weight is not None:
        np.testing.assert_array_equal(done.matrix.weight[new], train.weight[parents])


def the_frame_around_the_values_stays(name, train, done):
    assert done.matrix.values.dtype == np.float32
    assert done.matrix.y.dtype == np.int8
    assert (done.matrix.names, done.matrix.categorical) == (train.names, train.categorical)
    assert (done.matrix.miss_cost is None) == (train.miss_cost is None)
    assert done.before.frauds == train.frauds
    assert done.after.frauds == done.matrix.frauds
    assert done.after.frauds + done.after.legitimate == len(done.matrix) == len(done.parents)


def only_what_over_samples_adds_and_it_loses_nothing(name, train, done):
    kind = changed_class(STEPS[name].sampler)
    if kind == "frauds" and name not in COMBINED:
        assert len(done.matrix) - done.synthetic == len(train)
    elif name not in (*COMBINED, "Jitter", "ClusterCentroids"):
        assert done.synthetic == 0
        assert done.after.frauds == train.frauds


def beta_is_told_where_only_the_prior_changed(name, train, done):
    assert (done.beta is not None) == (name in ("RandomOverSampler", "RandomUnderSampler"))
    if done.beta is not None:
        assert 0 < done.beta <= 1


LAWS = (
    kept_rows_are_rows_that_were_given,
    synthetic_rows_could_have_come_from_the_table,
    synthetic_rows_have_the_label_weight_and_amount_of_their_parents,
    the_frame_around_the_values_stays,
    only_what_over_samples_adds_and_it_loses_nothing,
    beta_is_told_where_only_the_prior_changed,
)


@pytest.mark.parametrize("name", STEPS)
@FEW
@given(train=matrices(), seed=st.integers(0, 2**31))
def test_laws_of_every_sampler(name, train, seed):
    before = bits(train.values)
    done = resampled(train, STEPS[name], seed)
    assert bits(train.values) == before
    for law in LAWS:
        law(name, train, done)


@pytest.mark.parametrize("name", STEPS)
@settings(FEW, max_examples=3)
@given(train=matrices(), seed=st.integers(0, 2**31))
def test_the_same_seed_gives_the_same_bytes(name, train, seed):
    first, again = (resampled(train, STEPS[name], seed) for _ in range(2))
    assert bits(first.matrix.values) == bits(again.matrix.values)
    assert bits(first.matrix.weight) == bits(again.matrix.weight)
    assert bits(first.parents) == bits(again.parents)
    assert first.beta == again.beta


@pytest.mark.parametrize("name", EXACT)
@FEW
@given(train=matrices(), seed=st.integers(0, 2**31), share=st.floats(0.3, 0.7))
def test_the_share_of_frauds_is_reached(name, train, seed, share):
    step = SamplerStep(STEPS[name].sampler, STEPS[name].name, fraud_share=share)
    matrix = resampled(train, step, seed).matrix
    weight = np.ones(len(matrix)) if matrix.weight is None else matrix.weight
    tolerance = 0.03 if train.weight is None or name == "RandomOverSampler" else 0.15
    assert weight[matrix.y == 1].sum() / weight.sum() == pytest.approx(share, abs=tolerance)
