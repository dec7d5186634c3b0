"""Sessions as tools of an assistant: the server's program, and the SDK's own client."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.coroutines import awaited
from tests.integration.engine_fixtures import Place

mcp = pytest.importorskip("mcp", reason="needs the package mcp")


def test_an_assistant_works_with_sessions(engine: Engine, python: str, place: Place) -> None:
    words = ["-m", "jupyter_containers.cli", "mcp", python, "--sessions", "1", "--timeout", "20"]
    server = mcp.StdioServerParameters(
        command=sys.executable, args=words, env={**os.environ, **place.variables}
    )

    async def work() -> None:
        async with mcp.Client(server) as client:

            async def call(name: str, **arguments: Any) -> Any:
                return await client.call_tool(name, arguments)

            async def text(name: str, **arguments: Any) -> str:
                done = await call(name, **arguments)
                assert not done.is_error, done
                return str(done.content[0].text)

            assert {tool.name for tool in (await client.list_tools()).tools} == {
                "install", "list_files", "list_images", "list_sessions", "read_file", "run_code",
                "start_session", "stop_session", "write_file",
            }  # fmt: skip
            assert await text("run_code", code="x = 20\nprint('out')\nx * 2") == "out\n40\n"
            assert await text("write_file", path="a/b.txt", text="words") == "a/b.txt: 5 bytes"
            assert await text("read_file", path="a/b.txt") == "words"
            assert "b.txt" in await text("list_files", path="a")
            code = "class P:\n    def _repr_png_(self): return b'\\x89PNG'\nP()"
            picture = (await call("run_code", code=code)).content[1]
            assert (picture.type, picture.data) == ("image", "iVBORw==")
            assert "ZeroDivisionError" in await text("run_code", code="1 / 0")
            stopped = await text("run_code", code="while True: pass", timeout=0.2)
            assert "the time limit was reached" in stopped
            assert await text("run_code", code="x") == "20\n"
            assert python in await text("list_images")
            assert "main: python" in await text("list_sessions")
            for refused, words in (
                (call("start_session", session="two"), "no more are allowed"),
                (call("start_session", session="two", image="busybox"), "sessions of"),
                (call("read_file", path="nothing"), "could not find"),
                (call("run_code", code="1", session="other"), "no session other"),
                (call("run_code", code="open('/etc/passwd', 'a')"), ""),
            ):
                done = await refused
                assert words in done.content[0].text
                assert done.is_error or "Read-only file system" in done.content[0].text

    awaited(asyncio.wait_for(work(), 120))
    assert not [
        one for one in engine.containers(all=True) if one.labels.get("jupyter-containers.session")
    ]
