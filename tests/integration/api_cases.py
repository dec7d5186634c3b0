"""Requests to the Docker Engine API, in the order in which they are sent.

A case has a name, a method, a path and perhaps a body and headers.  ``{word}`` in a path stands
for a value of an earlier answer: ``keep`` names the word and the field of the answer.
Cases of a new version only (``since``) are not frozen from an older daemon.
"""

from __future__ import annotations

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

BOX = "api/box:1"
TAR = {"Content-Type": "application/x-tar"}
_AUTH = base64.urlsafe_b64encode(
    json.dumps({"username": "ada", "password": "x", "serveraddress": "127.0.0.1:1"}).encode()
).decode()


@dataclass(frozen=True, slots=True)
class Case:
    """One request."""

    name: str
    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, str] = ("", "")

    @property
    def data(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is None or isinstance(self.body, bytes):
            return self.body
        return json.dumps(self.body).encode()


def tar_of(files: Mapping[str, str], *, folders: tuple[str, ...] = (), owner: int = 0) -> bytes:
    """Return an archive of texts by name."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name in folders:
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.uid, member.gid = len(text), owner, owner
            archive.addfile(member, io.BytesIO(text.encode()))
    return output.getvalue()


def _filters(**values: Any) -> str:
    from urllib.parse import quote

    return "filters=" + quote(json.dumps(values))


def _sleeper(**more: Any) -> dict[str, Any]:
    return {"Image": BOX, "Cmd": ["sleep", "600"], **more}


def cases() -> Iterator[Case]:
    """Yield all of them; the image ``BOX`` (a busybox) is there before the first."""
    yield from _service()
    yield from _created()
    yield from _running()
    yield from _archives()
    yield from _commands()
    yield from _ended()
    yield from _images()
    yield from _builds()
    yield from _networks()
    yield from _volumes()
    yield from _swarm()


def _service() -> Iterator[Case]:
    yield Case("ping", "GET", "/_ping")
    yield Case("ping-head", "HEAD", "/_ping")
    yield Case("version", "GET", "/version")
    yield Case("info", "GET", "/info")
    yield Case("nowhere", "GET", "/nowhere")
    yield Case("other-method", "PATCH", "/info")
    yield Case("version-old", "GET", "/v1.10/info")
    yield Case("version-new", "GET", "/v9.99/info")
    yield Case("version-malformed", "GET", "/v1/info")
    yield Case(
        "auth-unreachable",
        "POST",
        "/auth",
        {"username": "ada", "password": "x", "serveraddress": "127.0.0.1:1"},
    )
    yield Case("auth-no-json", "POST", "/auth", b"{")
    yield Case("auth-empty", "POST", "/auth", b"")
    yield Case("auth-type", "POST", "/auth", b"{}", {"Content-Type": "text/plain"})
    yield Case("plugins", "GET", "/plugins")
    yield Case("plugins-filter", "GET", "/plugins?" + _filters(enabled=["true"]))
    yield Case("plugin-missing", "GET", "/plugins/none/json")
    yield Case("plugin-remove", "DELETE", "/plugins/none")
    yield Case("plugin-enable", "POST", "/plugins/none/enable?timeout=1")
    yield Case("plugin-disable", "POST", "/plugins/none/disable")
    yield Case("plugin-set", "POST", "/plugins/none/set", ["A=1"])
    yield Case("plugin-push", "POST", "/plugins/none/push")
    yield Case("plugin-create", "POST", "/plugins/create", b"")
    yield Case("plugin-privileges", "GET", "/plugins/privileges?remote=127.0.0.1:1/none")
    yield Case("df", "GET", "/system/df")
    for kind in ("container", "image", "volume", "build-cache"):
        yield Case(f"df-{kind}", "GET", f"/system/df?type={kind}")
    yield Case("df-two", "GET", "/system/df?type=image&type=volume")
    yield Case("df-bad", "GET", "/system/df?type=moon")
    yield Case(
        "distribution-unreachable",
        "GET",
        "/distribution/127.0.0.1:1/none:1/json",
        headers={"X-Registry-Auth": _AUTH},
    )
    yield Case("distribution-name", "GET", "/distribution/UPPER/json")
    yield Case("distribution-id", "GET", "/distribution/" + "a" * 64 + "/json")
    yield Case(
        "distribution-auth",
        "GET",
        "/distribution/127.0.0.1:1/none:1/json",
        headers={"X-Registry-Auth": "%%%"},
    )


def _created() -> Iterator[Case]:
    yield Case("list-empty", "GET", "/containers/json")
    for name, query in (
        ("filter", _filters(moon=["1"])), ("status", _filters(status=["moon"])),
        ("health", _filters(health=["moon"])), ("exited", _filters(exited=["x"])),
        ("before", _filters(before=["none"])), ("json", "filters={"), ("limit", "limit=x"),
        ("is-task", _filters(**{"is-task": ["moon"]})),
    ):  # fmt: skip
        yield Case(f"list-bad-{name}", "GET", f"/containers/json?all=1&{query}")
    yield Case("create-no-body", "POST", "/containers/create", b"")
    yield Case("create-no-json", "POST", "/containers/create", b"{")
    yield Case("create-two-json", "POST", "/containers/create", b'{"Image":"a"}{}')
    yield Case("create-wrong-type", "POST", "/containers/create", {"Image": 7})
    yield Case("create-plain", "POST", "/containers/create", b"{}", {"Content-Type": "text/plain"})
    yield Case("create-no-image", "POST", "/containers/create", {})
    yield Case("create-missing", "POST", "/containers/create", {"Image": "none/none:1"})
    yield Case("create-bad-image", "POST", "/containers/create", {"Image": "UPPER"})
    yield Case("create-name", "POST", "/containers/create?name=-bad", _sleeper())
    yield Case("create-platform", "POST", "/containers/create?platform=a/b/c/d/e", _sleeper())
    for name, host in {
        "memory": {"Memory": 1}, "bind": {"Binds": ["a:b:c:d"]}, "target": {"Binds": ["/a:b"]},
        "port": {"PortBindings": {"x/tcp": [{"HostPort": "1"}]}},
        "host-port": {"PortBindings": {"80/tcp": [{"HostPort": "x"}]}},
        "restart": {"RestartPolicy": {"Name": "sometimes"}},
        "restart-rm": {"RestartPolicy": {"Name": "always"}, "AutoRemove": True},
        "network": {"NetworkMode": "container:none"}, "pid": {"PidMode": "moon"},
        "ipc": {"IpcMode": "moon"}, "uts": {"UTSMode": "moon"},
        "capability": {"CapAdd": ["MOON"]}, "security": {"SecurityOpt": ["moon"]},
        "log": {"LogConfig": {"Type": "moon"}},
        "device": {"Devices": [{"PathOnHost": "/dev/none"}]},
        "runtime": {"Runtime": "moon"}, "volumes-from": {"VolumesFrom": ["none"]},
        "mount-type": {"Mounts": [{"Type": "moon", "Target": "/a"}]},
        "mount-target": {"Mounts": [{"Type": "volume"}]},
        "mount-source": {"Mounts": [{"Type": "bind", "Source": "/none/none", "Target": "/a"}]},
        "ulimit": {"Ulimits": [{"Name": "nofile", "Soft": 2, "Hard": 1}]},
        "shm": {"ShmSize": -1}, "sysctl": {"Sysctls": {"a": "1"}},
        "oom": {"OomScoreAdj": 5000}, "swappiness": {"MemorySwappiness": 500},
        "cpus": {"NanoCpus": 10**15}, "quota": {"CpuQuota": 1}, "link": {"Links": ["none:x"]},
        "dns": {"Dns": ["x"]}, "extra-host": {"ExtraHosts": ["x"]},
    }.items():  # fmt: skip
        yield Case(
            f"create-bad-{name}", "POST", f"/containers/create?name=bad-{name}",
            _sleeper(HostConfig=host),
        )  # fmt: skip
    for name, config in {
        "env": {"Env": ["=x"]}, "signal": {"StopSignal": "MOON"}, "workdir": {"WorkingDir": "a"},
        "health": {"Healthcheck": {"Test": ["MOON"]}}, "health-time": {
            "Healthcheck": {"Test": ["CMD", "a"], "Interval": 5}},
        "stop": {"StopTimeout": "x"}, "mac": {"MacAddress": "x"}, "expose": {
            "ExposedPorts": {"x": {}}},
        "hostname": {"Hostname": "a b"},
    }.items():  # fmt: skip
        yield Case(
            f"create-bad-{name}", "POST", f"/containers/create?name=bad-{name}", _sleeper(**config)
        )
    full = _sleeper(
        Labels={"a": "b"}, Env=["A=1"], ExposedPorts={"80/tcp": {}}, Volumes={"/data": {}},
        Healthcheck={"Test": ["CMD", "true"], "Interval": 10**10}, StopTimeout=1,
        HostConfig={"Binds": ["/tmp:/host:ro"], "Memory": 64 << 20, "ShmSize": 1 << 20,
                    "Tmpfs": {"/run": ""}, "RestartPolicy": {"Name": "on-failure"},
                    "Ulimits": [{"Name": "nofile", "Soft": 99, "Hard": 99}],
                    "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}},
    )  # fmt: skip
    yield Case("create", "POST", "/containers/create?name=box", full, keep=("box", "Id"))
    yield Case("create-taken", "POST", "/containers/create?name=box", full)
    yield Case(
        "create-second",
        "POST",
        "/containers/create?name=two",
        {"Image": BOX, "Cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"]},
        keep=("two", "Id"),
    )
    yield Case(
        "create-terminal",
        "POST",
        "/containers/create?name=tty",
        _sleeper(Tty=True, OpenStdin=True),
        keep=("tty", "Id"),
    )
    yield Case(
        "create-fixed",
        "POST",
        "/containers/create?name=fixed",
        _sleeper(HostConfig={"ReadonlyRootfs": True}),
    )
    yield Case("inspect-created", "GET", "/containers/{box}/json")
    yield Case("inspect-missing", "GET", "/containers/none/json")
    for verb in ("start", "stop", "restart", "kill", "pause", "unpause", "wait", "attach"):
        yield Case(f"{verb}-missing", "POST", f"/containers/none/{verb}")
    for what in ("top", "logs?stdout=1", "stats?stream=0", "changes", "export", "archive?path=/"):
        yield Case(f"{what.partition('?')[0]}-missing", "GET", f"/containers/none/{what}")
    for verb in ("kill", "pause", "unpause", "resize?h=1&w=1", "stop"):
        yield Case(f"{verb.partition('?')[0]}-created", "POST", f"/containers/box/{verb}")
    yield Case("top-created", "GET", "/containers/box/top")
    yield Case("stats-created", "GET", "/containers/box/stats?stream=0&one-shot=1")
    yield Case("logs-created", "GET", "/containers/box/logs?stdout=1")
    yield Case("changes-created", "GET", "/containers/box/changes")
    yield Case("rename-taken", "POST", "/containers/two/rename?name=box")
    yield Case("rename-empty", "POST", "/containers/two/rename?name=")
    yield Case("rename-bad", "POST", "/containers/two/rename?name=-x")
    yield Case("rename-same", "POST", "/containers/two/rename?name=two")
    yield Case("rename-missing", "POST", "/containers/none/rename?name=three")
    yield Case(
        "start-command", "POST", "/containers/create?name=cannot", {"Image": BOX, "Cmd": ["/none"]}
    )
    yield Case("start-cannot", "POST", "/containers/cannot/start")


def _running() -> Iterator[Case]:
    yield Case("start", "POST", "/containers/box/start")
    yield Case("start-again", "POST", "/containers/box/start")
    yield Case("start-fixed", "POST", "/containers/fixed/start")
    yield Case("start-second", "POST", "/containers/two/start")
    yield Case("wait", "POST", "/containers/two/wait")
    yield Case("wait-removed-bad", "POST", "/containers/two/wait?condition=moon")
    yield Case("start-terminal", "POST", "/containers/tty/start")
    yield Case("inspect", "GET", "/containers/box/json")
    yield Case("inspect-size", "GET", "/containers/{box}/json?size=1")
    yield Case("list", "GET", "/containers/json?" + _filters(name=["box"]))
    yield Case("list-size", "GET", "/containers/json?size=1&" + _filters(name=["box"]))
    yield Case("list-ended", "GET", "/containers/json?all=1&" + _filters(status=["exited"]))
    yield Case("top", "GET", "/containers/box/top")
    yield Case("top-args", "GET", "/containers/box/top?ps_args=-o%20pid,comm")
    yield Case("top-bad", "GET", "/containers/box/top?ps_args=--moon")
    yield Case("logs", "GET", "/containers/two/logs?stdout=1&stderr=1")
    yield Case("logs-times", "GET", "/containers/two/logs?stdout=1&timestamps=1&details=1")
    yield Case("logs-none", "GET", "/containers/two/logs")
    yield Case("logs-tail", "GET", "/containers/two/logs?stdout=1&tail=moon")
    yield Case("logs-since", "GET", "/containers/two/logs?stdout=1&since=moon")
    yield Case("logs-until", "GET", "/containers/two/logs?stdout=1&until=moon")
    yield Case("logs-terminal", "GET", "/containers/tty/logs?stdout=1")
    yield Case("stats", "GET", "/containers/box/stats?stream=0")
    yield Case("stats-one-shot", "GET", "/containers/box/stats?stream=0&one-shot=1")
    yield Case("stats-ended", "GET", "/containers/two/stats?stream=0")
    yield Case("resize", "POST", "/containers/tty/resize?h=30&w=90")
    yield Case("resize-none", "POST", "/containers/tty/resize")
    yield Case("resize-bad", "POST", "/containers/tty/resize?h=x&w=1")
    yield Case("update", "POST", "/containers/box/update", {"Memory": 128 << 20, "MemorySwap": -1})
    yield Case(
        "update-restart", "POST", "/containers/box/update", {"RestartPolicy": {"Name": "sometimes"}}
    )
    yield Case("update-small", "POST", "/containers/box/update", {"Memory": 1})
    yield Case("update-no-json", "POST", "/containers/box/update", b"[")
    yield Case("update-no-body", "POST", "/containers/box/update", b"")
    yield Case("update-missing", "POST", "/containers/none/update", {})
    yield Case("kill-signal", "POST", "/containers/box/kill?signal=MOON")
    yield Case("kill-usr", "POST", "/containers/box/kill?signal=WINCH")
    yield Case("stop-time", "POST", "/containers/box/stop?t=x")
    yield Case("pause", "POST", "/containers/box/pause")
    yield Case("pause-again", "POST", "/containers/box/pause")
    yield Case("start-paused", "POST", "/containers/box/start")
    yield Case("attach-paused", "POST", "/containers/box/attach?stream=1&stdout=1")
    yield Case("attach-ws-paused", "GET", "/containers/box/attach/ws?stream=1&stdout=1")
    yield Case("exec-paused", "POST", "/containers/box/exec", {"Cmd": ["true"]})
    yield Case("remove-paused", "DELETE", "/containers/box")
    yield Case("unpause", "POST", "/containers/box/unpause")
    yield Case("unpause-again", "POST", "/containers/box/unpause")
    yield Case("attach-keys", "POST", "/containers/box/attach?stream=1&detachKeys=ctrl-moon")
    yield Case("remove-running", "DELETE", "/containers/box")
    yield Case("remove-missing", "DELETE", "/containers/none")
    yield Case("remove-link", "DELETE", "/containers/box?link=1")
    yield Case("attach-ws-plain", "GET", "/containers/box/attach/ws?stream=1&stdout=1")


def _archives() -> Iterator[Case]:
    put = "/containers/box/archive?path="
    yield Case("archive-put", "PUT", put + "/", tar_of({"etc/made": "x"}, folders=("tree",)), TAR)
    yield Case("archive-head", "HEAD", put + "/etc/made")
    yield Case("archive-head-missing", "HEAD", put + "/none")
    yield Case("archive-head-no-path", "HEAD", "/containers/box/archive")
    yield Case("archive-get", "GET", put + "/etc/made")
    yield Case("archive-get-folder", "GET", put + "/etc")
    yield Case("archive-get-missing", "GET", put + "/none")
    yield Case("archive-get-no-path", "GET", "/containers/box/archive")
    yield Case("archive-put-missing", "PUT", put + "/none", tar_of({"a": "x"}), TAR)
    yield Case("archive-put-file", "PUT", put + "/etc/made", tar_of({"a": "x"}), TAR)
    yield Case("archive-put-no-path", "PUT", "/containers/box/archive", tar_of({"a": "x"}), TAR)
    yield Case("archive-put-no-tar", "PUT", put + "/", b"no tar", TAR)
    yield Case("archive-put-empty", "PUT", put + "/", b"", TAR)
    yield Case(
        "archive-put-over-folder",
        "PUT",
        put + "/&noOverwriteDirNonDir=1",
        tar_of({"tree": "x"}),
        TAR,
    )
    yield Case(
        "archive-put-over-file",
        "PUT",
        put + "/etc&noOverwriteDirNonDir=true",
        tar_of({}, folders=("made",)),
        TAR,
    )
    yield Case("archive-still", "HEAD", put + "/tree")
    yield Case(
        "archive-put-owner", "PUT", put + "/&copyUIDGID=1", tar_of({"owned": "x"}, owner=1234), TAR
    )
    yield Case(
        "archive-put-fixed", "PUT", "/containers/fixed/archive?path=/", tar_of({"a": "x"}), TAR
    )
    yield Case("archive-put-bind", "PUT", put + "/host", tar_of({"a": "x"}), TAR)
    yield Case("archive-put-climbs", "PUT", put + "/etc", tar_of({"../climbed": "x"}), TAR)
    yield Case("archive-head-climbs", "HEAD", put + "/../../../etc/made")
    yield Case("changes", "GET", "/containers/fixed/changes")
    yield Case("commit", "POST", "/commit?container=two&repo=api/made&tag=1&comment=c&author=a")
    yield Case(
        "commit-config",
        "POST",
        "/commit?container=two&repo=api/made&tag=2",
        {"Cmd": ["b"], "Env": ["B=1"], "Labels": {"c": "d"}},
    )
    yield Case(
        "commit-changes",
        "POST",
        "/commit?container=two&repo=api/made&tag=3&changes=CMD%20%5B%22a%22%5D%0AENV%20A%3D1",
    )
    yield Case("commit-inspect", "GET", "/images/api/made:3/json")
    yield Case("commit-bad", "POST", "/commit?container=two&changes=RUN%20true")
    yield Case("commit-malformed", "POST", "/commit?container=two&changes=MOON%20a")
    yield Case("commit-name", "POST", "/commit?container=two&repo=UPPER")
    yield Case("commit-missing", "POST", "/commit?container=none")
    yield Case("commit-none", "POST", "/commit")
    yield Case("export", "GET", "/containers/two/export")


def _commands() -> Iterator[Case]:
    yield Case("exec-no-command", "POST", "/containers/box/exec", {})
    yield Case("exec-no-body", "POST", "/containers/box/exec", b"")
    yield Case("exec-no-json", "POST", "/containers/box/exec", b"{")
    yield Case("exec-missing", "POST", "/containers/none/exec", {"Cmd": ["true"]})
    yield Case("exec-ended", "POST", "/containers/two/exec", {"Cmd": ["true"]})
    yield Case(
        "exec-keys", "POST", "/containers/box/exec", {"Cmd": ["true"], "DetachKeys": "ctrl-moon"}
    )
    yield Case(
        "exec",
        "POST",
        "/containers/box/exec",
        {
            "Cmd": ["sleep", "600"],
            "AttachStdout": True,
            "Env": ["A=1"],
            "User": "0",
            "WorkingDir": "/tmp",
        },
        keep=("exec", "Id"),
    )
    yield Case("exec-inspect-created", "GET", "/exec/{exec}/json")
    yield Case("exec-resize-created", "POST", "/exec/{exec}/resize?h=1&w=1")
    yield Case("exec-start", "POST", "/exec/{exec}/start", {"Detach": True})
    yield Case("exec-inspect", "GET", "/exec/{exec}/json")
    yield Case("exec-listed", "GET", "/containers/box/json")
    yield Case("exec-start-again", "POST", "/exec/{exec}/start", {"Detach": True})
    yield Case("exec-start-missing", "POST", "/exec/none/start", {"Detach": True})
    yield Case("exec-inspect-missing", "GET", "/exec/none/json")
    yield Case("exec-resize-missing", "POST", "/exec/none/resize?h=1&w=1")
    yield Case(
        "exec-short",
        "POST",
        "/containers/box/exec",
        {"Cmd": ["sh", "-c", "echo a; exit 4"], "AttachStdout": True},
        keep=("short", "Id"),
    )
    yield Case("exec-short-start", "POST", "/exec/{short}/start", {})
    yield Case("exec-short-inspect", "GET", "/exec/{short}/json")
    yield Case("exec-none", "POST", "/containers/box/exec", {"Cmd": ["/none"]}, keep=("no", "Id"))
    yield Case("exec-none-start", "POST", "/exec/{no}/start", {"Detach": True})
    yield Case("exec-none-inspect", "GET", "/exec/{no}/json")
    yield Case("exec-last", "POST", "/containers/box/exec", {"Cmd": ["true"]}, keep=("last", "Id"))


def _ended() -> Iterator[Case]:
    yield Case("restart", "POST", "/containers/tty/restart?t=0")
    yield Case("stop", "POST", "/containers/box/stop?t=0")
    yield Case("stop-again", "POST", "/containers/box/stop?t=0")
    yield Case("exec-start-ended", "POST", "/exec/{last}/start", {"Detach": True})
    yield Case("inspect-ended", "GET", "/containers/box/json")
    yield Case("remove", "DELETE", "/containers/box?v=1")
    yield Case("remove-forced", "DELETE", "/containers/tty?force=1")
    yield Case("prune-bad", "POST", "/containers/prune?" + _filters(moon=["1"]))
    yield Case("prune-until", "POST", "/containers/prune?" + _filters(until=["moon"]))
    yield Case("prune", "POST", "/containers/prune")
    yield Case("prune-nothing", "POST", "/containers/prune")
    yield Case("kill-fixed", "POST", "/containers/fixed/kill")
    yield Case("remove-fixed", "DELETE", "/containers/fixed?force=true")
    yield Case("events", "GET", "/events?since=0&until=1")
    for name in (
        "container",
        "image",
        "volume",
        "network",
        "daemon",
        "plugin",
        "service",
        "node",
        "secret",
        "config",
        "scope",
        "type",
        "event",
        "label",
    ):
        yield Case(
            f"events-{name}", "GET", "/events?since=0&until=1&" + _filters(**{name: ["container"]})
        )
    yield Case(
        "events-past",
        "GET",
        "/events?since=1700000000&until=4&" + _filters(type=["container"], event=["create"]),
    )
    yield Case("events-bad", "GET", "/events?since=0&until=1&" + _filters(moon=["1"]))
    yield Case("events-since", "GET", "/events?since=moon&until=1")
    yield Case("events-order", "GET", "/events?since=20&until=10")
    yield Case("events-json", "GET", "/events?until=1&filters=%7B")


def _images() -> Iterator[Case]:
    yield Case("images", "GET", "/images/json?" + _filters(reference=["api/box"]))
    yield Case("images-all", "GET", "/images/json?all=1&digests=1&shared-size=1")
    yield Case("images-bad", "GET", "/images/json?" + _filters(moon=["1"]))
    yield Case("images-dangling", "GET", "/images/json?" + _filters(dangling=["moon"]))
    yield Case("images-before", "GET", "/images/json?" + _filters(before=["none"]))
    yield Case("image", "GET", f"/images/{BOX}/json", keep=("image", "Id"))
    yield Case("image-missing", "GET", "/images/none/none:1/json")
    yield Case("image-bad-name", "GET", "/images/UPPER/json")
    yield Case("image-manifests", "GET", f"/images/{BOX}/json?platform=moon")
    yield Case("history", "GET", f"/images/{BOX}/history")
    yield Case("history-missing", "GET", "/images/none/history")
    yield Case("tag", "POST", f"/images/{BOX}/tag?repo=api/other&tag=2")
    yield Case("tag-bad", "POST", f"/images/{BOX}/tag?repo=UPPER&tag=2")
    yield Case("tag-bad-tag", "POST", f"/images/{BOX}/tag?repo=a&tag=:x")
    yield Case("tag-no-repo", "POST", f"/images/{BOX}/tag")
    yield Case("tag-missing", "POST", "/images/none/tag?repo=a")
    yield Case("get-two", "GET", f"/images/get?names={BOX}&names=api/other:2")
    yield Case("get-one", "GET", f"/images/{BOX}/get")
    yield Case("get-none", "GET", "/images/get")
    yield Case("get-missing", "GET", "/images/get?names=none")
    yield Case("get-missing-one", "GET", "/images/none/get")
    yield Case("load-no-tar", "POST", "/images/load", b"no tar", TAR)
    yield Case("load-quiet", "POST", "/images/load?quiet=1", b"no tar", TAR)
    yield Case("load-empty", "POST", "/images/load", b"", TAR)
    yield Case("pull-nothing", "POST", "/images/create")
    yield Case("pull-bad-name", "POST", "/images/create?fromImage=UPPER&tag=1")
    yield Case("pull-unreachable", "POST", "/images/create?fromImage=127.0.0.1:1/none&tag=1")
    yield Case("pull-bad-tag", "POST", "/images/create?fromImage=a&tag=:")
    yield Case(
        "import",
        "POST",
        "/images/create?fromSrc=-&repo=api/imported&tag=1&message=m&changes=CMD%20a",
        tar_of({"a": "x"}),
        TAR,
    )
    yield Case(
        "import-bad-change",
        "POST",
        "/images/create?fromSrc=-&changes=RUN%20a",
        tar_of({"a": "x"}),
        TAR,
    )
    yield Case("import-inspect", "GET", "/images/api/imported:1/json")
    yield Case("import-history", "GET", "/images/api/imported:1/history")
    yield Case("push-missing", "POST", "/images/none/push", headers={"X-Registry-Auth": _AUTH})
    yield Case("push-unreachable-tag", "POST", f"/images/{BOX}/tag?repo=127.0.0.1:1/box&tag=1")
    yield Case(
        "push-unreachable",
        "POST",
        "/images/127.0.0.1:1/box/push?tag=1",
        headers={"X-Registry-Auth": _AUTH},
    )
    yield Case("untag", "DELETE", "/images/127.0.0.1:1/box:1")
    yield Case("untag-other", "DELETE", "/images/api/other:2")
    yield Case("remove-image", "DELETE", "/images/api/imported:1")
    yield Case("remove-image-missing", "DELETE", "/images/none")
    yield Case("use", "POST", "/containers/create?name=user", _sleeper())
    yield Case("remove-image-used", "DELETE", f"/images/{BOX}")
    yield Case("unuse", "DELETE", "/containers/user")
    yield Case("images-prune-bad", "POST", "/images/prune?" + _filters(moon=["1"]))
    yield Case("images-prune", "POST", "/images/prune")
    yield Case("search-none", "GET", "/images/search")
    yield Case("search-limit", "GET", "/images/search?term=127.0.0.1:1/a&limit=1000")
    yield Case("search-filter", "GET", "/images/search?term=127.0.0.1:1/a&" + _filters(moon=["1"]))
    yield Case("search-stars", "GET", "/images/search?term=127.0.0.1:1/a&" + _filters(stars=["x"]))


def _builds() -> Iterator[Case]:
    def context(text: str, **more: str) -> bytes:
        return tar_of({"Dockerfile": text, **more})

    yield Case(
        "build",
        "POST",
        "/build?t=api/built:1&version=1",
        context(f"FROM {BOX}\nENV A=1\nCOPY f /f\n", f="x"),
        TAR,
    )
    yield Case(
        "build-again",
        "POST",
        "/build?t=api/built:1&version=1",
        context(f"FROM {BOX}\nENV A=1\nCOPY f /f\n", f="x"),
        TAR,
    )
    yield Case("build-quiet", "POST", "/build?q=1&version=1", context(f"FROM {BOX}\n"), TAR)
    yield Case("build-fails", "POST", "/build?version=1", context(f"FROM {BOX}\nRUN exit 3\n"), TAR)
    yield Case("build-copy", "POST", "/build?version=1", context(f"FROM {BOX}\nCOPY none /\n"), TAR)
    yield Case("build-empty-file", "POST", "/build?version=1", context(""), TAR)
    yield Case("build-unknown", "POST", "/build?version=1", context("MOON a\n"), TAR)
    yield Case("build-no-file", "POST", "/build?version=1", tar_of({"a": "x"}), TAR)
    yield Case(
        "build-other-file",
        "POST",
        "/build?version=1&dockerfile=none",
        context(f"FROM {BOX}\n"),
        TAR,
    )
    yield Case(
        "build-climbs", "POST", "/build?version=1&dockerfile=../none", context(f"FROM {BOX}\n"), TAR
    )
    yield Case("build-no-tar", "POST", "/build?version=1", b"no tar", TAR)
    yield Case("build-empty", "POST", "/build?version=1", b"", TAR)
    yield Case(
        "build-type", "POST", "/build?version=1", b"{}", {"Content-Type": "application/json"}
    )
    yield Case("build-tag", "POST", "/build?version=1&t=UPPER", context(f"FROM {BOX}\n"), TAR)
    yield Case(
        "build-args", "POST", "/build?version=1&buildargs=%7B", context(f"FROM {BOX}\n"), TAR
    )
    yield Case("build-labels", "POST", "/build?version=1&labels=7", context(f"FROM {BOX}\n"), TAR)
    yield Case("build-ulimits", "POST", "/build?version=1&ulimits=7", context(f"FROM {BOX}\n"), TAR)
    yield Case(
        "build-cachefrom", "POST", "/build?version=1&cachefrom=7", context(f"FROM {BOX}\n"), TAR
    )
    yield Case(
        "build-platform", "POST", "/build?version=1&platform=a/b/c/d", context(f"FROM {BOX}\n"), TAR
    )
    yield Case("build-version", "POST", "/build?version=7", context(f"FROM {BOX}\n"), TAR)
    yield Case(
        "build-target", "POST", "/build?version=1&target=none", context(f"FROM {BOX}\n"), TAR
    )
    yield Case(
        "build-missing-image", "POST", "/build?version=1", context("FROM 127.0.0.1:1/none:1\n"), TAR
    )
    yield Case(
        "build-config",
        "POST",
        "/build?version=1",
        context(f"FROM {BOX}\n"),
        {**TAR, "X-Registry-Config": "%%%"},
    )
    yield Case("build-remote", "POST", "/build?version=1&remote=moon", b"", TAR)
    yield Case("build-inspect", "GET", "/images/api/built:1/json")
    yield Case("build-history", "GET", "/images/api/built:1/history")
    yield Case("build-prune", "POST", "/build/prune")
    yield Case("build-prune-all", "POST", "/build/prune?all=1&keep-storage=1")
    yield Case("build-prune-bad", "POST", "/build/prune?" + _filters(moon=["1"]))
    yield Case("build-prune-number", "POST", "/build/prune?keep-storage=x")
    yield Case("build-cancel", "POST", "/build/cancel?id=none")
    yield Case("build-cancel-no-id", "POST", "/build/cancel")


def _networks() -> Iterator[Case]:
    yield Case("networks", "GET", "/networks?" + _filters(name=["bridge"]))
    yield Case("networks-bad", "GET", "/networks?" + _filters(moon=["1"]))
    yield Case("networks-type", "GET", "/networks?" + _filters(type=["moon"]))
    yield Case("networks-dangling", "GET", "/networks?" + _filters(dangling=["moon"]))
    yield Case(
        "network-create",
        "POST",
        "/networks/create",
        {
            "Name": "api-net",
            "Labels": {"a": "b"},
            "Internal": True,
            "IPAM": {"Config": [{"Subnet": "10.211.3.0/24", "Gateway": "10.211.3.1"}]},
        },
        keep=("net", "Id"),
    )
    yield Case("network-taken", "POST", "/networks/create", {"Name": "api-net"})
    yield Case("network-no-name", "POST", "/networks/create", {})
    yield Case("network-no-body", "POST", "/networks/create", b"")
    yield Case("network-predefined", "POST", "/networks/create", {"Name": "bridge"})
    yield Case("network-driver", "POST", "/networks/create", {"Name": "x1", "Driver": "moon"})
    yield Case(
        "network-subnet",
        "POST",
        "/networks/create",
        {"Name": "x2", "IPAM": {"Config": [{"Subnet": "moon"}]}},
    )
    yield Case(
        "network-gateway",
        "POST",
        "/networks/create",
        {"Name": "x3", "IPAM": {"Config": [{"Subnet": "10.211.4.0/24", "Gateway": "10.0.0.1"}]}},
    )
    yield Case(
        "network-overlap",
        "POST",
        "/networks/create",
        {"Name": "x4", "IPAM": {"Config": [{"Subnet": "10.211.3.0/24"}]}},
    )
    yield Case("network", "GET", "/networks/api-net")
    yield Case("network-scope", "GET", "/networks/api-net?scope=local&verbose=1")
    yield Case("network-scope-other", "GET", "/networks/api-net?scope=swarm")
    yield Case("network-missing", "GET", "/networks/nope")
    yield Case("network-box", "POST", "/containers/create?name=netbox", _sleeper())
    yield Case(
        "network-connect",
        "POST",
        "/networks/api-net/connect",
        {"Container": "netbox", "EndpointConfig": {"Aliases": ["a"]}},
    )
    yield Case(
        "network-connect-address",
        "POST",
        "/networks/api-net/connect",
        {"Container": "netbox", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "x"}}},
    )
    yield Case(
        "network-connect-missing", "POST", "/networks/api-net/connect", {"Container": "none"}
    )
    yield Case("network-connect-empty", "POST", "/networks/api-net/connect", {})
    yield Case("network-start", "POST", "/containers/netbox/start")
    yield Case("network-connect-no-net", "POST", "/networks/nope/connect", {"Container": "netbox"})
    yield Case("network-in-use", "GET", "/networks/api-net")
    yield Case("network-endpoint", "GET", "/containers/netbox/json")
    yield Case("network-remove-used", "DELETE", "/networks/api-net")
    yield Case(
        "network-disconnect-other", "POST", "/networks/api-net/disconnect", {"Container": "none"}
    )
    yield Case(
        "network-disconnect",
        "POST",
        "/networks/api-net/disconnect",
        {"Container": "netbox", "Force": True},
    )
    yield Case(
        "network-disconnect-again", "POST", "/networks/api-net/disconnect", {"Container": "netbox"}
    )
    yield Case("network-box-gone", "DELETE", "/containers/netbox?force=1")
    yield Case("network-remove", "DELETE", "/networks/{net}")
    yield Case("network-remove-missing", "DELETE", "/networks/nope")
    yield Case("network-remove-bridge", "DELETE", "/networks/bridge")
    yield Case("networks-prune", "POST", "/networks/prune")
    yield Case("networks-prune-bad", "POST", "/networks/prune?" + _filters(moon=["1"]))


def _volumes() -> Iterator[Case]:
    yield Case("volumes-empty", "GET", "/volumes?" + _filters(name=["api-none"]))
    yield Case("volume-create", "POST", "/volumes/create", {"Name": "api-v", "Labels": {"a": "b"}})
    yield Case("volume-create-again", "POST", "/volumes/create", {"Name": "api-v"})
    yield Case("volume-create-anonymous", "POST", "/volumes/create", {}, keep=("anon", "Name"))
    yield Case("volume-create-no-body", "POST", "/volumes/create", b"")
    yield Case("volume-create-bad", "POST", "/volumes/create", {"Name": "-/x"})
    yield Case("volume-create-driver", "POST", "/volumes/create", {"Name": "w", "Driver": "moon"})
    yield Case(
        "volume-create-option",
        "POST",
        "/volumes/create",
        {"Name": "w2", "DriverOpts": {"moon": "1"}},
    )
    yield Case("volumes", "GET", "/volumes")
    yield Case("volumes-bad", "GET", "/volumes?" + _filters(moon=["1"]))
    yield Case("volumes-dangling", "GET", "/volumes?" + _filters(dangling=["moon"]))
    yield Case("volume", "GET", "/volumes/api-v")
    yield Case("volume-missing", "GET", "/volumes/api-none")
    yield Case("volume-update", "PUT", "/volumes/api-v?version=1", {"Spec": {}})
    yield Case(
        "volume-used",
        "POST",
        "/containers/create?name=vol",
        _sleeper(HostConfig={"Binds": ["api-v:/v"]}),
    )
    yield Case("volume-remove-used", "DELETE", "/volumes/api-v")
    yield Case("volume-remove-forced", "DELETE", "/volumes/api-v?force=1")
    yield Case("volume-unused", "DELETE", "/containers/vol")
    yield Case("volume-remove", "DELETE", "/volumes/api-v")
    yield Case("volume-remove-missing", "DELETE", "/volumes/api-none")
    yield Case("volume-remove-missing-forced", "DELETE", "/volumes/api-none?force=1")
    yield Case("volumes-prune", "POST", "/volumes/prune")
    yield Case("volumes-prune-bad", "POST", "/volumes/prune?" + _filters(moon=["1"]))
    yield Case("volumes-prune-all", "POST", "/volumes/prune?" + _filters(all=["true"]))


def _swarm() -> Iterator[Case]:
    for name, method, path, body in (
        ("swarm", "GET", "/swarm", None),
        ("swarm-leave", "POST", "/swarm/leave", None),
        ("swarm-update", "POST", "/swarm/update?version=1", {}),
        ("swarm-unlock-key", "GET", "/swarm/unlockkey", None),
        ("swarm-unlock", "POST", "/swarm/unlock", {"UnlockKey": "x"}),
        ("nodes", "GET", "/nodes", None),
        ("node", "GET", "/nodes/x", None),
        ("node-remove", "DELETE", "/nodes/x", None),
        ("services", "GET", "/services", None),
        ("service", "GET", "/services/x", None),
        ("service-create", "POST", "/services/create", {}),
        ("service-logs", "GET", "/services/x/logs?stdout=1", None),
        ("tasks", "GET", "/tasks", None),
        ("secrets", "GET", "/secrets", None),
        ("secret-create", "POST", "/secrets/create", {}),
        ("secret", "GET", "/secrets/x", None),
        ("configs", "GET", "/configs", None),
        ("config-create", "POST", "/configs/create", {}),
        ("config-remove", "DELETE", "/configs/x", None),
    ):
        yield Case(name, method, path, body)
