from __future__ import annotations

import pytest

from jupyter_containers.commands.completion import complete
from jupyter_containers.commands.dockerfile_completion import complete_dockerfile

KNOWN = {
    "image": ["busybox:latest", "python:3.11-slim", "app:1"],
    "container": ["web", "worker"],
    "network": ["backend"],
    "volume": ["data"],
}


def names(kind: str) -> list[str]:
    return KNOWN[kind]


def found(line: str) -> list[str]:
    words = line.split(" ")
    return complete(words[:-1], words[-1], names)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ru", ["run"]),
        ("net", ["network"]),
        ("network rm ", ["backend"]),
        ("network cre", ["create"]),
        ("run bu", ["busybox:latest"]),
        ("run --rm --netw", ["--network", "--network-alias"]),
        ("run --network ", ["backend", "bridge", "host", "none"]),
        ("run --network=b", ["--network=backend", "--network=bridge"]),
        ("run -v ", ["data:"]),
        ("run -itv ", ["data:"]),
        ("run -m 1g py", ["python:3.11-slim"]),
        ("run busybox w", []),
        ("run busybox --rm", []),
        ("run --pull ", ["always", "missing", "never"]),
        ("stop web wo", ["worker"]),
        ("container stop w", ["web", "worker"]),
        ("logs --fol", ["--follow"]),
        ("logs web w", []),
        ("rmi ", ["app:1", "busybox:latest", "python:3.11-slim"]),
        ("volume inspect ", ["data"]),
        ("inspect b", ["backend", "busybox:latest"]),
        ("tag app:1 ", ["app:1", "busybox:latest", "python:3.11-slim"]),
        ("help net", ["network"]),
        ("nonsense ", []),
        ("run --nonsense", []),
        ("run --nonsense=", []),
    ],
)
def test_a_command_line(line: str, expected: list[str]) -> None:
    assert found(line) == expected


def test_the_first_word_is_any_verb_or_group() -> None:
    assert {"run", "ps", "build", "network", "help", "container"} <= set(found(""))


@pytest.mark.parametrize(
    ("text", "token", "expected"),
    [
        ("FROM busybox\nR", "R", ["RUN"]),
        ("FROM busybox\nwor", "wor", ["workdir"]),
        ("FROM bu", "bu", ["busybox:latest"]),
        ("FROM busybox AS base\nFROM ba", "ba", ["base"]),
        ("FROM busybox ", "", ["AS"]),
        ("FROM --pl", "--pl", ["--platform="]),
        ("FROM busybox AS base\nCOPY --fr", "--fr", ["--from="]),
        ("FROM busybox AS base\nCOPY --from=b", "--from=b",
         ["--from=base", "--from=busybox:latest"]),
        ("FROM busybox\nRUN --m", "--m", ["--mount=type="]),
        ("FROM busybox\nRUN --mount=type=c", "--mount=type=c", ["--mount=type=cache"]),
        ("FROM busybox\nRUN --mount=type=cache,ta", "--mount=type=cache,ta",
         ["--mount=type=cache,target="]),
        ("FROM busybox\nRUN --mount=type=cache,sharing=l", "--mount=type=cache,sharing=l",
         ["--mount=type=cache,sharing=locked"]),
        ("FROM busybox\nRUN --mount=type=secret,e", "--mount=type=secret,e",
         ["--mount=type=secret,env="]),
        ("FROM busybox\nRUN --mount=type=cache,e", "--mount=type=cache,e", []),
        ("FROM busybox\nRUN ec", "ec", []),
        ("FROM busybox\nRUN a && \\\nE", "E", []),
        ("FROM busybox\nONBUILD CO", "CO", ["COPY"]),
        ("FROM busybox\nHEALTHCHECK --interval=3s ", "", ["CMD", "NONE"]),
    ],
)  # fmt: skip
def test_a_dockerfile(text: str, token: str, expected: list[str]) -> None:
    assert complete_dockerfile(text, names) == (token, expected)
