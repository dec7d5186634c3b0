"""Restricted environments, each created for real: working parts, and messages about the rest.

A user's are mount namespaces around the account of an ordinary user, root's is one of this
process's children; pods are containers of our own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.runtime import fuseoverlay
from tests.integration.account import CLONE, NEEDS, USER, Account, opened

pytestmark = NEEDS
HELLO = "run --rm --network none busybox echo hello"


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with opened("single") as account:
        account.container("bootstrap busybox")
        yield account


def said(account: Account, line: str) -> tuple[int, str]:
    """Return the exit code of ``jupyter container LINE``, and all of its output."""
    done = account.run(account.command(line))
    return done.returncode, (done.stdout + done.stderr).decode()


def findings(account: Account) -> dict[str, dict[str, Any]]:
    """Return doctor's findings by name; its table and its HTML agree."""
    _, text = said(account, "doctor --format json")
    found = {one["Name"]: one for one in map(json.loads, text.splitlines())}
    _, table = said(account, "doctor")
    html = account.python(
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = Shell.instance()\n"
        "shell.run_line_magic('load_ext', 'jupyter_containers')\n"
        "print(shell.run_line_magic('container', 'doctor')._repr_html_())\n"
    )
    for one in found.values():
        if one["Found"] == "✗" and one["ProvidedBy"]:
            assert one["ProvidedBy"].split(";")[0] in table
            assert one["Name"] in html
    return found


def test_masked_proc_is_named_with_its_remedy(account: Account) -> None:
    mask = "mount -t tmpfs -o ro tmpfs"
    pod = replace(account, setup=(f"{mask} /proc/acpi", f"{mask} /sys/firmware"))
    code, text = said(pod, HELLO)
    assert code == 125
    assert "parts of /proc or /sys are masked here (/proc/acpi and 1 more)" in text
    assert "procMount: Unmasked" in text
    found = findings(pod)["/proc and /sys"]
    assert found["Found"] == "✗"
    assert "systempaths=unconfined" in found["ProvidedBy"]
    assert findings(account)["/proc and /sys"]["Found"] == "✓"


def test_a_store_on_an_overlay_copies_files(account: Account) -> None:
    """A server in a container, its home in the container's own file system."""
    home = account.home / "overlay"
    folders = [account.home / ".layers" / name for name in ("low", "up", "work")]
    low, up, work = folders
    mount = f"mount -t overlay overlay -o lowerdir={low},upperdir={up},workdir={work} {home}"
    made = f"mkdir -p {' '.join(map(str, [*folders, home]))}; chown {USER.pw_uid} {up} {home}"
    inside = replace(account, setup=(made, mount), variables={"XDG_DATA_HOME": str(home)})
    inside.container("bootstrap busybox")
    assert inside.container(HELLO) == "hello\n"
    (account.home / "Dockerfile").write_text("FROM busybox\nRUN echo 1 > /1 && rm /bin/vi\n")
    inside.container(f"build -q -t copied {account.home}")
    look = "run --rm --network none copied sh -c 'cat /1; ls /bin/vi || true'"
    assert inside.container(look) == "1\n"
    found = findings(inside)["overlay"]
    assert found["Found"] == "✗"
    assert "files are copied instead (vfs): cannot mount overlay" in found["Detail"]
    assert "Driver: vfs" in inside.container("info")
    if fuseoverlay.missing():
        return  # neither is the program there for users
    # The program makes the mounts where its device is open to the user.
    device = f"{account.home}/.fuse"
    opened = (
        f"mkdir -p {device}; mount -t tmpfs -o dev tmpfs {device}",
        f"mknod -m 666 {device}/fuse c 10 229; mount --bind {device}/fuse /dev/fuse",
    )
    fuse = replace(inside, setup=(*opened, *inside.setup))
    fuse.container("system reset -f")
    fuse.container("bootstrap busybox")
    fuse.container(f"build -q -t served {account.home}")
    assert fuse.container(look.replace("copied", "served")) == "1\n"
    assert (
        "by the program fuse-overlayfs: cannot mount overlay" in findings(fuse)["overlay"]["Detail"]
    )
    assert "Driver: fuse-overlayfs" in fuse.container("info")


def test_a_home_in_memory_works_and_is_told(account: Account) -> None:
    place = account.home / "memory"
    mount = f"mount -t tmpfs -o mode=700,uid={USER.pw_uid} tmpfs {place}"
    inside = replace(
        account, setup=(f"mkdir -p {place}", mount), variables={"XDG_DATA_HOME": str(place)}
    )
    # The home ends with the program that made it, so everything is one program.
    line = shlex.join(inside.command("bootstrap busybox")[:3])
    script = f"{line} bootstrap busybox && {line} {HELLO} && {line} doctor --format json"
    done = inside.run(["sh", "-c", script])
    assert b"hello" in done.stdout, done.stderr
    store = next(
        one
        for text in done.stdout.decode().splitlines()
        if text.startswith("{") and (one := json.loads(text))["Name"] == "store"
    )
    assert store["Found"] == "✗"
    assert "take memory and are lost at a restart" in store["Detail"]


def test_without_a_runtime_folder(account: Account) -> None:
    """The engine makes its own, and takes no other's."""
    folder = Path(f"/tmp/jupyter-containers-{USER.pw_uid}")
    fresh = "mount -t tmpfs -o mode=1777 tmpfs /run; "
    assert not folder.exists()
    bare = replace(account, setup=(fresh,), variables={"XDG_RUNTIME_DIR": ""})
    squatted = replace(bare, setup=(fresh, f"mkdir -m 777 {folder}"))
    try:
        code, text = said(squatted, "images")
        assert code == 1
        assert f"cannot use {folder} as a folder for sockets" in text
        folder.rmdir()
        assert bare.container(HELLO) == "hello\n"
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        holder = folder / "user/holder"
        if holder.exists():
            os.kill(int(holder.read_text().split()[0]), 9)
        subprocess.run(["rm", "-rf", folder], check=True)


def test_read_only_control_groups_of_root(tmp_path: Path) -> None:
    """Without device control a container of root's would reach the disks: it is refused."""
    remount = (
        "for m in $(findmnt -rno TARGET -t cgroup,cgroup2); do mount -o remount,bind,ro $m; done"
    )
    command = f"{sys.executable} -m jupyter_containers.cli"
    script = f"{remount}\n{command} bootstrap busybox\n{command} {HELLO}\necho code $?\n"
    script += f"{command} doctor --format json | grep '\"cgroups\"'\n"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        env=os.environ
        | {
            "JUPYTER_CONTAINERS_ROOT": str(tmp_path / "root"),
            "JUPYTER_CONTAINERS_RUN_ROOT": str(tmp_path / "run"),
        },
        capture_output=True,
        text=True,
        cwd=CLONE,
        check=False,
    )
    assert "code 125" in done.stdout, done.stderr
    assert "no usable cgroups on this host: /sys/fs/cgroup is mounted read-only" in done.stderr
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    assert found["Found"] == "✗"
    assert "securityContext.privileged" in found["ProvidedBy"]


_USER_IN_A_POD = """
from jupyter_containers import Engine
from jupyter_containers.errors import NetworkError, UnsupportedError
import pathlib
with Engine() as e:
    e.images.load("/given/bases.tar")
    e.build("/given/app", dockerfile='''
FROM busybox
WORKDIR /made
COPY --chown=7:8 f /made/
COPY f /etc/passwd
ADD more.tar /opt/
''', tag="c:1", output=["type=image", "type=tar,dest=/tmp/c.tar"])
    import tarfile
    files = {one.name: (one.mode, one.uid, one.gid, one.size) for one in tarfile.open("/tmp/c.tar")}
    print([files[name] for name in ("made/f", "etc/passwd", "opt/x")], "bin/sh" in files)
    e.build("/given/app", dockerfile="FROM c:1\\nCOPY --from=busybox /bin/vi /v\\n", tag="d:1")
    print(len(e.system.inspect("d:1")["RootFS"]["Layers"]))
    try:
        e.run("busybox", ["true"], network="none")
    except UnsupportedError as error:
        print(error.capability, "|", error.provided_by)
    found = {item.name: item for item in e.system.doctor().capabilities}
    print(found["rights"].detail, "|", found["rights"].provided_by)
    print(e.system.info()["Driver"], e.system.info()["Rootless"])
    try:
        e.run("busybox", ["true"])
    except NetworkError as error:
        print(error.hint)
    print(*e.system.reset(), *pathlib.Path("/tmp/home").rglob("*jupyter*"))
"""


def test_a_user_in_a_pod_without_namespaces_builds_what_is_copied(
    engine: Engine, busybox: str, python: str, tmp_path: Path
) -> None:
    engine.images.save([busybox], tmp_path / "bases.tar")
    app = tmp_path / "app"
    app.mkdir()
    (app / "f").write_text("f\n")
    subprocess.run(
        ["tar", "-C", app, "-cf", app / "more.tar", "--transform=s/f/x/", "f"], check=True
    )
    tmp_path.chmod(0o755)
    packages = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    given = {CLONE: "/clone", packages: "/packages", tmp_path: "/given"}
    given |= {Path(path): path for name in ("runc", "conmon") if (path := shutil.which(name))}
    result = engine.run(
        python,
        ["python3", "-c", _USER_IN_A_POD],
        volume=[f"{source}:{target}:ro" for source, target in given.items()],
        env={"PYTHONPATH": "/clone:/packages", "HOME": "/tmp/home"},
        user="1000:1000",
        network="none",
        rm=True,
        check=False,
    )
    assert result.exit_code == 0, result.stderr.decode()
    files, layers, refused, rights, driver, bridged, gone = result.output.splitlines()
    assert files == "[(420, 7, 8, 2), (420, 0, 0, 2), (420, 0, 0, 2)] True"
    assert int(layers) == 6
    assert refused.startswith("mount namespaces | ")
    assert rights.startswith("a system call filter keeps this process from creating namespaces")
    assert "seccompProfile" in rights
    assert driver == "vfs True"
    assert "jupyter container doctor" in bridged
    assert gone == "/tmp/home/.local/share/jupyter-containers /tmp/jupyter-containers-1000"
