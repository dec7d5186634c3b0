from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidStateError
from jupyter_containers.oci.state import Status, require


@pytest.mark.parametrize(
    ("status", "operation"),
    [
        (Status.CREATED, "start"),
        (Status.EXITED, "start"),
        (Status.EXITED, "stop"),
        (Status.EXITED, "remove"),
        (Status.PAUSED, "kill"),
    ],
)
def test_allowed_operations_pass(status: Status, operation: str) -> None:
    require("web", status, operation)


@pytest.mark.parametrize(
    ("status", "operation"),
    [
        (Status.RUNNING, "remove"),
        (Status.EXITED, "exec"),
        (Status.CREATED, "kill"),
        (Status.PAUSED, "exec"),
    ],
)
def test_forbidden_operations_say_the_status(status: Status, operation: str) -> None:
    with pytest.raises(InvalidStateError, match=f"web: it is {status}") as caught:
        require("web", status, operation)
    assert (caught.value.status, caught.value.operation) == (str(status), operation)
