from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from jupyter_containers.rootless.wire import Channel, receive_socket
from jupyter_containers.rootless.worker import Worker


@pytest.fixture
def torn() -> Iterator[socket.socket]:
    """Yield a socket whose other end was closed with something unread: reading it fails."""
    ours, theirs = socket.socketpair()
    ours.send(b"unread")
    theirs.close()
    with ours:
        yield ours


def test_a_channel_that_was_torn_off_has_ended(torn: socket.socket) -> None:
    with pytest.raises(EOFError, match="the other end is gone"):
        Channel(torn).receive(lambda reference, descriptors: reference)


def test_a_line_that_was_torn_off_brings_no_more_sockets(torn: socket.socket) -> None:
    assert receive_socket(torn) is None


def test_a_worker_ends_with_its_kernel_however_that_ends(torn: socket.socket) -> None:
    worker = Worker(torn, engine=None)
    accepting = threading.Thread(target=worker._accept)
    accepting.start()
    accepting.join(10)
    assert worker._main.get(timeout=10) is None
