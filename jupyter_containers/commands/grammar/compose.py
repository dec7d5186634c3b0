"""The commands of applications described by Compose files.

Docker Compose's flags before the verb (``compose -f FILE config``) are flags of every verb here,
without their letters; :func:`reordered` moves them behind the verb.
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_containers.commands.grammar import applications
from jupyter_containers.commands.grammar.applications import PROJECT_FLAGS
from jupyter_containers.commands.words import Flag, Operand, Verb

_LETTERS = {"-f": "--file", "-p": "--project-name"}
_BEFORE = {f"--{flag.name}" for flag in PROJECT_FLAGS} | {"--progress"}

VERBS: tuple[Verb, ...] = (
    Verb(
        "compose config",
        "Print the resolved Compose file",
        "compose:config",
        (
            *PROJECT_FLAGS,
            Flag("environment", "Print the variables that the files use", "bool"),
            Flag("format", "yaml or json", values=("yaml", "json")),
            Flag("hash", "Print the config hash of these services; * is all", metavar="SERVICE"),
            Flag("images", "Print the images' names", "bool"),
            Flag("networks", "Print the networks' names", "bool"),
            Flag("no-interpolate", "Do not replace variables", "bool"),
            Flag("output", "Write to this file", "text", "o"),
            Flag("profiles", "Print the profiles' names", "bool", keyword="show_profiles"),
            Flag("quiet", "Only check", "bool", "q"),
            Flag("services", "Print the services' names", "bool", keyword="show_services"),
            Flag("variables", "Print the variables with their defaults", "bool"),
            Flag("volumes", "Print the volumes' names", "bool"),
        ),
        (Operand("services", "SERVICE", "any"),),
        ("compose convert",),
        reads_stdin=True,
        takes_paths=True,
        examples=(
            ("compose config", "compose.yaml of this folder, resolved"),
            ("compose -f base.yaml -f dev.yaml config --services", "from two files, merged"),
            ("compose config --no-interpolate", "without replacing variables"),
        ),
    ),
    *applications.VERBS,
)


def reordered(words: Sequence[str]) -> list[str]:
    """Return ``compose FLAGS VERB …`` as ``compose VERB FLAGS …``."""
    before: list[str] = []
    index = 1
    while index < len(words) and words[index].startswith("-"):
        name, equals, _ = words[index].partition("=")
        long = _LETTERS.get(name, name)
        if long not in _BEFORE:
            break
        if equals:
            before.append(long + words[index][len(name) :])
        elif index + 1 < len(words):
            index += 1
            before.append(f"{long}={words[index]}")
        else:
            break
        index += 1
    return [words[0], *words[index : index + 1], *before, *words[index + 1 :]]
