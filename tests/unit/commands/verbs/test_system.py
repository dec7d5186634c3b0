from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.results import (
    DiskUsage,
    NetworkSummary,
    PruneResult,
    VolumeSummary,
)
from jupyter_containers.engine.system.doctor import DoctorReport
from jupyter_containers.errors import InvalidArgumentError, NetworkNotFoundError
from jupyter_containers.runtime.host import Capability


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def no_engine() -> Any:
    raise AssertionError("an engine was started")


@pytest.mark.parametrize("line", ["version", "--help", "run --help", "image"])
def test_no_engine_is_started_for_words_about_the_program(line: str) -> None:
    assert str(execute(Session(no_engine), line.split()))


def test_version() -> None:
    from jupyter_containers import __version__

    assert execute(Session(no_engine), ["version"])["Version"] == __version__
    assert execute(Session(no_engine), ["version", "--format", "{{.Version}}"]) == __version__
    assert "OS/Arch: linux/" in str(execute(Session(no_engine), ["version"]))
    both = "{{.Server.Version}} {{.Client.Os}}"
    assert execute(Session(no_engine), ["version", "-f", both]) == f"{__version__} linux"


def test_inspect(fake_engine: Any) -> None:
    fake_engine.answers["system.inspect"] = lambda name, kind, size: {
        "Id": name,
        "State": {"ExitCode": 3},
        "SizeRw": 7 if size else None,
    }
    assert perform(fake_engine, "inspect", "a", "b")[1]["Id"] == "b"
    assert perform(fake_engine, "inspect", "-f", "{{.State.ExitCode}}", "a", "b") == ["3", "3"]
    assert fake_engine.last == ("system.inspect", ("b",), {"kind": None, "size": False})
    perform(fake_engine, "image", "inspect", "a")
    assert fake_engine.last == ("system.inspect", ("a",), {"kind": "image", "size": False})
    perform(fake_engine, "inspect", "--type", "volume", "a")
    assert fake_engine.last == ("system.inspect", ("a",), {"kind": "volume", "size": False})
    assert perform(fake_engine, "container", "inspect", "-s", "a")[0]["SizeRw"] == 7
    with pytest.raises(InvalidArgumentError, match="invalid type"):
        perform(fake_engine, "inspect", "--type", "thing", "a")


def test_info(fake_engine: Any) -> None:
    fake_engine.answers["system.info"] = {
        "Name": "x",
        "Runtimes": ["runc"],
        "Store": {"Root": "/r"},
    }
    info = perform(fake_engine, "info")
    assert info["Name"] == "x"
    assert str(info) == "Name: x\nRuntimes: runc\nStore:\n Root: /r"
    assert perform(fake_engine, "info", "-f", "{{.Store.Root}}") == "/r"


def test_doctor(fake_engine: Any) -> None:
    missing = Capability("nft", False, "", "ports", "as root: apt-get install nftables; reboot")
    runtime = Capability("runtime", False, "", "starts every container", "apt-get install runc")
    fake_engine.answers["system.doctor"] = DoctorReport((missing, runtime), root=False)
    shown = perform(fake_engine, "doctor")
    assert "✗   nft" in str(shown)
    assert "apt-get install nftables" in str(shown)
    assert shown.exit_status == 1
    fixed = str(perform(fake_engine, "doctor", "--fix"))
    assert fixed == "as root: apt-get install -y nftables runc"
    told = json.loads(str(perform(fake_engine, "doctor", "--format", "json")).splitlines()[0])
    assert (told["Name"], told["Found"]) == ("nft", "✗")
    fake_engine.answers["system.doctor"] = DoctorReport(())
    assert "no package is missing" in str(perform(fake_engine, "doctor", "--fix"))


def test_df(fake_engine: Any) -> None:
    fake_engine.answers["system.df"] = [DiskUsage("Images", 5, 2, 2_000_000_000, 500_000_000)]
    row = str(perform(fake_engine, "system", "df")).splitlines()[1]
    assert row.split() == ["Images", "5", "2", "2GB", "500MB", "(25%)"]


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("container prune", ("containers.prune", (), {"filters": None})),
        ("image prune -a", ("images.prune", (), {"all": True, "filters": None})),
        ("network prune", ("networks.prune", (), {"filters": None})),
        ("volume prune", ("volumes.prune", (), {"all": False, "filters": None})),
        (
            "container prune --filter label=a --filter until=1h",
            ("containers.prune", (), {"filters": {"label": ["a"], "until": ["1h"]}}),
        ),
        ("builder prune", ("builds.prune", (), {"all": False})),
        (
            "system prune --volumes",
            ("system.prune", (), {"all": False, "volumes": True, "filters": None}),
        ),
    ],
)
def test_prunes_ask_unless_forced(fake_engine: Any, line: str, call: Any) -> None:
    fake_engine.answers[call[0]] = PruneResult(("x",), 1_500_000)
    refused = perform(fake_engine, *line.split(), confirm=lambda question: False)
    assert refused == "Nothing was removed"
    assert fake_engine.calls == []
    text = perform(fake_engine, *line.split(), "-f", confirm=lambda question: False)
    kind = {"container prune": " Containers", "image prune": " Images", "volume prune": " Volumes"}
    heading = f"Deleted{kind.get(' '.join(line.split()[:2]), '')}:"
    if line.startswith("network"):
        assert text == "Deleted Networks:\nx\n"
    else:
        assert text == f"{heading}\nx\n\nTotal reclaimed space: 1.5MB"
    assert fake_engine.last == call


def test_a_prune_of_everything_tells_kinds_apart(fake_engine: Any) -> None:
    groups = (("Containers", ("a", "b")), ("Images", ("c",)))
    fake_engine.answers["system.prune"] = PruneResult(("a", "b", "c"), 5, groups)
    assert perform(fake_engine, "system", "prune", "-f") == (
        "Deleted Containers:\na\nb\n\nDeleted Images:\nc\n\nTotal reclaimed space: 5B"
    )


def test_info_is_told_in_dockers_words_and_kept_in_inspects(fake_engine: Any) -> None:
    fake_engine.answers["system.info"] = {
        "Containers": 3,
        "ContainersRunning": 1,
        "Driver": "overlay",
        "MemTotal": 2 * 1024**3,
        "Rootless": False,
    }
    found = perform(fake_engine, "info")
    assert str(found).splitlines() == [
        "Containers: 3",
        " Running: 1",
        "Storage Driver: overlay",
        "Total Memory: 2GiB",
        "Rootless: False",
    ]
    assert (found["Driver"], found["MemTotal"]) == ("overlay", 2 * 1024**3)
    assert perform(fake_engine, "info", "-f", "{{.Driver}}") == "overlay"


def test_a_prune_of_no_network_says_nothing(fake_engine: Any) -> None:
    fake_engine.answers["networks.prune"] = PruneResult((), 0)
    assert perform(fake_engine, "network", "prune", "-f") == ""


NETWORKS = [
    NetworkSummary("ab" * 32, "bridge", "bridge", "10.89.0.0/24"),
    NetworkSummary("cd" * 32, "course", "bridge", labels={"team": "x"}),
]


def test_network_ls(fake_engine: Any) -> None:
    fake_engine.answers["networks"] = NETWORKS
    assert str(perform(fake_engine, "network", "ls")).splitlines()[1].split() == [
        "abababababab", "bridge", "bridge", "local",
    ]  # fmt: skip
    for words in (["-f", "name=cour"], ["-f", "label=team"], ["-f", "label=team=x"]):
        assert perform(fake_engine, "network", "ls", "-q", *words) == ["cdcdcdcdcdcd"]
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        perform(fake_engine, "network", "ls", "-f", "colour=red")
    fake_engine.answers["containers"] = []
    assert perform(fake_engine, "network", "ls", "-q", "-f", "dangling=true") == ["cdcdcdcdcdcd"]
    assert perform(fake_engine, "network", "ls", "-q", "-f", "dangling=false") == ["abababababab"]
    with pytest.raises(InvalidArgumentError, match="dangling=maybe"):
        perform(fake_engine, "network", "ls", "-q", "-f", "dangling=maybe")


def test_network_create_and_remove(fake_engine: Any) -> None:
    fake_engine.answers["networks.create"] = NETWORKS[1]
    words = [
        "network",
        "create",
        "-d",
        "bridge",
        "--subnet",
        "10.1.0.0/24",
        "--internal",
        "--label",
        "a=b",
        "course",
    ]
    assert perform(fake_engine, *words) == NETWORKS[1].id
    assert fake_engine.last == (
        "networks.create",
        ("course",),
        {"driver": "bridge", "subnet": ["10.1.0.0/24"], "internal": True, "label": ["a=b"]},
    )

    def missing(name: str) -> None:
        raise NetworkNotFoundError(f"no such network: {name}")

    fake_engine.answers["networks.remove"] = missing
    with pytest.raises(NetworkNotFoundError):
        perform(fake_engine, "network", "rm", "x")
    assert perform(fake_engine, "network", "rm", "-f", "x") == []


def test_volumes(fake_engine: Any) -> None:
    volume = VolumeSummary("data", "/v/data", datetime.now(UTC))
    fake_engine.answers.update({"volumes": [volume], "volumes.create": volume})
    assert str(perform(fake_engine, "volume", "ls")) == ("DRIVER    VOLUME NAME\nlocal     data")
    assert perform(fake_engine, "volume", "ls", "-q") == ["data"]
    assert perform(fake_engine, "volume", "create", "data") == "data"
    assert fake_engine.last == ("volumes.create", ("data",), {})
    perform(fake_engine, "volume", "create")
    assert fake_engine.last == ("volumes.create", (None,), {})
    with pytest.raises(InvalidArgumentError, match="twice"):
        perform(fake_engine, "volume", "create", "--name", "a", "b")
