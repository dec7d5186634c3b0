from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

from jupyter_containers.engine.builds.socket_forwarding import forwarded


def test_a_socket_of_our_own_leads_to_another(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    source = tmp_path / "s"

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            said = b""
            while data := connection.recv(100):
                said += data
            connection.sendall(b"answer to " + said)

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(source))
        server.listen()
        thread = threading.Thread(target=answer)
        thread.start()
        with forwarded(os.fspath(source), deep / "x", 0o640, os.getuid(), os.getgid()):
            assert stat.S_IMODE((deep / "x").stat().st_mode) == 0o640
            folder = os.open(deep, os.O_PATH)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"/proc/self/fd/{folder}/x")
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                heard = b""
                while data := client.recv(100):
                    heard += data
            os.close(folder)
        thread.join()
    assert heard == b"answer to question"


def test_nobody_behind_it_ends_the_connection(tmp_path: Path) -> None:
    with (
        forwarded(os.fspath(tmp_path / "gone"), tmp_path / "x", 0o600, os.getuid(), os.getgid()),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(os.fspath(tmp_path / "x"))
        assert client.recv(1) == b""
