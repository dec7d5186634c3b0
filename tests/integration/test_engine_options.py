"""Options of run and create on the real runtime: their effect, and refused values."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    InvalidStateError,
    UnsupportedError,
)
from jupyter_containers.runtime import cdi

MIB = 2**20
NONE = {"network": "none"}
DISK = "/dev/vda"


def sh(engine: Engine, image: str, script: str, **flags: Any) -> str:
    """Return the output of a shell script in a container that removes itself."""
    return engine.run(image, ["sh", "-c", script], rm=True, **{**NONE, **flags}).output.strip()


def sleeper(engine: Engine, image: str, name: str, **flags: Any) -> Any:
    return engine.run(image, ["sleep", "60"], detach=True, name=name, **{**NONE, **flags})


def group_file(engine: Engine, container_id: str, controller: str, name: str) -> str:
    runtime = engine._context.runtime
    folder = runtime.layout.folder(runtime.cgroup_path(container_id), controller)
    return Path(folder, name).read_text().strip()


def v1_only(engine: Engine) -> None:
    if engine._context.host.cgroups.version == "v2":
        pytest.skip("cgroup v1 files are looked at here")


def test_cpu_and_memory_options_are_in_the_cgroup(engine: Engine, busybox: str) -> None:
    v1_only(engine)
    container = sleeper(
        engine,
        busybox,
        "limited",
        memory="64m",
        memory_swap="96m",
        memory_reservation="32m",
        memory_swappiness=7,
        oom_kill_disable=True,
        cpu_shares=512,
        cpu_period=50000,
        cpu_quota=25000,
        cpuset_cpus="0",
        cpuset_mems="0",
        pids_limit=17,
    )
    expected = {
        ("memory", "memory.limit_in_bytes"): str(64 * MIB),
        ("memory", "memory.memsw.limit_in_bytes"): str(96 * MIB),
        ("memory", "memory.soft_limit_in_bytes"): str(32 * MIB),
        ("memory", "memory.swappiness"): "7",
        ("cpu", "cpu.shares"): "512",
        ("cpu", "cpu.cfs_period_us"): "50000",
        ("cpu", "cpu.cfs_quota_us"): "25000",
        ("cpuset", "cpuset.cpus"): "0",
        ("cpuset", "cpuset.mems"): "0",
        ("pids", "pids.max"): "17",
    }
    found = {key: group_file(engine, container.id, *key) for key in expected}
    assert found == expected
    assert "oom_kill_disable 1" in group_file(engine, container.id, "memory", "memory.oom_control")
    host = engine.system.inspect("limited")["HostConfig"]
    assert (host["CpuPeriod"], host["CpuQuota"], host["CpusetMems"]) == (50000, 25000, "0")
    assert (host["MemorySwappiness"], host["OomKillDisable"], host["PidsLimit"]) == (7, True, 17)


def test_a_disk_is_only_written_at_the_given_rate(engine: Engine, busybox: str) -> None:
    v1_only(engine)
    if not os.path.exists(DISK):
        pytest.skip(f"needs the disk {DISK}")
    container = sleeper(
        engine, busybox, "slow", device_write_bps=f"{DISK}:1mb", device_read_iops=f"{DISK}:100"
    )
    numbers = f"{os.major(os.stat(DISK).st_rdev)}:{os.minor(os.stat(DISK).st_rdev)}"
    for name, value in (("write_bps", str(MIB)), ("read_iops", "100")):
        text = group_file(engine, container.id, "blkio", f"blkio.throttle.{name}_device")
        assert text == f"{numbers} {value}"
    begun = time.monotonic()
    engine.containers.exec(
        "slow", ["dd", "if=/dev/zero", "of=/f", "bs=64k", "count=32", "oflag=direct"]
    )
    assert time.monotonic() - begun > 1.0  # 2 MiB at 1 MiB a second
    document = engine.system.inspect("slow")["HostConfig"]["BlkioDeviceWriteBps"]
    assert document == [{"Path": DISK, "Rate": MIB}]


@pytest.mark.parametrize(
    ("flags", "capability"),
    [
        ({"kernel_memory": "64m"}, "kernel memory limit"),
        ({"blkio_weight": 500}, "block I/O weight (scheduler bfq)"),
        ({"cpu_rt_runtime": 1000, "cpu_rt_period": 10000}, "real-time CPU of control groups"),
        ({"storage_opt": "size=10m"}, "project quotas"),
        ({"security_opt": "apparmor=docker-default"}, "apparmor"),
        ({"security_opt": "label=type:container_t"}, "selinux"),
        ({"gpus": "all"}, "CDI device nvidia.com/gpu=all"),
        ({"runtime": "kata"}, "runtime kata"),
        ({"volume_driver": "nfs", "volume": ["named:/x"]}, "volume driver nfs"),
        ({"isolation": "hyperv"}, "isolation hyperv"),
        ({"disable_content_trust": False}, "content trust"),
        ({"log_driver": "journald"}, "log driver journald"),
        ({"mount": "type=volume,target=/x,volume-driver=nfs"}, "volume driver nfs"),
    ],
)
def test_what_this_host_cannot_honour_fails_by_name(
    engine: Engine, busybox: str, flags: dict[str, Any], capability: str
) -> None:
    with pytest.raises(UnsupportedError) as caught:
        engine.containers.create(busybox, ["true"], **NONE, **flags)
    assert caught.value.capability == capability
    assert caught.value.provided_by
    assert "\n" not in caught.value.message


def test_oom_score_and_ulimit(engine: Engine, busybox: str) -> None:
    text = sh(
        engine,
        busybox,
        "cat /proc/self/oom_score_adj; ulimit -n; ulimit -Hn",
        oom_score_adj=321,
        ulimit="nofile=100:200",
    )
    assert text.split() == ["321", "100", "200"]


def test_sysctls_of_the_containers_own_namespaces(engine: Engine, busybox: str) -> None:
    files = "/proc/sys/net/core/somaxconn /proc/sys/kernel/shmmni /proc/sys/fs/mqueue/msg_max"
    values = ["net.core.somaxconn=77", "kernel.shmmni=99", "fs.mqueue.msg_max=13"]
    assert sh(engine, busybox, f"cat {files}", sysctl=values).split() == ["77", "99", "13"]


def test_devices_and_rules(engine: Engine, busybox: str) -> None:
    if not os.path.exists("/dev/fuse"):
        pytest.skip("needs /dev/fuse")
    script = "test -c /dev/other && cat /proc/1/comm >/dev/null; : <>/dev/other && echo open"
    assert "open" in sh(engine, busybox, script, device="/dev/fuse:/dev/other")
    read_only = sh(engine, busybox, f"({script}) 2>&1 | tail -1", device="/dev/fuse:/dev/other:r")
    assert "not permitted" in read_only
    node = "mknod /n c 10 229; (: <>/n) 2>&1 && echo open"
    assert (
        "open" not in engine.run(busybox, ["sh", "-c", node], rm=True, check=False, **NONE).output
    )
    assert "open" in sh(engine, busybox, node, device_cgroup_rule="c 10:229 rwm")
    with pytest.raises(InvalidArgumentError, match="no such device"):
        engine.containers.create(busybox, ["true"], device="/dev/no-such", **NONE)


def test_a_cdi_file_gives_a_device(
    engine: Engine, busybox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shown").write_text("by the vendor")
    document = {
        "cdiVersion": "0.6.0",
        "kind": "nvidia.com/gpu",
        "devices": [
            {
                "name": "all",
                "containerEdits": {
                    "deviceNodes": [{"path": "/dev/nvidia0", "hostPath": "/dev/zero"}],
                    "env": ["GPU=all"],
                    "mounts": [
                        {
                            "hostPath": str(tmp_path / "shown"),
                            "containerPath": "/vendor",
                            "options": ["ro", "nosuid", "nodev", "bind"],
                        }
                    ],
                    "hooks": [
                        {
                            "hookName": "poststop",
                            "path": "/usr/bin/touch",
                            "args": ["touch", str(tmp_path / "ended")],
                        }
                    ],
                },
            }
        ],
    }
    (tmp_path / "gpu.json").write_text(json.dumps(document))
    monkeypatch.setattr(cdi.edits_of, "__defaults__", ((tmp_path,),))
    script = "head -c 1 /dev/nvidia0 | od -An -tx1; cat /vendor; echo; echo $GPU"
    for flags in ({"gpus": "all"}, {"device": "nvidia.com/gpu=all"}):
        words = sh(engine, busybox, script, **flags).split()
        assert words == ["00", "by", "the", "vendor", "all"]
    assert (tmp_path / "ended").exists()


def test_cgroup_parent(engine: Engine, busybox: str) -> None:
    container = sleeper(engine, busybox, "placed", cgroup_parent="/jc-test-parent", memory="32m")
    layout = engine._context.host.cgroups
    folder = layout.folder(f"/jc-test-parent/{container.id}", "memory")
    assert os.path.isdir(folder)
    assert engine.containers.stats(["placed"])[0].memory_limit == 32 * MIB
    engine.containers.remove("placed", force=True)
    assert not os.path.exists(folder)
    for top in layout.folders("/jc-test-parent"):
        if os.path.isdir(top):
            os.rmdir(top)


def test_namespaces_of_the_host_and_of_another(engine: Engine, busybox: str) -> None:
    script = "for kind in pid uts ipc cgroup; do readlink /proc/self/ns/$kind; done"
    own = sh(engine, busybox, script)
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "uts", "ipc", "cgroup")]
    assert not set(own.split()) & set(host)
    shared = {"pid": "host", "uts": "host", "ipc": "host", "cgroupns": "host"}
    assert sh(engine, busybox, script, **shared).split() == host
    sleeper(engine, busybox, "first", ipc="shareable")
    engine.containers.exec("first", ["sh", "-c", "echo hello > /dev/shm/note"])
    text = sh(
        engine,
        busybox,
        "cat /dev/shm/note; ps | grep -c '[s]leep 60'",
        ipc="container:first",
        pid="container:first",
    )
    assert text.split() == ["hello", "1"]
    sleeper(engine, busybox, "private")
    with pytest.raises(InvalidArgumentError, match="private"):
        sh(engine, busybox, "true", ipc="container:private")
    engine.containers.stop("first", timeout=0)
    with pytest.raises(InvalidStateError, match="does not run"):
        sh(engine, busybox, "true", pid="container:first")
    assert sh(engine, busybox, "test -d /dev/shm && mountpoint /dev/shm || echo none", ipc="none")


def test_domain_name(engine: Engine, busybox: str) -> None:
    text = sh(
        engine,
        busybox,
        "hostname; cat /proc/sys/kernel/domainname; grep -c web.example.org /etc/hosts",
        hostname="web",
        domainname="example.org",
        network="bridge",
    )
    assert text.split() == ["web", "example.org", "1"]


def test_annotations_reach_the_spec(engine: Engine, busybox: str) -> None:
    container = sleeper(engine, busybox, "noted", annotation={"org.acme.note": "x"})
    spec = engine._lifecycle.bundle(container.id).spec()
    assert spec["annotations"] == {"org.acme.note": "x"}
    assert engine.system.inspect("noted")["HostConfig"]["Annotations"] == {"org.acme.note": "x"}


def test_cidfile(engine: Engine, busybox: str, tmp_path: Path) -> None:
    file = tmp_path / "id"
    container = engine.containers.create(busybox, ["true"], cidfile=str(file), **NONE)
    assert file.read_text() == container.id
    with pytest.raises(AlreadyExistsError):
        engine.containers.create(busybox, ["true"], cidfile=str(file), **NONE)
    other = tmp_path / "other"
    with pytest.raises(UnsupportedError):
        engine.containers.create(busybox, ["true"], cidfile=str(other), kernel_memory="64m", **NONE)
    assert not other.exists()


def test_volumes_from(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "bound").write_text("bound")
    engine.containers.create(
        busybox, ["true"], name="data", volume=["/anonymous", f"{tmp_path}:/bind"], **NONE
    )
    sh(engine, busybox, "echo kept > /anonymous/file", volumes_from="data")
    assert sh(engine, busybox, "cat /anonymous/file /bind/bound", volumes_from="data:ro") == (
        "kept\nbound"
    )
    refused = sh(engine, busybox, "touch /anonymous/x 2>&1 || true", volumes_from="data:ro")
    assert "Read-only" in refused
    assert engine.system.inspect("data")["Mounts"]


def test_every_option_of_mount(engine: Engine, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    bind = f"type=bind,source={tmp_path},target=/m"
    assert sh(engine, busybox, "cat /m/file", mount=f"{bind},readonly") == "here"
    for extra in ("bind-recursive=disabled", "bind-propagation=rslave", "bind-nonrecursive"):
        assert sh(engine, busybox, "cat /m/file", mount=f"{bind},{extra}") == "here"
    text = sh(
        engine,
        busybox,
        "grep ' /m ' /proc/self/mountinfo",
        mount=f"{bind},bind-propagation=rshared",
    )
    assert "shared:" in text or "master:" in text
    size = "df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t"
    tmpfs = "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700"
    assert sh(engine, busybox, size, mount=tmpfs).split() == ["1024", "700"]
    with pytest.raises(InvalidArgumentError, match="belongs to another type"):
        engine.containers.create(
            busybox, ["true"], mount="type=bind,source=/,target=/x,tmpfs-size=1m", **NONE
        )
    with pytest.raises(InvalidArgumentError, match="does not exist"):
        engine.containers.create(
            busybox, ["true"], mount="type=bind,source=/no/such,target=/x", **NONE
        )


def test_parts_of_a_volume(engine: Engine, busybox: str) -> None:
    engine.volumes.create("parts")
    sh(
        engine,
        busybox,
        "mkdir -p /v/in; echo deep > /v/in/file; ln -s /etc /v/out",
        volume="parts:/v",
    )
    part = "type=volume,source=parts,target=/p,volume-subpath="
    assert sh(engine, busybox, "cat /p/file; echo new > /p/file2", mount=f"{part}in") == "deep"
    assert sh(engine, busybox, "cat /p", mount=f"{part}in/file2") == "new"
    for path in ("out", "missing"):
        with pytest.raises(InvalidArgumentError, match=path):
            sh(engine, busybox, "ls /p", mount=f"{part}{path}")
    clamped = sh(engine, busybox, "ls /p", mount=f"{part}../..")
    assert clamped.split() == ["in", "out"]  # the volume itself
    sh(engine, busybox, "true", mount="type=volume,source=labelled,target=/l,volume-label=a=b")
    assert engine.system.inspect("labelled")["Labels"] == {"a": "b"}
    nocopy = sh(
        engine, busybox, "ls /etc", mount="type=volume,source=bare,target=/etc,volume-nocopy"
    )
    assert "passwd" not in nocopy.split()
    for name in ("parts", "labelled", "bare"):
        engine.volumes.remove(name)


def test_a_read_only_bind_is_so_below_too(engine: Engine, busybox: str, tmp_path: Path) -> None:
    script = "touch /m/proc-like/x 2>&1; echo $?"
    # /dev/shm is a mount of its own below /dev.
    text = sh(engine, busybox, "touch /m/shm/jc-test 2>&1 || true", volume="/dev:/m:ro")
    assert "Read-only" in text, script
    writable = "type=bind,source=/dev,target=/m,readonly,bind-recursive=writable"
    sh(engine, busybox, "touch /m/shm/jc-test && rm /m/shm/jc-test", mount=writable)


def test_security_options(engine: Engine, busybox: str, tmp_path: Path) -> None:
    status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | awk '{print $2}'"
    assert sh(engine, busybox, status).split() == ["0", "2"]
    flags = ["no-new-privileges", "seccomp=unconfined"]
    assert sh(engine, busybox, status, security_opt=flags).split() == ["1", "0"]
    profile = tmp_path / "profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    refused = sh(engine, busybox, "mkdir /x 2>&1 || true", security_opt=f"seccomp={profile}")
    assert "not permitted" in refused
    masked = "ls /proc/acpi 2>&1 | wc -l; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c"
    assert sh(engine, busybox, masked).split()[-1] == "0"
    document = engine.containers.create(
        busybox, ["true"], security_opt="systempaths=unconfined", **NONE
    )
    host = engine.system.inspect(document.id)["HostConfig"]
    assert (host["MaskedPaths"], host["ReadonlyPaths"]) == (None, None)
    with pytest.raises(InvalidArgumentError, match="cannot read the seccomp profile"):
        engine.containers.create(busybox, ["true"], security_opt="seccomp=/no/such", **NONE)
