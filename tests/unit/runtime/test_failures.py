from __future__ import annotations

import time
from pathlib import Path

import pytest

from jupyter_containers.runtime.failures import (
    clean,
    ended_from_outside,
    last_error,
    log_error,
    program_of,
    runtime_error,
)


@pytest.mark.parametrize(
    ("message", "code", "line"),
    [
        (
            'runc create failed: unable to start container process: exec: \\"x\\": executable file '
            "not found in $PATH",
            127,
            'exec: "x": executable file not found in $PATH',
        ),
        (
            'unable to start container process: exec: "/x": stat /x: no such file or directory',
            127,
            'exec: "/x": stat /x: no such file or directory',
        ),
        ('exec: "/x": permission denied', 126, 'exec: "/x": permission denied'),
        ('exec: "/": is a directory', 126, 'exec: "/": is a directory'),
        (
            "executable file `x` not found in $PATH: No such file or directory",
            127,
            "executable file `x` not found in $PATH: No such file or directory",
        ),
        ("open executable: Permission denied", 126, "open executable: Permission denied"),
        (
            "open executable: Operation not permitted",
            126,
            "open executable: Operation not permitted",
        ),
        (
            'error mounting "/a" to rootfs at "/b": stat /a: no such file or directory',
            125,
            'error mounting "/a" to rootfs at "/b": stat /a: no such file or directory',
        ),
        ("", 125, "the runtime could not create and gave no reason"),
    ],
)
def test_exit_codes_and_lines(message: str, code: int, line: str) -> None:
    error = runtime_error(message, operation="create")
    assert (error.exit_code, error.message) == (code, line)


def test_crun_s_line_gets_the_program_that_it_does_not_name(tmp_path: Path) -> None:
    """Seen to fail before: "open executable: Permission denied", of no program."""
    (tmp_path / "config.json").write_text('{"process": {"args": ["/bin/data", "x"]}}')
    message, program = "open executable: Permission denied", program_of(tmp_path)
    error = runtime_error(message, operation="create", program=program)
    assert error.message == 'exec: "/bin/data": open executable: Permission denied'
    (tmp_path / "config.json").write_text("[]")
    (tmp_path / "process.json").write_text('{"args": ["sh"]}')
    assert program_of(tmp_path) == "sh"
    assert program_of(tmp_path / "none") == ""


def test_the_last_error_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        '{"level":"error","msg":"first"}\n{"level":"error","msg":"second"}\n'
        '{"level":"warning","msg":"third"}\nnot json\n[1]\n'
    )
    assert log_error(log) == "second"
    assert log_error(tmp_path / "none") == ""
    assert last_error("") == ""
    assert clean(log.read_text()) == "second"
    assert "\n" not in clean("a\nb\nc")


def test_an_exec_that_cannot_be_started_has_dockers_code() -> None:
    message = (
        'exec failed: chdir to cwd ("/x") set in config.json failed: no such file or directory'
    )
    assert runtime_error(message, operation="exec").exit_code == 126


def test_a_child_that_was_ended_from_outside_is_told_from_a_command_that_cannot_run() -> None:
    assert ended_from_outside("error executing setns process: exit status 1")
    assert ended_from_outside("read init-p: connection reset by peer")
    assert not ended_from_outside('exec: "x": executable file not found in $PATH')
    assert not ended_from_outside(
        'chdir to cwd ("/x") set in config.json failed: no such file or directory'
    )


def test_a_flag_behind_the_image_is_told_from_a_command_that_is_missing() -> None:
    text = 'unable to start container process: exec: "{}": executable file not found in $PATH'
    for word, hint in (("-p", "flags go before"), ("--name", "flags go"), ("-", "spelling")):
        error = runtime_error(text.format(word), operation="create")
        assert hint in error.hint
        assert error.exit_code == 127


@pytest.mark.parametrize("word", ["exec ", "mount ", "executable ", "exec: proc "])
def test_a_long_message_is_understood_soon(word: str) -> None:
    """Seen to fail before: minutes, for expressions that scan the rest at each word."""
    began = time.thread_time()
    error = runtime_error(word * 20_000, operation="create")
    assert (error.exit_code, len(error.message) <= 500) == (125, True)
    assert time.thread_time() - began < 2
