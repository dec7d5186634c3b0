"""Verbs of images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jupyter_containers.commands.render.quantities import ago, human_size, timestamp
from jupyter_containers.commands.render.results import Lines, Table, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import (
    accept_trust,
    each,
    filters_of,
    labels_text,
    listing,
    platform_of,
    progress_of,
)
from jupyter_containers.commands.words import Parsed
from jupyter_containers.engine.frames import IMAGE_FIELDS
from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.oci.reference import Reference

_IMAGES = (
    Column("Repository", "REPOSITORY"),
    Column("Tag", "TAG"),
    Column("ID", "IMAGE ID"),
    Column("CreatedSince", "CREATED"),
    Column("Size", "SIZE"),
)
_DIGEST = Column("Digest", "DIGEST")
_NONE = "<none>"


def images(session: Session, parsed: Parsed) -> Any:
    """Return the images; one with several names has several rows."""
    if parsed.flag("tree"):
        return _tree(session, parsed)
    filters = filters_of(parsed) or {}
    if parsed.operands["reference"]:
        filters["reference"] = [parsed.operands["reference"]]
    found = session.engine.images(filters=filters or None, all=parsed.flag("all", False))
    full = parsed.flag("no_trunc", False)
    columns = (*_IMAGES[:2], _DIGEST, *_IMAGES[2:]) if parsed.flag("digests") else _IMAGES
    return listing(
        found,
        columns,
        lambda image: image_rows(image, full),
        parsed,
        more=(_DIGEST, Column("CreatedAt", "CREATED AT"), Column("Labels", "LABELS")),
        empty="no images",
        frame=IMAGE_FIELDS,
    )


def _tree(session: Session, parsed: Parsed) -> Text:
    if parsed.operands["reference"] or len(parsed.flags) > 1:
        raise InvalidArgumentError("--tree shows all images and takes no other flag or name")
    from jupyter_containers.commands.render.layers import tree_lines

    def shown(nodes: Any) -> list[tuple[str, Any]]:
        return [
            (
                "  ".join([node.short_id or "(no layers)", human_size(node.size), *node.images]),
                shown(node.children),
            )
            for node in nodes
        ]

    return Text("\n".join(tree_lines(shown(session.engine.images.tree()))))


def layers(session: Session, parsed: Parsed) -> Any:
    """Return the layers of an image."""
    from jupyter_containers.commands.render.layers import Layers

    found = session.engine.images.layers(parsed.operands["image"])
    return Layers(found, with_files=parsed.flag("files", False))


def diff(session: Session, parsed: Parsed) -> Any:
    """Return the differences between two images, or the changes of one container."""
    first, second = parsed.operands["name"], parsed.operands["second"]
    if second is None:
        from jupyter_containers.commands.execute import perform
        from jupyter_containers.commands.grammar.containers import CHANGES

        return perform(session, Parsed(CHANGES, operands={"name": first}))
    from jupyter_containers.commands.render.layers import Differences

    return Differences(session.engine.images.diff(first, second))


def image_rows(image: Any, full: bool) -> Iterator[Row]:
    """Yield Docker's fields of one image, once for every name."""
    created = image.created
    digests = [str(digest).rpartition("@")[2] for digest in getattr(image, "digests", ())]
    for name in list(image.names) or [f"{_NONE}:{_NONE}"]:
        repository, tag = _split_name(str(name))
        yield {
            "Repository": repository,
            "Tag": tag,
            "ID": image.id if full else image.short_id,
            "Digest": digests[0] if digests else _NONE,
            "CreatedSince": ago(created),
            "CreatedAt": timestamp(created),
            "Size": human_size(image.size),
            "Labels": labels_text(getattr(image, "labels", None)),
            # Counted by "system df -v" only, as with Docker.
            **dict.fromkeys(("Containers", "SharedSize", "UniqueSize"), "N/A"),
        }


def _split_name(name: str) -> tuple[str, str]:
    repository, at, _ = name.partition("@")
    if at:
        return repository, _NONE
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, _NONE)


_HISTORY = (
    Column("ID", "IMAGE"),
    Column("CreatedSince", "CREATED"),
    Column("CreatedBy", "CREATED BY"),
    Column("Size", "SIZE"),
    Column("Comment", "COMMENT"),
)
_CREATED_BY_WIDTH = 45


def history(session: Session, parsed: Parsed) -> Any:
    """Return the history of an image, newest step first."""
    full, human = parsed.flag("no_trunc", False), parsed.flag("human", True)
    return listing(
        session.engine.images.history(parsed.operands["image"], **platform_of(parsed)),
        _HISTORY,
        lambda entry: [_history_row(entry, full, human)],
        parsed,
        more=(Column("CreatedAt", "CREATED AT"),),
        frame=("id", "created", "created_by", "size", "comment", "empty_layer"),
    )


def _history_row(entry: Any, full: bool, human: bool) -> Row:
    identifier = str(entry.id or "<missing>")
    created_by = str(entry.created_by).replace("\t", " ").replace("\n", " ")
    if not full:
        identifier = identifier.removeprefix("sha256:")[:12]
        if len(created_by) > _CREATED_BY_WIDTH:
            created_by = created_by[: _CREATED_BY_WIDTH - 1] + "…"
    return {
        "ID": identifier,
        "CreatedSince": ago(entry.created) if human else timestamp(entry.created),
        "CreatedAt": timestamp(entry.created),
        "CreatedBy": created_by,
        "Size": human_size(entry.size) if human else str(entry.size),
        "Comment": entry.comment,
    }


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove images; return the untagged and deleted ones; ``--force`` ignores missing ones."""
    engine, force = session.engine, parsed.flag("force", False)
    no_prune = parsed.flag("no_prune", False)

    def attempt(name: str) -> list[str]:
        try:
            return engine.images.remove(name, force=force, no_prune=no_prune)
        except NotFoundError:
            if force:
                return []
            raise

    def shown(removed: Sequence[Sequence[str]]) -> Lines[str]:
        return Lines(line for lines in removed for line in lines)

    return shown(each(parsed.operands["images"], attempt, shown))


def pull(session: Session, parsed: Parsed) -> Any:
    """Pull an image and return it; with ``-a`` all images of a repository."""
    accept_trust(parsed)
    name, platform = parsed.operands["reference"], parsed.flag("platform")
    with progress_of(session, parsed) as emit:
        if parsed.flag("all_tags"):
            found = session.engine.pull(name, all_tags=True, platform=platform, emit=emit)
            return _of_repository(found, name, parsed)
        return session.engine.pull(name, platform=platform, emit=emit)


def _of_repository(found: Sequence[Any], name: str, parsed: Parsed) -> Table[Any] | Lines[str]:
    """Return a table of a repository's images, or with ``-q`` their names."""
    own = Reference.parse(name).familiar_name

    def rows(image: Any) -> list[Row]:
        return [row for row in image_rows(image, False) if row["Repository"] == own]

    # An image with several tags was pulled once for each, and is shown once with all of them.
    table = Table({image.id: image for image in found}.values(), _IMAGES, rows)
    if parsed.flag("quiet"):
        return Lines(f"{row['Repository']}:{row['Tag']}" for row in table.rows())
    return table


def push(session: Session, parsed: Parsed) -> Text | Lines[str]:
    """Push an image and return its digest in the registry; with ``-a`` one for each tag.

    With ``-q`` return the name, as in Docker.
    """
    reference = parsed.operands["reference"]
    accept_trust(parsed)
    flags = {key: parsed.flags[key] for key in ("compression", "platform") if key in parsed.flags}
    with progress_of(session, parsed) as emit:
        if parsed.flag("all_tags"):
            sent = session.engine.push(reference, all_tags=True, emit=emit, **flags)
            if parsed.flag("quiet"):
                return Text(Reference.parse(reference).familiar_name)
            return Lines(f"{name.rpartition(':')[2]}: {digest}" for name, digest in sent.items())
        digest = session.engine.push(reference, emit=emit, **flags)
    return Text(Reference.parse(reference).familiar if parsed.flag("quiet") else digest)


def import_image(session: Session, parsed: Parsed) -> Any:
    """Create an image from an archive and return it."""
    file: Any = parsed.operands["file"]
    if file == "-":
        if session.stdin is None:
            raise InvalidArgumentError("import - needs an archive as input", hint="name a file")
        from io import BytesIO

        file = BytesIO(session.stdin) if isinstance(session.stdin, bytes) else session.stdin
    return session.engine.images.import_archive(
        file,
        parsed.operands["reference"],
        changes=tuple(parsed.flag("change") or ()),
        **{key: parsed.flags[key] for key in ("message", "platform") if key in parsed.flags},
    )


def save(session: Session, parsed: Parsed) -> None:
    """Write images to a file, or to standard output."""
    output = parsed.flag("output") or session.binary_output
    if output is None:
        raise InvalidArgumentError(
            "save has no output", hint="name a file with --output, or redirect"
        )
    with progress_of(session, parsed) as emit:
        session.engine.images.save(
            parsed.operands["images"],
            output,
            format=parsed.flag("format", "docker-archive"),
            compression=parsed.flag("compression"),
            platform=parsed.flag("platform"),
            emit=emit,
        )


def load(session: Session, parsed: Parsed) -> Loaded:
    """Load the images of an archive and return them."""
    source: Any = parsed.flag("input")
    if source is None:
        given = session.stdin
        if not given or (not isinstance(given, bytes) and given.isatty()):
            raise InvalidArgumentError("load needs an archive", hint="name a file with --input")
        source = given
    with progress_of(session, parsed) as emit:
        return Loaded(
            session.engine.images.load(source, platform=parsed.flag("platform"), emit=emit)
        )


class Loaded(Lines[Any]):
    """The images loaded from an archive, with Docker's text."""

    def __str__(self) -> str:
        return "\n".join(
            line
            for image in self
            for line in (
                [f"Loaded image: {name}" for name in image.names]
                or [f"Loaded image ID: {image.id}"]
            )
        )

    __repr__ = __str__
