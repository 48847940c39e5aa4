"""Devices: what is chosen and why, what is refused and how it is put, and OpenCL through PoCL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from builders import BOOSTERS, booster, design_matrix, each_learner, needs, read_files
from fraudml.config.sources import packaged_conf
from fraudml.errors import ConfigError, DataError
from fraudml.learners import devices, load_learner, probe
from fraudml.learners.bagged import BaggedLightGBM
from fraudml.learners.devices import DeviceSettings, choose_device
from fraudml.learners.lightgbm import LightGBM
from fraudml.learners.losses import Focal
from fraudml.learners.probe import device_problem
from fraudml.learners.protocol import FitContext
from fraudml.learners.sklearn import SklearnLearner
from fraudml.matrix import DesignMatrix

LOGISTIC = "sklearn.linear_model.LogisticRegression"


@cache
def rows(seed: int = 0, size: int = 3000, levels: int = 6) -> DesignMatrix:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(size, 6)).astype(np.float32)
    values[:, 5] = rng.integers(2, 2 + levels, size)
    risk = 1 / (1 + np.exp(4 - 1.5 * values[:, 0] - values[:, 1] * (values[:, 5] == 3)))
    names = (*(f"column_{number}" for number in range(5)), "shop")
    return design_matrix(values, rng.random(size) < risk, names=names, categorical=(5,))


@pytest.fixture
def cuda_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_problem", lambda *_: None)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "fraudml")
    return caplog


@cache
def probed(learner: Any, device: str, deterministic: bool) -> str | None:
    """Try a learner on a device once: each try is a process."""
    return device_problem(learner, device, deterministic)


@pytest.fixture(autouse=True)
def probe_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_problem", probed)


def no_opencl() -> str | None:
    return probed(LightGBM().on("opencl"), "opencl", False)


@pytest.fixture
def opencl() -> None:
    if no_opencl():
        pytest.skip(
            f"needs an OpenCL platform ({no_opencl()}); on Debian and Ubuntu, without a GPU too: "
            "apt-get install pocl-opencl-icd ocl-icd-libopencl1"
        )


def test_every_kind_has_its_file() -> None:
    kinds = set(get_args(get_type_hints(DeviceSettings)["kind"]))
    assert {path.stem for path in Path(packaged_conf(), "device").glob("*.yaml")} == kinds


def test_the_processor_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_problem", None)
    learner = LightGBM()
    assert choose_device(learner, DeviceSettings()) == (learner, "cpu")
    assert choose_device(learner, DeviceSettings("cpu", deterministic=True))[0] is learner


@pytest.mark.parametrize("kind", ["opencl", "cuda"])
def test_estimators_of_scikit_learn_run_on_the_processor_alone(kind: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(SklearnLearner(LOGISTIC), DeviceSettings(kind))
    assert str(caught.value).startswith(f"device is '{kind}'. LogisticRegression runs on 'cpu' ")
    assert str(caught.value).endswith("Set device=auto or cpu, or choose another learner.")


@each_learner("xgboost", "catboost")
def test_opencl_is_lightgbms_alone(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        choose_device(booster(name), DeviceSettings("opencl"))
    assert str(caught.value) == (
        f"device is 'opencl'. {BOOSTERS[name][0]} runs on 'cpu', 'cuda' alone; OpenCL is for "
        "learner=lightgbm and bagged_lightgbm. Set device=auto or cpu, or choose another learner."
    )


def xgboost_without_cuda() -> str:
    """The reason that XGBoost gives: its own wheel has CUDA, that of xgboost-cpu has none."""
    has_cuda = import_module("xgboost").build_info().get("USE_CUDA")
    return "it finds no GPU." if has_cuda else "this build of it has no CUDA."


NO_CUDA: dict[str, tuple[Callable[[], str], str]] = {
    "lightgbm": (
        lambda: "CUDA Tree Learner was not enabled in this build.",
        "cmake.define.USE_CUDA=ON",
    ),
    "xgboost": (xgboost_without_cuda, "pip uninstall -y xgboost xgboost-cpu && pip install"),
    "catboost": (lambda: "CUDA", "'nvidia-smi' lists both"),
}


@each_learner(*NO_CUDA)
def test_cuda_that_is_not_there(name: str) -> None:
    learner, (reason, remedy) = booster(name), NO_CUDA[name]
    if probed(learner.on("cuda"), "cuda", False) is None:
        pytest.skip("needs a machine where this learner finds no CUDA")
    with pytest.raises(ConfigError) as caught:
        choose_device(learner, DeviceSettings("cuda"))
    text = str(caught.value)
    start = f"device is 'cuda', and {type(learner).__name__} cannot be fitted there: "
    assert text.startswith(start)
    assert reason() in text
    assert remedy in text
    assert "\n" not in text


def test_opencl_without_a_platform_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCL_ICD_VENDORS", "/nowhere")
    monkeypatch.setenv("OPENCL_VENDOR_PATH", "/nowhere")
    problem = device_problem(LightGBM().on("opencl"), "opencl")
    if problem is None:
        pytest.skip("needs an OpenCL loader that heeds OCL_ICD_VENDORS")
    monkeypatch.setattr(devices, "device_problem", lambda *_: problem)
    with pytest.raises(ConfigError) as caught:
        choose_device(LightGBM(), DeviceSettings("opencl"))
    assert "LightGBM cannot be fitted there: " in str(caught.value)
    assert "apt-get install ocl-icd-libopencl1" in str(caught.value)


def test_auto_says_why_it_took_the_processor(log: pytest.LogCaptureFixture) -> None:
    if probed(LightGBM(), "cuda", False) is None:
        pytest.skip("needs a machine where LightGBM finds no CUDA")
    learner = LightGBM()
    assert choose_device(learner, DeviceSettings("auto")) == (learner, "cpu")
    (said,) = log.messages
    assert said.startswith(
        "device=auto chose cpu: LightGBM cannot be fitted on cuda: CUDA Tree Learner was not "
        "enabled in this build. LightGBM's wheel has no CUDA"
    )


@pytest.mark.usefixtures("cuda_is_there")
def test_auto_says_what_it_took(log: pytest.LogCaptureFixture) -> None:
    learner = BaggedLightGBM()
    assert choose_device(learner, DeviceSettings("auto")) == (learner, "cuda")
    assert log.messages == ["device=auto chose cuda: a tiny BaggedLightGBM was fitted there."]
    log.clear()
    assert choose_device(SklearnLearner(LOGISTIC), DeviceSettings("auto"))[1] == "cpu"
    assert log.messages == ["device=auto chose cpu: LogisticRegression runs on the CPU alone."]


@needs("catboost")
@pytest.mark.usefixtures("cuda_is_there")
def test_what_catboost_does_on_the_processor_alone(log: pytest.LogCaptureFixture) -> None:
    learner, device = choose_device(booster("catboost"), DeviceSettings("auto"))
    assert (learner.border_count, device) == (254, "cuda")
    assert "learner.border_count is 254 instead of 1023" in log.messages[-1]
    settled = DeviceSettings("cuda", deterministic=True)
    with pytest.raises(ConfigError) as caught:
        choose_device(booster("catboost", rsm=0.5, monotone={"amount": 1}), settled)
    text = str(caught.value)
    assert text.startswith("3 problems in learner.")
    for said in (
        "device.deterministic is true, and device is 'cuda'. CatBoost adds up in no fixed order",
        "learner.rsm is 0.5, and device is 'cuda'. CatBoost samples features on the CPU alone",
        "learner.monotone is set, and device is 'cuda'",
    ):
        assert said in text
    log.clear()
    auto = DeviceSettings("auto", deterministic=True)
    assert choose_device(booster("catboost"), auto)[1] == "cpu"
    assert "device.deterministic is true" in log.messages[0]
    with pytest.raises(ConfigError, match=r"learner\.border_count is 500, and device is 'cuda'"):
        choose_device(booster("catboost", border_count=500), DeviceSettings("cuda"))


@needs("xgboost")
@pytest.mark.usefixtures("cuda_is_there")
def test_what_xgboost_does_on_the_processor_alone() -> None:
    with pytest.raises(ConfigError, match=r"tree_method is 'exact', and device is 'cuda'"):
        choose_device(booster("xgboost", tree_method="exact"), DeviceSettings("cuda"))
    learner = booster("xgboost")
    settled = DeviceSettings("cuda", deterministic=True)
    assert choose_device(learner, settled) == (learner, "cuda")


@needs("xgboost")
def test_xgboost_does_not_go_on_where_it_was_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    learner = booster("xgboost", n_estimators=2)
    if probed(booster("xgboost"), "cuda", False) is None:
        pytest.skip("needs a machine where XGBoost finds no CUDA")
    library = import_module("xgboost")
    for has_cuda, why in ((False, "this build of it has no CUDA"), (True, "it finds no GPU")):
        monkeypatch.setattr(library, "build_info", lambda has=has_cuda: {"USE_CUDA": has})
        with pytest.raises(ConfigError, match=f"XGBoost refuses to fit: {why}"):
            learner.fit(rows(), FitContext(device="cuda"))


def test_bins_on_opencl(log: pytest.LogCaptureFixture) -> None:
    few = LightGBM(max_bin=63)
    assert few.on("opencl") is few
    placed = LightGBM(num_leaves=5).on("opencl")
    assert (placed.max_bin, placed.num_leaves) == (255, 5)
    assert placed.on("opencl") is placed
    assert LightGBM().on("cuda").max_bin == 4095
    bagged = BaggedLightGBM(n_members=2).on("opencl")
    assert (bagged.n_members, bagged.member.max_bin) == (2, 255)
    assert bagged.on("opencl") is bagged
    for make in (LightGBM, BaggedLightGBM):
        with pytest.raises(ConfigError) as caught:
            make(max_bin=256).on("opencl")
        assert str(caught.value) == (
            "learner.max_bin is 256, and device is 'opencl'. LightGBM takes at most 255 bins "
            "there. Set learner.max_bin=255, or device=cpu."
        )
    assert not log.messages


def test_lowered_bins_are_told_once(
    monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(devices, "device_problem", lambda *_: None)
    learner, _ = choose_device(LightGBM(), DeviceSettings("opencl"))
    assert log.messages[1:] == [
        "device=opencl: learner.max_bin is 255 instead of 4095, which the learner does not "
        "support there. docs/devices.md has what that costs."
    ]
    assert choose_device(learner, DeviceSettings("opencl"))[0] is learner
    assert len(log.messages) == 3


OWN_LEARNER = """
import os, sys, time
from fraudml.errors import DataError
from fraudml.learners.lightgbm import LightGBM

class Own:
    devices = {"cpu": "", "cuda": "A card."}
    monotone = ()
    def __init__(self, does="fits"):
        self.does = does
    def to_dict(self):
        return {"does": self.does}
    def on(self, device, *, deterministic=False):
        return self
    def fit(self, train, context, *, rounds=None):
        on_gpu = context.device != "cpu"
        if self.does == "aborts" and on_gpu:
            os.abort()
        if self.does == "leaves" and on_gpu:
            print("no room", file=sys.stderr)
            sys.exit(9)
        if self.does == "refuses" and on_gpu:
            raise DataError("learner: Own refuses to fit: there is\\nno card.")
        if self.does == "wants a wide table":
            raise DataError("learner: Own refuses to fit: 9 columns are needed.")
        if self.does == "hangs":
            time.sleep(60)
        print("chatter")
"""


@pytest.mark.parametrize(
    ("does", "problem"),
    [
        ("fits", None),
        ("wants a wide table", None),
        ("refuses", "there is."),
        ("aborts", "the process that tried it ended by SIGABRT"),
        ("leaves", "the process that tried it ended with code 9: no room."),
    ],
)
def test_a_learner_is_tried_in_a_process_of_its_own(
    does: str, problem: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_learner.py").write_text(OWN_LEARNER)
    monkeypatch.syspath_prepend(str(tmp_path))
    found = device_problem(import_module("own_learner").Own(does), "cuda")
    assert found == problem or (problem is not None and found.startswith(problem))


def test_a_learner_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_learner.py").write_text(OWN_LEARNER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(probe, "_SECONDS", 0.2)
    found = device_problem(import_module("own_learner").Own("hangs"), "cuda")
    assert found == "a tiny model was not done after 0.2 seconds."


@pytest.mark.slow
@pytest.mark.usefixtures("opencl")
@pytest.mark.parametrize("make", [LightGBM, BaggedLightGBM])
def test_opencl_ranks_as_the_processor_does(
    make: Any, tmp_path: Path, log: pytest.LogCaptureFixture
) -> None:
    learner, test = make(num_iterations=30, max_bin=255), rows(seed=1)
    margins = {}
    for kind in ("cpu", "opencl"):
        model = learner.fit(rows(), FitContext(device=kind))
        margins[kind] = model.margin(test)
        assert model.rounds == 30
    precision = {kind: average_precision_score(test.y, m) for kind, m in margins.items()}
    assert precision["cpu"] > 3 * test.y.mean()
    assert precision["opencl"] == pytest.approx(precision["cpu"], abs=0.005)
    facts = model.save(tmp_path)
    again = load_learner(model.kind, read_files(tmp_path), facts).margin(test)
    np.testing.assert_array_equal(again, margins["opencl"])
    assert not [said for said in log.messages if "max_bin" in said]


@pytest.mark.slow
@pytest.mark.usefixtures("opencl")
def test_opencl_with_defaults_a_loss_and_the_same_again(log: pytest.LogCaptureFixture) -> None:
    learner = LightGBM(num_iterations=10)
    assert choose_device(learner, DeviceSettings("opencl", deterministic=True))[1] == "opencl"
    log.clear()
    context = FitContext(device="opencl", deterministic=True, loss=Focal())
    first, second = (learner.fit(rows(), context).text for _ in range(2))
    assert first == second
    assert all("learner.max_bin is 255 instead of 4095" in said for said in log.messages)
    parameters = learner._parameters(rows(), context)
    assert (parameters["gpu_use_dp"], parameters["device_type"]) == (True, "gpu")
    assert "gpu_use_dp" not in learner._parameters(rows(), FitContext(device="opencl"))


@pytest.mark.slow
@pytest.mark.usefixtures("opencl")
def test_too_many_categories_for_opencl() -> None:
    with pytest.raises(DataError) as caught:
        LightGBM(num_iterations=2).fit(rows(levels=600), FitContext(device="opencl"))
    assert "cannot run on GPU. A categorical column has fewer than 255" in str(caught.value)
    assert "'shop' has 592. Set device=cpu, or" in str(caught.value)
