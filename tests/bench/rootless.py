"""A user's engine beside root's and beside the user's podman.

The user is the tests' account with subordinate ids.  What the user does is done by one process that
is there all the time, as a kernel is: it is told what to do on its input, and answers when it has.
"""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from jupyter_containers import Engine
from tests.bench import tutorial
from tests.bench.table import Row
from tests.bench.turns import in_turns
from tests.integration.account import Account, opened

_WITHIN, _QUARTER, _BUILD = Fraction(3, 2), Fraction(1, 4), Fraction(13, 10)
_PODMAN = (
    "podman",
    "--runtime",
    "runc",
    "--cgroup-manager",
    "cgroupfs",
    "--events-backend",
    "file",
)
_FOLDERS = ("--root", "podman/root", "--runroot", "podman/run")
_PROGRAM = """
import json, subprocess, sys
from operator import attrgetter
from jupyter_containers import Engine
engine = Engine()
for line in sys.stdin:
    verb, words, flags = json.loads(line)
    if verb == "podman":
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 0, done.stderr
    else:
        attrgetter(verb)(engine)(*words, **flags)
    print("done", flush=True)
"""


class _User:
    """The process of the user; ends with its ``with`` block."""

    def __init__(self, account: Account) -> None:
        self._process = subprocess.Popen(
            account.words([sys.executable, "-c", _PROGRAM]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> _User:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def __call__(self, verb: str, *words: object, **flags: object) -> None:
        """Have it done, and wait for it; raise RuntimeError when it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps((verb, words, flags)) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError(f"the user's {verb} failed")

    def podman(self, *words: str) -> None:
        """Run the user's podman."""
        self("podman", *_PODMAN, *_FOLDERS, *words)


def rows(engine: Engine, archive: Path, small: str, rounds: int) -> list[Row]:
    """Measure runs and the tutorial's build; ``archive`` is the small image's root file system."""
    with opened("subordinate") as account, _User(account) as user:
        given = account.home / "busybox.tar"
        given.write_bytes(archive.read_bytes())
        user("images.import_archive", str(given), small)
        user.podman("import", str(given), small)
        return [*_runs(engine, user, small, rounds), _build(engine, user, account, rounds)]


def _runs(engine: Engine, theirs: _User, small: str, rounds: int) -> list[Row]:
    def run(words: dict[str, object]) -> None:
        theirs("run", small, ["true"], rm=True, **words)

    found = in_turns(
        {
            "user": lambda: run({"network": "none"}),
            "root": lambda: engine.run(small, ["true"], network="none", rm=True),
            "podman": lambda: theirs.podman("run", "--rm", "--network", "none", small, "true"),
            "bridge": lambda: run({}),
            "root's bridge": lambda: engine.run(small, ["true"], rm=True),
        },
        rounds=rounds,
        warm_ups=2,
    )
    alone, bridged = "a user's `run --rm --network none`", "a user's `run --rm` with bridge"
    user, root, podman = found["user"], found["root"], found["podman"]
    return [
        Row(f"{alone}, beside root's", "ms", user, root, _WITHIN, peer_name="root"),
        Row(f"{alone}, beside the user's podman", "ms", user, podman, _QUARTER, peer_name="podman"),
        Row(
            f"{bridged}, beside root's",
            "ms",
            found["bridge"],
            found["root's bridge"],
            peer_name="root",
        ),
    ]


def _build(engine: Engine, user: _User, account: Account, rounds: int) -> Row:
    context = account.home / "app"
    tutorial.context(context)
    base = account.home / "base.tar"
    base.write_bytes(tutorial.ARCHIVE.read_bytes())
    engine.images.load(base)
    user("images.load", str(base))
    with tutorial.packages() as arguments:
        values = dict(pair.split("=", 1) for pair in arguments)
        flags = {"no_cache": True, "network": "host", "build_arg": values}
        found = in_turns(
            {
                "user": lambda: user("build", str(context), tag="app:1", **flags),
                "root": lambda: engine.build(context, tag="bench/user-app", **flags),
            },
            rounds=max(3, rounds // 3),
        )
    figure = "a user's cold `build` of the tutorial app, beside root's"
    return Row(figure, "ms", found["user"], found["root"], _BUILD, peer_name="root")
