"""COPY, ADD and the folder of WORKDIR as file steps."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_containers.build import history
from jupyter_containers.build.archives import open_archive
from jupyter_containers.build.cache import StepKey
from jupyter_containers.build.checks import EMPTY_WILDCARD, UNKNOWN_OWNER, Finding
from jupyter_containers.build.copying import Copier, CopyRules, absolute_destination
from jupyter_containers.build.filestep import FileStep, StepSurroundings
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.instructions import Add, Copy, Workdir
from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.seams import Workspace
from jupyter_containers.build.steps import Expander, set_workdir
from jupyter_containers.build.tree import Source, SourceTree
from jupyter_containers.build.users import Owner, owner
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.oci.descriptor import digest_of
from jupyter_containers.store.rooted import Root

_REMOTE = re.compile(r"(?i)(https?|ftp|git|ssh)://|git@|.+\.git(#.*)?$")


@dataclass(frozen=True, slots=True)
class _Request:
    """A COPY or ADD with its words expanded."""

    keyword: str
    sources: tuple[str, ...]
    documents: tuple[tuple[str, bytes], ...]
    destination: str
    written: str
    chown: str
    chmod: str
    exclude: tuple[str, ...]
    unpack: bool

    @property
    def flags(self) -> list[str]:
        """The flags that history shows."""
        values = (("chown", self.chown), ("chmod", self.chmod))
        return [f"--{name}={value}" for name, value in values if value]

    def rules(self, found_owner: Owner | None) -> CopyRules:
        """Return how files are changed on their way."""
        mode = ModeChange.parse(self.chmod) if self.chmod else None
        return CopyRules(found_owner, mode, IgnoreRules.of(self.exclude, "--exclude"))


def describe_copy(instruction: Copy, expand: Expander, around: StepSurroundings) -> FileStep:
    """Return COPY or ADD as a step; raise where it asks for what is not there."""
    _refuse_unsupported(instruction)
    request = _expanded(instruction, expand, around)
    request.rules(None)
    work = _CopyWork(request, around, instruction.from_)
    return FileStep(
        work.quick_key(),
        work.key,
        work.act,
        history.copy(
            request.keyword,
            request.flags,
            request.sources,
            (name for name, _ in request.documents),
            request.written,
        ),
    )


def _refuse_unsupported(instruction: Copy) -> None:
    if instruction.parents:
        raise UnsupportedError(
            f"{instruction.location}: COPY --parents is not supported yet",
            capability="COPY --parents",
            hint="copy each folder with its own COPY",
        )
    if isinstance(instruction, Add):
        remote = [source for source in instruction.sources if _REMOTE.match(source)]
        if remote or instruction.checksum or instruction.keep_git_dir:
            raise UnsupportedError(
                f"{instruction.location}: ADD of a remote source is not supported yet",
                capability="ADD of a URL or git repository",
                hint="fetch it in a RUN step, or download it into the context",
            )


def _expanded(instruction: Copy, expand: Expander, around: StepSurroundings) -> _Request:
    written = expand(instruction.destination)
    documents = tuple(
        (one.name, (expand.document(one.text) if one.expand else one.text).encode())
        for one in instruction.inline
    )
    unpack = isinstance(instruction, Add) and instruction.unpack is not False
    return _Request(
        instruction.keyword,
        tuple(expand(source) for source in instruction.sources),
        documents,
        absolute_destination(written, around.state.config.working_dir),
        written,
        expand(instruction.chown),
        expand(instruction.chmod),
        tuple(expand(pattern) for pattern in instruction.exclude),
        unpack,
    )


class _CopyWork:
    """One COPY or ADD on its way from description to files; reads its sources once."""

    def __init__(self, request: _Request, around: StepSurroundings, from_: str) -> None:
        self.request = request
        self.around = around
        self.from_chain = around.chain_of(from_) if from_ else None
        self._tree: SourceTree | None = None
        self._found: tuple[tuple[Source, ...], ...] | None = None

    @property
    def tree(self) -> SourceTree:
        """Where the sources are."""
        if self._tree is None:
            chain = self.from_chain
            self._tree = self.around.context.tree if chain is None else self.around.tree_of(chain)
        return self._tree

    @property
    def found(self) -> tuple[tuple[Source, ...], ...]:
        """What each source of the instruction names."""
        if self._found is None:
            self._found = tuple(self.tree.find(source) for source in self.request.sources)
            for source, matches in zip(self.request.sources, self._found, strict=True):
                if not matches:
                    self.around.findings.append(
                        Finding(
                            EMPTY_WILDCARD,
                            f"nothing matches {source!r}",
                            self.around.instruction.location,
                        )
                    )
        return self._found

    def _parts(self) -> dict[str, str]:
        request = self.request
        return self.around.base_parts() | {
            "destination": request.destination,
            "sources": "\0".join(request.sources),
            "flags": "\0".join([*request.flags, *request.exclude, str(request.unpack)]),
        }

    def quick_key(self) -> StepKey | None:
        """Return the key by the layers that hold the sources, when those are layers."""
        if self.from_chain is None:
            return None
        return StepKey(self._parts() | {"from": self.from_chain}, self._documents())

    def key(self) -> StepKey:
        """Return the key by the contents of the sources."""
        files = self._documents()
        exclude = IgnoreRules.of(self.request.exclude, "--exclude")
        for index, matches in enumerate(self.found):
            for source in matches:
                for entry in self.tree.walk(source, exclude):
                    self.around.cancel.check()
                    if source.is_folder and not entry.below:
                        # Only the contents are copied: the folder's own mode does not matter.
                        files[f"{index}:{source.path}/"] = ""
                        continue
                    name = entry.path if source.is_folder else f"{entry.path}\0{source.name}"
                    files[f"{index}:{name}"] = self.tree.digest(entry)
        return StepKey(self._parts(), files)

    def _documents(self) -> dict[str, str]:
        return {f"<<{name}": digest_of(data) for name, data in self.request.documents}

    def act(self, workspace: Workspace) -> None:
        """Copy into the workspace."""
        sources = self.found if self.request.sources else ()

        def copy(rootfs: str) -> None:
            with Root(rootfs) as root:
                rules = self.request.rules(self._owner(root))
                copier = Copier(root, self.request.destination, rules, self.around.cancel)
                for matches in sources:
                    for source in matches:
                        if not self._unpacked(source, copier):
                            copier.copy(self.tree, (source,))
                for name, data in self.request.documents:
                    copier.write(name, data)

        workspace.call(copy)

    def _owner(self, root: Root) -> Owner | None:
        text = self.request.chown
        if not text:
            return None
        found = owner(text, root.read_text("/etc/passwd"), root.read_text("/etc/group"))
        for name in found.unknown:
            self.around.findings.append(
                Finding(
                    UNKNOWN_OWNER,
                    f"the image has no user or group {name!r}: 0 is used",
                    self.around.instruction.location,
                )
            )
        return found

    def _unpacked(self, source: Source, copier: Copier) -> bool:
        """Unpack ``source`` when it is an archive; return whether it was."""
        if not self.request.unpack or source.is_folder:
            return False
        entry = next(iter(self.tree.walk(source)), None)
        if entry is None or entry.kind != stat.S_IFREG:
            return False
        with open_archive(self.tree, entry) as stream:
            if stream is None:
                return False
            if self.around.extract is None:
                raise UnsupportedError(
                    "ADD cannot unpack archives here", capability="archive extraction"
                )
            given = copier.rules.owner
            place = copier.folder(self.request.destination)
            self.around.extract(
                stream, copier.root.kernel_path(place), (given.uid, given.gid) if given else None
            )
        return True


def describe_workdir(
    instruction: Workdir, expand: Expander, around: StepSurroundings
) -> FileStep | None:
    """Return the creation of the working directory as a step; None for ``/``."""
    path = set_workdir(instruction, around.state, expand)
    if path == "/":
        return None
    user = around.state.config.user
    key = StepKey(around.base_parts() | {"destination": path, "user": user})
    return FileStep(None, lambda: key, _make_workdir(path, user), f"WORKDIR {path}")


def _make_workdir(path: str, user: str) -> Callable[[Workspace], None]:
    def make(rootfs: str) -> None:
        with Root(rootfs) as root:
            # New folders belong to the image's user, as BuildKit has it.
            passwd, group = root.read_text("/etc/passwd"), root.read_text("/etc/group")
            found = owner(user, passwd, group)
            root.make_folders(path, 0o755, found.uid, found.gid)

    return lambda workspace: workspace.call(make)
