from __future__ import annotations

import json

import pytest

from jupyter_containers.build.cache import CachedStep
from jupyter_containers.build.sharing import (
    INLINE_MEMBER,
    SharedStep,
    SharedSteps,
    StepLedger,
    decode,
    inline_steps,
)
from jupyter_containers.errors import ContainersError, VerificationError
from jupyter_containers.oci.descriptor import LAYER_TAR, Descriptor, digest_of


def a_step(name: str, *keys: str) -> SharedStep:
    digest = digest_of(name.encode())
    blob = Descriptor(LAYER_TAR, digest, 1)
    return SharedStep(keys or (f"step:{name}",), CachedStep(digest, digest, blob, 1, 1, ""))


def test_a_document_comes_back_as_it_was() -> None:
    steps = SharedSteps((a_step("a", "step:1", "step:2"), a_step("b")))
    assert decode(steps.encode()) == steps
    assert set(steps.by_key()) == {"step:1", "step:2", "step:b"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"steps":[{}]}',
        b'{"steps":[],"version":2}',
        SharedSteps((a_step("a"),)).encode().replace(b"sha256:", b"sha256:../"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ContainersError):
        decode(data)


def test_an_image_may_carry_its_steps() -> None:
    steps = SharedSteps((a_step("a"),))
    config = json.dumps({"os": "linux", INLINE_MEMBER: json.loads(steps.encode())}).encode()
    assert inline_steps(config) == steps
    assert inline_steps(b'{"os":"linux"}') is None
    assert inline_steps(b"no json") is None
    with pytest.raises(VerificationError):
        inline_steps(json.dumps({INLINE_MEMBER: 3}).encode())


def test_a_ledger_puts_steps_in_the_files_order() -> None:
    ledger = StepLedger()
    ledger.note(1, 2, a_step("d"))
    ledger.note(0, 2, a_step("a"))
    ledger.note(1, 1, a_step("c"))
    assert [one.keys[0][5:] for one in ledger.steps().steps] == ["a", "c", "d"]
    assert [one.keys[0][5:] for one in ledger.steps(1).steps] == ["c", "d"]
