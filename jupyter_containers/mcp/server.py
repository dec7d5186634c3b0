"""The server: the tools over standard input and output, by the protocol's SDK."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from jupyter_containers.errors import ContainersError, UnsupportedError
from jupyter_containers.mcp.tools import DEFAULT_SESSION, Limits, SessionTools
from jupyter_containers.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp.server.mcpserver import MCPServer

    from jupyter_containers.engine import Engine

P = ParamSpec("P")
T = TypeVar("T")

_INSTRUCTIONS = """\
Run code in sandboxed containers that keep their variables and files between calls. Without a name,
the tools use one session, which is started when it is first needed. {network}"""


def serve(engine: Engine, limits: Limits) -> None:
    """Serve until standard input ends; raise :class:`UnsupportedError` without the SDK."""
    server = server_of(engine, limits)
    server.run("stdio")


def server_of(engine: Engine, limits: Limits) -> MCPServer[Any]:
    """Return the server with its tools; its sessions end with it."""
    try:
        from mcp.server.mcpserver import MCPServer as Server
    except ImportError as error:
        raise UnsupportedError(
            "the Model Context Protocol needs its SDK",
            capability="mcp",
            hint="pip install 'jupyter-containers-engine[mcp]'",
        ) from error
    from contextlib import asynccontextmanager

    tools = SessionTools(engine, limits)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            tools.close()

    reach = ", ".join(limits.allow)
    network = f"They reach {reach} and nothing else." if reach else "They have no network."
    server: MCPServer[Any] = Server(
        "jupyter-containers",
        version=__version__,
        instructions=_INSTRUCTIONS.format(network=network),
        lifespan=lifespan,
        log_level="WARNING",
    )
    _add_cells(server, tools)
    _add_sessions(server, tools)
    _add_files(server, tools)
    return server


async def _called(method: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Call a tool in a thread; its error becomes the tool's answer."""
    import anyio.to_thread
    from mcp.server.mcpserver.exceptions import ToolError

    try:
        return await anyio.to_thread.run_sync(partial(method, *args, **options))
    except ContainersError as error:
        raise ToolError(
            f"{error.message}: {error.hint}" if error.hint else error.message
        ) from error


def _add_cells(server: MCPServer[Any], tools: SessionTools) -> None:
    from mcp.server.mcpserver import Image

    @server.tool(structured_output=False)
    async def run_code(code: str, session: str = DEFAULT_SESSION, timeout: float = 0) -> Any:
        """Run Python code and return its output, the value of the last expression, and pictures.

        Variables, imports and files stay for the next call. After `timeout` seconds the code is
        interrupted.
        """
        reply = await _called(tools.run_code, code, session, timeout)
        return [reply.text, *(Image(data=one, format="png") for one in reply.pictures)]

    @server.tool(structured_output=False)
    async def install(packages: list[str], session: str = DEFAULT_SESSION) -> str:
        """Install Python packages from PyPI in a session."""
        return await _called(tools.install, packages, session)


def _add_sessions(server: MCPServer[Any], tools: SessionTools) -> None:
    @server.tool(structured_output=False)
    async def start_session(session: str = DEFAULT_SESSION, image: str = "") -> str:
        """Start another session under a name, for independent variables and files."""
        return await _called(tools.start_session, session, image)

    @server.tool(structured_output=False)
    async def stop_session(session: str = DEFAULT_SESSION) -> str:
        """End a session; its variables and files are lost."""
        return await _called(tools.stop_session, session)

    @server.tool(structured_output=False)
    async def list_sessions() -> str:
        """List the sessions."""
        return await _called(tools.list_sessions)

    @server.tool(structured_output=False)
    async def list_images() -> str:
        """List the container images on this machine."""
        return await _called(tools.list_images)


def _add_files(server: MCPServer[Any], tools: SessionTools) -> None:
    @server.tool(structured_output=False)
    async def read_file(path: str, session: str = DEFAULT_SESSION) -> str:
        """Read a text file of a session."""
        return await _called(tools.read_file, path, session)

    @server.tool(structured_output=False)
    async def write_file(path: str, text: str, session: str = DEFAULT_SESSION) -> str:
        """Write a text file in a session; missing folders are created."""
        return await _called(tools.write_file, path, text, session)

    @server.tool(structured_output=False)
    async def list_files(path: str = ".", session: str = DEFAULT_SESSION) -> str:
        """List a folder of a session."""
        return await _called(tools.list_files, path, session)
