"""The whole engine without root: everything here is done by the account of an ordinary user."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from jupyter_containers.engine import Engine
from tests.integration.account import CLONE, KINDS, NEEDS, USER, Account, opened

pytestmark = NEEDS


@pytest.fixture(scope="module", params=KINDS)
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    with opened(request.param) as account:
        account.container("bootstrap busybox")
        yield account


SHOP = """\
services:
  db:
    image: busybox
    command: httpd -f -h /etc
    configs: [greeting]
    stop_grace_period: 0s
    healthcheck: {test: test -e /greeting, interval: 100ms}
  web:
    image: busybox
    command: sleep 600
    stop_grace_period: 0s
    volumes: ["data:/data"]
    depends_on: {db: {condition: service_healthy}}
configs: {greeting: {content: hello}}
volumes: {data: }
"""


def test_root_inside_is_nobody_outside(account: Account) -> None:
    assert account.container("run --rm busybox id -u") == "0\n"
    account.container("run -d --name outside busybox sleep 100")
    pid = json.loads(account.container("inspect outside"))[0]["State"]["Pid"]
    assert os.stat(f"/proc/{pid}").st_uid == USER.pw_uid
    assert account.container("rm -f outside") == "outside\n"
    assert not os.path.exists(f"/proc/{pid}")


def test_cp_brings_no_program_that_others_run_as_the_user(account: Account) -> None:
    """Seen to fail before: 4755 and the user's own id on the program of a container."""
    script = "cp /bin/busybox /suid; chmod 4755 /suid"
    account.container(f"run --name hostile --network none busybox sh -c '{script}'")
    done = account.run(account.command(f"cp hostile:/suid {account.home}/suid"))
    said = b"WARNING: left out: the set-user-ID or set-group-ID bits of 1 file"
    assert (done.returncode, done.stderr.count(said)) == (0, 1)
    status = os.stat(account.home / "suid")
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (USER.pw_uid, 0o755)
    account.container("rm hostile")


def test_exit_codes_streams_and_input(account: Account) -> None:
    line = "run --rm -i --network none busybox sh -c 'cat; echo err >&2; exit 3'"
    done = account.run(account.command(line), stdin=b"in\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"in\n", b"err\n")


def test_a_server_is_reached_by_its_published_port_and_by_name(account: Account) -> None:
    port = 18000 + os.getpid() % 1000 + account.subordinate
    account.container("network create lab")
    account.container(f"run -d --name web --network lab -p {port}:80 busybox httpd -f -h /etc")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=5) as got:
            name = got.read().decode()
        assert account.container("exec web hostname") == name
        fetched = "run --rm --network lab busybox wget -qO- http://web/hostname"
        assert account.container(fetched) == name
    finally:
        account.container("rm -f web")
        account.container("network rm lab")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)


def test_an_application_comes_up_is_looked_at_and_goes(account: Account) -> None:
    file = account.home / "compose.yaml"
    file.write_text(SHOP)
    compose = f"compose -p shop -f {file}"
    account.container(f"{compose} up -d --wait")
    try:
        assert account.container(f"{compose} ps --services").split() == ["db", "web"]
        fetched = account.container(f"{compose} exec -T web wget -qO- http://db/hostname")
        assert fetched == account.container(f"{compose} exec -T db hostname")
        assert account.container(f"{compose} exec -T db cat /greeting") == "hello"
    finally:
        account.container(f"{compose} down -v")
    assert account.container("ps -aq") == ""
    assert "shop" not in account.container("network ls") + account.container("volume ls")


def test_the_uplink_sees_no_files_and_makes_few_calls(account: Account) -> None:
    """slirp4netns reads packets of containers, so it has its own root and a filter.

    Seen to fail at 39323e0: its root was the host's, ``Seccomp: 0``.
    """
    account.container("run --rm busybox true")
    control = f"--api-socket={account.home}/run/jupyter-containers/user/uplink.sock"
    [uplink] = [folder for folder in Path("/proc").glob("[1-9]*") if control in words_of(folder)]
    assert "Seccomp:\t2" in (uplink / "status").read_text()
    assert os.readlink(uplink / "ns/mnt") != os.readlink("/proc/self/ns/mnt")
    assert set(os.listdir(uplink / "root")) <= {"etc", "run"}
    found = {one["Name"]: one for one in map(json.loads, doctor(account).splitlines())}
    assert found["uplink sandbox"]["Found"] == "✓", found["uplink sandbox"]


def words_of(process: Path) -> list[str]:
    try:
        return (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []  # it has ended


def doctor(account: Account) -> str:
    return account.run(account.command("doctor --format json")).stdout.decode()


def test_the_hosts_own_servers_are_reached_by_its_name(account: Account) -> None:
    """Servers on all addresses are reachable; those on the loopback only are not."""
    handler = type("Hello", (BaseHTTPRequestHandler,), {"do_GET": _hello, "log_message": _silent})
    for address, code in (("0.0.0.0", 0), ("127.0.0.1", 1)):
        with ThreadingHTTPServer((address, 0), handler) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://host.docker.internal:{server.server_address[1]}/"
            line = f"run --rm busybox wget -qO- {url}"
            done = account.run(account.command(line))
            server.shutdown()
        assert (done.returncode, done.stdout) == (code, b"" if code else b"hello"), done.stderr
    told = account.container("run --rm --add-host h:host-gateway busybox cat /etc/hosts")
    assert re.search(r"^(\S+)\th$", told, re.MULTILINE)[1] in told.split("host.docker")[0]


def _hello(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"hello")


def _silent(*_: object) -> None:
    """Keep the requests out of the test's output."""


def test_a_new_network_leaves_the_published_ports_of_others_alone(account: Account) -> None:
    port = 17000 + os.getpid() % 1000 + account.subordinate
    account.container(f"run -d --name web -p {port}:80 busybox httpd -f -h /etc")
    try:
        account.container("network create other")
        assert account.container("run --rm --network other busybox echo here") == "here\n"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=5) as got:
            assert got.read().decode() == account.container("exec web hostname")
    finally:
        account.container("rm -f web")
        account.container("network rm other")


def test_a_build_runs_changes_owners_and_is_the_same_image(account: Account) -> None:
    context = account.home / "app"
    context.mkdir()
    (context / "f").write_text("f\n")
    (context / "Dockerfile").write_text(
        "FROM busybox\nCOPY --chown=7:8 f /f\nRUN touch /g && chown 5:6 /g && rm /bin/vi\n"
        "RUN mkdir /d && echo 1 > /d/1\nRUN rm -r /d && mkdir /d && echo 2 > /d/2\nUSER 9\n"
    )
    account.container(f"build -q -t app:1 {context}")
    shown = account.container(
        "run --rm --network none -u 0 app:1 sh -c 'stat -c %u:%g /f /g; ls /d; ls /bin/vi || true'"
    )
    owners = ["7:8", "5:6"] if account.subordinate else ["0:0", "0:0"]
    assert shown.split() == [*owners, "2"]
    # The owner of COPY is in the layer even if that user does not exist.
    account.container(f"save -o {account.home}/app.tar app:1")
    with tarfile.open(account.home / "app.tar") as saved:
        [layers] = [one["Layers"] for one in json.load(saved.extractfile("manifest.json"))]
        with tarfile.open(fileobj=saved.extractfile(layers[1])) as layer:
            assert (layer.getmember("f").uid, layer.getmember("f").gid) == (7, 8)
    if account.subordinate:
        assert account.container("run --rm --network none app:1 id -u") == "9\n"


def test_a_kernel_listens_in_a_container_without_a_network(account: Account) -> None:
    """The socket is made in the worker, and its connections are accepted in the kernel."""
    told = account.python(
        """
import threading
from jupyter_containers import Engine
with Engine() as e:
    with e.run("busybox", ["sleep", "100"], detach=True, network="none", rm=True) as c:
        listener = e.containers.listen(c.name, 3128)
        def answer():
            client, _ = listener.accept()
            client.sendall(b"from the kernel")
            client.close()
        thread = threading.Thread(target=answer)
        thread.start()
        print(c.exec(["nc", "127.0.0.1", "3128"]).output)
        thread.join()
        listener.close()
"""
    )
    assert told == "from the kernel\n"


def test_a_kernels_engine_works_in_a_process_of_its_own(account: Account) -> None:
    told = account.python(
        """
import os, threading
from jupyter_containers import Engine
from jupyter_containers.errors import (ContainerFailedError, ContainerNotFoundError,
                                       OperationCancelledError)
from jupyter_containers.events import CancelToken
with Engine() as e:
    heard = []
    flags = {"network": "none", "rm": True}
    result = e.run("busybox", ["sh", "-c", "cat; exit 4"], stdin=b"typed", check=False,
                   on_output=lambda stream, data: heard.append((stream, data)), **flags)
    print(result.exit_code, heard)
    try:
        e.run("busybox", ["false"], **flags)
    except ContainerFailedError as error:
        print(type(error).__name__, error.exit_code)
    try:
        e.system.inspect("nothing")
    except ContainerNotFoundError as error:
        print(error.message)
    with e.run("busybox", ["sh", "-c", "echo one; sleep 100"], detach=True, network="none") as c:
        print(c.exec(["echo", "two"]).output.strip(), c.status)
        token = CancelToken()
        lines = e.containers.logs(c.name, follow=True, cancel=token)
        print(next(lines).data)
        threading.Timer(0.2, token.cancel).start()
        try:
            next(lines)
        except OperationCancelledError as error:
            print(error.message)
        session = e.containers.terminal(c.name, ["sh"])
        session.write(b"echo $((40+2)); exit 5\\n")
        got = b""
        while (data := session.read(5)):
            got += data
        print(b"42" in got, session.wait(5))
        session.close()
        print([one.name for one in e.containers.stats([c.name])] == [c.name])
    print(e.containers(all=True), os.geteuid() != 0)
"""
    )
    assert told.splitlines() == [
        "4 [('stdout', b'typed')]",
        "ContainerFailedError 1",
        "no such object: nothing",
        "two running",
        "b'one\\n'",
        "cancelled",
        "True 5",
        "True",
        "[] True",
    ]


# Becomes a part of every Python of the user: the process that works for a kernel dies in a start.
_DYING = """
import os, signal
if moment := os.environ.get("DIE_IN_START"):
    from jupyter_containers.runtime.oci_runtime import OCIRuntime
    start = OCIRuntime.start
    def die(self, container_id):
        if moment == "after":
            start(self, container_id)
        os.kill(os.getpid(), signal.SIGKILL)
    OCIRuntime.start = die
"""


@pytest.mark.parametrize(("moment", "status"), [("before", "Created"), ("after", "Up")])
def test_a_killed_worker_leaves_no_start_half_done(
    account: Account, moment: str, status: str
) -> None:
    """Seen to fail: with the record of before, which said running first, both were Up."""
    (account.home / "sitecustomize.py").write_text(_DYING)
    variables = {"PYTHONPATH": f"{account.home}:{CLONE}", "DIE_IN_START": moment}
    dying = replace(account, variables={**account.variables, **variables})
    done = dying.run(dying.command("run -d --name half -p 127.0.0.1::80 busybox sleep 100"))
    assert done.returncode != 0
    try:
        shown = account.container("ps -a --format '{{.Names}} {{.Status}}'")
        assert shown.startswith(f"half {status}"), shown
        if moment == "after":
            assert account.container("exec half echo alive") == "alive\n"
    finally:
        account.container("rm -f half")
    assert account.container("ps -aq") == ""


def test_an_interrupt_ends_the_work_of_the_other_process(account: Account) -> None:
    program = (
        "from jupyter_containers import Engine\n"
        "e = Engine()\n"
        "say = lambda stream, data: print(data.decode(), end='', flush=True)\n"
        "try:\n"
        "    e.run('busybox', ['sh', '-c', 'echo up; sleep 100'], rm=True, on_output=say)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', e.containers(all=True))\n"
    )
    words = account.words([sys.executable, "-c", program])
    with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        os.kill(process.pid, signal.SIGINT)  # every step of the words was an exec: it is Python
        assert process.communicate(timeout=20)[0] == b"interrupted []\n"


def test_values_collections_maps_and_services(account: Account) -> None:
    told = account.python(
        """
from urllib.request import urlopen
from jupyter_containers import Engine
with Engine() as e:
    flags = {"network": "none", "rm": True}
    done = e.run("busybox", ["sh", "-c", "cp $d $r.json"], inputs={"d": {"a": [1]}},
                 results=["r"], **flags)
    print(done.results)
    print([one.output for one in e.workloads.map("busybox", ["echo"], [1, 2, 3], network="none")])
    try:
        e.workloads.map("busybox", ["sh", "-c", "exit {}"], [0, 3], network="none")
    except Exception as error:
        print(type(error).__name__, error.index, type(error.error).__name__)
    with e.workloads.service("busybox", ["httpd", "-f", "-h", "/etc"], ports=80) as web:
        print(urlopen(f"http://{web.address}/passwd").status, web.name in e.containers)
    print(web.name in e.containers, e.images.get("busybox").name)
"""
    )
    assert told.splitlines() == [
        "{'r': {'a': [1]}}",
        "['1\\n', '2\\n', '3\\n']",
        "ItemFailedError 1 ContainerFailedError",
        "200 True",
        "False busybox:latest",
    ]


def test_limits_without_control_groups_are_those_of_processes_and_said_to_be(
    account: Account,
) -> None:
    script = "'grep data /proc/self/limits; nproc'"
    line = f"run --rm --network none -m 200m --cpus 0.5 busybox sh -c {script}"
    done = account.run(account.command(line))
    assert done.returncode == 0
    assert done.stdout.split()[3:5] == [b"209715200", b"209715200"]
    assert done.stdout.split()[-1] == b"1"
    assert done.stderr.count(b"WARNING: No control group is delegated to this user") == 2


def test_a_limit_that_has_no_stand_in_is_refused_by_name(account: Account) -> None:
    done = account.run(account.command("run --rm --pids-limit 5 busybox true"))
    assert done.returncode == 125
    assert b"cgroup controller pids" in done.stderr
    done = account.run(account.command("run --rm --cpuset-cpus 0 busybox true"))
    assert done.returncode == 125
    assert b"cpuset" in done.stderr
    account.container("run -d --name lively --network none busybox sh -c 'echo 1 > /1; sleep 100'")
    try:
        done = account.run(account.command("pause lively"))
        assert done.returncode == 1
        assert (
            b"pause needs a control group with a freezer, which this user does not have"
            in done.stderr
        )
        account.container("commit lively lively:1")  # as it is, for it cannot stand still
        assert account.container("run --rm --network none lively:1 cat /1") == "1\n"
    finally:
        account.container("rm -f lively")


@pytest.mark.parametrize("account", ["single"], indirect=True)
def test_a_debian_image_is_made_and_installs_packages_with_one_id(account: Account) -> None:
    account.container("bootstrap debian:12-slim")
    told = account.container(
        "run --rm debian:12-slim sh -c"
        " 'apt-get -qq update && apt-get -qq install -y bsdutils netbase && cat /etc/protocols'"
    )
    assert "icmp" in told


_IN_A_POD = """
import sys
from jupyter_containers import Engine
from jupyter_containers.errors import UnsupportedError
with Engine(root="/tmp/r", run_root="/tmp/q") as e:
    e.images.load("/given/bases.tar")
    e.build("/", dockerfile="FROM busybox\\nENV A=b\\nCMD [\\"true\\"]\\n", tag="a:1")
    e.images.tag("a:1", "b:1")
    e.images.save(["b:1"], "/tmp/saved.tar")
    print(len(e.images()), e.system.inspect("b:1")["Config"]["Env"][-1])
    e.build("/given", dockerfile='''
FROM busybox AS one
COPY --chown=7:8 app /app
ADD app/more.tar /opt/
WORKDIR /made
FROM busybox
COPY --from=one --chmod=600 /app/f /made/
COPY --from=one /app /opt /all/
COPY app/f /etc/f
''', tag="c:1", output=["type=image", "type=tar,dest=/tmp/c.tar"])
    import tarfile
    files = {one.name: (one.mode, one.uid, one.gid, one.size) for one in tarfile.open("/tmp/c.tar")}
    print([files[name] for name in ("made/f", "all/f", "all/x", "etc/f")], "bin/sh" in files)
    for work in (lambda: e.run("busybox", ["true"], network="none"),
                 lambda: e.build("/", dockerfile="FROM busybox\\nRUN true\\n", isolation="oci")):
        try:
            work()
        except UnsupportedError as error:
            print(error.capability, "|", error.message)
    report = e.system.doctor()
    found = {item.name: item for item in report.capabilities}
    print(report.healthy, found["mounts"].found, found["overlay"].found, e.system.info()["Driver"])
"""


def test_in_a_pod_without_namespaces_images_work_and_run_says_what_is_missing(
    engine: Engine, busybox: str, python: str, tmp_path: Path
) -> None:
    """Root of a container with the usual filter of system calls, as most pods are.

    A build's COPY needs no mounts: the files of the layers are copied.  RUN without
    ``isolation`` works too (``test_chroot_builds.py``).
    """
    engine.images.save([busybox], tmp_path / "bases.tar")
    (tmp_path / "app").mkdir()
    (tmp_path / "app/f").write_text("f\n")
    with tarfile.open(tmp_path / "app/more.tar", "w") as more:
        more.addfile(tarfile.TarInfo("x"), io.BytesIO())
    packages = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    programs = [shutil.which(name) for name in ("runc", "conmon")]
    given = {CLONE: "/clone", packages: "/packages", tmp_path: "/given"}
    given |= {Path(program): program for program in programs if program}
    result = engine.run(
        python,
        ["python3", "-c", _IN_A_POD],
        volume=[f"{source}:{target}:ro" for source, target in given.items()],
        env={"PYTHONPATH": "/clone:/packages"},
        network="none",
        rm=True,
        check=False,
    )
    lines = result.output.splitlines()
    assert result.exit_code == 0, result.stderr.decode()
    assert lines[0] == "2 A=b"
    rights = [(0o600, 7, 8, 2), (0o644, 7, 8, 2), (0o644, 0, 0, 0), (0o644, 0, 0, 2)]
    assert lines[1] == f"{rights} True"
    assert [line.partition(" | ")[0] for line in lines[2:4]] == ["mount namespaces"] * 2
    assert lines[4] == "False False False vfs"
