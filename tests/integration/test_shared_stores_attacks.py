"""Programs in shared images grant no rights through paths on the host.

The attacker is ``daemon``, an ordinary user: neither root nor the user of the mapped mounts.
``cat`` of the image has the set-user-ID bit, a copy of it the capability to read every file.
"""

from __future__ import annotations

import io
import os
import pwd
import shutil
import stat
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.shared_stores import MAPPED, map_owners, unmap_owners
from jupyter_containers.oci.idmap import IDMap, IDMapping
from jupyter_containers.runtime.idmapped import _attach, _clone, _set, _user_namespace
from jupyter_containers.runtime.mounts import is_mounted
from tests.integration.account import NEEDS, USER, opened
from tests.integration.engine_fixtures import Place
from tests.integration.test_shared_stores import student

pytestmark = NEEDS
_ATTACKER = pwd.getpwnam("daemon")
# vfs_cap_data of version 2, effective: CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH (capabilities(7)).
_READS_ALL = struct.pack("<5I", 0x02000001, 0b110, 0, 0, 0)
_LINUX_5_12 = pytest.mark.skipif(
    tuple(map(int, os.uname().release.split(".")[:2])) < (5, 12), reason="needs idmapped mounts"
)


def _tar() -> bytes:
    """Return a layer with a set-user-ID program, one with a capability, and a device node."""
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, mode, capability in (("suid", 0o4755, b""), ("capable", 0o755, _READS_ALL)):
            entry = archive.gettarinfo("/bin/cat", f"attack/{name}")
            entry.mode, entry.uid, entry.gid, entry.type = mode, 0, 0, tarfile.REGTYPE
            entry.size = os.stat("/bin/cat").st_size
            if capability:
                text = capability.decode("utf-8", "surrogateescape")
                entry.pax_headers = {"SCHILY.xattr.security.capability": text}
            with open("/bin/cat", "rb") as program:
                archive.addfile(entry, program)
        node = tarfile.TarInfo("attack/null")
        node.type, node.mode, node.devmajor, node.devminor = tarfile.CHRTYPE, 0o666, 1, 3
        archive.addfile(node)
    return found.getvalue()


@pytest.fixture(scope="module")
def store() -> Iterator[Path]:
    folder = Path(f"/tmp/jc-shared-attack-{os.getpid()}")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Engine]:
    place = Place.under(tmp_path_factory.mktemp("teacher"))
    with place.engine(additional_stores=[str(store)]) as engine:
        engine.images.bootstrap("busybox")
        text = "FROM busybox\nADD rootfs.tar /\n"
        engine.build({"rootfs.tar": _tar()}, dockerfile=text, tag="lesson:1")
        engine.stores.share("lesson:1", store=str(store))
        yield engine


@pytest.fixture
def secret() -> Iterator[Path]:
    """Return a file that only its owner, root at first, can read."""
    folder = Path(f"/tmp/jc-secret-{os.getpid()}")
    folder.mkdir(mode=0o755)
    file = folder / "secret"
    file.write_text("the secret")
    file.chmod(0o600)
    yield file
    shutil.rmtree(folder)


def attack(*words: object) -> str:
    """Return the output of a program of the attacker."""
    ids = [f"--reuid={_ATTACKER.pw_uid}", f"--regid={_ATTACKER.pw_gid}", "--clear-groups"]
    done = subprocess.run(
        ["setpriv", *ids, "env", "-C", "/", *map(str, words)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.stdout


def programs(folder: Path) -> dict[str, Path]:
    """Return the files of the attack below a folder of layers, found by root."""
    return {path.name: path for path in folder.glob("*/attack/*")}


def assert_of_no_use(found: dict[str, Path], secret: Path) -> None:
    """Try every way to the programs that the attacker has."""
    assert {"suid", "capable"} <= set(found)
    for name in ("suid", "capable"):
        program = found[name]
        assert attack(program, secret) == "", f"{program} on the host"
        assert attack("unshare", "-Urm", program, secret) == "", "in namespaces of the attacker"
        beside = secret.parent / f"link-{name}"
        secret.parent.chmod(0o777)
        attack("ln", program, beside)
        assert not beside.exists(), "a hard link"
        pid = os.getpid()
        assert attack(f"/proc/{pid}/root{program}", secret) == "", "through another's root"


def test_programs_of_shared_layers_are_of_no_use_to_others(
    teacher: Engine, store: Path, secret: Path
) -> None:
    """Seen to fail with layers of mode 0755: "suid" and "capable" printed root's file."""
    found = programs(store / "layers")
    capability = os.getxattr(found["capable"], "security.capability")
    assert capability == _READS_ALL, "the layer has what the image has"
    assert stat.S_IMODE(found["suid"].stat().st_mode) == 0o4755
    assert_of_no_use(found, secret)
    box = teacher.run(
        "lesson:1",
        ["sleep", "60"],
        detach=True,
        network="none",
        volume=["/lib:/lib", "/lib64:/lib64"],
    )
    try:
        pid = box.inspect()["State"]["Pid"]
        assert attack(f"/proc/{pid}/root/attack/suid", secret) == ""
        inside = box.exec(["/attack/suid", "/etc/passwd"])
        assert "root:" in inside.output, "containers use the program as ever"
    finally:
        teacher.containers.remove(box.id, force=True)


def test_shared_layers_have_no_device_nodes(teacher: Engine, store: Path) -> None:
    """Seen to fail before: the node of the image was in the layer, with its mode."""
    assert "null" in programs(teacher.settings.root / "layers"), "the image has a device node"
    for path in (store / "layers").rglob("*"):
        state = path.lstat()
        kind = stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode)
        assert not kind or state.st_rdev == 0, path  # 0:0 is a whiteout, no device


@_LINUX_5_12
def test_mapped_layers_give_others_nothing_of_the_user(
    teacher: Engine, store: Path, secret: Path, tmp_path: Path
) -> None:
    """Seen to fail before: "suid" printed a file that only the user nobody can read."""
    ids(tmp_path)
    os.chown(secret, USER.pw_uid, USER.pw_gid)
    [mount] = map_owners(teacher.settings, "nobody", etc=tmp_path)
    try:
        assert_of_no_use(programs(mount), secret)
        assert {"ro", "nosuid", "nodev"} <= mount_flags(mount)
        with opened("subordinate") as account:
            gate = mount.parent
            for command in (
                ["chmod", "755", gate],
                ["mkdir", gate / "x"],
                ["mv", mount, gate / "x"],
                ["ln", "-s", "/etc", gate / "x"],
                ["unshare", "-Urm", "mount", "-o", "remount,rw,suid", mount],
                ["unshare", "-Urm", "umount", mount],
            ):
                assert account.run([str(word) for word in command]).returncode != 0, command
            assert stat.S_IMODE(gate.stat().st_mode) == 0o500
            # The user's own containers have set-user-ID programs as ever: busybox' su, as a user.
            shown = student(
                account,
                store,
                "run --rm --network none -v /lib:/lib -v /lib64:/lib64 --user 1000"
                " --security-opt no-new-privileges=false lesson:1 /attack/suid /proc/self/status",
            )
            assert next(line for line in shown.splitlines() if line.startswith("Uid:")).split()[
                1:3
            ] == ["1000", "0"]
    finally:
        unmap_owners("nobody")
    assert not mount.parent.exists()


@_LINUX_5_12
def test_what_an_older_version_left_open_is_closed_by_root(
    teacher: Engine, store: Path, secret: Path, tmp_path: Path
) -> None:
    """Seen to fail before: an engine opened by root left both as they were."""
    ids(tmp_path)
    [mount] = map_owners(teacher.settings, "nobody", etc=tmp_path)
    unmap_owners("nobody")
    (store / "layers").chmod(0o755)
    mount.mkdir(mode=0o755, parents=True)
    mount.parent.chmod(0o755)
    users = IDMap((IDMapping(0, USER.pw_uid, 1), IDMapping(1, 400000, 65536)))
    with _user_namespace(users, users) as namespace:
        tree = _clone(store / "layers")
        _set(tree, 0x1 | 0x4 | 0x100000, namespace=namespace)
        _attach(tree, mount)
        os.close(tree)
    try:
        assert attack(programs(store / "layers")["suid"], secret) == "the secret"
        with opened("subordinate") as account:
            told = student(account, store, "doctor --format '{{.Detail}}'")
            assert f"every user can enter {store}/layers" in told
            assert "open layers" in account.run(
                ["env", f"JUPYTER_CONTAINERS_ADDITIONAL_STORES={store}",
                 *account.command("system check")]
            ).stdout.decode()  # fmt: skip
        with Place.under(tmp_path / "other").engine(additional_stores=[str(store)]) as engine:
            engine.images()
        assert_of_no_use(programs(store / "layers"), secret)
        os.chown(secret, USER.pw_uid, USER.pw_gid)
        assert is_mounted(mount)
        assert_of_no_use(programs(mount), secret)
        with opened("subordinate") as account:
            assert student(account, store, "store ls --format '{{.Layers}}'") == "mapped\n"
    finally:
        unmap_owners("nobody")
    assert not (MAPPED / str(USER.pw_uid)).exists()


def ids(folder: Path) -> None:
    for name in ("subuid", "subgid"):
        (folder / name).write_text("nobody:400000:65536\n")


def mount_flags(mount: Path) -> set[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        if fields[4] == str(mount):
            return set(fields[5].split(","))
    raise AssertionError(f"not mounted: {mount}")
