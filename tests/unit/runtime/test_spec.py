from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.runtime.cgroups import CgroupLayout
from jupyter_containers.runtime.host import HostCA, HostCapabilities, RuntimeFacts
from jupyter_containers.runtime.security import CAPABILITY_NAMES, DEFAULT_CAPABILITIES
from jupyter_containers.runtime.spec import (
    BindMount,
    ContainerContext,
    Device,
    TmpfsMount,
    exec_process,
    process_args,
    runtime_spec,
)
from jupyter_containers.runtime.users import User

HOST = HostCapabilities(
    capabilities=(),
    runtime=RuntimeFacts("runc", "/usr/bin/runc"),
    conmon="/usr/bin/conmon",
    conmon_version="",
    cgroups=CgroupLayout(
        "v2", {"": "/sys/fs/cgroup"}, frozenset({"cpu", "cpuset", "memory", "pids", "devices"})
    ),
    kernel_capabilities=frozenset(CAPABILITY_NAMES),
    architecture="x86_64",
    cpus=4,
    seccomp=True,
    swap_accounting=True,
    cgroup_namespaces=True,
    init_program="/usr/bin/catatonit",
    ca=HostCA(None, False, ""),
)
CONTEXT = ContainerContext("0123456789abcdef", "/bundle/rootfs", HOST)


def spec(
    config: ExecutionConfig | None = None, context: ContainerContext = CONTEXT, **flags: Any
) -> dict[str, Any]:
    options = RunOptions.of("image", flags.pop("command", ["run"]), **flags)
    result = runtime_spec(config or ExecutionConfig(), options, context)
    json.dumps(result)  # plain data
    return result


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "option", "command", "expected"),
    [
        (None, ("c",), None, (), ("c",)),
        (("e",), ("c",), None, (), ("e", "c")),
        (("e",), ("c",), None, ("x", "y"), ("e", "x", "y")),
        (("e",), None, None, (), ("e",)),
        (("e",), ("c",), "o", (), ("o",)),
        (("e",), ("c",), "o", ("x",), ("o", "x")),
        (("e",), ("c",), "", ("x",), ("x",)),
    ],
)
def test_entrypoint_and_command_combine_as_in_docker(
    entrypoint: Any, cmd: Any, option: Any, command: Any, expected: tuple[str, ...]
) -> None:
    config = ExecutionConfig(entrypoint=entrypoint, cmd=cmd)
    assert process_args(config, RunOptions.of("i", command, entrypoint=option)) == expected


def test_no_command_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="no command specified"):
        process_args(ExecutionConfig(cmd=("c",)), RunOptions.of("i", entrypoint=""))


def test_environment_precedence() -> None:
    config = ExecutionConfig(env=("PATH=/image", "A=1", "B=1", "E=a=b"))
    env = spec(config, env=["B=2", "C=3", "HOSTNAME=mine"], tty=True)["process"]["env"]
    assert env == [
        "PATH=/image",
        "HOSTNAME=mine",
        "TERM=xterm",
        "A=1",
        "B=2",
        "E=a=b",
        "C=3",
        "HOME=/root",
    ]


@pytest.mark.parametrize(
    ("working_dir", "option", "expected"),
    [("", "", "/"), ("/image", "", "/image"), ("/image", "/option", "/option")],
)
def test_working_directory(working_dir: str, option: str, expected: str) -> None:
    made = spec(ExecutionConfig(working_dir=working_dir), workdir=option)
    assert made["process"]["cwd"] == expected


def test_defaults_are_confined() -> None:
    made = spec()
    process, linux = made["process"], made["linux"]
    assert process["noNewPrivileges"] is False
    assert sorted(process["capabilities"]["bounding"]) == sorted(DEFAULT_CAPABILITIES)
    assert set(process["capabilities"]) == {"bounding", "effective", "permitted"}
    assert linux["seccomp"]["defaultAction"] == "SCMP_ACT_ERRNO"
    assert "/proc/kcore" in linux["maskedPaths"]
    assert "/proc/sys" in linux["readonlyPaths"]
    assert linux["resources"]["devices"][0] == {"allow": False, "access": "rwm"}
    kinds = {item["type"] for item in linux["namespaces"]}
    assert kinds == {"pid", "mount", "ipc", "uts", "cgroup", "network"}
    assert made["hostname"] == "0123456789ab"
    assert linux["cgroupsPath"] == "/jupyter-containers/0123456789abcdef"
    by_target = {item["destination"]: item for item in made["mounts"]}
    assert "ro" in by_target["/sys"]["options"]
    assert "ro" in by_target["/sys/fs/cgroup"]["options"]
    assert f"size={64 * 1024 * 1024}" in by_target["/dev/shm"]["options"]


def test_privileged() -> None:
    made = spec(privileged=True)
    assert made["process"]["capabilities"]["effective"] == list(CAPABILITY_NAMES)
    assert made["process"]["noNewPrivileges"] is False
    assert "seccomp" not in made["linux"]
    assert made["linux"]["maskedPaths"] == []
    assert made["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


@pytest.mark.parametrize(
    ("values", "no_new_privileges", "has_seccomp"),
    [
        ([], False, True),
        (["no-new-privileges=false"], False, True),
        (["no-new-privileges:true"], True, True),
        (["no-new-privileges"], True, True),
        (["seccomp=unconfined"], False, False),
    ],
)
def test_security_options(values: list[str], no_new_privileges: bool, has_seccomp: bool) -> None:
    made = spec(security_opt=values)
    assert made["process"]["noNewPrivileges"] is no_new_privileges
    assert ("seccomp" in made["linux"]) is has_seccomp


def test_settings_can_take_new_privileges_from_everybody() -> None:
    context = replace(CONTEXT, no_new_privileges=True)

    def of(**options: Any) -> bool:
        made = runtime_spec(ExecutionConfig(), RunOptions.of("i", ["ls"], **options), context)
        return bool(made["process"]["noNewPrivileges"])

    assert of()
    assert not of(security_opt=["no-new-privileges=false"])
    assert not of(privileged=True)


def test_a_seccomp_file_must_have_been_read() -> None:
    with pytest.raises(InvalidArgumentError, match="not loaded"):
        spec(security_opt=["seccomp=mine.json"])
    context = replace(CONTEXT, seccomp={"defaultAction": "SCMP_ACT_ALLOW"})
    made = spec(context=context, security_opt=["seccomp=mine.json"])
    assert made["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ALLOW"}
    with pytest.raises(InvalidArgumentError, match="security-opt"):
        spec(security_opt=["nonsense"])


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("path", [{"type": "network", "path": "/proc/1/fd/9"}]),
        ("new", [{"type": "network"}]),
        ("host", []),
    ],
)
def test_network_namespace(network: Any, expected: list[dict[str, str]]) -> None:
    linux = spec(context=replace(CONTEXT, network=network, netns="/proc/1/fd/9"))["linux"]
    assert [item for item in linux["namespaces"] if item["type"] == "network"] == expected
    # In the host's own network our sysctls would change the host.
    assert ("sysctl" in linux) is (network != "host")


def test_mounts_replace_defaults_and_nest() -> None:
    context = replace(
        CONTEXT,
        mounts=(
            BindMount("/h/deep", "/data/a/b"),
            BindMount("/h/data", "/data/", read_only=True),
            TmpfsMount("/dev/shm", size=100, mode=0o700, options=("exec",)),
        ),
        hosts_file="/b/hosts",
        resolv_conf="/b/resolv.conf",
        hostname_file="/b/hostname",
    )
    mounts = spec(context=context)["mounts"]
    targets = [item["destination"] for item in mounts]
    assert len(targets) == len(set(targets))
    assert targets.index("/data") < targets.index("/data/a/b")
    by_target = {item["destination"]: item for item in mounts}
    assert by_target["/data"]["options"] == ["rbind", "rprivate", "ro"]
    assert by_target["/etc/hosts"]["source"] == "/b/hosts"
    assert by_target["/dev/shm"]["options"] == ["nosuid", "nodev", "exec", "mode=700", "size=100"]


def test_init_goes_in_front() -> None:
    made = spec(init=True)
    assert made["process"]["args"] == ["/sbin/docker-init", "--", "run"]
    assert made["mounts"][-1]["source"] == "/usr/bin/catatonit"
    with pytest.raises(UnsupportedError) as caught:
        spec(context=replace(CONTEXT, host=replace(HOST, init_program="")), init=True)
    assert caught.value.capability == "init"


def test_devices_are_passed_on() -> None:
    made = spec(context=replace(CONTEXT, devices=(Device("/dev/fuse", "c", 10, 229),)))
    assert made["linux"]["devices"][0]["major"] == 10


def test_exec_inherits_and_overrides() -> None:
    base = spec(ExecutionConfig(env=("A=1", "B=1")), workdir="/w")
    same = exec_process(base, ExecOptions.of(["ls"]))
    assert same == {**base["process"], "args": ["ls"]}
    other = exec_process(
        base,
        ExecOptions.of(["ls"], env=["B=2"], workdir="/o", tty=True, privileged=True),
        User(7, 8, (), "/h", "u"),
        available=frozenset({"CAP_CHOWN"}),
    )
    assert other["user"]["uid"] == 7
    assert other["cwd"] == "/o"
    assert other["terminal"] is True
    assert other["capabilities"]["effective"] == ["CAP_CHOWN"]
    env = dict(entry.split("=", 1) for entry in other["env"])
    assert (env["A"], env["B"], env["HOME"], env["TERM"]) == ("1", "2", "/h", "xterm")
    assert base["process"]["terminal"] is False
