"""Pages generated from the product itself: commands, settings, the administrator's file.

They are written below ``docs/reference/generated`` when a build begins, from the same declarations
that the parser, ``--help`` and completion read, so they cannot differ from these.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.commands.help import example_lines
from jupyter_containers.commands.words import Flag, Verb

if TYPE_CHECKING:
    from sphinx.application import Sphinx

PARTS = {
    "containers": "Containers",
    "images": "Images",
    "builds": "Building",
    "registries": "Registries and manifests",
    "networks": "Networks",
    "volumes": "Volumes",
    "compose": "Applications of Compose files",
    "workloads": "Work over many containers",
    "sessions": "Cells in containers",
    "stores": "Shared image stores",
    "kernels": "Kernels in containers",
    "magics": "The magics in every kernel",
    "contexts": "Contexts: where containers run",
    "system": "The engine as a whole",
}


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference" / "generated"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(folder: Path) -> None:
    """Write all pages that changed: Sphinx reads no others again."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{part}.md": commands_page(part, title) for part, title in PARTS.items()}
    pages["dockerfile-flags.md"] = dockerfile_page()
    pages["settings.md"] = settings_page()
    pages["errors.md"] = errors_page()
    (folder / "verbs.txt").write_text(verbs_table())
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
    for file in folder.glob("*.md"):
        if file.name not in pages:
            file.unlink()


def verbs_table() -> str:
    """Return the table of all verbs, which the index of the reference includes."""
    lines = ["| Command | What it does |", "|---|---|"]
    for part, title in PARTS.items():
        lines.append(f"| **[{title}](generated/{part}.md)** | |")
        for verb in _verbs(part):
            place = f"generated/{part}.md#{verb.name.replace(' ', '-')}"
            lines.append(f"| [`{verb.name}`]({place}) | {_cell(verb.help)} |")
    return "\n".join(lines) + "\n"


def _verbs(part: str) -> list[Verb]:
    verbs: tuple[Verb, ...] = import_module(f"jupyter_containers.commands.grammar.{part}").VERBS
    return sorted(verbs, key=lambda verb: verb.name)


def commands_page(part: str, title: str) -> str:
    """Return the page for one part of the grammar."""
    lines = [
        f"# {title}",
        "",
        "In a cell: `%container COMMAND …`; in a terminal: `jupyter container COMMAND …`.",
        "",
    ]
    for verb in _verbs(part):
        lines += _verb(verb)
    return "\n".join(lines) + "\n"


def _verb(verb: Verb) -> Iterator[str]:
    yield from (f"## {verb.name}", "", f"{verb.help}.", "")
    yield from ("```text", f"%container {verb.usage}", "```", "")
    if examples := example_lines(verb, "%container"):
        yield from ("```bash", *examples, "```", "")
    if verb.aliases:
        spellings = ", ".join(f"`{alias}`" for alias in verb.aliases)
        yield from (f"Also spelt {spellings}.", "")
    if verb.reads_stdin:
        yield from ("In a cell, the lines below `%%container` are its input.", "")
    if verb.flags:
        yield from ("| Option | Meaning | In Python |", "|---|---|---|")
        for flag in sorted(verb.flags, key=lambda flag: flag.name):
            yield f"| {_spelling(flag)} | {_cell(flag.help)} | `{flag.key}=` |"
        yield ""


def _spelling(flag: Flag) -> str:
    words = [flag.spelling.strip(), *(f"--{alias}" for alias in flag.aliases)]
    return ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def dockerfile_page() -> str:
    """Return the flags of each instruction of a Dockerfile."""
    from jupyter_containers.build.instructions import FLAGS

    lines = ["# Flags of Dockerfile instructions", ""]
    for keyword, flags in FLAGS.items():
        lines += [f"## {keyword}", "", "| Flag | Meaning |", "|---|---|"]
        lines += [f"| `{flag.completion}` | {_cell(flag.help)} |" for flag in flags]
        lines.append("")
    return "\n".join(lines)


def settings_page() -> str:
    """Return the table of all settings with their defaults for root and for users."""
    from jupyter_containers import settings

    meanings = settings.meanings()
    lines = [
        "# Settings",
        "",
        inspect.getdoc(settings) or "",
        "",
        "| Setting | Meaning | Default |",
        "|---|---|---|",
    ]
    for field in fields(settings.Settings):
        by_user = field.name in ("root", "run_root")
        default = "a system folder for root, an XDG folder for users" if by_user else ""
        default = default or _default(field.default)
        meaning = meanings[field.name][1]
        lines.append(f"| `{field.name}` | {_cell(meaning)} | {default} |")
    lines.append("")
    return (
        "\n".join(lines)
        .replace("``", "`")
        .replace(":class:`~jupyter_containers.Engine`", "`Engine`")
        .replace(":mod:`.engine.quotas`", "`lab.toml`")
    )


def _default(value: object) -> str:
    if value in ("", ()):
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{value}`"


def errors_page() -> str:
    """Return the tree of errors and their meanings."""
    from jupyter_containers import errors

    tree = (inspect.getdoc(errors) or "").partition("::")
    lines = ["# Errors", "", tree[0].strip(), "", "```text", inspect.cleandoc(tree[2]), "```", ""]
    module = ast.parse(inspect.getsource(errors))
    for node in module.body:
        if isinstance(node, ast.ClassDef):
            text = (ast.get_docstring(node) or "").replace("``", "`")
            lines += [f"## {node.name}", "", text, ""]
    return "\n".join(lines)
