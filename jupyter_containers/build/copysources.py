"""The sources of COPY and ADD: files of the context, of stages and images, and addresses.

An *origin* is one source of the instruction with the tree that contains it.  Addresses are read
when the step needs them: a checksum, a commit ID, or a server's answer that its file is unchanged
decides without a download whether the step is cached.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from jupyter_containers.build.checks import EMPTY_WILDCARD, Finding
from jupyter_containers.build.filestep import StepContext
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.instructions import Add, Copy
from jupyter_containers.build.remote import (
    Download,
    Git,
    GitAddress,
    Validators,
    changed,
    download,
    shown,
)
from jupyter_containers.build.tree import Source, SourceTree
from jupyter_containers.errors import BuildError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import digest_of, encode_json
from jupyter_containers.options.context import is_git_address, is_url
from jupyter_containers.trees.rooted import Root


@dataclass(frozen=True, slots=True)
class Origin:
    """One source; in the step's key, ``commit`` replaces the files of a git repository."""

    tree: SourceTree
    matches: tuple[Source, ...]
    is_download: bool = False
    commit: str = ""


class CopySources:
    """Finds the sources of one step, once."""

    def __init__(self, wanted: Copy, around: StepContext) -> None:
        """``wanted`` is the instruction with its words expanded."""
        self._wanted, self._around = wanted, around
        self._remote = isinstance(wanted, Add)
        self._context = around.contexts.tree(wanted.from_) if wanted.from_ else around.context
        self._chain = around.chain_of(wanted.from_) if self._context is None else None
        self._origins: tuple[Origin, ...] | None = None
        self._commits: dict[str, str] = {}
        self._downloads: dict[str, Download] = {}
        if wanted.checksum and not (self._remote and all(map(_is_remote, wanted.sources))):
            raise around.fail("--checksum can only be used with addresses")

    def quick(self) -> dict[str, str] | None:
        """Return the inputs that decide the result without reading files, or None."""
        if self._chain is not None:
            return {"from": self._chain}
        wanted = self._wanted
        if not wanted.sources or not (self._remote and all(map(_is_remote, wanted.sources))):
            return None
        parts = {}
        for source in wanted.sources:
            if is_git_address(source):
                parts[f"commit {source}"] = self._commit(source)
            elif not wanted.checksum:
                parts[f"file {source}"] = self._current(source)
        return parts | {"checksum": wanted.checksum}

    @property
    def origins(self) -> tuple[Origin, ...]:
        """The origins of the sources; addresses are downloaded."""
        if self._origins is None:
            self._origins = tuple(one for text in self._wanted.sources for one in self._find(text))
        return self._origins

    def files(self, exclude: IgnoreRules) -> dict[str, str]:
        """Return a digest for each path to copy."""
        files: dict[str, str] = {}
        for index, origin in enumerate(self.origins):
            if origin.commit:
                files[f"{index}:commit"] = origin.commit
                continue
            for source in origin.matches:
                files |= self._digests(f"{index}:", origin.tree, source, exclude)
        return files

    def _digests(
        self, prefix: str, tree: SourceTree, source: Source, exclude: IgnoreRules
    ) -> dict[str, str]:
        files: dict[str, str] = {}
        if self._wanted.parents:
            for path, entry in tree.ancestors(source):
                files[f"{prefix}{path}/"] = tree.digest(entry)
        for entry in tree.walk(source, exclude):
            self._around.cancel.check()
            if source.is_folder and not entry.below:
                # Only the contents are copied: the folder's own mode does not matter.
                files.setdefault(f"{prefix}{source.path}/", "")
                continue
            name = entry.path if source.is_folder else f"{entry.path}\0{source.name}"
            files[prefix + name] = tree.digest(entry)
        return files

    def _find(self, text: str) -> Iterator[Origin]:
        if self._remote and is_git_address(text):
            yield self._repository(text)
        elif self._remote and is_url(text):
            yield self._download(text)
        else:
            yield from self._local(text)

    def _local(self, text: str) -> Iterator[Origin]:
        around = self._around
        if self._context is None:
            assert self._chain is not None
            tree = around.tree_of(self._chain)
        else:
            tree = self._context.tree
        extra = around.contexts.extra if not self._wanted.from_ else None
        given: tuple[Source, ...] = ()
        if extra is not None:
            try:
                given = extra.find(text, parents=self._wanted.parents)
            except BuildError:
                given = ()
        try:
            matches = tree.find(text, parents=self._wanted.parents)
        except BuildError:
            if not given:
                raise
            matches = ()
        if not matches and not given:
            around.note(Finding(EMPTY_WILDCARD, f"nothing matches {text!r}", around.location))
        yield Origin(tree, matches)
        if given and extra is not None:
            yield Origin(extra, given)

    def _commit(self, text: str) -> str:
        if text not in self._commits:
            self._commits[text] = Git(self._around.cancel).commit(GitAddress.parse(text))
        return self._commits[text]

    def _repository(self, text: str) -> Origin:
        around, wanted = self._around, self._wanted
        commit = self._commit(text)
        if wanted.checksum and not commit.startswith(wanted.checksum.removeprefix("sha1:")):
            raise around.fail(f"{shown(text)} is at {commit}, not at {wanted.checksum}")
        folder = Git(around.cancel).checkout(
            GitAddress.parse(text), commit, around.scratch(), keep_git_dir=wanted.keep_git_dir
        )
        tree = SourceTree(around.stack.enter_context(Root(folder)))
        return Origin(tree, tree.find("/"), commit=commit)

    def _current(self, url: str) -> str:
        """Return the present file of an address; keep a downloaded one for the step."""
        around, memory = self._around, self._around.contexts.memory
        key = f"address:{digest_of(url.encode())}"
        data = memory.get(key) if memory is not None else None
        known = msgspec.json.decode(data, type=Validators) if data else None
        if known is not None:
            got = changed(url, known, around.scratch, around.cancel)
        else:
            got = download(url, around.scratch(), around.cancel)
        if got is not None:
            self._downloads[url] = got
            known = got.validators
            if memory is not None:
                memory.put(key, encode_json(known), "")
        assert known is not None  # only a file that was known is not sent
        return f"{known.digest} {known.name}"

    def _download(self, url: str) -> Origin:
        around, wanted = self._around, self._wanted
        got = self._downloads.get(url) or download(url, around.scratch(), around.cancel)
        if wanted.checksum and got.digest != wanted.checksum:
            raise around.fail(
                f"{shown(url)} has the digest {got.digest}, not {wanted.checksum}",
                hint="the file has changed, or --checksum is wrong",
            )
        tree = SourceTree(around.stack.enter_context(Root(got.path.parent)))
        [source] = tree.find(got.path.name)
        return Origin(tree, (source.named(got.name),), is_download=True)


def _is_remote(text: str) -> bool:
    return is_git_address(text) or is_url(text)
