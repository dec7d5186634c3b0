"""Contexts: the places where containers run, under Docker's word.

The context ``default`` is this machine.  Another one names the namespace of a Kubernetes cluster:
containers are pods there, images and builds stay here.  Contexts come from the user's file
(``context create``), from the administrator's (:data:`~.settings.LAB_FILE`, its table
``contexts``), and inside a pod ``in-cluster`` is the context of its service account.

Precedence of the current one, lowest first: ``default`` < ``context use`` < the setting ``context``
(configuration, ``JUPYTER_CONTAINERS_CONTEXT``, arguments) < ``--context``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from jupyter_containers.errors import (
    AlreadyExistsError,
    ContextNotFoundError,
    InUseError,
    InvalidArgumentError,
    StorageError,
)
from jupyter_containers.filesystems import check_place
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.settings import LAB_FILE, Settings, read_lab

DEFAULT = "default"
IN_CLUSTER = "in-cluster"
# The credentials that Kubernetes mounts into pods ("Accessing the API from within a Pod").
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
VARIABLE = "JUPYTER_CONTAINERS_CONTEXT"
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
_MAX_BYTES = 1024 * 1024
_KUBERNETES = "namespace=NAME,registry=HOST/PREFIX[,kubeconfig=FILE,context=NAME,owner=NAME]"


@dataclass(frozen=True, slots=True)
class ClusterEndpoint:
    """A namespace of a cluster, and the registry that its nodes pull from.

    ``kubeconfig`` is a file's path; empty, it is the usual one or the account of this pod.
    ``context`` is a context in that file, ``owner`` the label of this user's objects.
    """

    namespace: str = ""
    registry: str = ""
    kubeconfig: str = ""
    context: str = ""
    owner: str = ""

    @classmethod
    def parse(cls, text: str, base: ClusterEndpoint | None = None) -> ClusterEndpoint:
        """Return the endpoint of ``key=value,…``; keys that are not given are those of ``base``."""
        known = {field.name for field in fields(cls)}
        given: dict[str, str] = {}
        for item in filter(None, text.split(",")):
            key, equals, value = item.partition("=")
            key = key.strip()
            if not equals or key not in known:
                raise InvalidArgumentError(
                    f"invalid kubernetes endpoint: {item!r}", hint=f"write {_KUBERNETES}"
                )
            given[key] = value.strip()
        if given.get("kubeconfig"):
            given["kubeconfig"] = str(Path(given["kubeconfig"]).expanduser().absolute())
        return replace(base or cls(), **given)

    def __str__(self) -> str:
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ",".join(f"{name}={value}" for name, value in values if value)


@dataclass(frozen=True, slots=True)
class Context:
    """A context; without a cluster it is this machine.  ``origin`` names the file that has it."""

    name: str
    description: str = ""
    cluster: ClusterEndpoint | None = None
    origin: str = ""


class Contexts:
    """The contexts of one user; every use reads the file."""

    def __init__(self, environ: Mapping[str, str] | None = None, settings: Settings | None = None):
        self._environ = os.environ if environ is None else environ
        self._settings = settings
        home = self._environ.get("HOME") or str(Path.home())
        base = self._environ.get("XDG_CONFIG_HOME") or Path(home, ".config")
        self.path = Path(base, "jupyter_containers", "contexts.json")

    @property
    def current(self) -> str:
        """The name of the current context; it need not exist."""
        return self.selected or self._read().get("current") or DEFAULT

    @property
    def selected(self) -> str:
        """The name that settings or environment select, before that of ``context use``."""
        if self._settings is not None:
            return self._settings.context
        return self._environ.get(VARIABLE, "")

    def all(self) -> list[Context]:
        """Return all contexts: the default one, then the others by name."""
        found = {context.name: context for context in self._provided()}
        for name, document in self._read().get("contexts", {}).items():
            found[name] = _context(name, document, str(self.path))
        return [Context(DEFAULT, "This machine"), *(found[name] for name in sorted(found))]

    def get(self, name: str = "") -> Context:
        """Return a context, by default the current one; raise :class:`ContextNotFoundError`."""
        name = name or self.current
        if name == DEFAULT:
            return Context(DEFAULT, "This machine")
        known = self.all()
        for context in known:
            if context.name == name:
                return context
        raise ContextNotFoundError(
            f'context "{name}": context not found',
            hint=f"one of {', '.join(context.name for context in known)}, or create it: "
            f"context create {name} --kubernetes …",
        )

    def create(self, name: str, cluster: ClusterEndpoint, description: str = "") -> Context:
        """Add a context to the user's file; raise :class:`AlreadyExistsError`."""
        if name == DEFAULT:
            raise InvalidArgumentError(f'"{name}" is a reserved context name')
        if not _NAME.fullmatch(name):
            raise InvalidArgumentError(
                f"context name {name!r} is invalid, "
                f'names are validated against regexp "^{_NAME.pattern}$"'
            )
        if name in {context.name for context in self.all()}:
            raise AlreadyExistsError(f'context "{name}" already exists')
        context = Context(name, description, cluster, str(self.path))
        self._store(context)
        return context

    def update(
        self, name: str, kubernetes: str | None = None, description: str | None = None
    ) -> Context:
        """Change a context of the user's file and return it."""
        found = self._own(name, "update")
        if kubernetes is not None:
            found = replace(found, cluster=ClusterEndpoint.parse(kubernetes, found.cluster))
        if description is not None:
            found = replace(found, description=description)
        self._store(found)
        return found

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a context from the user's file; the current one only with ``force``."""
        if name == DEFAULT:
            raise InvalidArgumentError(f'context "{DEFAULT}" cannot be removed')
        self._own(name, "remove")
        document = self._read()
        if self.current == name and not force:
            raise InUseError(
                f'context "{name}" is in use, set -f flag to force remove',
                hint=f"context use {DEFAULT}, or context rm -f {name}",
            )
        del document["contexts"][name]
        if document.get("current") == name:
            del document["current"]
        self._write(document)

    def use(self, name: str) -> str:
        """Make a context the current one; return a warning if it is not, or an empty string."""
        self.get(name)
        document = self._read()
        if name == DEFAULT:
            document.pop("current", None)
        else:
            document["current"] = name
        self._write(document)
        if self.selected and self.selected != name:
            return (
                f"{VARIABLE} or a setting overrides the active context: "
                f"it is {self.selected} until that is removed"
            )
        return ""

    def _provided(self) -> list[Context]:
        """Return the contexts that the user did not create."""
        tables = read_lab().get("contexts", {})
        if not isinstance(tables, dict):
            raise InvalidArgumentError(f"{LAB_FILE}: contexts is not a table")
        found = [
            Context(
                name,
                str(table.get("description", "")),
                ClusterEndpoint.parse(str(table.get("kubernetes", ""))),
                str(LAB_FILE),
            )
            for name, table in tables.items()
            if isinstance(table, dict)
        ]
        if (SERVICE_ACCOUNT / "token").exists():
            text = "The service account of this pod"
            found.insert(0, Context(IN_CLUSTER, text, ClusterEndpoint(), str(SERVICE_ACCOUNT)))
        return found

    def _own(self, name: str, verb: str) -> Context:
        """Return a context of the user's file; raise for another's, or none."""
        context = self.get(name)
        if context.origin != str(self.path):
            raise InvalidArgumentError(
                f'context "{name}" cannot be {verb}d: it is not in {self.path}',
                hint=f"it comes from {context.origin}" if context.origin else "",
            )
        return context

    def _store(self, context: Context) -> None:
        document = self._read()
        assert context.cluster is not None  # the default one is not stored
        values = {key: value for key, value in asdict(context.cluster).items() if value}
        document.setdefault("contexts", {})[context.name] = {
            "description": context.description,
            "kubernetes": values,
        }
        self._write(document)

    def _read(self) -> dict[str, Any]:
        if not self.path.is_file():
            return {}
        import json

        # It names files with credentials, and a program that they may start.
        check_place(self.path, "the contexts", f"chmod go-w {self.path}, and the folders above")
        try:
            with self.path.open("rb") as file:
                document = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            raise InvalidArgumentError(f"cannot read {self.path}: {error}") from error
        if not isinstance(document, dict) or not isinstance(document.get("contexts", {}), dict):
            raise InvalidArgumentError(f"cannot read {self.path}: not the contexts of this program")
        return document

    def _write(self, document: Mapping[str, Any]) -> None:
        import json

        folder = self.path.parent
        try:
            folder.mkdir(0o700, parents=True, exist_ok=True)
            new = folder / f".{self.path.name}.{os.getpid()}"
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(document, file, indent=1)
            os.replace(new, self.path)
        except OSError as error:
            raise StorageError(f"cannot write {self.path}: {error.strerror}") from error


def _context(name: str, document: Any, origin: str) -> Context:
    """Return a context of the user's file; raise :class:`InvalidArgumentError` for a wrong form."""
    try:
        values = {key: str(value) for key, value in document.get("kubernetes", {}).items()}
        return Context(
            name, str(document.get("description", "")), ClusterEndpoint(**values), origin
        )
    except (AttributeError, TypeError) as error:
        raise InvalidArgumentError(f"{origin}: the context {name} is damaged: {error}") from error
