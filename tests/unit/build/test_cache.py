from __future__ import annotations

import os
from typing import Any

import pytest

from jupyter_containers.build.cache import StepKey, difference

COPY = "FROM scratch\nCOPY src /dst\n"
RUN = "FROM scratch\nARG V=1\nENV E=1\nRUN echo $V\n"


def cached(bench: Any, text: str, **options: Any) -> tuple[bool, str]:
    """Build; return whether the last step was cached, and why not."""
    step = bench.build(text, **options).steps[-1]
    return step.cached, step.reason


@pytest.fixture
def source(bench: Any) -> Any:
    bench.write("src/a", "one")
    bench.write("src/d/b", "two")
    bench.write("other", "x")
    assert cached(bench, COPY) == (False, "not built here before")
    assert cached(bench, COPY) == (True, "")
    return bench


def test_times_do_not_matter(source: Any) -> None:
    os.utime(source.context / "src/a", (1, 1))
    os.utime(source.context / "src/d", (1, 1))
    source.write("src/a", "one")
    source.write("other", "changed")
    assert cached(source, COPY) == (True, "")


def test_owner_in_the_context_and_the_mode_of_the_source_folder_do_not_matter(source: Any) -> None:
    os.chown(source.context / "src/a", 5, 5)
    (source.context / "src").chmod(0o700)
    assert cached(source, COPY) == (True, "")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda context: (context / "src/a").write_text("new"), "src/a changed"),
        (lambda context: (context / "src/a").chmod(0o600), "src/a changed"),
        (lambda context: (context / "src/d").chmod(0o700), "src/d changed"),
        (lambda context: (context / "src/new").write_text(""), "src/new is new"),
        (lambda context: (context / "src/a").unlink(), "src/a is gone"),
        (lambda context: (context / "src/a").rename(context / "src/z"), "src/a is gone"),
        (lambda context: (context / "src/l").symlink_to("a"), "src/l is new"),
        (lambda context: os.setxattr(context / "src/a", "user.x", b"1"), "src/a changed"),
    ],
)
def test_content_matters(source: Any, change: Any, reason: str) -> None:
    change(source.context)
    assert cached(source, COPY) == (False, reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("COPY src /dst2", "the destination changed"),
        ("COPY --chown=1 src /dst", "the flags changed"),
        ("COPY src/d /dst", "the sources changed"),
        ("ADD src /dst", "the instruction changed"),
    ],
)
def test_instruction_matters(source: Any, text: str, reason: str) -> None:
    assert cached(source, f"FROM scratch\n{text}\n") == (False, reason)


@pytest.mark.parametrize(
    ("text", "options", "reason"),
    [
        (RUN, {}, ""),
        (RUN.replace("echo", "printf"), {}, "the command changed"),
        (RUN.replace("E=1", "E=2"), {}, "variable E changed"),
        (RUN, {"build_arg": {"V": "2"}}, "variable V changed"),
        (RUN, {"build_arg": {"UNUSED": "2"}}, ""),
        (RUN, {"build_arg": {"HTTP_PROXY": "http://x", "no_proxy": "y"}}, ""),
        (RUN.replace("RUN", "RUN --network=none"), {}, "the network mode changed"),
        (RUN.replace("RUN", "RUN --mount=type=tmpfs,target=/t"), {}, "the mounts changed"),
        (RUN.replace("RUN", "USER 5\nRUN"), {}, "not built here before"),
        (RUN, {"no_cache": True}, "the cache is off"),
        (RUN, {"label": {"x": "y"}}, ""),
    ],
)
def test_what_a_run_depends_on(bench: Any, text: str, options: dict[str, Any], reason: str) -> None:
    bench.layers.runner = write_something
    cached(bench, RUN)
    assert cached(bench, text, **options) == (reason == "", reason)


def write_something(request: Any, root: Any, on_output: Any) -> int:
    (root / "out").write_text(" ".join(request.argv))
    return 0


def test_an_earlier_change_is_the_reason_of_later_misses(bench: Any) -> None:
    bench.layers.runner = write_something
    text = "FROM scratch\nCOPY a /a\nRUN x\nRUN y\n"
    bench.write("a", "1")
    bench.build(text)
    bench.write("a", "2")
    steps = bench.build(text).steps
    assert [step.reason for step in steps[1:]] == [
        "a changed",
        "the parent changed: [2/4] COPY a /a",
        "the parent changed: [2/4] COPY a /a",
    ]


def test_a_layer_that_is_gone_is_a_miss(source: Any) -> None:
    import shutil

    chain = source.build(COPY).chain_id
    shutil.rmtree(source.layers.folder(chain))
    assert cached(source, COPY) == (False, "its layer is no longer stored")


def test_damaged_entries_are_misses(source: Any) -> None:
    for key in source.cache:
        source.cache[key] = b"{"
    assert source.build(COPY).steps[-1].cached is False


def test_a_stage_is_not_opened_when_the_layers_tell(bench: Any) -> None:
    bench.write("a", "1")
    text = "FROM scratch AS one\nCOPY a /a\nFROM scratch\nCOPY --from=one /a /b\n"
    bench.build(text)
    opened = bench.layers.opened
    assert all(step.cached for step in bench.build(text).steps)
    assert bench.layers.opened == opened


def test_the_same_files_from_another_stage_are_a_hit(bench: Any) -> None:
    bench.write("a", "1")
    bench.write("b", "1")
    text = "FROM scratch AS one\nCOPY a /a\nCOPY b /{}\nFROM scratch\nCOPY --from=one /a /x\n"
    bench.build(text.format("b"))
    steps = bench.build(text.format("c")).steps
    assert [step.cached for step in steps] == [True, True, False, True, True]


def test_a_file_that_changes_while_it_is_copied_is_not_remembered(bench: Any) -> None:
    bench.write("a", "1")
    plain = bench.layers.workspace

    def changing(parent: str) -> Any:
        bench.write("a", "2, longer")
        return plain(parent)

    bench.layers.workspace = changing
    bench.build("FROM scratch\nCOPY a /a\n")
    bench.layers.workspace = plain
    bench.write("a", "1")
    assert cached(bench, "FROM scratch\nCOPY a /a\n")[0] is False


def test_keys_do_not_confuse_their_parts() -> None:
    assert StepKey({"a": "b"}, {}).digest != StepKey({}, {"a": "bc"}).digest
    assert StepKey({"ab": "c"}).digest != StepKey({"a": "bc"}).digest
    assert difference({}, {}, StepKey({})) == "its layer is no longer stored"


def test_the_file_of_a_large_context_is_named(bench: Any) -> None:
    for number in range(6000):
        bench.write(f"many/{number:04d}", "x")
    bench.build("FROM scratch\nCOPY many /\n")
    bench.write("many/5999", "y")
    assert bench.build("FROM scratch\nCOPY many /\n").steps[-1].reason == "many/5999 changed"
