"""A container that IPython starts in a terminal uses the same terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import environment


class Screen:
    """The output of a program on a pseudo-terminal, and its keyboard."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = ""

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def await_text(self, wanted: str, timeout: float = 30.0) -> None:
        """Wait for the text, and discard the output before it."""
        deadline = time.monotonic() + timeout
        while wanted not in self._text:
            assert time.monotonic() < deadline, self._text
            if select.select([self._descriptor], [], [], 0.2)[0]:
                self._text += os.read(self._descriptor, 65536).decode("utf-8", "replace")
        self._text = self._text.partition(wanted)[2]


def test_run_it_takes_the_terminal_and_gives_it_back(place: Place, tmp_path: Path) -> None:
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
    ours, theirs = pty.openpty()
    argv = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"]
    environ = {**environment(place), "IPYTHONDIR": str(tmp_path), "TERM": "xterm"}
    shell = subprocess.Popen(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
    )
    os.close(theirs)
    try:
        screen = Screen(ours)
        screen.await_text("In [1]:")
        screen.type("%load_ext jupyter_containers\n")
        screen.await_text("In [2]:")
        screen.type("%container run --rm -it busybox sh\n")
        screen.await_text("/ #")
        screen.type("tty; echo sum-$((40+2))\n")
        screen.await_text("sum-42")
        screen.type("exit\n")
        screen.await_text("In [3]:")
        screen.type("print('after', 6 * 7)\n")
        screen.await_text("after 42")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)
