"""The two engines, set up alike, and one method for each group of figures."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from jupyter_containers import Container, Engine, Settings
from tests.bench import crowds, images, kernel, memory, presses
from tests.bench.buildfigures import BuildFigures
from tests.bench.peer import Docker, Podman, remove_cgroups
from tests.bench.table import Row
from tests.bench.trixie import buildkit
from tests.bench.turns import Series, in_turns

SMALL = "bench/busybox"
HALF, QUARTER, EVEN = Fraction(1, 2), Fraction(1, 4), Fraction(1)
COMMAND = "jupyter-container"


class Contest:
    """Both engines with the same small image; ``rounds`` of the short figures."""

    def __init__(self, folder: Path, docker: Docker, rounds: int) -> None:
        self._folder, self._docker, self._rounds = folder, docker, rounds
        self._root, self._run_root = folder / "root", folder / "run"
        self._engine = Engine(Settings(self._root, self._run_root))
        self._command = str(Path(sys.executable).with_name(COMMAND))
        images.busybox_tar(folder / "busybox.tar")
        docker("import", str(folder / "busybox.tar"), SMALL)
        self._engine.images.import_archive(folder / "busybox.tar", SMALL)
        self._podman = Podman(folder / "podman")
        self._podman("import", str(folder / "busybox.tar"), SMALL)

    @property
    def engine(self) -> Engine:
        """Our engine."""
        return self._engine

    @property
    def places(self) -> dict[str, str]:
        """The environment variables of our store."""
        return {
            "JUPYTER_CONTAINERS_ROOT": str(self._root),
            "JUPYTER_CONTAINERS_RUN_ROOT": str(self._run_root),
        }

    def close(self) -> None:
        """Close our engine; its networks go with the namespace, its cgroups are removed here."""
        parent = self._engine._context.runtime.cgroup_parent
        self._engine.close()
        remove_cgroups(parent)

    def _ours(self, *arguments: str) -> None:
        """Run our terminal command."""
        done = subprocess.run(
            [self._command, *arguments],
            env=os.environ | self.places,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace")
            raise RuntimeError(f"{COMMAND} {' '.join(arguments)} failed:\n{said}")

    def _pair(
        self,
        figure: str,
        api: Callable[[], object],
        arguments: tuple[str, ...],
        target: Fraction,
    ) -> list[Row]:
        """Measure our library and our command against docker's command, and podman's."""
        found = in_turns(
            {
                "library": api,
                "docker": lambda: self._docker(*arguments),
                "podman": lambda: self._podman(*arguments),
                "command": lambda: self._ours(*arguments),
            },
            rounds=self._rounds,
            warm_ups=2,
        )
        docker, podman = found["docker"], found["podman"]
        return [
            Row(f"{figure}, from Python or a cell", "ms", found["library"], docker, target),
            Row(f"{figure}, as a whole command", "ms", found["command"], docker),
            Row(f"{figure} (beside podman)", "ms", found["library"], podman, peer_name="podman"),
        ]

    def runs(self) -> list[Row]:
        """Measure ``run --rm IMAGE true`` without a network and with the default bridge."""
        engine, alone = self._engine, ("run", "--rm", "--network", "none", SMALL, "true")
        return [
            *self._pair(
                "`run --rm --network none`",
                lambda: engine.run(SMALL, ["true"], network="none", rm=True),
                alone,
                QUARTER,
            ),
            *self._pair(
                "`run --rm` with bridge",
                lambda: engine.run(SMALL, ["true"], rm=True),
                ("run", "--rm", SMALL, "true"),
                QUARTER,
            ),
            *crowds.beyond_runtime(engine, SMALL, self._folder, self._rounds),
        ]

    def crowds(self, count: int) -> list[Row]:
        """Measure many containers: their starts, ``stats``, and ``ps -a`` of 2,000."""
        return [
            *crowds.starts(self._engine, self._docker, self._podman, SMALL, count),
            *crowds.listing(self._engine, SMALL),
        ]

    def execs(self) -> list[Row]:
        """Measure ``exec`` of ``true`` in a running container."""
        name = "bench-exec"
        container = self._engine.run(
            SMALL, ["sleep", "600"], detach=True, name=name, network="none"
        )
        assert isinstance(container, Container)
        for peer in (self._docker, self._podman):
            peer("run", "-d", "--name", name, "--network", "none", SMALL, "sleep", "600")
        try:
            return self._pair(
                "`exec`", lambda: container.exec(["true"]), ("exec", name, "true"), HALF
            )
        finally:
            container.remove(force=True)
            for peer in (self._docker, self._podman):
                peer("rm", "-f", name)

    def builds(self) -> list[Row]:
        """Measure builds beside BuildKit and the legacy builder."""
        context = self._folder / "context"
        images.build_context(context)
        build = ("build", "-t", "bench/app", str(context))
        found = in_turns(
            {
                "library": lambda: self._engine.build(context, tag="bench/app"),
                "legacy": lambda: self._docker(*build, DOCKER_BUILDKIT="0"),
                "command": lambda: self._ours(*build),
            },
            rounds=self._rounds,
            warm_ups=2,
        )
        figure = "cached 9-step `build`"
        rows = [
            Row(
                f"{figure}, from Python or a cell (legacy builder)",
                "ms",
                found["library"],
                found["legacy"],
                EVEN,
            ),
            Row(
                f"{figure}, as a whole command (legacy builder)",
                "ms",
                found["command"],
                found["legacy"],
            ),
        ]
        with buildkit(self._folder / "trixie", self._docker) as (peer, docker):
            if docker is not self._docker:
                docker("import", str(self._folder / "busybox.tar"), SMALL)
            folder = self._folder / "builds"
            folder.mkdir()
            figures = BuildFigures(folder, self._engine, peer, docker, self._docker)
            return rows + figures.rows(self._rounds)

    def loads(self, rounds: int) -> list[Row]:
        """Measure the cost of loading the extension in a kernel."""
        load, first, resident = kernel.loading(self._root, self._run_root, rounds=rounds)
        return [
            Row("`%load_ext` in a kernel", "ms", load, limit=100),
            Row("the first `%container ps` after it", "ms", first),
            Row("memory added to the kernel after its first `run`", "MB", resident),
            *(
                Row(f"the stop button in a kernel: {name}", "ms", series, limit=200)
                for name, series in presses.answers(
                    self._root, self._run_root, rounds=rounds
                ).items()
            ),
        ]

    def _beside_checked(self) -> list[Row]:
        """Measure the same beside a container with a health check and rotated logs, just then."""
        flags = {"health_cmd": "true", "health_interval": "1h"}
        rotation = ["max-size=1m", "max-file=3"]
        checked = self._engine.run(
            SMALL, ["sleep", "600"], detach=True, network="none", log_opt=rotation, **flags
        )
        assert isinstance(checked, Container)
        try:
            time.sleep(1.0)
            state = checked.record.state
            leaders = [item.pid for item in state.companions]
            pids = {leader for group in leaders for leader in memory.group(group)}
            if state.monitor is not None:
                pids.add(state.monitor.pid)
            used = Series((memory.total(pids, "Pss"),))
            figure = "memory beside a container with a health check and rotated logs (PSS)"
            return [Row(figure, "MB", used, limit=3)]
        finally:
            checked.remove(force=True)

    def residents(self) -> list[Row]:
        """Measure the resident memory beside one detached container with a published port."""
        engine, docker, name = self._engine, self._docker, "bench-memory"
        watched = ("conmon", "containerd-shim", "docker-proxy")
        before = {word: memory.processes(word) for word in watched}
        container = engine.run(SMALL, ["sleep", "600"], detach=True, name=name, publish=["8000"])
        assert isinstance(container, Container)
        docker("run", "-d", "--name", name, "-p", "127.0.0.1::8000", SMALL, "sleep", "600")
        time.sleep(1.0)
        try:
            new = {word: memory.processes(word) - before[word] for word in watched}
            peer = new["containerd-shim"] | new["docker-proxy"]
            daemons = memory.processes("dockerd") | (
                memory.processes("containerd") - memory.processes("containerd-shim")
            )
            rows = [
                Row(
                    f"memory beside a detached container ({field.upper()})",
                    "MB",
                    Series((memory.total(new["conmon"], field),)),
                    Series((memory.total(peer, field),)),
                    limit=3,
                )
                for field in ("Rss", "Pss")
            ]
            idle = Series((memory.total(daemons, "Rss"),))
            return [
                *rows,
                *self._beside_checked(),
                Row("daemons, with or without containers (RSS)", "MB", Series((0.0,)), idle),
            ]
        finally:
            container.remove(force=True)
            docker("rm", "-f", name)
