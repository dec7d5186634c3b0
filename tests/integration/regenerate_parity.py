"""Freeze Docker's answers: ``python -m tests.integration.regenerate_parity [CASE…]``.

Starts a separate dockerd (Debian's docker.io) with its own folders, socket and pid file and without
a bridge, so that nothing of the host changes, runs every line of ``parity_cases`` with it and
writes ``data/parity.json``.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.parity_cases import BOX, CASES, Answer, kind_of, normalised
from tests.integration.runtime_fixtures import make_root

_CLIENT, _DAEMON = "/usr/bin/docker", "/usr/sbin/dockerd"
FROZEN = Path(__file__).parent / "data" / "parity.json"
STDIN = b"typed\n"


def box_tar(folder: Path) -> Path:
    """Return the tar of the root file system that both engines import."""
    make_root(folder / "layers")
    target = folder / "box.tar"
    subprocess.run(
        ["tar", "--sort=name", "-C", folder / "layers" / "base", "-cf", target, "."], check=True
    )
    return target


@contextmanager
def daemon(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which the docker client speaks to a dockerd of our own."""
    address = f"unix://{folder}/docker.sock"
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [
            _DAEMON,
            *("--data-root", folder / "data", "--exec-root", folder / "exec"),
            *("--pidfile", folder / "pid", "-H", address),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false"),
        ],
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": address}
    try:
        for _ in range(300):
            done = subprocess.run(
                [_CLIENT, "version"], env=environment, capture_output=True, check=False
            )
            if done.returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError((folder / "log").read_text()[-2000:])
        yield environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        log.close()


def ask(line: str, environment: dict[str, str]) -> Answer:
    done = subprocess.run(
        [_CLIENT, *shlex.split(line)],
        env=environment,
        input=STDIN,
        capture_output=True,
        timeout=60,
        check=False,
    )
    stderr = done.stderr.decode()
    return Answer(done.returncode, normalised(done.stdout.decode()), kind_of(stderr))


def main(names: list[str]) -> int:
    """Run the named cases again, or all, and drop those that no longer exist."""
    wanted = {name: lines for name, lines in CASES.items() if not names or name in names}
    folder = Path(tempfile.mkdtemp(prefix="parity-"))
    try:
        with daemon(folder) as environment:
            tar = box_tar(folder)
            subprocess.run([_CLIENT, "import", tar, BOX], env=environment, check=True)
            answers = {
                name: {
                    f"{number} {line}": ask(line, environment).document()
                    for number, line in enumerate(lines)
                }
                for name, lines in wanted.items()
            }
            version = subprocess.run(
                [_CLIENT, "version", "--format", "{{.Server.Version}}"],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
        frozen = json.loads(FROZEN.read_text())["answers"]
        kept = {name: frozen[name] for name in CASES if name in frozen}
        answers = kept | answers
        document = {"engine": f"docker {version}", "answers": answers}
        FROZEN.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
