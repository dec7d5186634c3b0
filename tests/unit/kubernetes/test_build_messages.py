"""What a builder pod says: values of known types, whatever a Dockerfile made of the pod."""

from __future__ import annotations

import io

import msgspec
import pytest

from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    SourceLocation,
    StepFailedError,
    UnsupportedError,
)
from jupyter_containers.events import TaskFinished, TaskOutput
from jupyter_containers.kubernetes.build_messages import (
    Done,
    Failed,
    Frames,
    Happened,
    frame,
    message,
)
from jupyter_containers.kubernetes.builder_pod import builder_document
from jupyter_containers.kubernetes.images import Published


@pytest.mark.parametrize(
    "event", [TaskOutput("a", b"\xff\0", "stderr"), TaskFinished("a", "cached")]
)
def test_events_arrive_as_they_were(event: TaskOutput | TaskFinished) -> None:
    frames = Frames(io.BytesIO(message(Happened.of(event))).read)
    assert frames.message(Happened | Done | Failed).event() == event


def test_errors_arrive_with_their_place() -> None:
    location = SourceLocation("Dockerfile", 2, 3, ("RUN x",), (0, 1, 2))
    failed = StepFailedError(
        "RUN x ended", exit_code=7, log_tail=["a"], command=["x"], location=location, hint="h"
    )
    found = Failed.of(failed).error()
    assert isinstance(found, StepFailedError)
    assert (found.exit_code, found.log_tail, found.location, found.hint) == (
        7, ("a",), location, "h",
    )  # fmt: skip
    assert isinstance(Failed.of(UnsupportedError("m", capability="c")).error(), BuildError)
    assert type(Failed.of(ContainersError("m")).error()) is ContainersError


@pytest.mark.parametrize("kind", ["os", "annotations", "SourceLocation", "no such"])
def test_an_unknown_error_is_one_of_the_build(kind: str) -> None:
    assert type(Failed(kind, "m").error()) is BuildError


def test_lies_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Happened("Event", {}).event()
    with pytest.raises(msgspec.ValidationError):
        Happened("TaskFinished", {"task": 1}).event()
    with pytest.raises(EOFError):
        Frames(io.BytesIO(b"\xff\xff\xff\xffJ").read).next()
    with pytest.raises(EOFError):
        Frames(io.BytesIO(frame(b"J", b"{}")[:-1]).read).next()


def test_a_builder_has_no_more_than_a_usual_pod() -> None:
    pod = builder_document(Published("reg/b@sha256:1", secrets=("s",)), "ann")["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    [container] = pod["containers"]
    assert container["securityContext"] == {"runAsUser": 0, "runAsGroup": 0, "privileged": False}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
