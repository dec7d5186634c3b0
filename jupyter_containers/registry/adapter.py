"""An adapter for requests: extra certificate authorities and registered sockets.

requests stays between this room and urllib3.  The two private methods overridden here,
``_new_conn`` and ``_validate_conn``, are urllib3's and would be overridden without requests too;
what requests adds, and urllib3 does not have, is proxies and ``no_proxy`` from the environment and
the bundle of certificates that its users configure.

Imported only when a request is sent, because it loads requests and urllib3.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection

from jupyter_containers.errors import RegistryError
from jupyter_containers.lazy_modules import socket
from jupyter_containers.registry.sockets import SocketRegister


def make_adapter(authorities: Sequence[Path], sockets: SocketRegister) -> HTTPAdapter:
    """Return an adapter that also trusts ``authorities`` and registers its sockets.

    Raises :class:`RegistryError` if a file of ``authorities`` cannot be read.
    """
    context: ssl.SSLContext | None = None
    if authorities:
        context = urllib3.util.create_urllib3_context()
        context.check_hostname = False  # as urllib3 requires before it sets its own choice
        for path in authorities:
            try:
                context.load_verify_locations(cafile=str(path))
            except OSError as error:
                raise RegistryError(
                    f"cannot use the certificate authority {path}: {error}",
                    hint="the file must hold certificates in PEM form",
                ) from error
        context.verify_mode = ssl.CERT_REQUIRED
        context.check_hostname = True
    return _Adapter(context, _pools(sockets))


class _Adapter(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext | None, pools: dict[str, Any]) -> None:
        self._extra: dict[str, Any] = {"ssl_context": context} if context is not None else {}
        self._pools = pools
        super().__init__(pool_connections=4, pool_maxsize=16)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **kwargs: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._extra)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs, **self._extra)
        manager.pool_classes_by_scheme = self._pools
        return manager


def _pools(sockets: SocketRegister) -> dict[str, Any]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.add(opened)
            return opened

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            sockets.add(opened)
            return opened

        def connect(self) -> None:
            super().connect()
            # TLS has replaced the socket object that was registered first.
            sockets.add(self.sock)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

        def _validate_conn(self, conn: Any) -> None:
            # The base class also warns about unverified hosts; here the user has listed them.
            if conn.sock is None:
                conn.connect()

    return {"http": PlainPool, "https": SecurePool}
