"""The figures of builds: our engine, BuildKit and the legacy builder on the same contexts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from itertools import count
from pathlib import Path

from jupyter_containers import Engine
from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken, Event, TaskOutput
from tests.bench import images, tutorial
from tests.bench.peer import Docker
from tests.bench.table import Row
from tests.bench.turns import Series, in_turns

_FILES = 50_000
_INSTRUCTIONS = 129
_LARGE_BYTES = 2 << 30
_TENTH, _FIFTH, _THIRD, _EVEN = (Fraction(1, part) for part in (10, 5, 3, 1))


class BuildFigures:
    """Contexts below ``folder``; ``peer`` names the BuildKit that ``buildkit`` is."""

    def __init__(
        self, folder: Path, engine: Engine, peer: str, buildkit: Docker, legacy: Docker
    ) -> None:
        self._folder, self._engine = folder, engine
        self._peer, self._buildkit, self._legacy = peer, buildkit, legacy

    def rows(self, rounds: int) -> list[Row]:
        """Return all rows; the slow ones take fewer rounds."""
        few = max(rounds // 4, 2)
        return [
            self._cached(rounds),
            self._edited(rounds),
            self._many_files(few),
            *self._cold(few),
            self._long(rounds),
            self._large(),
            self._interrupted(few),
        ]

    def _context(self, name: str) -> Path:
        folder = self._folder / name
        images.build_context(folder)
        return folder

    def _turns(
        self,
        context: Path,
        rounds: int,
        *flags: str,
        network: str = "none",
        arguments: tuple[str, ...] = (),
        before: Callable[[str], object] = str,
        legacy: bool = False,
    ) -> dict[str, Series]:
        """Measure builds of ``context``; ``before`` prepares it for the contestant's turn."""
        no_cache = "--no-cache" in flags
        flags = (*flags, *(word for one in arguments for word in ("--build-arg", one)))

        def ours() -> None:
            before("ours")
            self._engine.build(
                context,
                tag="bench/app",
                no_cache=no_cache,
                network=network,
                build_arg=list(arguments),
            )

        def theirs(docker: Docker, switch: str) -> Callable[[], None]:
            def build() -> None:
                before(switch)
                words = ("build", "-t", "bench/app", f"--network={network}", *flags, str(context))
                docker(*words, DOCKER_BUILDKIT=switch)

            return build

        contestants: dict[str, Callable[[], object]] = {
            "ours": ours,
            "buildkit": theirs(self._buildkit, "1"),
        }
        if legacy:
            contestants["legacy"] = theirs(self._legacy, "0")
        return in_turns(contestants, rounds=rounds, warm_ups=1 if no_cache else 2)

    def _cached(self, rounds: int) -> Row:
        found = self._turns(self._context("cached"), rounds)
        figure = f"cached 9-step `build` ({self._peer})"
        return Row(figure, "ms", found["ours"], found["buildkit"], _TENTH, 10)

    def _edited(self, rounds: int) -> Row:
        context, number = self._context("edited"), count()

        def edit(contestant: str) -> None:
            (context / "views.txt").write_text(f"{contestant} {next(number)}\n" * 200)

        found = self._turns(context, rounds, before=edit)
        figure = "`build` after editing one source file"
        return Row(figure, "ms", found["ours"], found["buildkit"], _FIFTH)

    def _many_files(self, rounds: int) -> Row:
        context = self._context("many")
        for number in range(_FILES):
            folder = context / "data" / f"{number % 500:03d}"
            if number < 500:
                folder.mkdir(parents=True)
            (folder / f"{number}.txt").write_text(f"{number}\n")
        found = self._turns(context, rounds)
        shutil.rmtree(context)
        figure = f"cached `build`, context of {_FILES:,} unchanged files"
        return Row(figure, "ms", found["ours"], found["buildkit"], _THIRD)

    def _cold(self, rounds: int) -> list[Row]:
        context = self._folder / "tutorial"
        tutorial.context(context)
        self._engine.images.load(tutorial.ARCHIVE)
        seen = shutil.copy(tutorial.ARCHIVE, self._folder / "base.tar")  # by trixie's Docker too
        for docker in {self._buildkit, self._legacy}:
            docker("load", "-i", str(seen))
        with tutorial.packages() as arguments:
            found = self._turns(
                context, rounds, "--no-cache", network="host", arguments=arguments, legacy=True
            )
        figure = "cold `build` of the tutorial app (pip install flask)"
        return [
            Row(figure, "ms", found["ours"], found["buildkit"], _EVEN),
            Row(f"{figure}, legacy builder", "ms", found["ours"], found["legacy"]),
        ]

    def _long(self, rounds: int) -> Row:
        context = self._context("long")
        body = [f"RUN echo {number} > /n{number % 7}" for number in range(_INSTRUCTIONS - 1)]
        (context / "Dockerfile").write_text("\n".join(["FROM bench/busybox", *body, ""]))

        def ours() -> None:
            self._engine.build(context, tag="bench/long", network="none")

        found = in_turns({"ours": ours}, rounds=rounds)
        figure = f"cached `build` of {_INSTRUCTIONS} instructions"
        return Row(figure, "ms", found["ours"], limit=50)

    def _large(self) -> Row:
        """Measure the peak memory of a separate process that copies a file of 2 GB."""
        context = self._context("large")
        block = os.urandom(1 << 20) * 64
        with (context / "large.bin").open("wb") as file:
            for _ in range(_LARGE_BYTES // len(block)):
                file.write(block)
        (context / "Dockerfile").write_text("FROM bench/busybox\nCOPY large.bin /\n")
        settings = self._engine._context.settings
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, str(settings.root), str(settings.run_root), str(context)],
            capture_output=True,
            text=True,
            check=True,
        )
        shutil.rmtree(context)
        peak = json.loads(done.stdout.splitlines()[-1])
        return Row("peak memory of a `build` that copies 2 GB", "MB", Series((peak,)), limit=200)

    def _interrupted(self, rounds: int) -> Row:
        """Measure from the interrupt to the end of a step that forks and ignores signals."""
        found = Series(tuple(self._one_interrupt() for _ in range(rounds)))
        return Row("an interrupt of a RUN that ignores signals", "ms", found, limit=200)

    def _one_interrupt(self) -> float:
        cancel, moment = CancelToken(), [0.0]

        def emit(event: Event) -> None:
            if isinstance(event, TaskOutput) and not moment[0]:
                moment[0] = time.perf_counter()
                cancel.cancel()

        text = f"FROM bench/busybox\nRUN {_STUBBORN}\n"
        context = self._folder / "cached"
        try:
            self._engine.build(
                context, dockerfile=text, emit=emit, cancel=cancel, network="none", no_cache=True
            )
        except OperationCancelledError:
            return time.perf_counter() - moment[0]
        raise RuntimeError("the build was not interrupted")


_STUBBORN = (
    "trap '' INT TERM; for n in 1 2 3; do (trap '' INT TERM; setsid sleep 600) & done;"
    " echo ready; sleep 600; wait"
)
_PEAK = """
import json, resource, sys
from jupyter_containers import Engine, Settings
from pathlib import Path
root, run_root, context = map(Path, sys.argv[1:])
engine = Engine(Settings(root, run_root))
engine.build(context, network="none")
engine.close()
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024 / 1000))
"""
