"""Figures of networks: the cost of joining one, its throughput, and the number of containers.

Starts are of detached containers and without their removal; what a network adds is the difference
of the best starts with and without it, whose order turns from round to round: what else the machine
does only makes a start slower.  The throughput is the time of a fixed amount of data by iperf3.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

from jupyter_containers import Container, Engine
from jupyter_containers.engine.naming import new_id
from tests.bench.images import busybox_tar
from tests.bench.peer import Docker, Podman
from tests.bench.table import Row
from tests.bench.turns import Series, seconds

IMAGE = "bench/iperf"
_SLEEP = ["sleep", "600"]
_PORT = "5201"
_AMOUNT = "4G"
_HIGHEST = Fraction(20, 19)  # of the time, for 0.95 of the throughput
Start = Callable[[str, Sequence[str]], float]


class Networks:
    """Our engine, docker and podman with the same image, which has iperf3."""

    def __init__(self, folder: Path, engine: Engine, docker: Docker, podman: Podman) -> None:
        self._engine, self._docker, self._podman = engine, docker, podman
        archive = folder / "iperf.tar"
        iperf_tar(archive)
        engine.images.import_archive(archive, IMAGE)
        docker("import", str(archive), IMAGE)
        podman("import", str(archive), IMAGE)

    def rows(self, rounds: int, count: int) -> list[Row]:
        """Measure all of it."""
        return [*self.added(rounds), *self.throughput(3), *self.crowd(count)]

    @property
    def _starts(self) -> dict[str, Start]:
        return {"ours": self._ours, "docker": self._dockers, "podman": self._podmans}

    def _ours(self, name: str, flags: Sequence[str]) -> float:
        values = {flag[2:].partition("=")[0]: flag.partition("=")[2] for flag in flags}
        return seconds(lambda: self._engine.run(IMAGE, _SLEEP, detach=True, name=name, **values))

    def _dockers(self, name: str, flags: Sequence[str]) -> float:
        words = ["run", "-d", "--name", name, *flags, IMAGE, *_SLEEP]
        return seconds(lambda: self._docker(*words))

    def _podmans(self, name: str, flags: Sequence[str]) -> float:
        words = ["run", "-d", "--name", name, *flags, IMAGE, *_SLEEP]
        return seconds(lambda: self._podman(*words))

    def _remove(self, engine: str, *names: str) -> None:
        if engine == "ours":
            for name in names:
                self._engine.containers.remove(name, force=True)
        elif engine == "docker":
            self._docker("rm", "-f", *names)
        else:
            self._podman("rm", "-f", "-t", "0", *names)

    def added(self, rounds: int) -> list[Row]:
        """Measure the time that the default network, and a published port, add to a start."""
        kinds = {
            "none": ("--network=none",),
            "bridge": ("--network=bridge",),
            "publish": ("--network=bridge", "--publish=127.0.0.1::80"),
        }
        found: dict[str, dict[str, list[float]]] = {}
        for number in range(-1, rounds):
            order = list(kinds.items())[:: 1 if number % 2 else -1]
            for engine, start in self._starts.items():
                for kind, flags in order:
                    name = f"bench-{kind}"
                    # Podman's default network has another name.
                    given = [flag for flag in flags if engine != "podman" or "bridge" not in flag]
                    took = start(name, given)
                    self._remove(engine, name)
                    if number >= 0:
                        found.setdefault(engine, {}).setdefault(kind, []).append(took)
        best = {
            engine: {kind: min(values) for kind, values in series.items()}
            for engine, series in found.items()
        }
        rows = []
        for what, without, having, limit in (
            ("the default network adds to a start", "none", "bridge", 10),
            ("a published port adds to a start", "bridge", "publish", 5),
        ):
            series = {
                engine: Series((times[having] - times[without],)) for engine, times in best.items()
            }
            for peer, bound in (("docker", limit), ("podman", None)):
                figure = what if peer == "docker" else f"{what} (podman)"
                rows.append(Row(figure, "ms", series["ours"], series[peer], limit=bound))
        return rows

    def throughput(self, rounds: int) -> list[Row]:
        """Measure 4 GB from a container to the host and to another container."""
        found: dict[str, list[float]] = {}
        with self._pairs() as pairs, _server():
            for _ in range(rounds):
                for engine, (run, gateway, other) in pairs.items():
                    for what, address in (("host", gateway), ("container", other)):
                        found.setdefault(f"{engine} {what}", []).append(_transfer(run, address))
        return [
            Row(
                f"{_AMOUNT}B from a container to {where} (iperf3)",
                "s",
                Series(tuple(found[f"ours {what}"])),
                Series(tuple(found[f"docker {what}"])),
                _HIGHEST,
            )
            for what, where in (("host", "the host"), ("container", "another container"))
        ]

    @contextlib.contextmanager
    def _pairs(self) -> Iterator[dict[str, tuple[Callable[..., str], str, str]]]:
        engine, docker = self._engine, self._docker
        serve = ["iperf3", "-s"]
        server = engine.run(IMAGE, serve, detach=True, name="bench-server")
        client = engine.run(IMAGE, _SLEEP, detach=True, name="bench-client")
        docker("run", "-d", "--name", "bench-server", IMAGE, *serve)
        docker("run", "-d", "--name", "bench-client", IMAGE, *_SLEEP)
        assert isinstance(client, Container)
        assert isinstance(server, Container)
        try:
            seen = json.loads(docker("inspect", "bench-server"))[0]["NetworkSettings"]
            own = engine.system.inspect("bench-server")["NetworkSettings"]
            yield {
                "ours": (
                    lambda *words: client.exec(list(words)).output,
                    own["Gateway"],
                    own["IPAddress"],
                ),
                "docker": (
                    lambda *words: docker("exec", "bench-client", *words),
                    seen["Gateway"],
                    seen["IPAddress"],
                ),
            }
        finally:
            for name in ("ours", "docker"):
                self._remove(name, "bench-server", "bench-client")

    def crowd(self, count: int) -> list[Row]:
        """Measure the start into a network of ``count`` containers beside that of its first."""
        rows = []
        for engine, start in self._starts.items():
            self._network(engine, "create", "bench-crowd")
            flags, names = ["--network=bench-crowd"], []
            try:
                first = self._samples(engine, start, flags)
                for number in range(count):
                    names.append(f"bench-{number}")
                    start(names[-1], flags)
                after = self._samples(engine, start, flags)
            finally:
                self._remove(engine, *names)
                # Docker says long after that it has endpoints; it goes with its daemon.
                if engine != "docker":
                    self._network(engine, "rm", "bench-crowd")
            target = Fraction(3, 2) if engine == "ours" else None
            whose = "" if engine == "ours" else f" ({engine})"
            figure = f"start into a network of {count} containers, beside its first{whose}"
            rows.append(Row(figure, "ms", after, first, target, peer_name="1.5 of the first"))
        return rows

    def _network(self, engine: str, verb: str, name: str) -> None:
        if engine == "ours":
            act = {"create": self._engine.networks.create, "rm": self._engine.networks.remove}
            act[verb](name)
        else:
            (self._docker if engine == "docker" else self._podman)("network", verb, name)

    def _samples(self, engine: str, start: Start, flags: Sequence[str]) -> Series:
        values = []
        for _ in range(7):
            name = f"bench-{new_id()[:8]}"
            values.append(start(name, flags))
            self._remove(engine, name)
        return Series(tuple(values[2:]))


@contextlib.contextmanager
def _server() -> Iterator[None]:
    """Serve iperf3 on the host."""
    process = subprocess.Popen(
        ["iperf3", "-s"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        time.sleep(1.0)
        yield
    finally:
        process.terminate()
        process.wait()


def _transfer(run: Callable[..., str], address: str) -> float:
    answer = json.loads(run("iperf3", "-c", address, "-p", _PORT, "-n", _AMOUNT, "-J"))
    return float(answer["end"]["sum_received"]["seconds"])


def iperf_tar(path: Path) -> None:
    """Write a root file system with busybox and iperf3 with the libraries it loads."""
    busybox_tar(path)
    program = "/usr/bin/iperf3"
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    files = [program, *(word for word in listed.split() if word.startswith("/"))]
    with tarfile.open(path, "a") as archive:
        for name in dict.fromkeys(files):
            real = Path(name).resolve()
            archive.add(real, arcname=str(real).lstrip("/"))
            if str(real) != name:
                archive.add(real, arcname=name.lstrip("/"))
