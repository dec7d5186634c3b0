"""Images on their way: registry, archives, the list of them; memory that this takes.

Registry, page cache and disk are alike for all; engines take turns.  Ours compresses a layer when
it is made, the others at each push: making and pushing are therefore shown together too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from jupyter_containers import Engine
from tests.bench import images
from tests.bench.peer import Docker, Podman
from tests.bench.table import Row
from tests.bench.turns import Series, in_turns, seconds
from tests.integration.registry_server import DockerRegistry

LARGE = "bench/large"
EIGHTH, HALF, EVEN = Fraction(1, 8), Fraction(1, 2), Fraction(1)
GIGABYTE = 1_000_000_000
MANY = 1000
_PLAIN = "--tls-verify=false"


@dataclass(frozen=True)
class Verbs:
    """One engine's ways to make, push, pull and forget an image."""

    make: Callable[[Path, str], object]
    push: Callable[[str], object]
    pull: Callable[[str], object]
    forget: Callable[[str], object]


class Transfers:
    """The engines that compete, and the figures that they compete for."""

    def __init__(self, folder: Path, engine: Engine, docker: Docker, podman: Podman) -> None:
        self._folder, self._engine, self._docker = folder, engine, docker
        self._verbs = {
            "ours": Verbs(engine.images.import_archive, engine.push, engine.pull, self._forget),
            "docker": Verbs(
                lambda tar, name: docker("import", str(tar), name),
                lambda name: docker("push", name),
                lambda name: docker("pull", name),
                lambda name: docker("rmi", "-f", name),
            ),
            "podman": Verbs(
                lambda tar, name: podman("import", str(tar), name),
                lambda name: podman("push", _PLAIN, name),
                lambda name: podman("pull", _PLAIN, name),
                lambda name: podman("rmi", "-f", name),
            ),
        }

    def _forget(self, name: str) -> None:
        self._engine.images.remove(name, force=True)
        self._engine.images.prune(all=False)

    def _forget_everywhere(self, name: str) -> None:
        for verbs in self._verbs.values():
            verbs.forget(name)
        _rest()

    def _pull(self, pulls: Found, name: str, number: int) -> None:
        order = list(self._verbs)
        for who in order if number % 2 else order[::-1]:
            os.sync()
            pulls.add(who, lambda who=who: self._verbs[who].pull(name))

    def transfers(self, rounds: int) -> list[Row]:
        """Measure import, push and pull of a 250 MB image of one layer, and pushing it again."""
        archive = self._folder / "large.tar"
        images.large_tar(archive)
        makes, pushes, pulls = (Found(self._verbs) for _ in range(3))
        with DockerRegistry(self._folder / "registry") as registry:
            name = f"{registry.host}/{LARGE}"
            for number in range(rounds):
                if number:
                    self._forget_everywhere(name)
                # Docker's push comes last: its layers are then what all pull.
                for who in ("podman", "ours", "docker"):
                    verbs = self._verbs[who]
                    shutil.rmtree(registry.folder / "data", ignore_errors=True)
                    os.sync()
                    makes.add(who, lambda verbs=verbs: verbs.make(archive, name))
                    os.sync()
                    pushes.add(who, lambda verbs=verbs: verbs.push(name))
                self._forget_everywhere(name)
                self._pull(pulls, name, number)
            again = in_turns(
                {
                    "ours": lambda: self._engine.push(name),
                    "docker": lambda: self._docker("push", name),
                },
                rounds=5 * rounds,
            )
            for verbs in self._verbs.values():
                verbs.forget(name)
        both = makes.joined(pushes)
        return [
            pushes.row("`push` of 250 MB to a local registry", "docker", EIGHTH),
            pushes.row("`push` of 250 MB to a local registry", "podman", HALF),
            both.row("`import` and `push` of 250 MB together", "docker", EIGHTH),
            both.row("`import` and `push` of 250 MB together", "podman", HALF),
            pulls.row("`pull` of 250 MB from a local registry", "docker", HALF),
            pulls.row("`pull` of 250 MB from a local registry", "podman", EVEN),
            Row("`push` again, nothing changed", "ms", again["ours"], again["docker"], limit=50),
        ]

    def layers(self, rounds: int) -> list[Row]:
        """Measure the pull of 1 GB in ten layers."""
        archive = self._folder / "layers.tar"
        pulls = Found(self._verbs)
        with DockerRegistry(self._folder / "registry") as registry:
            name = f"{registry.host}/bench/layers:1"
            images.layered_archive(archive, self._folder, name, layers=10, total=GIGABYTE)
            self._engine.images.load(archive)
            archive.unlink()
            self._engine.push(name)
            self._forget(name)
            _rest()
            for number in range(rounds):
                if number:
                    self._forget_everywhere(name)
                self._pull(pulls, name, number)
            for verbs in self._verbs.values():
                verbs.forget(name)
        return [
            pulls.row("`pull` of 1 GB in ten layers", "docker", HALF),
            pulls.row("`pull` of 1 GB in ten layers", "podman", EVEN),
        ]

    def archives(self, rounds: int) -> list[Row]:
        """Measure save and load of 250 MB; both load the archive that docker saved."""
        archive, name = self._folder / "large.tar", "bench/saved:1"
        images.large_tar(archive)
        for who in ("ours", "docker"):
            self._verbs[who].make(archive, name)
        ours, theirs = self._folder / "ours.tar", self._folder / "theirs.tar"
        save, load = Found(self._verbs), Found(self._verbs)
        for _ in range(rounds):
            os.sync()
            save.add("ours", lambda: self._engine.images.save(name, ours))
            os.sync()
            save.add("docker", lambda: self._docker("save", "-o", str(theirs), name))
            for who in ("docker", "ours"):
                self._verbs[who].forget(name)
            _rest()
            load.add("ours", lambda: self._engine.images.load(theirs))
            os.sync()
            load.add("docker", lambda: self._docker("load", "-i", str(theirs)))
        for who in ("docker", "ours"):
            self._verbs[who].forget(name)
        return [
            save.row("`save` of 250 MB", "docker", EVEN),
            load.row("`load` of 250 MB, the archive that docker saved", "docker", EVEN),
        ]

    def listings(self) -> list[Row]:
        """Measure ``images`` in a store of a thousand."""
        from jupyter_containers.commands.execute import execute
        from jupyter_containers.commands.session import Session

        records = self._engine._context.store.records
        first = self._engine.images.get("bench/busybox").record
        for number in range(MANY):
            digest = f"sha256:{number:064x}"
            records.put_image(_renamed(first, digest))
            records.set_name(f"docker.io/many/image{number}:1", digest)
        session = Session(lambda: self._engine)
        ways = {
            "text": lambda: str(execute(session, ["images"])),
            "notebook": lambda: execute(session, ["images"])._repr_html_(),
            "Python": self._engine.images,
        }
        found = in_turns(ways, rounds=21, warm_ups=2)
        for number in range(MANY):
            records.delete_image(f"sha256:{number:064x}")
        return [
            Row(f"`images`, a thousand of them ({way})", "ms", series, limit=50)
            for way, series in found.items()
        ]

    def peaks(self) -> list[Row]:
        """Measure the most memory that a process takes for one layer of 2 GB."""
        archive = self._folder / "random.tar"
        images.random_tar(archive, 2 * GIGABYTE)
        saved = self._folder / "saved.tar"
        with DockerRegistry(self._folder / "registry") as registry:
            name = f"{registry.host}/bench/random:1"
            steps = {
                "import": f"engine.images.import_archive({str(archive)!r}, {name!r})",
                "push": f"engine.push({name!r})",
                "save": f"engine.images.save({name!r}, {str(saved)!r})",
                "load": f"engine.images.load({str(saved)!r})",
                "pull": f"engine.pull({name!r})",
            }
            rows = []
            for verb, step in steps.items():
                if verb in ("load", "pull"):
                    self._forget(name)
                peak = Series((self._peak(step),))
                rows.append(Row(f"peak memory of `{verb}`, a layer of 2 GB", "MB", peak, limit=250))
            self._forget(name)
        for path in (archive, saved):
            path.unlink()
        return rows

    def _peak(self, step: str) -> float:
        """Return the peak memory of a separate process in megabytes."""
        settings = self._engine.settings
        script = (
            "import re\nfrom jupyter_containers import Engine\n"
            f"with Engine(root={str(settings.root)!r}, run_root={str(settings.run_root)!r})"
            f" as engine:\n    {step}\n"
            # The peak that getrusage gives has that of the parent in it.
            "status = open('/proc/self/status').read()\n"
            "print(int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1]) * 1024 / 1e6)\n"
        )
        done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE)
        return float(done.stdout)


class Found:
    """Seconds by engine."""

    def __init__(self, engines: dict[str, Verbs]) -> None:
        self.values: dict[str, list[float]] = {name: [] for name in engines}

    def add(self, who: str, work: Callable[[], object]) -> None:
        """Measure one piece of work."""
        self.values[who].append(seconds(work))

    def joined(self, other: Found) -> Found:
        """Return the sums of these figures and others."""
        total = Found({})
        for name, values in self.values.items():
            pairs = zip(values, other.values[name], strict=True)
            total.values[name] = [one + two for one, two in pairs]
        return total

    def row(self, figure: str, peer: str, target: Fraction) -> Row:
        """Return our figure beside that of a peer."""
        name = {"docker": "Docker", "podman": "podman"}[peer]
        title = figure if peer == "docker" else f"{figure} ({peer})"
        series = {who: Series(tuple(values)) for who, values in self.values.items() if values}
        return Row(title, "s", series["ours"], series[peer], target, peer_name=name)


def _rest() -> None:
    """Wait until deleted files are forgotten.

    ext4 without a journal passes over the inodes that were freed in the last minute, one by one:
    who makes files before that measures little else, in any engine.
    """
    os.sync()
    time.sleep(65)


def _renamed(record: object, digest: str) -> object:
    import msgspec

    manifest = msgspec.structs.replace(record.manifest, digest=digest)
    return msgspec.structs.replace(record, manifest=manifest, config_digest=digest)
