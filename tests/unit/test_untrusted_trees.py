"""Trees that others can change are worked in by ``trees/`` only.

A path that was checked may lead elsewhere when it is used; ``trees`` acts on one name below a
descriptor.  This looks at the source for the ways round it: ``dir_fd`` elsewhere, and the copying
functions and programs that take paths.  An exception names the file, the call and its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jupyter_containers

# As it is installed: the wheel is looked at too.
PACKAGE = Path(jupyter_containers.__file__).parent
OWNER = "trees"
# The rooms that handle files of images, containers, volumes and builds.
ROOMS = ("store", "build", "engine", "runtime", "grading")
KEYWORDS = {"dir_fd", "src_dir_fd", "dst_dir_fd"}
PROGRAMS = {"cp", "mv", "rm", "tar", "rsync", "install", "chmod", "chown", "ln"}
SHUTIL = {
    "copy", "copy2", "copyfile", "copymode", "copystat", "copytree", "move", "rmtree", "chown",
    "make_archive", "unpack_archive",
}  # fmt: skip

_OWN = "the engine's own folder, which no container has"
_LEFT = "what a container left, in a folder that only the engine reaches; by descriptors, as rmtree"
EXCEPTIONS = {
    ("build/remote.py", "shutil.rmtree"): "a checkout that this build has just made",
    ("engine/images/bootstrap.py", "shutil.copyfile"): "a program of the host into a fresh root",
    ("engine/images/bootstrap.py", "shutil.rmtree"): "a root that mmdebstrap has just made",
    ("engine/builds/builds.py", "shutil.rmtree"): _OWN,
    (
        "engine/containers/data_exchange.py",
        "shutil.copyfile",
    ): "a program of the package into a new folder",
    ("engine/containers/data_exchange.py", "shutil.rmtree"): _LEFT,
    ("engine/containers/inside_python.py", "shutil.copyfile"): "runs inside the container",
    ("engine/containers/inside_python.py", "shutil.copytree"): "runs inside the container",
    ("engine/sessions/python_agent.py", "shutil.rmtree"): "runs inside the container",
    ("engine/containers/lifecycle.py", "shutil.rmtree"): _OWN,
    (
        "engine/images/registry_image.py",
        "shutil.copyfile",
    ): "a program of the host into a fresh root",
    ("engine/system/reset.py", "shutil.rmtree"): _OWN,
    ("engine/containers/sweep.py", "shutil.rmtree"): _OWN,
    ("engine/system/sweep.py", "shutil.rmtree"): _OWN,
    ("engine/builds/workspaces.py", "shutil.rmtree"): _OWN,
    ("runtime/drivers.py", "shutil.rmtree"): _OWN,
    ("runtime/execute.py", "shutil.rmtree"): _OWN,
    ("runtime/health.py", "shutil.rmtree"): _OWN,
    ("runtime/oci_runtime.py", "shutil.rmtree"): _OWN,
    ("store/readonly.py", "shutil.copyfile"): "the records, into a new folder of this process",
    ("store/readonly.py", "shutil.rmtree"): _OWN,
}


def _calls(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each call that acts on paths in its own way."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for argument in (*node.args.args, *node.args.kwonlyargs):
                if argument.arg in KEYWORDS:
                    yield node.lineno, argument.arg
        elif isinstance(node, ast.ImportFrom) and node.module == "shutil":
            for alias in node.names:
                if alias.name in SHUTIL:
                    yield node.lineno, f"shutil.{alias.name}"
        elif isinstance(node, ast.List | ast.Tuple) and _is_program(node.elts):
            yield node.lineno, f"program {ast.literal_eval(node.elts[0])}"


def _call(node: ast.Call) -> Iterator[tuple[int, str]]:
    for keyword in node.keywords:
        if keyword.arg in KEYWORDS:
            yield node.lineno, keyword.arg
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        module, name = function.value.id, function.attr
        if (module, name) == ("os", "fwalk") or (module == "shutil" and name in SHUTIL):
            yield node.lineno, f"{module}.{name}"


def _is_program(words: list[ast.expr]) -> bool:
    """Return whether words are a command line: a program of files, and a flag or a path."""
    if len(words) < 2 or not isinstance(words[0], ast.Constant) or words[0].value not in PROGRAMS:
        return False
    second = words[1]
    flag = isinstance(second, ast.Constant) and str(second.value).startswith("-")
    return flag or isinstance(second, ast.JoinedStr | ast.Starred)


def findings(path: Path) -> list[str]:
    """Return the forbidden operations in a file outside ``trees``, with their lines."""
    relative = path.relative_to(PACKAGE).as_posix()
    room = relative.partition("/")[0]
    if room == OWNER:
        return []
    found = []
    for line, name in _calls(ast.parse(path.read_text(encoding="utf-8"))):
        if name not in KEYWORDS and room not in ROOMS:
            continue
        if (relative, name) not in EXCEPTIONS:
            found.append(f"{relative}:{line}: {name}")
    return found


def test_untrusted_trees_are_worked_in_by_one_room() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [each for path in files for each in findings(path)]
    assert not found, "use jupyter_containers.trees, or name an exception and its reason"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("os.open(name, flags, dir_fd=folder)", "dir_fd"),
        ("os.link(a, b, src_dir_fd=x)", "src_dir_fd"),
        ("def make(name, *, dir_fd=None): ...", "dir_fd"),
        ("os.fwalk(top)", "os.fwalk"),
        ("shutil.copytree(a, b)", "shutil.copytree"),
        ("from shutil import rmtree", "shutil.rmtree"),
        ("subprocess.run(['cp', '-a', source, target])", "program cp"),
    ],
)
def test_the_ways_round_it_are_seen(text: str, name: str) -> None:
    assert [found for _, found in _calls(ast.parse(text))] == [name]


def test_help_and_verbs_are_no_programs() -> None:
    texts = ('("cp", "Copy files", "files:copy")', '("install", "x")', '("rm",)')
    assert not [found for text in texts for found in _calls(ast.parse(text))]
