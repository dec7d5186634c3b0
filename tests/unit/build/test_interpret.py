from __future__ import annotations

import pytest

from jupyter_containers.build.instructions import Add, Copy, HealthcheckSetting, Run
from jupyter_containers.build.interpret import typed
from jupyter_containers.build.parser import parse
from jupyter_containers.errors import DockerfileSyntaxError


def one(text: str) -> object:
    (instruction,) = typed(parse(text))
    return instruction


@pytest.mark.parametrize(
    ("text", "arguments", "shell"),
    [
        ('RUN ["a", "b c"]', ("a", "b c"), False),
        ("RUN ['a']", ("['a']",), True),
        ('RUN ["a"] tail', ('["a"] tail',), True),
        ('RUN ["a",]', ('["a",]',), True),
        ("RUN [NaN]", ("[NaN]",), True),
        ("RUN echo  $a", ("echo  $a",), True),
        (r'RUN ["\u0041", "\ud800"]', ("A", "\ufffd"), False),
    ],
)
def test_exec_and_shell_forms(text: str, arguments: tuple[str, ...], shell: bool) -> None:
    run = one(text)
    assert isinstance(run, Run)
    assert (run.command.arguments, run.command.shell) == (arguments, shell)


def test_copy_and_add_flags() -> None:
    copy = one("COPY --from=b --chown=a:b --chmod=1 --link --exclude=x --exclude=y a b c/")
    assert isinstance(copy, Copy)
    assert (copy.from_, copy.chown, copy.chmod, copy.link) == ("b", "a:b", "1", True)
    assert (copy.exclude, copy.sources, copy.destination) == (("x", "y"), ("a", "b"), "c/")
    add = one("ADD --unpack=false --checksum=sha256:x https://h/a /a")
    assert isinstance(add, Add)
    assert (add.unpack, add.checksum) == (False, "sha256:x")


def test_healthcheck_durations_are_nanoseconds() -> None:
    check = one("HEALTHCHECK --interval=1m30s --timeout=500ms --retries=2 CMD x y")
    assert isinstance(check, HealthcheckSetting)
    assert check.check.test == ("CMD-SHELL", "x y")
    assert (check.check.interval, check.check.timeout) == (90_000_000_000, 500_000_000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RUN", "requires at least one argument"),
        ("RUN --nosuch=1 a", "unknown flag: --nosuch"),
        ("COPY --chonw=1 a b", "did you mean --chown?"),
        ("RUN --network=x a", "unsupported network mode"),
        ("RUN []", "exec form is empty"),
        ('CMD ["a", 1]', "only strings"),
        ("COPY a", "at least two arguments"),
        ("COPY --from=$x a b", "takes no variables"),
        ("COPY --link=maybe a b", "expecting a boolean"),
        ("COPY --chown=1 --chown=2 a b", "duplicate flag"),
        ("COPY a <<E\nE", "can not be the destination"),
        ("ENV", "requires at least one argument"),
        ("ENV a", "no value for 'a'"),
        ("ENV a=1 b", "can't find = in 'b'"),
        ("ENV =1", "names can not be blank"),
        ("FROM a b", "one argument, or three"),
        ("FROM a# the base", "a comment is a line of its own"),
        ("FROM a AS 1b", "invalid name for a stage"),
        ("SHELL /bin/sh", "requires a JSON array"),
        ("HEALTHCHECK MAYBE", "unknown type"),
        ("HEALTHCHECK CMD", "missing command"),
        ("HEALTHCHECK --interval=30 CMD x", "missing unit"),
        ("HEALTHCHECK --interval=1us CMD x", "less than 1ms"),
        ("HEALTHCHECK --retries=x CMD x", "--retries"),
        ("ONBUILD ONBUILD RUN x", "isn't allowed as a trigger"),
        ("ONBUILD FROM x", "isn't allowed as a trigger"),
        ("ONBUILD NOSUCH x", "unknown instruction"),
        ("VOLUME []", "can not be an empty string"),
        ("RUN --mount=from a", "write key=value"),
    ],
)
def test_says_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(DockerfileSyntaxError) as caught:
        one(text)
    assert message in caught.value.message
    assert caught.value.location.first_line == 1
