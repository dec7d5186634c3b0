"""The connection to a cluster: typed requests, watches, and errors in this project's classes.

Objects are read and written by lightkube, which is loaded with the first request; streams by
:mod:`.streams`.  A :class:`Cluster` can be used from any thread.
"""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import re
import ssl
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_containers.contexts import SERVICE_ACCOUNT, ClusterEndpoint
from jupyter_containers.errors import (
    AlreadyExistsError,
    ClusterError,
    ClusterForbiddenError,
    ClusterUnreachableError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
    QuotaError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken

if TYPE_CHECKING:
    from lightkube import Client, SingleConfig
    from lightkube.resources.core_v1 import Pod

    from jupyter_containers.kubernetes.streams import Lines

T = TypeVar("T")
PIP_LINE = 'pip install "jupyter-containers-engine[kubernetes]"'
_CONNECT_SECONDS = 10.0
_READ_SECONDS = 30.0
# A silent watch is renewed, in case the connection was cut without a trace.
_WATCH_SECONDS = 240
_NOT_LABEL = re.compile(r"[^A-Za-z0-9_.-]+")


class Cluster:
    """One namespace of a cluster; ``name`` is the context's."""

    def __init__(self, name: str, endpoint: ClusterEndpoint) -> None:
        self.name, self.endpoint = name, endpoint

    @cached_property
    def config(self) -> SingleConfig:
        """The server and the credentials."""
        _require("lightkube", "websocket")
        from lightkube import KubeConfig
        from lightkube.core.exceptions import ConfigError

        try:
            kubeconfig: KubeConfig = self._files(KubeConfig)
            found = kubeconfig.get(self.endpoint.context or None)
        except (ConfigError, OSError, KeyError, ValueError) as error:
            raise InvalidArgumentError(
                f"the context {self.name} cannot be used: {error}",
                hint=f"context update {self.name} --kubernetes kubeconfig=FILE,context=NAME",
            ) from error
        if found is None or found.user is None:
            raise InvalidArgumentError(
                f"the context {self.name} cannot be used: its kubeconfig names no user",
                hint=f"context update {self.name} --kubernetes kubeconfig=FILE,context=NAME",
            )
        return found

    def _files(self, kind: Any) -> Any:
        """Return the kubeconfig: the named one, the usual one, or the account of this pod."""
        named = self.endpoint.kubeconfig or os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        usual = Path("~/.kube/config").expanduser()
        if named or usual.is_file() or not (SERVICE_ACCOUNT / "token").exists():
            return kind.from_file(named or usual)
        return kind.from_service_account(SERVICE_ACCOUNT)

    @cached_property
    def namespace(self) -> str:
        """The namespace of all objects."""
        return self.endpoint.namespace or self.config.namespace

    @cached_property
    def owner(self) -> str:
        """The value of the label that marks this user's objects."""
        given = self.endpoint.owner or os.environ.get("JUPYTERHUB_USER") or _user()
        return label_value(given)

    @cached_property
    def client(self) -> Client:
        """The client of lightkube."""
        import httpx2
        from lightkube import Client

        timeout = httpx2.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        return Client(config=self.config, namespace=self.namespace, timeout=timeout)

    @cached_property
    def version(self) -> str:
        """The version of the server: ``v1.20.2``."""
        with self.stream("version", "version") as lines:
            return str(json.loads(b"".join(lines)).get("gitVersion", ""))

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """The certificates to trust and to present."""
        from lightkube.config.client_adapter import verify_cluster

        config = self.config
        assert config.user is not None  # checked when it was read
        return verify_cluster(config.cluster, config.user, config.abs_file)

    def address(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        """Return the URL of a path, relative to the server."""
        pairs = {
            key: str(value).lower() if isinstance(value, bool) else value
            for key, value in (query or {}).items()
            if value is not None
        }
        text = urllib.parse.urlencode(pairs, True)
        return f"{self.config.cluster.server.rstrip('/')}/{path}{'?' if text else ''}{text}"

    def authorization(self, url: str) -> dict[str, str]:
        """Return the headers of the credentials."""
        import httpx2
        from lightkube.config.client_adapter import user_auth

        request = httpx2.Request("GET", url)
        auth = user_auth(self.config.user)
        if auth is not None:
            next(auth.sync_auth_flow(request))
        found = request.headers.get("Authorization")
        return {"Authorization": found} if found else {}

    @contextmanager
    def errors(self, subject: str) -> Iterator[None]:
        """Raise this project's errors for those of a request about ``subject``."""
        import httpx2
        from lightkube import ApiError

        try:
            yield
        except ApiError as error:
            status = error.status
            raise refusal(
                status.code or 0, status.reason or "", status.message or str(error), subject
            ) from error
        except httpx2.HTTPStatusError as error:
            text = error.response.text if error.response.is_closed else ""
            raise refusal(
                error.response.status_code, "", text[:300] or str(error), subject
            ) from error
        except (httpx2.HTTPError, OSError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: BaseException) -> ClusterUnreachableError:
        """Return the error of a server that does not answer."""
        reason = str(error) or type(error).__name__
        return ClusterUnreachableError(
            f"the cluster of context {self.name} does not answer "
            f"({self.config.cluster.server}): {reason}",
            hint="is the network up, and the kubeconfig of this cluster?",
        )

    def request(self, subject: str, call: Callable[[Client], T]) -> T:
        """Return the answer to one request."""
        with self.errors(subject):
            return call(self.client)

    def create(self, subject: str, kind: type[Any], document: Mapping[str, Any]) -> Any:
        """Create an object from a document and return it."""
        return self.request(subject, lambda client: client.create(kind.from_dict(document)))

    def stream(self, path: str, subject: str, **query: Any) -> Lines:
        """Return the lines of a response as they come."""
        from jupyter_containers.kubernetes.streams import Lines

        with self.errors(subject):
            return Lines(self, path, query)

    def pods_path(self, *parts: str) -> str:
        """Return the path of the namespace's pods, or of something below."""
        return "/".join(("api/v1/namespaces", self.namespace, "pods", *parts))

    def watch_pods(
        self,
        *,
        name: str = "",
        labels: Mapping[str, str] | None = None,
        version: str | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[tuple[str, Pod]]:
        """Yield the changes of pods, first their present state without ``version``.

        Types are ``ADDED``, ``MODIFIED`` and ``DELETED``.  A cut connection is renewed, for up to a
        minute.  Raises :class:`OperationCancelledError` if the token is cancelled.
        """
        from lightkube.resources.core_v1 import Pod

        query: dict[str, Any] = {"watch": True, "timeoutSeconds": _WATCH_SECONDS}
        if name:
            query["fieldSelector"] = f"metadata.name={name}"
        if labels:
            query["labelSelector"] = ",".join(f"{key}={value}" for key, value in labels.items())
        patience = Patience()
        while True:
            try:
                with (
                    self.stream(
                        self.pods_path(), "pods", **query, resourceVersion=version
                    ) as lines,
                    ending(lines.end, cancel),
                ):
                    for line in lines:
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            version = None  # too old: begin with the present state
                            break
                        pod: Any = Pod.from_dict(event["object"])
                        version = pod.metadata.resourceVersion
                        patience.reset()
                        yield event["type"], pod
            except ClusterUnreachableError:
                if not patience.more():
                    raise
            if cancel is not None and cancel.cancelled:
                raise OperationCancelledError("cancelled")

    def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            self.client.close()


class Patience:
    """Waits between attempts, for up to a minute in all; ``reset`` after a success."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self.renewed = False  # true after a wait
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self._began, self._pause = 0.0, 0.1

    def more(self) -> bool:
        """Wait and return True, or return False at the end of the time."""
        now = time.monotonic()
        self._began = self._began or now
        if now - self._began > self._seconds:
            return False
        self.renewed = True
        time.sleep(self._pause)
        self._pause = min(2 * self._pause, 2.0)
        return True


@contextmanager
def ending(end: Callable[[], None], cancel: CancelToken | None) -> Iterator[None]:
    """Call ``end`` from another thread when the token is cancelled during the block."""
    if cancel is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            if cancel.wait(0.05):
                end()
                return

    watcher = threading.Thread(target=look, name="cluster-cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def refusal(status: int, reason: str, message: str, subject: str) -> Exception:
    """Return the error of a request that the server refused."""
    text = f"{subject}: {message}"
    if status == 404:
        return NotFoundError(text)
    if status == 409 and reason in ("AlreadyExists", ""):
        return AlreadyExistsError(text)
    if status == 403 and "exceeded quota" in message:
        return QuotaError(f"the namespace's quota is full: {quota_text(message)}")
    if status == 403 and ("PodSecurity" in message or "admission" in message.lower()):
        return ClusterForbiddenError(
            f"the cluster's policy does not allow this container: {policy_text(message)}",
            status=status,
            reason=reason,
            hint="run it as an ordinary user (-u 1000) and without added rights",
        )
    if status in (401, 403):
        return ClusterForbiddenError(
            text, status=status, reason=reason, hint="doctor --context shows the rights it needs"
        )
    return ClusterError(text, status=status, reason=reason)


def quota_text(message: str) -> str:
    """Return the numbers of a refusal by a quota: ``requested: pods=1, used: …, limited: …``."""
    return message.partition("exceeded quota: ")[2].strip() or message


def policy_text(message: str) -> str:
    """Return the reasons of an admission policy without the object's name."""
    for mark in (
        "unable to validate against any pod security policy: ",
        "unable to admit pod: ",
        "violates PodSecurity ",
    ):
        if mark in message:
            return message.partition(mark)[2].strip()
    return message.partition("forbidden: ")[2].strip() or message


def label_value(text: str) -> str:
    """Return a text as the value of a label: at most 63 of ``A-Za-z0-9_.-``."""
    return _NOT_LABEL.sub("-", text)[:63].strip("-_.") or "user"


def _user() -> str:
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return str(os.geteuid())


def _require(*modules: str) -> None:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            "contexts of a Kubernetes cluster need another package, which is not installed",
            capability="kubernetes client",
            provided_by=PIP_LINE,
        )
