"""Completion in Dockerfiles: instructions, their flags, stages, images."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jupyter_containers.build.instructions import FLAGS
from jupyter_containers.build.mounts import KEYS
from jupyter_containers.build.parser import KEYWORDS
from jupyter_containers.commands.completion import Names
from jupyter_containers.lazy_patterns import pattern

_STAGE = pattern(r"^\s*FROM\s+.*\sAS\s+(\S+)\s*$", re.IGNORECASE)


def complete_dockerfile(before: str, names: Names) -> tuple[str, list[str]]:
    """Return the word at the end of ``before``, and its completions.

    ``before`` is the Dockerfile's text up to the cursor.
    """
    lines = before.split("\n")
    line = lines[-1]
    token = re.split(r"\s", line)[-1]
    if _continued(lines):
        return token, []
    words = line[: len(line) - len(token)].split()
    if not words:
        return token, _keywords(token)
    keyword = words[0].upper()
    if keyword == "ONBUILD" and len(words) == 1:
        return token, _keywords(token)
    stages = [found[1] for text in lines[:-1] if (found := _STAGE.match(text))]
    return token, _arguments(keyword, words, token, stages, names)


def _arguments(
    keyword: str, words: list[str], token: str, stages: list[str], names: Names
) -> list[str]:
    flags_only = all(word.startswith("--") for word in words[1:])
    if token.startswith("--from=") and keyword == "COPY":
        return [f"--from={name}" for name in _sources(token[7:], stages, names)]
    if token.startswith("--mount=") and keyword == "RUN":
        return _mount(token, stages, names)
    if token.startswith("-") and flags_only:
        words = sorted(flag.completion for flag in FLAGS.get(keyword, ()))
        return [word for word in words if word.startswith(token)]
    if keyword == "FROM":
        if flags_only:
            return _sources(token, stages, names)
        return [word for word in ("AS",) if word.startswith(token.upper()) and len(words) == 2]
    if keyword == "HEALTHCHECK" and flags_only:
        return [word for word in ("CMD", "NONE") if word.startswith(token.upper())]
    return []


def _mount(token: str, stages: list[str], names: Names) -> list[str]:
    head, _, last = token.rpartition(",") if "," in token else ("--mount=", "", token[8:])
    start = f"{head}," if "," in token else head
    name, equals, value = last.partition("=")
    if equals:
        known = _sources(value, stages, names) if name == "from" else _values(name)
        return [f"{start}{name}={word}" for word in known if word.startswith(value)]
    kind = (re.search(r"[=,]type=(\w+)", head) or ["", ""])[1]
    allowed = (key for key in KEYS.values() if not (kind and key.types) or kind in key.types)
    return [start + key.completion for key in allowed if key.completion.startswith(last)]


def _values(name: str) -> list[str]:
    return sorted(KEYS[name].values) if name in KEYS else []


def _sources(token: str, stages: list[str], names: Names) -> list[str]:
    known: Iterable[str] = dict.fromkeys([*stages, *sorted(names("image"))])
    return [name for name in known if name.startswith(token)]


def _keywords(token: str) -> list[str]:
    found = [word for word in KEYWORDS if word.startswith(token.upper()) and word != "MAINTAINER"]
    # A word in lower case is completed in lower case.
    return [word.lower() for word in found] if token and token.islower() else found


def _continued(lines: list[str]) -> bool:
    above = [line for line in lines[:-1] if not line.lstrip().startswith("#")]
    return bool(above) and above[-1].rstrip().endswith("\\")
