"""The verbs of containers that a cluster does not have; each says why."""

from __future__ import annotations

from typing import Any, NoReturn, Unpack

from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.options.flags import UpdateFlags

_ON_NODE = "the files of a container are on its node"


class RefusedVerbs:
    """Raises :class:`UnsupportedError` for each."""

    def update(self, name: str, **flags: Unpack[UpdateFlags]) -> None:  # noqa: ARG002  # refused
        """Refuse: the limits of a pod cannot be changed (before Kubernetes 1.33)."""
        raise missing("update", "the limits of a pod are fixed; run it again with others")

    def pause(self, name: str) -> None:  # noqa: ARG002  # refused
        """Refuse: a cluster cannot freeze processes."""
        raise missing("pause", "nodes do not freeze processes")

    def unpause(self, name: str) -> None:  # noqa: ARG002  # refused
        """Refuse: a cluster cannot freeze processes."""
        raise missing("unpause", "nodes do not freeze processes")

    def diff(self, name: str) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the files of a container are on its node."""
        raise missing("diff", _ON_NODE)

    def commit(self, name: str, repository: str | None = None, **flags: Any) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the files of a container are on its node."""
        raise missing("commit", f"{_ON_NODE}; write a Dockerfile")

    def export(self, name: str, output: Any, *, compression: str | None = None) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the files of a container are on its node."""
        raise missing("export", f"{_ON_NODE}; cp copies folders")

    def listen(self, name: str, port: int) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the namespace of a pod's network is its node's."""
        raise missing("an allow list of hosts", "a NetworkPolicy limits a pod's network")

    def folder(self, name: str, path: str) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the files of a container are on its node."""
        raise missing("a view of folders", _ON_NODE)

    def explain(self, name: str) -> NoReturn:  # noqa: ARG002  # refused
        """Refuse: the inside of a node is not visible."""
        raise missing("explain", "the inside of a node is not visible")
