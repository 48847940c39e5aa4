"""Parts that a config names by `_target_`."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from fraudml.config.checks import check, check_tree
from fraudml.config.components import Component, ComponentSettings, build
from fraudml.config.parse import dump, parse
from fraudml.config.targets import ALLOWED, find_target
from fraudml.errors import ConfigError, MachineError

FOREST = "sklearn.ensemble.RandomForestClassifier"
SVC = "sklearn.svm.SVC"
SMOTE = "imblearn.over_sampling.SMOTE"


def refusal(target: str | None, arguments: Mapping[str, Any] | None = None, **more: Any) -> str:
    """What `check` says, and `build` says the same."""
    component = Component(target, arguments or {})
    with pytest.raises(ConfigError) as caught:
        check(component, key_path="part", **more)
    with pytest.raises(ConfigError):
        build(component, key_path="part", allowed=more.get("allowed", ALLOWED))
    return str(caught.value)


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package outside of fraudml, with what can go wrong."""
    package = tmp_path / "their_parts"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "good.py").write_text(
        "from pathlib import Path\n"
        "VALUE = 3\n"
        "class Part:\n"
        "    def __init__(self, share, seeds=(), **others):\n"
        "        self.share, self.seeds, self.others = share, seeds, others\n"
        "class Child(Part):\n"
        "    def __init__(self, depth=1, random_state=None):\n"
        "        self.depth, self.random_state = depth, random_state\n"
        "def refuse(x=1):\n"
        "    raise ValueError('x is never right')\n",
        encoding="utf-8",
    )
    (package / "lacking.py").write_text("import no_such_library\n", encoding="utf-8")
    (package / "boosted.py").write_text("import xgboost.no_such\n", encoding="utf-8")
    (package / "unloadable.py").write_text(
        "raise OSError('libomp.dylib: image not found')\n", encoding="utf-8"
    )
    (package / "renamed.py").write_text("from pathlib import NoPath\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "their_parts"
    for name in [name for name in sys.modules if name.startswith("their_parts")]:
        del sys.modules[name]


def test_it_is_a_value() -> None:
    one = Component(SVC, {"C": 1.0, "inner": {"_target_": FOREST, "n": [1, 2]}})
    same = Component.from_plain(one.to_plain())
    assert one == same
    assert hash(one) == hash(same)
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    assert one.arguments["inner"] == Component(FOREST, {"n": (1, 2)})
    assert not Component()
    assert one


def test_the_yaml_form_goes_round_and_is_not_shared() -> None:
    plain = {"_target_": SMOTE, "steps": [{"_target_": SVC, "C": 2}], "table": {0: [1]}}
    component = Component.from_plain(plain)
    assert component.to_plain() == plain
    assert component.plain_arguments() == {key: plain[key] for key in ("steps", "table")}
    component.to_plain()["table"][0].append(2)
    assert component.to_plain() == plain


def test_build_calls_the_target_with_its_arguments() -> None:
    made = build(Component(SVC, {"C": 2.5, "kernel": "linear"}))
    assert (type(made).__name__, made.C, made.kernel) == ("SVC", 2.5, "linear")
    assert build(Component()) is None


def test_build_offers_the_context_where_it_is_taken_and_not_set() -> None:
    made = build(Component(FOREST, {"n_jobs": 1}), random_state=7, n_jobs=2, nonsense=3)
    assert (made.random_state, made.n_jobs) == (7, 1)
    assert build(Component("sklearn.neighbors.KNeighborsClassifier"), random_state=7) is not None


def test_build_makes_inner_parts_first() -> None:
    component = Component.from_plain(
        {
            "_target_": "sklearn.ensemble.StackingClassifier",
            "estimators": [["a", {"_target_": SVC, "C": 3.0}]],
            "final_estimator": {"_target_": FOREST, "n_estimators": 5},
        }
    )
    made = build(component, random_state=4)
    assert made.estimators[0][0] == "a"
    assert made.estimators[0][1].C == 3.0
    assert made.final_estimator.random_state == 4


@pytest.mark.parametrize(
    "target", ["os.system", "builtins.eval", "fraud.x", "SVC", "sklearnx.SVC", ""]
)
def test_only_known_libraries_are_imported(target: str) -> None:
    message = refusal(target)
    assert message.startswith(f"part._target_ is '{target}'. It begins with one of 'fraudml.', ")
    assert "components.allow=[" in message


@pytest.mark.parametrize("target", ["fraudml.files.shutil.rmtree", "fraudml.files.Path"])
def test_what_a_library_imports_itself_is_not_its_own(target: str) -> None:
    refusal(target)


def test_more_can_be_allowed(library: str) -> None:
    component = Component(f"{library}.good.Part", {"share": 1, "seeds": [1, 2], "more": 5})
    with pytest.raises(ConfigError, match=r"components\.allow=\[their_parts\]"):
        build(component)
    made = build(component, allowed=ComponentSettings(allow=("their_parts",)).allowed)
    # Their own lists stay lists, and their own keywords are theirs to judge.
    assert (made.seeds, made.others) == ([1, 2], {"more": 5})


def test_a_context_is_taken_by_what_a_class_declares_itself(library: str) -> None:
    allowed = (library,)
    assert (
        build(Component(f"{library}.good.Child"), allowed=allowed, random_state=3).random_state == 3
    )
    made = build(Component(f"{library}.good.Part", {"share": 1}), allowed=allowed, random_state=3)
    assert made.others == {}


def test_a_misspelt_argument_is_named_with_the_nearest() -> None:
    assert refusal(SMOTE, {"k_neighbours": 3}) == (
        f"part.k_neighbours is no argument of {SMOTE}. Did you mean 'k_neighbors'?"
    )
    message = refusal("fraudml.decisions.policies.MinimumCost", {"per_amuont": True})
    assert message == (
        "part.per_amuont is no argument of fraudml.decisions.policies.MinimumCost. "
        "Did you mean 'per_amount'?"
    )


def test_types_of_own_parts_are_checked() -> None:
    message = refusal("fraudml.decisions.policies.MinimumCost", {"per_amount": 3})
    assert message == "part.per_amount is 3, a whole number. It is true or false."


def test_values_of_scikit_learn_are_checked_before_any_fit() -> None:
    message = refusal(SMOTE, {"k_neighbors": -1})
    assert message.startswith("part: The 'k_neighbors' parameter of SMOTE must be")
    assert check(Component(SMOTE, {"k_neighbors": 3})) == Component(SMOTE, {"k_neighbors": 3})


def test_all_problems_of_a_part_are_said_at_once() -> None:
    message = refusal(SMOTE, {"k": 3, "seed": 4})
    assert message.startswith("2 problems in part.\n  - part.k is no argument")


def test_an_inner_part_is_checked_with_its_place() -> None:
    inner = {"_target_": "sklearn.neighbors.NearestNeighbors", "n_neigbors": 3}
    message = refusal(SMOTE, {"k_neighbors": inner})
    assert message.startswith("part.k_neighbors.n_neigbors is no argument of sklearn.neighbors")
    steps = [{"_target_": SVC}, {"_target_": "sklearn.svm.SVX"}]
    assert "part.steps[1]._target_ is" in refusal(SMOTE, {"steps": steps})


def test_an_inner_part_needs_a_target_that_is_a_text() -> None:
    message = refusal(SVC, {"kernel": {"_target_": 3}})
    assert message == "part.kernel._target_ is 3. It is a dotted path, or null."
    with pytest.raises(ConfigError, match=r"part\.kernel has arguments and no _target_"):
        check(Component(SVC, {"kernel": {"_target_": None, "x": 1}}), key_path="part")


@pytest.mark.parametrize("name", ["_partial_", "_args_", "_convert_"])
def test_hydras_own_keys_are_refused(name: str) -> None:
    assert f"part.{name} is not understood" in refusal("lightgbm.LGBMClassifier", {name: True})


def test_a_missing_argument_is_named_unless_the_caller_gives_it(library: str) -> None:
    target, allowed = f"{library}.good.Part", (library,)
    assert refusal(target, allowed=allowed) == f"part.share is required by {target}."
    part = Component(target)
    assert check(part, allowed=allowed, context=("share",)) == part
    assert build(part, allowed=allowed, share=2).share == 2


def test_a_name_that_is_not_there_is_named_with_the_nearest() -> None:
    message = refusal("imblearn.over_sampling.SMOT")
    assert "imblearn.over_sampling has no 'SMOT'. Did you mean 'SMOTE'" in message
    message = refusal("imblearn.oversampling.SMOTE")
    assert "imblearn has no module 'oversampling'. Did you mean 'over_sampling' or" in message
    assert "'VALUE'" not in message


def test_what_cannot_be_called_is_refused(library: str) -> None:
    message = refusal(f"{library}.good.VALUE", allowed=(library,))
    assert "is no class or function" in message
    assert "'Part'" in message


def test_a_library_that_is_not_installed_is_named_with_what_installs_it(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    message = refusal("xgboost.XGBClassifier")
    assert 'Run: pip install "fraudml[xgboost]"' in message
    message = refusal(f"{library}.boosted.Part", allowed=(library,))
    assert 'pip install "fraudml[xgboost]"' in message
    message = refusal(f"{library}.lacking.Part", allowed=(library,))
    assert (
        'needs the library no_such_library, and it is not installed. Run: pip install "no_'
        in message
    )
    assert "cannot import name 'NoPath'" in refusal(f"{library}.renamed.Part", allowed=(library,))


def test_a_library_that_cannot_be_loaded_is_the_machines_failure(library: str) -> None:
    with pytest.raises(MachineError, match="brew install libomp"):
        find_target(f"{library}.unloadable.Part", "learner", (library,))


def test_what_a_constructor_refuses_is_told_with_its_place(library: str) -> None:
    with pytest.raises(ConfigError, match=r"^part: their_parts.good.refuse refuses .* never right"):
        build(Component(f"{library}.good.refuse"), key_path="part", allowed=(library,))


@dataclass(frozen=True)
class Own:
    shares: tuple[float, ...] = (0.5,)
    kind: Literal["a", "b"] = "a"
    inner: Any = None


@dataclass(frozen=True)
class Lacking:
    amount: float
    shares: tuple[float, ...] = ()


class Odd:
    pass


@dataclass(frozen=True)
class Branch:
    part: Component = field(default_factory=Component)


@dataclass(frozen=True)
class Tree:
    part: Component = field(default_factory=lambda: Component("fraudml.parts_of_a_test.Own"))
    sampler: Component = field(default_factory=Component)
    branch: Branch = field(default_factory=Branch)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    """The classes above, as if they were fraudml's own."""
    name = "fraudml.parts_of_a_test"
    monkeypatch.setitem(sys.modules, name, sys.modules[__name__])
    for cls in (Own, Lacking, Odd):
        monkeypatch.setattr(cls, "__module__", name)
    return name


def test_lists_become_the_tuples_that_own_parts_want(own: str) -> None:
    assert build(Component(f"{own}.Own", {"shares": [1, 2]})) == Own(shares=(1.0, 2.0))


def test_own_parts_are_completed_with_their_defaults(own: str) -> None:
    checked = check(Component(f"{own}.Own", {"kind": "b"}))
    assert checked.to_plain() == {
        "_target_": f"{own}.Own",
        "shares": [0.5],
        "kind": "b",
        "inner": None,
    }
    assert check(checked) == checked


def test_an_own_part_inside_which_others_stand_is_built_from_the_inside(own: str) -> None:
    component = Component(f"{own}.Own", {"inner": {"_target_": SVC, "C": 3.0}})
    assert build(component).inner.C == 3.0
    assert check(component).arguments["inner"] == component.arguments["inner"]


def test_an_own_part_that_needs_its_context_is_left_as_it_is(own: str) -> None:
    component = Component(f"{own}.Lacking", {"shares": [1]})
    assert check(component, context=("amount",)) == component
    assert refusal(f"{own}.Lacking") == "part.amount is required. It is a number."
    assert build(component, amount=3) == Lacking(3.0, (1.0,))


def test_every_part_of_a_tree_is_checked_and_completed(own: str) -> None:
    tree = parse(Tree, {"sampler": {"_target_": SMOTE}})
    checked = check_tree(tree)
    assert checked.part.arguments["kind"] == "a"
    assert checked.branch is tree.branch
    assert check_tree(parse(Tree, dump(checked))) == checked


def test_the_problems_of_a_whole_tree_are_said_at_once(own: str) -> None:
    tree = Tree(
        Component(f"{own}.Own", {"kin": "a"}),
        Component(SMOTE, {"k": 1}),
        Branch(Component("sklearn.svm.SVX")),
    )
    with pytest.raises(ConfigError) as caught:
        check_tree(tree)
    message = str(caught.value)
    assert message.startswith("3 problems in the config.")
    for where in ("part.kin is no", "sampler.k is no", "branch.part._target_ is"):
        assert f"\n  - {where}" in message


def test_a_section_with_a_builder_of_its_own_is_checked_by_it(own: str) -> None:
    def sampler(component: Component) -> list[Any]:
        arguments = dict(component.arguments)
        if not 0 < arguments.pop("fraud_share") < 1:
            raise ConfigError("sampler.fraud_share is wrong.")
        return [build(Component(component.target, arguments))]

    def checked(share: float, **arguments: Any) -> Tree:
        part = Component(SMOTE, {"fraud_share": share, **arguments})
        return check_tree(Tree(sampler=part), builders={"sampler": sampler})

    assert checked(0.1).sampler.arguments == {"fraud_share": 0.1}
    with pytest.raises(ConfigError, match="fraud_share is wrong"):
        checked(2)
    with pytest.raises(ConfigError, match="'k_neighbors' parameter"):
        checked(0.1, k_neighbors=-1)
    with pytest.raises(ConfigError, match=r"sampler\.k_neighbors\._target_ is 'os\.x'"):
        checked(0.1, k_neighbors={"_target_": "os.x"})
    with pytest.raises(ConfigError, match=r"sampler\._target_ is 'os\.x'"):
        check_tree(Tree(sampler=Component("os.x")), builders={"sampler": sampler})
