"""COPY, ADD and the folder of WORKDIR as file steps."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from jupyter_containers.build import flags, history
from jupyter_containers.build.archives import open_archive
from jupyter_containers.build.cache import StepKey
from jupyter_containers.build.checks import UNKNOWN_OWNER, Finding
from jupyter_containers.build.copying import Copier, CopyRules, absolute_destination
from jupyter_containers.build.copysources import CopySources, Origin
from jupyter_containers.build.filestep import FileStep, StepContext
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.instructions import Copy, Workdir
from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.seams import Workspace
from jupyter_containers.build.steps import Expander, set_workdir
from jupyter_containers.build.tree import Source
from jupyter_containers.build.users import Owner, owner
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.descriptor import digest_of
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root, split


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """A COPY or ADD with its words expanded; ``destination`` is absolute."""

    copy: Copy
    documents: tuple[tuple[str, bytes], ...]
    destination: str

    def rules(self, found_owner: Owner | None) -> CopyRules:
        """Return the changes to apply to copied files."""
        mode = ModeChange.parse(self.copy.chmod) if self.copy.chmod else None
        return CopyRules(found_owner, mode, self.exclude)

    @property
    def exclude(self) -> IgnoreRules:
        """The patterns of files to leave out."""
        return IgnoreRules.of(self.copy.exclude, "--exclude")


def describe_copy(instruction: Copy, expand: Expander, around: StepContext) -> FileStep:
    """Return COPY or ADD as a step; raise for sources or flags that do not exist."""
    request = _expanded(instruction, expand, around)
    request.rules(None)  # a wrong mode or pattern fails the build before anything is read
    work, copy = _CopyWork(request, around), request.copy
    return FileStep(
        work.quick_key(),
        work.key,
        work.act,
        history.copy(
            copy.keyword,
            flags.history_words(copy),
            copy.sources,
            (name for name, _ in request.documents),
            copy.destination,
        ),
        copy.link,
    )


def _expanded(instruction: Copy, expand: Expander, around: StepContext) -> _Request:
    written = expand(instruction.destination)
    documents = tuple(
        (one.name, (expand.document(one.text) if one.expand else one.text).encode())
        for one in instruction.inline
    )
    sources = tuple(expand(source) for source in instruction.sources)
    copy = replace(instruction, sources=sources, destination=written)
    return _Request(
        copy=flags.expanded(copy, expand),
        documents=documents,
        destination=absolute_destination(written, around.state.config.working_dir),
    )


class _CopyWork:
    """One COPY or ADD, from its description to its files; reads its sources once."""

    def __init__(self, request: _Request, around: StepContext) -> None:
        self.request = request
        self.copy = request.copy
        self.around = around
        self.sources = CopySources(request.copy, around)
        self._standing: tuple[_Standing, ...] | None = None

    def _parts(self) -> dict[str, str]:
        copy = self.copy
        parts = self.around.base_parts(detached=copy.link) | {
            "destination": self.request.destination,
            "sources": "\0".join(copy.sources),
        }
        parts |= {name: "\0".join(words) for name, words in flags.key_parts(copy).items()}
        if copy.link and copy.chown:
            # Names are resolved in the stage, though its files do not matter.
            found = self._stage_owner()
            parts["owner"] = f"{found.uid}:{found.gid}"
        if copy.link and (standing := self._folders_below()):
            parts["folders"] = "\0".join(map(str, standing))
        return parts

    def _folders_below(self) -> tuple[_Standing, ...]:
        """Return the folders on the path of a detached step's destination that the stage has."""
        chain = self.around.state.chain_id
        if self._standing is None:
            root = self.around.tree_of(chain).root if chain else None
            self._standing = tuple(_standing(root, self.request.destination)) if root else ()
        return self._standing

    def quick_key(self) -> StepKey | None:
        """Return the key by the layers, commits or checksums of the sources."""
        quick = self.sources.quick()
        return None if quick is None else StepKey(self._parts() | quick, self._documents())

    def key(self) -> StepKey:
        """Return the key by the contents of the sources."""
        files = self._documents()
        files |= self.sources.files(self.request.exclude)
        return StepKey(self._parts(), files)

    def _documents(self) -> dict[str, str]:
        return {f"<<{name}": digest_of(data) for name, data in self.request.documents}

    def act(self, workspace: Workspace) -> None:
        """Copy into the workspace."""
        origins = self.sources.origins

        def copy(rootfs: str) -> None:
            with Root(rootfs) as root:
                self._keep_folders(root)
                rules = self.request.rules(self._owner(root))
                copier = Copier(root, self.request.destination, rules, self.around.cancel)
                for origin in origins:
                    self._copy(origin, copier)
                for name, data in self.request.documents:
                    copier.write(name, data)

        workspace.call(copy)

    def _keep_folders(self, root: Root) -> None:
        """Create the stage's existing folders as they are: the layer must not reset any of them."""
        if not self.copy.link:
            return
        place = self.request.destination
        into = place.endswith("/") or any(
            source.is_folder for origin in self.sources.origins for source in origin.matches
        )
        for folder in self._folders_below():
            if into or folder.path != place:  # a file replaces a folder
                root.make_folders(folder.path, folder.mode, folder.uid, folder.gid)

    def _copy(self, origin: Origin, copier: Copier) -> None:
        if self.copy.parents:
            copier.copy_with_parents(origin.tree, origin.matches)
            return
        for source in origin.matches:
            if not self._unpacked(origin, source, copier):
                copier.copy(origin.tree, (source,))

    def _stage_owner(self) -> Owner:
        """Return the owner by the stage's user database, which the step does not read otherwise."""
        chain = self.around.state.chain_id
        if not chain or all(part.isdecimal() for part in self.copy.chown.split(":")):
            return owner(self.copy.chown, "", "")
        return self._named(self.around.tree_of(chain).root)

    def _owner(self, root: Root) -> Owner | None:
        if not self.copy.chown:
            return None
        return self._stage_owner() if self.copy.link else self._named(root)

    def _named(self, root: Root) -> Owner:
        found = owner(self.copy.chown, root.read_text("/etc/passwd"), root.read_text("/etc/group"))
        for name in found.unknown:
            self.around.note(
                Finding(
                    UNKNOWN_OWNER,
                    f"the image has no user or group {name!r}: 0 is used",
                    self.around.location,
                )
            )
        return found

    def _unpacked(self, origin: Origin, source: Source, copier: Copier) -> bool:
        """Unpack ``source`` if it is an archive; return whether it was."""
        wanted = self.copy.unpack
        if source.is_folder or not (not origin.is_download if wanted is None else wanted):
            return False
        entry = next(iter(origin.tree.walk(source)), None)
        if entry is None or entry.kind != stat.S_IFREG:
            return False
        with open_archive(origin.tree, entry) as stream:
            if stream is None:
                return False
            if self.around.extract is None:
                raise UnsupportedError(
                    "ADD cannot unpack archives here", capability="archive extraction"
                )
            given = copier.rules.owner
            place = split(os.fsencode(copier.folder(self.request.destination)))
            folder = copier.root.open_directory(place, links=False)
            try:
                self.around.extract(
                    stream, at.path_of(folder), (given.uid, given.gid) if given else None
                )
            finally:
                os.close(folder)
        return True


@dataclass(frozen=True, slots=True)
class _Standing:
    """A folder that the stage already has."""

    path: str
    mode: int
    uid: int
    gid: int


def _standing(root: Root, destination: str) -> Iterator[_Standing]:
    """Yield the folders of a path from the top; stop at a link, which is not followed."""
    path = ""
    for name in destination.strip("/").split("/"):
        path += f"/{name}"
        status = root.stat(path[1:])
        if status is None or not stat.S_ISDIR(status.st_mode):
            return
        yield _Standing(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)


def describe_workdir(
    instruction: Workdir, expand: Expander, around: StepContext
) -> FileStep | None:
    """Return the creation of the working directory as a step; None for ``/``."""
    path = set_workdir(instruction, around.state, expand)
    if path == "/":
        return None
    user = around.state.config.user
    key = StepKey(around.base_parts() | {"destination": path, "user": user})
    shown = f"WORKDIR {around.state.config.working_dir}"
    return FileStep(None, lambda: key, _make_workdir(path, user), shown)


def _make_workdir(path: str, user: str) -> Callable[[Workspace], None]:
    def make(rootfs: str) -> None:
        with Root(rootfs) as root:
            # New folders belong to the image's user, as in BuildKit.
            passwd, group = root.read_text("/etc/passwd"), root.read_text("/etc/group")
            found = owner(user, passwd, group)
            root.make_folders(path, 0o755, found.uid, found.gid)

    return lambda workspace: workspace.call(make)
