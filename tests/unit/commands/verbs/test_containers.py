from __future__ import annotations

import io
import shlex
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session, Terminal
from jupyter_containers.engine.containers.filesystems import FileChange
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainerNotFoundError,
    InvalidArgumentError,
    UnsupportedError,
)

RESULT = SimpleNamespace(
    exit_code=0, stdout=b"hi\n", stderr=b"", container_id="c1", oom_killed=False, results={}
)


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_run_passes_flags_as_typed_and_returns_the_outcome(fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    outcome = perform(
        fake_engine, "run", "--rm", "-m", "64m", "-e", "A=1", "-p", "80", "busybox", "echo", "-n"
    )
    assert (outcome.exit_code, outcome.output, outcome.container_id) == (0, "hi\n", "c1")
    name, args, kwargs = fake_engine.last
    assert (name, args) == ("run", ("busybox", ["echo", "-n"]))
    assert {key: kwargs[key] for key in ("rm", "memory", "env", "publish")} == {
        "rm": True,
        "memory": "64m",
        "env": ["A=1"],
        "publish": ["80"],
    }
    assert kwargs["stdin"] is None


def test_run_without_a_command_leaves_it_to_the_image(fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    perform(fake_engine, "run", "busybox")
    assert fake_engine.last[1] == ("busybox", None)


def test_an_empty_entrypoint_means_none(fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    perform(fake_engine, "run", "--entrypoint", "", "busybox", "ls")
    assert fake_engine.last[2]["entrypoint"] == ()


def test_run_detached_returns_the_container(fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers["run"] = a_container
    assert perform(fake_engine, "run", "-d", "nginx") is a_container
    assert fake_engine.last[2] == {"detach": True}


@pytest.mark.parametrize("verb", [("run", "img"), ("exec", "web", "false")])
def test_a_failed_process_is_the_engines_error(fake_engine: Any, verb: Any) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ContainerFailedError("container web failed", exit_code=3, log_tail=["last"])

    fake_engine.answers.update({"run": fail, "containers.exec": fail})
    with pytest.raises(ContainerFailedError, match="container web failed") as caught:
        perform(fake_engine, *verb)
    assert caught.value.log_tail == ("last",)
    with pytest.raises(ContainerFailedError) as caught:
        perform(fake_engine, *verb, on_output=lambda stream, data: None)
    assert caught.value.log_tail == ()  # it was shown as it came


@pytest.mark.parametrize("verb", [["run", "-i", "img"], ["exec", "-i", "web", "cat"]])
def test_input_is_given_with_i_only(fake_engine: Any, verb: list[str]) -> None:
    fake_engine.answers.update({"run": RESULT, "containers.exec": RESULT})
    perform(fake_engine, *verb, stdin=b"in")
    assert fake_engine.last[2]["stdin"] == b"in"
    verb.remove("-i")
    perform(fake_engine, *verb, stdin=b"in")
    assert fake_engine.last[2]["stdin"] is None


def test_it_uses_the_terminal_or_says_that_there_is_none(fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    with pytest.raises(UnsupportedError, match="-it needs an interactive"):
        perform(fake_engine, "run", "-it", "img")
    assert fake_engine.calls == []
    keys = io.BytesIO(b"ls\n")

    @contextmanager
    def terminal() -> Any:
        yield Terminal(keys, lambda stream, data: None)

    perform(fake_engine, "run", "-it", "img", terminal=terminal)
    assert fake_engine.last[2]["stdin"] is keys


def test_it_opens_a_terminal_where_the_page_has_one(fake_engine: Any, a_container: Any) -> None:
    opened: list[Any] = []
    fake_engine.answers.update(
        {
            "containers.create": a_container,
            "containers.start": RESULT,
            "containers.exec": RESULT,
            "containers.get": a_container,
        }
    )
    place = {"open_terminal": lambda work: opened.append(work) or "open"}
    assert perform(fake_engine, "run", "-it", "--rm", "img", "sh", **place) == "open"
    assert fake_engine.last == ("containers.create", ("img", ["sh"]), fake_engine.last[2])
    assert opened[0].run(lambda stream, data: None, 9, lambda: (24, 80)) == 0
    name, args, flags = fake_engine.last
    assert (name, args, flags["stdin"]) == ("containers.start", (a_container.id,), 9)
    assert perform(fake_engine, "exec", "-it", "web", "sh", **place) == "open"
    assert opened[1].run(lambda stream, data: None, 9, lambda: (24, 80)) == 0
    assert fake_engine.last[:2] == ("containers.exec", (a_container.id, ["sh"]))


def test_a_container_that_cannot_start_in_a_terminal_is_removed(
    fake_engine: Any, a_container: Any
) -> None:
    fake_engine.answers.update({"containers.create": a_container, "containers.remove": None})

    def fails(work: Any) -> Any:
        raise UnsupportedError("no", capability="x")

    with pytest.raises(UnsupportedError):
        perform(fake_engine, "run", "-it", "--rm", "img", "sh", open_terminal=fails)
    assert fake_engine.last == (
        "containers.remove",
        (a_container.id,),
        {"force": True, "volumes": True},
    )


def test_exec_needs_a_command(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="at least 2"):
        perform(fake_engine, "exec", "web")


def test_exec_detached_returns_nothing(fake_engine: Any) -> None:
    assert perform(fake_engine, "exec", "-d", "-u", "1", "web", "ls") is None
    assert fake_engine.last == ("containers.exec", ("web", ["ls"]), {"detach": True, "user": "1"})


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("start a", ("containers.start", ("a",), {})),
        ("stop a", ("containers.stop", ("a",), {})),
        ("stop -t 2 a", ("containers.stop", ("a",), {"timeout": 2})),
        ("restart -t 2 a", ("containers.restart", ("a",), {"timeout": 2})),
        ("kill a", ("containers.kill", ("a",), {})),
        ("kill -s HUP a", ("containers.kill", ("a",), {"signal": "HUP"})),
        ("pause a", ("containers.pause", ("a",), {})),
        ("unpause a", ("containers.unpause", ("a",), {})),
        ("rm -fv a", ("containers.remove", ("a",), {"force": True, "volumes": True})),
        ("container rm a", ("containers.remove", ("a",), {"force": False, "volumes": False})),
    ],
)
def test_actions(fake_engine: Any, line: str, call: Any) -> None:
    assert perform(fake_engine, *line.split()) == ["a"]
    assert fake_engine.last == call


def test_wait_and_rename(fake_engine: Any) -> None:
    fake_engine.answers["containers.wait"] = lambda name: {"a": 0, "b": 3}[name]
    assert perform(fake_engine, "wait", "a", "b") == [0, 3]
    assert perform(fake_engine, "rename", "a", "b") is None
    assert fake_engine.last == ("containers.rename", ("a", "b"), {})


def test_one_bad_name_does_not_keep_the_others_from_it(fake_engine: Any) -> None:
    def remove(name: str, **_: Any) -> None:
        if name.startswith("no"):
            raise ContainerNotFoundError(f"no such container: {name}")

    fake_engine.answers["containers.remove"] = remove
    with pytest.raises(ContainerNotFoundError) as caught:
        perform(fake_engine, "rm", "no1", "a", "no2", "b")
    assert caught.value.message == "no such container: no1"
    assert caught.value.hint == "also: no such container: no2"
    assert caught.value.done == ("a", "b")
    assert len(fake_engine.calls) == 4


def test_rm_with_force_does_not_mind_what_is_gone(fake_engine: Any) -> None:
    def remove(name: str, **flags: Any) -> None:
        if name == "gone":
            raise ContainerNotFoundError("no such container: gone")

    fake_engine.answers["containers.remove"] = remove
    assert perform(fake_engine, "rm", "-f", "gone", "web") == ["web"]
    with pytest.raises(ContainerNotFoundError):
        perform(fake_engine, "rm", "gone")


@pytest.mark.parametrize(
    ("line", "call"),
    [
        (
            "cp web:/a b",
            ("containers.copy", ("web:/a", "b"), {"archive": False, "follow_link": False}),
        ),
        (
            "cp -aL a web:/b",
            ("containers.copy", ("a", "web:/b"), {"archive": True, "follow_link": True}),
        ),
        ("export -o x.tar web", ("containers.export", ("web", "x.tar"), {})),
        ("container diff web", ("containers.diff", ("web",), {})),
        ("commit web", ("containers.commit", ("web", None), {})),
        (
            "commit -a me -m why -c 'CMD x' -p=false web img:1",
            (
                "containers.commit",
                ("web", "img:1"),
                {"author": "me", "message": "why", "change": ["CMD x"], "pause": False},
            ),
        ),
        ("top web -o pid,args", ("containers.top", ("web", ["-o", "pid,args"]), {})),
        ("stop -s USR1 -t 3 web", ("containers.stop", ("web",), {"signal": "USR1", "timeout": 3})),
    ],
)
def test_verbs_of_files_and_processes(fake_engine: Any, line: str, call: Any) -> None:
    fake_engine.answers.update({"containers.diff": [], "containers.top": []})
    perform(fake_engine, *shlex.split(line))
    name, args, flags = fake_engine.last
    flags = {key: value for key, value in flags.items() if key not in ("stdin", "stdout")}
    assert (name, args, flags) == call


def test_export_without_a_place_to_write_to_is_refused(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="has no output"):
        perform(fake_engine, "export", "web")


def test_diff_prints_dockers_letters(fake_engine: Any) -> None:
    fake_engine.answers["containers.diff"] = [FileChange("A", "/new"), FileChange("D", "/old")]
    changes = perform(fake_engine, "container", "diff", "web")
    assert str(changes) == "A /new\nD /old"
    assert "added" in changes._repr_html_()


def test_starting_several_attached_is_refused(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="multiple containers"):
        perform(fake_engine, "start", "-a", "one", "two")
