"""The administrator's limits for a user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.engine.quotas import (
    Allow,
    LabFile,
    Limits,
    Quotas,
    _account,
    quotas_of,
    read_quotas,
)
from jupyter_containers.errors import DeniedError, InvalidArgumentError, QuotaError
from jupyter_containers.options import RunOptions

_LAB = LabFile(
    limits=Limits(containers=2, memory="1g", cpus=2, disk="10g"),
    groups={"staff": Limits(memory="4g"), "big": Limits(memory="2g", containers=9)},
    users={"alice": Limits(memory=512, disk=0)},
)


@pytest.mark.parametrize(
    ("name", "groups", "memory", "containers", "disk"),
    [
        ("bob", set(), 1 << 30, 2, 10 << 30),
        ("bob", {"staff", "big"}, 4 << 30, 9, 10 << 30),
        ("alice", {"staff"}, 512, 2, 0),
    ],
)
def test_the_user_counts_over_groups_over_everybody(
    name: str, groups: set[str], memory: int, containers: int, disk: int
) -> None:
    found = quotas_of(name, groups, _LAB)
    assert (found.memory, found.containers, found.cpus, found.disk) == (
        memory,
        containers,
        2.0,
        disk,
    )


def test_options_get_the_limits_and_may_ask_for_less() -> None:
    quotas = Quotas(memory=1 << 30, cpus=2)
    whole = quotas.capped(RunOptions(image="x"))
    assert (whole.memory, whole.cpus) == (1 << 30, 2)
    less = quotas.capped(RunOptions(image="x", memory=1 << 20, cpus=0.5))
    assert (less.memory, less.cpus) == (1 << 20, 0.5)
    quota = quotas.capped(RunOptions(image="x", cpu_quota=50_000))
    assert (quota.cpus, quota.cpu_quota) == (0, 50_000)
    assert Quotas().capped(RunOptions(image="x")) == RunOptions(image="x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RunOptions(image="x", memory=2 << 30), "--memory 2GiB is over your limit, 1GiB"),
        (RunOptions(image="x", memory_swap=-1), "--memory-swap is over your limit, 2GiB"),
        (RunOptions(image="x", cpus=2.5), "--cpus 2.5 is over your limit, 2"),
        (RunOptions(image="x", cpu_quota=10, cpu_period=1), "--cpus 10 is over your limit, 2"),
        (RunOptions(image="x", cgroup_parent="/x"), "--cgroup-parent would leave"),
    ],
)
def test_more_is_refused(options: RunOptions, message: str) -> None:
    with pytest.raises(QuotaError, match=message):
        Quotas(memory=1 << 30, cpus=2).capped(options)


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("docker.io/library/python", True),
        ("docker.io/library", True),
        ("docker.io/librarything/python", False),
        ("registry.lab:5000/a/b", True),
        ("registry.lab:5000", True),
        ("docker.io", True),
        ("quay.io", False),
        ("evil.io/docker.io/library/python", False),
        ("docker.io/bitnami/python", False),
    ],
)
def test_the_list_covers_names_below_its_entries(name: str, allowed: bool) -> None:
    quotas = Quotas(allow=Allow(pull=("docker.io/library", "registry.lab:5000/*")))
    if allowed:
        quotas.check_registry(name, "pull")
    else:
        with pytest.raises(DeniedError, match=f"pull of {name} is not allowed"):
            quotas.check_registry(name, "pull")
    quotas.check_registry(name, "push")


def test_locations_are_on_the_list_or_the_administrators() -> None:
    """A mirror of the user's own would serve another image under an allowed name."""
    allow = Allow(pull=("docker.io/library", "mirror.lab:5000"))
    quotas = Quotas(allow=allow, settings={"registry_mirrors": ["https://cache.lab"]})
    name = "docker.io/library/python"
    hosts = quotas.trusted_hosts()
    assert "cache.lab" in hosts
    one = Quotas(settings={"registry_mirrors": "quay.io=http://a.lab:5, b.lab/hub"})
    assert one.trusted_hosts() >= {"a.lab:5", "b.lab"}
    quotas.check_locations(name, ["mirror.lab:5000/library/python", "cache.lab/x"], hosts)
    for location in ("evil:5000/library/python", "docker.io/other/python"):
        with pytest.raises(DeniedError, match=f"pull of {name} from {location} is not allowed"):
            quotas.check_locations(name, [location], hosts)
    Quotas().check_locations(name, ["evil:5000/x"], frozenset())


def test_packages_come_from_the_administrators_mirror() -> None:
    quotas = Quotas(allow=Allow(pull=()), settings={"debian_mirror": "http://deb.lab"})
    quotas.check_packages("")
    quotas.check_packages("http://deb.lab")
    with pytest.raises(DeniedError, match="packages from http://evil are not allowed"):
        quotas.check_packages("http://evil")


def _lab(path: Path, text: str, mode: int = 0o644) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose file it has to be")
def test_the_file_is_roots_and_has_its_form(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    assert read_quotas(file) == Quotas()
    assert read_quotas(_lab(file, "[limits]\ncontainers = 1\n")) == Quotas(), "root is exempt"
    found = read_quotas(_lab(file, 'for_root = true\n[limits]\nmemory = "2g"\n'))
    assert (found.memory, found.file) == (2 << 30, file)
    for text, words in (
        ("[limits]\nram = 1\n", "unknown field `ram`"),
        ("[limits]\ncontainers = 'x'\n", "Expected `int"),
        ("for_root = true\n[limits]\nmemory = 'much'\n", "invalid memory"),
        ("for_root = true\n[limits]\ncpus = -1\n", "cpus is below 0"),
        ("[", "cannot read"),
    ):
        with pytest.raises(InvalidArgumentError, match=words):
            read_quotas(_lab(file, text))
    for mode in (0o666, 0o664):
        with pytest.raises(InvalidArgumentError, match="can be changed by users other than root"):
            read_quotas(_lab(file, "[limits]\n", mode))
    os.chown(_lab(file, "[limits]\n"), 1, 1)
    with pytest.raises(InvalidArgumentError, match="can be changed by users other than root"):
        read_quotas(file)


def test_users_are_known_by_name_and_groups() -> None:
    assert _account(0) == ("root", {"root"})
    assert _account(4_000_000_000) == ("4000000000", set())
