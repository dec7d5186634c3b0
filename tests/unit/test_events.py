from __future__ import annotations

import pytest

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken


def test_a_token_stops_the_work_once_cancelled() -> None:
    token = CancelToken()
    token.check()
    assert not token.wait(0)
    token.cancel()
    assert token.cancelled
    assert token.wait(10)
    with pytest.raises(OperationCancelledError):
        token.check()
