"""``POST /session`` and ``POST /grpc``: BuildKit's protocol, where its library is installed."""

from __future__ import annotations

from jupyter_containers.api.buildkit.registry import available
from jupyter_containers.api.call import Call
from jupyter_containers.errors import UnsupportedError


def require() -> None:
    """Raise :class:`UnsupportedError` if h2 is missing."""
    if not available():
        raise UnsupportedError(
            "BuildKit's protocol needs the library h2, which is not installed here",
            capability="BuildKit's protocol",
            provided_by="pip install 'jupyter-containers-engine[api]'; or set DOCKER_BUILDKIT=0",
        )


def session(call: Call) -> None:
    """Open a session, through which builds use the client's files and secrets."""
    require()
    from jupyter_containers.api.buildkit.sessions import session as serve

    serve(call)


def grpc(call: Call) -> None:
    """Serve the gRPC calls of a BuildKit client."""
    require()
    from jupyter_containers.api.buildkit.control import grpc as serve

    serve(call)
