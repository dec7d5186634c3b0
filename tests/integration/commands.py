"""``jupyter container`` as a fork of a process that has imported it.

Starting Python and importing the engine take a command 0.3 s of processor time, and a fork takes
10 ms.  Everything else is as with a started program: a separate process with its own arguments,
environment, standard input and outputs.
"""

from __future__ import annotations

import importlib
import os
import pickle
import pkgutil
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_PROJECT = Path(__file__).parents[2]
_PROGRAM = f"from {__name__} import serve; serve()"
# The packages whose modules are imported before the first command.
_PACKAGES = ("commands", "engine", "network", "options", "rootless", "runtime", "store")
LARGEST_INPUT = 65_536  # bytes that a pipe takes without a reader

START = (sys.executable, "-c", _PROGRAM)


class _Request(NamedTuple):
    words: Sequence[str]
    stdin: bytes
    environ: Mapping[str, str] | None


class Commands:
    """The process whose forks are commands, one at a time; it starts with the first.

    ``argv`` is its command line, :data:`START` or a program that ends in it.
    """

    def __init__(self, argv: Sequence[str] = START) -> None:
        self.argv = list(argv)
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, words: Sequence[str], *, stdin: bytes = b"", environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Return the end of ``jupyter container WORDS…``; by default with this environment."""
        assert len(stdin) <= LARGEST_INPUT
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(self.argv, cwd=_PROJECT, stdin=pipe, stdout=pipe)
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            pickle.dump(_Request(words, stdin, environ), requests)
            requests.flush()
            code, out, errors = pickle.load(answers)
        except BaseException:  # a test that takes too long: the next must not get its answer
            self._process.kill()
            self.close()
            raise
        return subprocess.CompletedProcess(words, code, out, errors)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


def serve() -> None:
    """Be that process: take requests from standard input, until its end."""
    with open(os.dup(0), "rb") as requests, open(os.dup(1), "wb") as answers:
        for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY)):
            null = os.open(os.devnull, flags)
            os.dup2(null, number)
            os.close(null)
        _import_all()
        while True:
            try:
                request = pickle.load(requests)
            except EOFError:
                return
            pickle.dump(_done(request, [requests.fileno(), answers.fileno()]), answers)
            answers.flush()


def _import_all() -> None:
    package = importlib.import_module("jupyter_containers")
    importlib.import_module("jupyter_containers.cli")
    for found in pkgutil.walk_packages(package.__path__, "jupyter_containers."):
        if found.name.split(".")[1] in _PACKAGES:
            importlib.import_module(found.name)


def _done(request: _Request, unused: list[int]) -> tuple[int, bytes, bytes]:
    """Run one command to its end; its process closes the descriptors ``unused``."""
    out, errors = (os.memfd_create(name) for name in ("stdout", "stderr"))
    reader, writer = os.pipe()
    os.write(writer, request.stdin)
    os.close(writer)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for number, descriptor in enumerate((reader, out, errors)):
                os.dup2(descriptor, number)
            for descriptor in (*unused, reader, out, errors):
                os.close(descriptor)
            code = _command(request)
        finally:
            os._exit(code)
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, _contents(out), _contents(errors)


def _command(request: _Request) -> int:
    """Be the command; return its exit code."""
    from jupyter_containers.cli import main

    if request.environ is not None:
        os.environ.clear()
        os.environ.update(request.environ)
    sys.argv = ["jupyter-container", *request.words]
    try:
        return main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  # the interpreter would print it too
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _contents(descriptor: int) -> bytes:
    """Return the contents of a file, and close it."""
    with open(descriptor, "rb") as file:
        file.seek(0)
        return file.read()
