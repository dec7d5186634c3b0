"""The flags of instructions in the cache key: none can be forgotten, and old stores stay valid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Annotated, Any

import pytest

from jupyter_containers.build.cache import StepKey
from jupyter_containers.build.context import LocalContext
from jupyter_containers.build.contexts import Contexts
from jupyter_containers.build.copystep import describe_copy
from jupyter_containers.build.expand import Lexer
from jupyter_containers.build.filestep import StepContext
from jupyter_containers.build.flags import InstructionFlag, declared, key_parts, read_flags
from jupyter_containers.build.instructions import (
    FLAGS,
    Add,
    Copy,
    From,
    HealthcheckTimes,
    Instruction,
    Run,
)
from jupyter_containers.build.interpret import make
from jupyter_containers.build.parser import parse_fragment
from jupyter_containers.build.runstep import describe_run
from jupyter_containers.build.state import StageState
from jupyter_containers.build.steps import Expander
from jupyter_containers.errors import SourceLocation
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import Platform

# Valid values of flags that do not accept 1.
SAMPLES = {
    "checksum": "sha256:" + "a" * 64,
    "from": "base",
    "mount": "type=tmpfs,target=/t",
    "network": "none",
    "security": "insecure",
}
BARE = {"ADD": "https://host.invalid/r.git#" + "0" * 40 + " /a", "COPY": "a /a", "RUN": "true"}
CLASSES = {"ADD": Add, "COPY": Copy, "RUN": Run}

# The keys that stores of version 0.x have (the first 16 digits): one that is another makes every
# step of its kind be carried out again in everybody's store.  Taken from the code before flags
# were declared.
KEYS = {
    "COPY a /a": "76e936a035809d0e",
    "COPY --chown=1:2 a /a": "029ad5efedc616bf",
    "COPY --chmod=640 a /a": "5d421e5d5e829f51",
    "COPY --exclude=*.x --exclude=y src /s/": "80608254091d8148",
    "COPY --parents src/d /s/": "8215f72f406d71fa",
    "COPY --chown=1 --chmod=u+x --exclude=q --parents src /s/": "37eb0867bf22826b",
    "COPY --link a /a": "76e936a035809d0e",
    "COPY --link --chown=3 a /b/a": "baa3b1ee6b413ed0",
    "COPY <<E /e\nhello\nE": "c3dab77b43ba6ce8",
    "ADD a /a": "31c3460c83399eba",
    "ADD --unpack a /a": "1cfc34208e835395",
    "ADD --unpack=false a /a": "81ba225c88b24155",
    "ADD --chown=1 --exclude=z src /s": "77d9c9eb3fc99a00",
    "RUN true": "d2dc22f92426a6c8",
    "RUN --network=none true": "4b54625227cc6f91",
    "RUN --mount=type=tmpfs,target=/t true": "fb6b148304ed58f7",
    "RUN --mount=type=bind,target=/t --mount=type=cache,target=/c true": "5b8c9a438dc605e8",
}


@pytest.fixture
def around(bench: Any) -> Iterator[Any]:
    """A function that returns the inputs for describing an instruction, with a separate base."""
    bench.write("a", "one")
    with ExitStack() as stack:
        context = stack.enter_context(LocalContext(bench.context))
        contexts = Contexts(
            named={},
            scratch=lambda: bench.context,
            extract=None,
            digests=lambda _: None,
            cancel=CancelToken(),
            stack=stack,
        )

        def surroundings(instruction: Instruction) -> StepContext:
            state = StageState.empty(Platform.parse("linux/amd64"))
            state.chain_id = "sha256:" + "b" * 64
            bench.layers.folder(state.chain_id).mkdir(parents=True, exist_ok=True)
            return StepContext(
                instruction=instruction,
                state=state,
                step_id="1",
                context=context,
                contexts=contexts,
                layers=bench.layers,
                extract=None,
                chain_of=lambda name: f"chain of {name}",
                stack=stack,
                cancel=CancelToken(),
                output=lambda *_: None,
                build_args={},
                network="default",
                trust_host_ca=False,
                source_date_epoch=None,
                allow=frozenset({"security.insecure"}),
            )

        yield surroundings


def one(text: str) -> Instruction:
    return make(parse_fragment(text, SourceLocation("Dockerfile", 1, 1, (text,))))


def key(instruction: Instruction, around: Any) -> StepKey:
    given = around(instruction)
    expand = Expander(instruction, Lexer(), {}, frozenset())
    if isinstance(instruction, Run):
        return describe_run(instruction, expand, given).key()
    assert isinstance(instruction, Copy)
    step = describe_copy(instruction, expand, given)
    return step.quick or step.key()


def with_flag(keyword: str, flag: InstructionFlag) -> str:
    value = "" if flag.kind == "switch" else f"={SAMPLES.get(flag.name, '1')}"
    return f"{keyword} --{flag.name}{value} {BARE[keyword]}"


@pytest.mark.parametrize(
    ("keyword", "flag"),
    [
        pytest.param(keyword, flag, id=f"{keyword}-{flag.name}")
        for keyword in CLASSES
        for flag in FLAGS[keyword]
    ],
)
def test_every_flag_changes_the_key(keyword: str, flag: InstructionFlag, around: Any) -> None:
    """Seen to fail before: ADD --keep-git-dir was not in the key, so its layer was the other's."""
    changed = key(one(with_flag(keyword, flag)), around)
    assert changed.digest != key(one(f"{keyword} {BARE[keyword]}"), around).digest


def test_the_flags_of_no_step_change_no_file() -> None:
    effects = {(name, flag.effect) for name in ("FROM", "HEALTHCHECK") for flag in FLAGS[name]}
    assert effects == {("FROM", "platform"), ("HEALTHCHECK", "configuration")}
    steps = {flag.effect for name in CLASSES for flag in FLAGS[name]}
    assert "configuration" not in steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Sparse(Copy):
    """A COPY with flags that are not implemented."""

    sparse: Annotated[bool, InstructionFlag(help="", kind="switch")] = False
    sealed: Annotated[bool, InstructionFlag(help="", kind="switch", effect="sources")] = False


def sparse(**flags: Any) -> Sparse:
    where = SourceLocation("Dockerfile", 1, 1, ("COPY a /a",))
    return Sparse(where, "COPY a /a", sources=("a",), destination="/a", **flags)


def test_a_new_flag_is_in_the_key_without_further_work(around: Any) -> None:
    """Seen to fail with the key that copystep put together by hand."""
    assert key(sparse(sparse=True), around).digest != key(sparse(), around).digest
    assert key(sparse(), around).digest == key(one("COPY a /a"), around).digest


def test_a_flag_that_is_declared_as_seen_elsewhere_and_is_not_is_found(around: Any) -> None:
    """The check of test_every_flag_changes_the_key fails for such a flag."""
    assert key(sparse(sealed=True), around).digest == key(sparse(), around).digest


def test_a_pattern_that_looks_like_a_flag_is_not_taken_for_it(around: Any) -> None:
    """Seen to fail before: both had the words "--chown=1", "False"."""
    excluded = one("COPY --exclude=--chown=1 a /a")
    assert key(excluded, around).digest != key(one("COPY --chown=1 a /a"), around).digest


@pytest.mark.parametrize("text", KEYS)
def test_keys_are_those_of_existing_stores(bench: Any, text: str) -> None:
    bench.write("a", "one")
    bench.write("src/b", "two")
    bench.write("src/d/c", "three")
    bench.build(f"FROM scratch\n{text}\n", platform="linux/amd64")
    [found] = [name for name in bench.cache if name.startswith("step:")]
    assert found.removeprefix("step:")[:16] == KEYS[text]


def test_each_field_is_a_flag_or_the_instruction_itself() -> None:
    words = {"location", "source", "sources", "destination", "inline", "command", "heredocs"}
    for kind in (Add, Run):
        flags = {flag.field for flag in declared(kind)}
        assert {*kind.__dataclass_fields__} - flags <= words


def test_what_is_not_given_keeps_its_default() -> None:
    assert read_flags(Copy, "COPY", ["--link=false"]) == {"link": False}
    assert key_parts(replace(sparse(), sparse=True))["flags"] == ("False", "--sparse")
    assert read_flags(HealthcheckTimes, "HEALTHCHECK", ["--start-period=1s"]) == {
        "start_period": "1s"
    }
    assert read_flags(From, "FROM", []) == {}
