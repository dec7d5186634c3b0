"""Help texts, generated from the declarations."""

from __future__ import annotations

from jupyter_containers.commands.grammar import GROUPS, VERBS, members
from jupyter_containers.commands.words import Parsed, Verb


def help_text(parsed: Parsed, program: str) -> str:
    """Return the text of ``--help``; ``program`` is the command's name (``%container``)."""
    if parsed.verb is not None:
        return verb_help(parsed.verb, program)
    if parsed.topic:
        return group_help(parsed.topic, program)
    return overview(program)


def verb_help(verb: Verb, program: str) -> str:
    """Return usage, description, aliases, examples and flags of one verb."""
    lines = [f"Usage:  {program} {verb.usage}", "", verb.help]
    if verb.aliases:
        lines += ["", f"Aliases:  {', '.join(verb.aliases)}"]
    if examples := example_lines(verb, program):
        lines += ["", "Examples:", *(f"  {line}" for line in examples)]
    if verb.flags:
        flags = sorted(verb.flags, key=lambda flag: flag.name)
        lines += ["", "Options:", *_columns([(flag.spelling, flag.help) for flag in flags])]
    return "\n".join(lines)


def group_help(group: str, program: str) -> str:
    """Return the commands of one management group."""
    rows = [(name, verb.help) for name, verb in members(group)]
    usage = f"Usage:  {program} {group} COMMAND"
    return "\n".join([usage, "", GROUPS[group], "", "Commands:", *_columns(rows)])


def overview(program: str) -> str:
    """Return all commands."""
    plain = sorted((verb.name, verb.help) for verb in VERBS if " " not in verb.name)
    return "\n".join(
        [
            f"Usage:  {program} COMMAND",
            "",
            "Build, run, push and pull containers, with no daemon",
            "",
            "Commands:",
            *_columns(plain),
            "",
            "Management commands:",
            *_columns(sorted(GROUPS.items())),
            "",
            f"'{program} COMMAND --help' shows more about a command.",
        ]
    )


def example_lines(verb: Verb, program: str) -> list[str]:
    """Return the lines of a verb's examples with their explanations."""
    lines = []
    for line, meaning in verb.examples:
        if meaning:
            lines.append(f"# {meaning}")
        lines.append(f"{program} {line}")
    return lines


def _columns(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(left) for left, _ in rows)
    return [f"  {left:<{width}}   {right}".rstrip() for left, right in rows]
