"""SSH agents of a client, provided to RUN steps as sockets.

Each connection to the socket is one call to the client, in both directions.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

from jupyter_containers.api.buildkit.connection import Stream
from jupyter_containers.api.buildkit.messages import AgentRequest, Bytes, Message
from jupyter_containers.api.buildkit.rpc import RpcError
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.api.buildkit.wire import MessageError
from jupyter_containers.events import CancelToken
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

_CHECK = "/moby.sshforward.v1.SSH/CheckAgent"
_FORWARD = "/moby.sshforward.v1.SSH/ForwardAgent"
_PIECE = 16 << 10
_MOST_CONNECTIONS = 32


def forwarded(
    session: Session, name: str, path: Path, stack: ExitStack, cancel: CancelToken
) -> bool:
    """Connect the socket ``path`` to the client's agent; return False if there is none."""
    if not session.offers(_FORWARD):
        return False
    try:
        session.ask(_CHECK, AgentRequest(id=name), Message, cancel)
    except RpcError:
        return False
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stack.callback(_end, listening)
    with Root(path.parent) as root:  # the full path may be too long for a socket
        listening.bind(f"{at.path_of(root.descriptor)}/{path.name}")
    path.chmod(0o600)
    listening.listen(_MOST_CONNECTIONS)
    threading.Thread(
        target=_accept, args=(session, name, listening), name="ssh-agent", daemon=True
    ).start()
    return True


def _end(listening: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)  # wakes the accepting thread
    listening.close()


def _accept(session: Session, name: str, listening: socket.socket) -> None:
    room = threading.BoundedSemaphore(_MOST_CONNECTIONS)
    while True:
        room.acquire()
        try:
            taken, _ = listening.accept()
        except OSError:
            return
        threading.Thread(
            target=_forward, args=(session, name, taken, room), name="ssh-agent", daemon=True
        ).start()


def _forward(
    session: Session, name: str, taken: socket.socket, room: threading.BoundedSemaphore
) -> None:
    try:
        with taken, session.open(_FORWARD, {"buildkit.ssh.id": [name]}) as stream:
            sender = threading.Thread(
                target=_send, args=(taken, stream), name="ssh-agent", daemon=True
            )
            sender.start()
            try:
                for piece in stream.each(Bytes):
                    taken.sendall(piece.data)
            finally:
                with contextlib.suppress(OSError):
                    taken.shutdown(socket.SHUT_RDWR)
                sender.join()
    except (OSError, RpcError, MessageError):
        pass  # the step sees the connection end
    finally:
        room.release()


def _send(taken: socket.socket, stream: Stream) -> None:
    with contextlib.suppress(OSError, RpcError):
        while data := taken.recv(_PIECE):
            stream.send(Bytes(data=data))
        stream.half_close()
