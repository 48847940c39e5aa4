"""What control groups grant, read from trees of files as Linux shows them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fraudml import cgroup, machine

V2 = "35 24 0:30 {root} {point} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1 = "34 31 0:29 {root} {point} rw,nosuid shared:9 - cgroup cgroup rw,{controllers}"
OTHER = "23 1 254:1 / / rw,relatime - ext4 /dev/root rw,discard"
UNLIMITED = "9223372036854771712"


class Tree:
    """A root folder with `/proc/self` and mounted groups."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, *lines: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def of_process(self, groups: list[str], mounts: list[str]) -> None:
        self.write("proc/self/cgroup", *groups)
        self.write("proc/self/mountinfo", OTHER, *mounts)

    def v2(self, path: str, *, root: str = "/", point: str = "/sys/fs/cgroup") -> None:
        self.of_process([f"0::{path}"], [V2.format(root=root, point=point)])

    def v1(self, path: str, *, root: str = "/") -> None:
        mounts = [
            V1.format(root=root, point=f"/sys/fs/cgroup/{names}", controllers=names)
            for names in ("cpu,cpuacct", "memory")
        ]
        self.of_process([f"4:memory:{path}", f"3:cpu,cpuacct:{path}", "1:name=systemd:/x"], mounts)

    def v1_quota(self, group: str, quota: int, period: int = 100_000) -> None:
        folder = f"/sys/fs/cgroup/cpu,cpuacct/{group}"
        self.write(f"{folder}/cpu.cfs_quota_us", str(quota))
        self.write(f"{folder}/cpu.cfs_period_us", str(period))


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setattr(cgroup, "_ROOT", tmp_path)
    return Tree(tmp_path)


def test_a_process_without_groups_is_not_limited(tree: Tree) -> None:
    assert cgroup.cpu_quota() == cgroup.memory_limit() == math.inf


@pytest.mark.parametrize("limited", ["", "/a.slice", "/a.slice/b", "/a.slice/b/c.scope"])
def test_a_limit_of_any_group_above_counts(limited: str, tree: Tree) -> None:
    tree.v2("/a.slice/b/c.scope")
    for group in ("/a.slice", "/a.slice/b", "/a.slice/b/c.scope"):
        tree.write(f"/sys/fs/cgroup{group}/cpu.max", "max 100000")
        tree.write(f"/sys/fs/cgroup{group}/memory.max", "max")
    assert cgroup.cpu_quota() == cgroup.memory_limit() == math.inf
    tree.write(f"/sys/fs/cgroup{limited}/cpu.max", "150000 100000")
    tree.write(f"/sys/fs/cgroup{limited}/memory.max", "1048576")
    assert cgroup.cpu_quota() == 1.5
    assert cgroup.memory_limit() == 2**20


def test_the_least_of_all_limits_counts_and_that_of_a_sibling_does_not(tree: Tree) -> None:
    tree.v2("/a/b")
    tree.write("/sys/fs/cgroup/a/cpu.max", "300000 100000")
    tree.write("/sys/fs/cgroup/a/b/cpu.max", "400000 50000")
    tree.write("/sys/fs/cgroup/a/other/cpu.max", "10000 100000")
    assert cgroup.cpu_quota() == 3


@pytest.mark.parametrize("limited", ["", "docker", "docker/4f1c"])
def test_version_1_has_a_hierarchy_for_each_controller(limited: str, tree: Tree) -> None:
    tree.v1("/docker/4f1c")
    for group in ("", "docker", "docker/4f1c"):
        tree.v1_quota(group, -1)
        tree.write(f"/sys/fs/cgroup/memory/{group}/memory.limit_in_bytes", UNLIMITED)
    assert cgroup.cpu_quota() == math.inf
    assert cgroup.memory_limit() == int(UNLIMITED)
    tree.v1_quota(limited, 25_000, 10_000)
    tree.write(f"/sys/fs/cgroup/memory/{limited}/memory.limit_in_bytes", "4096")
    assert cgroup.cpu_quota() == 2.5
    assert cgroup.memory_limit() == 4096


def test_a_container_that_sees_its_own_group_as_the_root(tree: Tree) -> None:
    tree.v2("/")
    tree.write("/sys/fs/cgroup/cpu.max", "200000 100000")
    assert cgroup.cpu_quota() == 2


@pytest.mark.parametrize("inside", ["", "/job"])
def test_a_container_that_knows_its_path_on_the_host(inside: str, tree: Tree) -> None:
    tree.v1(f"/kubepods/pod1/4f1c{inside}", root="/kubepods/pod1/4f1c")
    tree.v1_quota(inside.lstrip("/"), 50_000)
    assert cgroup.cpu_quota() == 0.5


@pytest.mark.parametrize("root", ["/elsewhere", "/../.."])
def test_of_a_group_outside_the_mount_the_mount_alone_counts(root: str, tree: Tree) -> None:
    tree.v2("/a/b", root=root)
    tree.write("/sys/fs/cgroup/cpu.max", "200000 100000")
    tree.write("/sys/fs/cgroup/a/b/cpu.max", "100000 100000")
    assert cgroup.cpu_quota() == 2


def test_both_versions_side_by_side(tree: Tree) -> None:
    mounts = [
        V1.format(root="/", point="/sys/fs/cgroup/cpu", controllers="cpu"),
        V2.format(root="/", point="/sys/fs/cgroup/unified"),
    ]
    tree.of_process(["2:cpu:/one", "0::/two"], mounts)
    tree.write("/sys/fs/cgroup/cpu/one/cpu.cfs_quota_us", "400000")
    tree.write("/sys/fs/cgroup/cpu/one/cpu.cfs_period_us", "100000")
    tree.write("/sys/fs/cgroup/unified/two/memory.max", "8192")
    tree.write("/sys/fs/cgroup/unified/one/memory.max", "1")
    assert cgroup.cpu_quota() == 4
    assert cgroup.memory_limit() == 8192


def test_names_with_blanks_and_backslashes_and_colons(tree: Tree) -> None:
    tree.v2(r"/m.slice/lib\x2dpod 1:2/job", root=r"/m.slice/lib\134x2dpod\0401:2", point=r"/c\040g")
    tree.write("/c g/job/cpu.max", "100000 100000")
    assert cgroup.cpu_quota() == 1


@pytest.mark.parametrize("text", ["", "max", "0 100000", "100000 0", "-1 100000", "x y", "ü", "1"])
def test_what_is_no_limit(text: str, tree: Tree) -> None:
    tree.v2("/")
    tree.write("/sys/fs/cgroup/cpu.max", text)
    assert cgroup.cpu_quota() == math.inf


def test_a_process_keeps_to_the_least_of_its_cores_and_its_quota(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    tree.v2("/a/b")
    assert machine.granted_threads() == 3
    tree.write("/sys/fs/cgroup/a/cpu.max", "110000 100000")
    assert machine.granted_threads() == 2
    tree.write("/sys/fs/cgroup/a/b/cpu.max", "1000 100000")
    assert machine.granted_threads() == 1
