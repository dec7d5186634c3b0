"""Files that are meant to harm, or are only broken: one line, soon, with the place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from jupyter_containers.compose import LoadOptions, load
from jupyter_containers.errors import ComposeFileError, ContainersError


def refusal(text: str | bytes, tmp_path: Path, **more: str) -> ContainersError:
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "compose.yaml").write_bytes(data)
    for name, content in more.items():
        (tmp_path / f"{name}.yaml").write_text(content)
    begun = time.process_time()
    with pytest.raises(ContainersError) as caught:
        load(LoadOptions(folder=str(tmp_path), environment={}))
    assert time.process_time() - begun < 5
    assert "\n" not in caught.value.message
    assert len(caught.value.message) <= 2000
    return caught.value


def bomb(levels: int) -> str:
    lines = ["x-0: &a0 [b, b, b, b, b, b, b, b, b, b]"]
    lines += [
        f"x-{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, levels)
    ]
    return "\n".join([*lines, "services: {a: {image: x}}"])


def test_aliases_that_repeat_too_much(tmp_path: Path) -> None:
    """Without the bound on values this takes all memory (seen with MAX_VALUES = 10**30)."""
    error = refusal(bomb(12), tmp_path)
    assert "aliases repeat more than" in error.message
    assert error.message.startswith("compose.yaml:")


def test_deep_nesting(tmp_path: Path) -> None:
    """Without the bound on depth the second ends in a RecursionError (seen with 10**30)."""
    error = refusal("x-a: " + "[" * 50_000, tmp_path)
    assert "nest" in error.message  # libyaml has its own limit, above this one
    deep = "\n".join(f"x-{n}: &a{n} [{f'*a{n - 1}' if n else 1}]" for n in range(3000))
    assert "nested more than" in refusal(deep, tmp_path).message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services:\n\ta: {image: x}\n", "tab"),
        ("services:\n  a: {image: x}\n  a: {image: y}\n", "'a' is given twice, first in line 2"),
        ("services: &a {b: *a}\n", "contains itself"),
        ("services: {a: *b}\n", "no anchor &b"),
        ("? {a: b}\n: c\n", "a key is a mapping or a list"),
        (b"\x00\x01\x02", "null bytes"),
        (b"services: \xff\xfe", "not UTF-8"),
        ("services: {a: {image: '\x07'}}", "control characters"),
        (b"#" * (9 * 1024 * 1024), "larger than 8 MiB"),
        ("", "empty compose file"),
        ("services: {a: {image: x", "expected ',' or '}'"),
    ],
)
def test_broken(text: str | bytes, said: str, tmp_path: Path) -> None:
    error = refusal(text, tmp_path)
    assert said in error.message
    assert isinstance(error, ComposeFileError)


def test_many_services(tmp_path: Path) -> None:
    """Without MAX_SERVICES they are all read (seen)."""
    names = "\n".join(f"  s{number}: {{image: x}}" for number in range(10_000))
    assert "10,000 services are more than" in refusal(f"services:\n{names}\n", tmp_path).message


def test_long_chains(tmp_path: Path) -> None:
    """A chain of depends_on is walked without recursion; one of extends is bounded.

    Without MAX_CHAIN it ends in a RecursionError (seen).
    """
    waiting = "\n".join(
        f"  s{n}: {{image: x, depends_on: [s{(n + 1) % 1500}]}}" for n in range(1500)
    )
    error = refusal(f"services:\n{waiting}\n", tmp_path)
    assert "dependency cycle detected" in error.message
    assert "…" in error.message
    chain = "\n".join(f"  s{n}: {{image: x, extends: s{n + 1}}}" for n in range(1500))
    assert "extends" in refusal(f"services:\n{chain}\n  s1500: {{image: x}}\n", tmp_path).message


def test_variables_that_grow(tmp_path: Path) -> None:
    """Without MAX_NESTING no refusal that names the nesting (seen)."""
    nested = "${A:-" * 200 + "}" * 200
    text = f"services: {{a: {{image: '{nested}'}}}}\n"
    assert "nested more than" in refusal(text, tmp_path).message


def test_includes_are_bounded(tmp_path: Path) -> None:
    """Without MAX_INCLUDES all 150 are read (seen)."""
    more = {f"f{n}": f"include: [f{n + 1}.yaml]\n" for n in range(150)}
    text = "include: [f0.yaml]\nservices: {a: {image: x}}\n"
    assert "files are included" in refusal(text, tmp_path, **more).message
    assert "cycle" in refusal(text, tmp_path, f0="include: [compose.yaml, f0.yaml]\n").message


@pytest.mark.parametrize("name", ["../a", "/a", "a/b", "..", "a b", ""])
def test_names_that_climb(name: str, tmp_path: Path) -> None:
    text = f"services: {{a: {{image: x}}}}\nvolumes: {{'{name}': }}\n"
    if name == "..":  # a name of the specification's; it becomes PROJECT_..
        return
    assert "not allowed" in refusal(text, tmp_path).message


def test_the_place_is_marked(tmp_path: Path) -> None:
    text = "services:\n  web:\n    imagee: nginx\n    ports: [80]\n"
    report = refusal(text, tmp_path).report()
    assert "compose.yaml:3" in report
    assert "imagee: nginx" in report
    assert "^^^^^^" in report
    assert "did you mean image?" in report


def test_the_place_is_in_the_file_that_says_it(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("services:\n  a: {image: x}\n")
    (tmp_path / "b.yaml").write_text("services:\n  a:\n    scale: x\n")
    files = (str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    with pytest.raises(ComposeFileError) as caught:
        load(LoadOptions(files=files, environment={}))
    assert str(caught.value.location) == "b.yaml:3"


def test_two_thousand_lines_are_soon_read(tmp_path: Path) -> None:
    """Counts values instead of time: one pass a file, whatever its services are."""
    block = (
        "  s{0}:\n    image: x:{0}\n    ports: ['{0}:80']\n"
        "    environment:\n      A: ${{A:-b}}\n      B: c\n"
    )
    text = "services:\n" + "".join(block.format(number + 1) for number in range(330))
    (tmp_path / "compose.yaml").write_text(text)
    project = load(LoadOptions(folder=str(tmp_path), environment={}))
    assert len(project.services) == 330
    assert project.services["s7"]["environment"] == {"A": "b", "B": "c"}


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("services: {a: {image: x, volumes: [{type: volume, target: [1]}]}}", ""),
        ("services: {a: {image: x, build: {context: ., additional_contexts: {q: }}}}", ""),
        ("services: {a: {image: x, networks: [n]}}", "services: {a: {networks: text}}"),
        ("include: [f0.yaml]\nservices: text\n", ""),
        ("include: [f0.yaml]\nservices: [a]\n", ""),
    ],
)
def test_values_of_another_kind(text: str, over: str, tmp_path: Path) -> None:
    """Found by changing the cases at random; each ended in a TypeError or AttributeError."""
    (tmp_path / "f0.yaml").write_text("services: {z: {image: x}}\n")
    (tmp_path / "compose.override.yaml").write_text(over or "services: {b: {image: x}}\n")
    if "additional_contexts" in text:
        (tmp_path / "compose.yaml").write_text(text)
        load(LoadOptions(folder=str(tmp_path), environment={}))
    else:
        refusal(text, tmp_path)
