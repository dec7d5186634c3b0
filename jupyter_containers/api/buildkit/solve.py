"""One build for a client: attributes, files and secrets in, an image or files out."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from jupyter_containers.api.buildkit.agents import forwarded
from jupyter_containers.api.buildkit.attributes import (
    Wanted,
    cache_place,
    check_frontend,
    check_syntax,
    entitlements,
)
from jupyter_containers.api.buildkit.contexts import UPLOAD, ClientFiles
from jupyter_containers.api.buildkit.messages import Detail, Exporter, SolveRequest
from jupyter_containers.api.buildkit.registry import BuildKitState, Upload
from jupyter_containers.api.buildkit.rpc import CANCELLED, UNKNOWN, RpcError
from jupyter_containers.api.buildkit.sending import ArchiveWriter, send_tree
from jupyter_containers.api.buildkit.sessions import GET_SECRET, Lent, Session
from jupyter_containers.api.buildkit.status import Progress, Vertices
from jupyter_containers.build.archives import is_archive
from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    DockerfileSyntaxError,
    InvalidArgumentError,
    OperationCancelledError,
    StepFailedError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.output import BuildOutput

_IN_STORE = ("moby", "image")
_OUTPUT_KEYS = (
    "push", "oci-mediatypes", "rewrite-timestamp", "tar", "force-compression", "platform-split",
    "compression", "compression-level",
)  # fmt: skip
_REFUSED = ("push-by-digest", "registry.insecure")
_COPYING = "copying files"
_TITLES = {"local": "exporting to client directory", "tar": "exporting to client tarball"}


@dataclass(slots=True)
class Solve:
    """A build; ``cancel`` is set when its client or its session disconnects."""

    engine: Engine
    state: BuildKitState
    request: SolveRequest
    cancel: CancelToken
    progress: Progress
    text: bytes = b""
    upload: Upload | None = None

    def run(self, attributes: Mapping[str, str]) -> dict[str, str]:
        """Build; return the metadata of the result for the client."""
        with ExitStack() as stack:
            return self._prepare(attributes, stack).build()

    def answer(self, attributes: Mapping[str, str]) -> dict[str, bytes]:
        """Return the result of a subrequest about the Dockerfile, without a build."""
        from jupyter_containers.api.buildkit.subrequests import answer

        with ExitStack() as stack:
            prepared = self._prepare(attributes, stack)
            context, flags = prepared.question()
            return answer(self.engine, prepared.wanted.request, context, flags, prepared.text)

    def _prepare(self, attributes: Mapping[str, str], stack: ExitStack) -> _Prepared:
        check_frontend(self.request)
        wanted = Wanted.of(attributes)
        session = self.state.sessions.wait(self.request.session, self.cancel)
        stack.enter_context(session.linked(self.cancel))
        vertices = Vertices(self.progress)
        files = ClientFiles(self.engine, session, stack, vertices, self.cancel)
        return _Prepared(self, wanted, session, vertices, files, stack)


@dataclass(slots=True)
class _Prepared:
    """A build whose session is open."""

    solve: Solve
    wanted: Wanted
    session: Session
    vertices: Vertices
    files: ClientFiles
    stack: ExitStack
    text: bytes = b""

    def question(self) -> tuple[str, dict[str, Any]]:
        """Return context and flags for a subrequest, which needs only the Dockerfile."""
        context, flags = self._definition()
        flags.pop("ignore", None)
        wanted = {
            key: value
            for key, value in self.wanted.flags.items()
            if key in ("build_args", "target", "platform")
        }
        return context or str(self.files.scratch()), {**wanted, **flags}

    def _definition(self) -> tuple[str, dict[str, Any]]:
        """Return the context (empty if the client has it) and the flags for the Dockerfile."""
        wanted = self.wanted
        if wanted.subfolder:
            raise InvalidArgumentError("contextsubdir of a build has no effect here")
        if self.solve.upload is not None or wanted.remote.startswith(UPLOAD):
            if self.solve.upload is not None:
                path = self.files.uploaded(self.solve.upload)
            else:
                path = self.files.upload(wanted.remote)
            with path.open("rb") as stream:
                if is_archive(stream):
                    return str(path), {"file": wanted.filename}
            self.text = self.solve.text = path.read_bytes()
            return str(self.files.scratch()), {"dockerfile": self.text.decode("utf-8", "replace")}
        if wanted.remote:
            if "://" not in wanted.remote and not wanted.remote.startswith(("git@", "github.com/")):
                raise InvalidArgumentError("the context of a build is the address of one")
            return wanted.remote, {"file": wanted.filename}
        found = self.files.definition(wanted.definition_key, wanted.filename)
        self.text = self.solve.text = found.data
        check_syntax(found.data, wanted.flags["build_args"])
        folder = self.files.scratch()
        place = folder / Path(found.name).name
        place.write_bytes(found.data)
        if found.ignore is not None:
            place.with_name(f"{place.name}.dockerignore").write_bytes(found.ignore)
        return "", {"file": str(place), "ignore": found.ignore}

    def build(self) -> dict[str, str]:
        """Build and export the result."""
        request, cancel = self.solve.request, self.solve.cancel
        outputs = _Outputs(self)
        context, flags = self._definition()
        ignore = flags.pop("ignore", None)
        context = context or str(self.files.context(self.wanted.context_key, ignore))
        flags |= {**self.wanted.flags, **self._lent(context, flags), **self._named()}
        flags["allow"] = entitlements(request)
        if request.cache is not None and request.cache.exports:
            flags["cache_to"] = [cache_place(one) for one in request.cache.exports]
        with self.solve.engine.registries.lending(Lent(self.session, cancel)):
            try:
                image = self.solve.engine.builds.build(
                    context,
                    emit=self.vertices,
                    cancel=cancel,
                    stream=cast(BinaryIO, outputs.stream) if outputs.stream else None,
                    outputs=outputs.values,
                    **flags,
                )
            except BaseException as error:
                outputs.abandon()
                if isinstance(error, ContainersError):
                    self.vertices.fail(rpc_error(error).message)
                raise
        return outputs.finish(image)

    def _named(self) -> dict[str, Any]:
        """Return the named contexts; the client's are received into folders."""
        found = {}
        for name, value in self.wanted.named.items():
            kind, _, rest = value.partition(":")
            if kind == "local":
                found[name] = str(self.files.named(name, rest))
            elif kind in ("input", "target"):
                raise UnsupportedError(
                    f"the context {name} is the result of another build of a graph",
                    capability="inputs of frontends",
                )
            else:
                _check_address(name, value)
                found[name] = value
        return {"build_contexts": found} if found else {}

    def _lent(self, context: str, flags: dict[str, Any]) -> dict[str, Any]:
        """Return the secrets and agents that the Dockerfile uses."""
        wanted = {k: v for k, v in self.wanted.flags.items() if k in ("build_args", "target")}
        builds = self.solve.engine.builds
        if self.text:
            if b"type=secret" not in self.text and b"type=ssh" not in self.text:
                return {}
            text = self.text.decode("utf-8", "replace")
            outline = builds.outline(str(self.files.scratch()), dockerfile=text, **wanted)
        elif self.session.offers(GET_SECRET):  # as clients behave if secrets were given
            outline = builds.outline(context, **flags, **wanted)
        else:
            return {}
        secrets, agents = {}, []
        for need in outline.secrets:
            value = self.session.secret(need.name, self.solve.cancel)
            if value is not None:
                secrets[need.name] = value
        for number, need in enumerate(outline.ssh):
            path = self.files.scratch() / f"agent-{number}"
            name = need.name or "default"
            if forwarded(self.session, name, path, self.stack, self.solve.cancel):
                agents.append(f"{name}={path}")
        return {"secret_values": secrets, "ssh": agents}


def _check_address(name: str, value: str) -> None:
    """Refuse a value that would be a path of this machine, which clients must not read."""
    if "://" not in value or value.startswith(("oci-layout:", "file:")):
        raise UnsupportedError(
            f"the context {name}={value} is no address", capability="contexts of this kind"
        )


class _Outputs:
    """The outputs of a build: ``values`` are for the builder, the others are sent afterwards."""

    def __init__(self, prepared: _Prepared) -> None:
        self._prepared = prepared
        self._folders: list[tuple[str, Path]] = []
        self.stream: ArchiveWriter | None = None
        self._names: list[str] = []
        self._pushed = False
        self._title = "exporting to image"
        exporters = prepared.solve.request.outputs
        self.values = tuple(self._output(str(n), one) for n, one in enumerate(exporters))
        if not exporters:
            # Only the build itself is requested; the cache keeps its result.
            self.values = ()
        prepared.vertices.export_title = self._title

    def _output(self, number: str, one: Exporter) -> BuildOutput:
        for name in _REFUSED:
            if one.attrs.get(name, "") not in ("", "false", "0"):
                raise InvalidArgumentError(f"the option {name} of an output has no effect here")
        pairs = {key: value for key, value in one.attrs.items() if key in _OUTPUT_KEYS}
        pairs |= {key: value for key, value in one.attrs.items() if key.startswith("annotation")}
        if one.type in _IN_STORE:
            self._names += [name for name in one.attrs.get("name", "").split(",") if name]
            if one.type == "moby":
                pairs.pop("push", None)  # clients push the image of dockerd's own exporter
            self._pushed |= pairs.get("push", "") in ("true", "1")
            if self._names:
                pairs["name"] = ",".join(str(Reference.parse(name)) for name in self._names)
            return _parsed({"type": "image", **pairs})
        self._title = _TITLES.get(one.type, f"exporting to {one.type} image format")
        if one.type == "local":
            folder = self._prepared.files.scratch() / "result"
            self._folders.append((number, folder))
            return _parsed({"type": "local", "dest": str(folder), **pairs})
        if one.type not in ("tar", "oci", "docker"):
            raise UnsupportedError(f"no output of type {one.type!r}", capability="other exporters")
        if self.stream is not None:
            raise InvalidArgumentError("a build has at most one archive as its output here")
        report = self._prepared.vertices.export_reporter("sending tarball")
        self.stream = ArchiveWriter(
            self._prepared.session, number, self._prepared.solve.cancel, report
        )
        if one.attrs.get("name"):
            pairs["name"] = one.attrs["name"]
        return _parsed({"type": one.type, "dest": "-", **pairs})

    def abandon(self) -> None:
        """Abandon unfinished archives."""
        if self.stream is not None:
            self.stream.abandon()

    def finish(self, image: Any) -> dict[str, str]:
        """Send the client its outputs; return the metadata of the result."""
        prepared = self._prepared
        digest = image.id
        with prepared.vertices.export() as step:
            if self.stream is not None:
                self.stream.finish()
                step.part("sending tarball", done=True)
            for number, folder in self._folders:
                report = partial(step.part, _COPYING)
                send_tree(prepared.session, number, folder, prepared.solve.cancel, report)
                step.part(_COPYING, done=True)
            if any(value.in_store for value in self.values):
                step.part("exporting layers", done=True)
                step.part(f"writing image {digest}", done=True)
                for name in self._names:
                    step.part(f"naming to {Reference.parse(name)}", done=True)
        if not any(value.in_store for value in self.values):
            return {}
        facts = {
            "containerimage.config.digest": digest,
            "containerimage.digest": image.digest if self._pushed else digest,
        }
        if self._names:
            facts["image.name"] = ",".join(str(Reference.parse(name)) for name in self._names)
        return facts


def _parsed(pairs: Mapping[str, str]) -> BuildOutput:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([f"{k}={v}" for k, v in pairs.items()])
    return BuildOutput.parse(line.getvalue())


def rpc_error(error: ContainersError, text: bytes = b"") -> RpcError:
    """Return the error for the client, with its location in the Dockerfile."""
    if isinstance(error, RpcError):
        return error
    if isinstance(error, OperationCancelledError):
        return RpcError(CANCELLED, "context canceled")
    details = []
    message = _step_failed(error) if isinstance(error, StepFailedError) else error.message
    location = error.location if isinstance(error, (BuildError, DockerfileSyntaxError)) else None
    if location is not None:
        lines = {"start": {"line": location.first_line}, "end": {"line": location.last_line}}
        source = {
            "info": {
                "filename": location.filename,
                "data": base64.b64encode(text).decode(),
                "language": "Dockerfile",
            },
            "ranges": [lines],
        }
        details.append(_detail("errdefs.Source", source))
    if isinstance(error, StepFailedError):
        details.append(_detail("gatewayapi.ExitMessage", {"Code": error.exit_code}))
    elif error.hint:
        message = f"{message} ({error.hint})"
    return RpcError(UNKNOWN, message, details)


def _step_failed(error: StepFailedError) -> str:
    """Return BuildKit's message for a failed step: tools parse the exit code from it."""
    words = re.sub(r"^\w+\s+(--\S+\s+)*", "", error.instruction)
    if not words:
        return error.message
    command = words if words.startswith("[") else f"/bin/sh -c {words}"
    return f'process "{command}" did not complete successfully: exit code: {error.exit_code}'


def _detail(name: str, document: object) -> Detail:
    url = f"github.com/moby/buildkit/{name}+json"
    return Detail(type_url=url, value=json.dumps(document).encode())
