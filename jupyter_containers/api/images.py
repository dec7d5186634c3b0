"""Images: pull, import, list, inspect, tag, push, remove, search, prune, save and load."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from jupyter_containers.api.bodies import Fields
from jupyter_containers.api.call import Answer, Call
from jupyter_containers.api.credentials import lent
from jupyter_containers.api.errors import StatusError
from jupyter_containers.api.files import change_lines, tar_output
from jupyter_containers.api.progress import Lines, TransferProgress
from jupyter_containers.errors import ImageNotFoundError, InvalidArgumentError
from jupyter_containers.events import Event, TaskFinished
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.values import natural

if TYPE_CHECKING:
    from jupyter_containers.registry.search import FoundRepository

_BLOCK = 1 << 20
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def listed(call: Call) -> list[dict[str, Any]]:
    """Return the images that filters select, newest first."""
    query = call.query
    filters = query.filters()
    if query.text("filter"):
        filters["reference"] = (query.text("filter"),)
    return summaries(call, filters, everything=query.flag("all"))


def summaries(
    call: Call, filters: dict[str, tuple[str, ...]], *, everything: bool
) -> list[dict[str, Any]]:
    """Return images as Docker lists them."""
    images = call.engine.images
    found = []
    for image in images.list(filters, all=everything):
        config = images.catalog.config(image.record).config
        found.append(
            {
                "Id": image.id,
                "ParentId": image.record.parent,
                "RepoTags": list(image.names),
                "RepoDigests": list(image.digests),
                "Created": int(image.created.timestamp()) if image.created else 0,
                "Size": image.size,
                "VirtualSize": image.size,
                "SharedSize": -1,
                "Labels": dict(config.labels) or None,
                "Containers": -1,
            }
        )
    return found


def inspect(call: Call) -> dict[str, Any]:
    """Return everything about an image; with ``platform`` (JSON) of one that is for it."""
    wanted = call.query.document("platform", Platform)
    assert wanted is None or isinstance(wanted, Platform)
    platform = wanted.text if wanted else None
    document = call.engine.images.inspect(call.names["name"], platform=platform)
    if call.version < (1, 44):
        document["VirtualSize"] = document["Size"]
    return document


def history(call: Call) -> list[dict[str, Any]]:
    """Return the history of an image, newest step first."""
    names: dict[str, list[str]] = {}
    for image in call.engine.images.list():
        names.setdefault(image.id, []).extend(image.names)
    return [
        {
            "Id": entry.id or "<missing>",
            "Created": int(entry.created.timestamp()) if entry.created else 0,
            "CreatedBy": entry.created_by,
            "Tags": names.get(entry.id) if entry.id else None,
            "Size": entry.size,
            "Comment": entry.comment,
        }
        for entry in call.engine.images.history(call.names["name"])
    ]


class Platform(Fields):
    """The platform of an image, with the OCI's field names."""

    architecture: str = ""
    os: str = "linux"
    variant: str = ""

    @property
    def text(self) -> str:
        """The platform as ``os/architecture/variant``."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def distribution(call: Call) -> dict[str, Any]:
    """Return the digest and the platforms of a name in a registry."""
    name = call.names["name"]
    with call.engine.registries.lending(lent(call, name)):
        found = call.engine.registries.describe(name, cancel=call.cancel)
    return {
        "Descriptor": {
            "mediaType": found.descriptor.media_type,
            "digest": found.descriptor.digest,
            "size": found.descriptor.size,
        },
        "Platforms": [
            {
                "architecture": platform.architecture,
                "os": platform.os,
                **({"variant": platform.variant} if platform.variant else {}),
            }
            for platform in found.platforms
        ],
    }


def _with_tag(name: str, tag: str) -> str:
    """Return a name with the tag or digest that a request gives separately."""
    if not tag:
        return name
    return f"{name}@{tag}" if ":" in tag else f"{name}:{tag}"


def create(call: Call) -> None:
    """Pull an image, or import one from the body or an address, with progress."""
    if call.query.text("fromSrc"):
        _import(call)
    elif call.query.text("fromImage"):
        _pull(call)
    else:
        raise InvalidArgumentError("fromImage or fromSrc is required")


def _pull(call: Call) -> None:
    query = call.query
    name, tag = query.text("fromImage"), query.text("tag")
    given = _with_tag(name, tag)
    reference = Reference.parse(given)
    # In Docker's API a name alone means all tags of a repository; clients send the tag they mean.
    everything = not tag and given == name and reference.familiar != name and "@" not in name
    lines = Lines(call)
    progress = TransferProgress(lines, done="Pull complete", exists="Already exists")
    lines_of = _Outcome(progress)
    options: dict[str, Any] = {
        "emit": lines_of,
        "platform": query.text("platform") or None,
        "cancel": call.cancel,
    }
    with lines.errors(), _docker_words(given), call.engine.registries.lending(lent(call, given)):
        if everything:
            call.engine.images.pull(name, all_tags=True, **options)
        else:
            image = call.engine.images.pull(given, **options)
            lines.status(f"Digest: {image.record.index_digest or image.digest}")
        lines.status(f"Status: {lines_of.words} for {reference.familiar}")


@contextmanager
def _docker_words(name: str) -> Iterator[None]:
    """Raise Docker's message for an image missing in a registry: clients search for it."""
    try:
        yield
    except ImageNotFoundError as error:
        words = f"{name} not found: does not exist or no pull access"
        raise StatusError(404, f"{words} ({error.message})") from error


class _Outcome:
    """Passes events on, and keeps the final outcome."""

    def __init__(self, sink: TransferProgress) -> None:
        self._sink = sink
        self.words = "Image is up to date"

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskFinished) and event.detail.startswith("Downloaded newer image"):
            self.words = "Downloaded newer image"
        self._sink(event)


def _import(call: Call) -> None:
    query, source = call.query, call.query.text("fromSrc")
    name = _with_tag(query.text("repo"), query.text("tag")) if query.text("repo") else None
    given: str | BinaryIO
    if source == "-":
        given = cast("BinaryIO", io.BufferedReader(call.body, _BLOCK))
    elif source.startswith(("http://", "https://")):
        given = source
    else:
        raise InvalidArgumentError("fromSrc must be - or an address (http, https)")
    lines = Lines(call)
    with lines.errors():
        image = call.engine.images.import_archive(
            given,
            name,
            changes=change_lines(call),
            message=query.text("message"),
            platform=query.text("platform") or None,
            cancel=call.cancel,
        )
        lines.status(image.id)


def push(call: Call) -> None:
    """Send an image to its registry, with progress."""
    name, tag = call.names["name"], call.query.text("tag")
    given = _with_tag(name, tag)
    reference = Reference.parse(given)
    everything = not tag and reference.familiar != name
    lines = Lines(call)
    progress = TransferProgress(lines, done="Pushed", exists="Layer already exists")
    with lines.errors(), call.engine.registries.lending(lent(call, given)):
        images = call.engine.images
        found = {given: images.get(given)} if not everything else {}
        lines.status(f"The push refers to repository [{reference.registry}/{reference.repository}]")
        if everything:
            digests = images.push(name, all_tags=True, emit=progress, cancel=call.cancel)
        else:
            digests = {given: images.push(given, emit=progress, cancel=call.cancel)}
        for each, digest in digests.items():
            size = found[each].record.manifest.size if each in found else 0
            label = Reference.parse(each).tag or "latest"
            lines.status(f"{label}: digest: {digest} size: {size}")
            aux = {"Tag": label, "Digest": digest, "Size": size}
            lines.send({"progressDetail": {}, "aux": aux})


def tag(call: Call) -> Answer:
    """Give an image another name."""
    repository = call.query.text("repo")
    if not repository:
        raise InvalidArgumentError("repo is required: the new name of the image")
    call.engine.images.tag(call.names["name"], _with_tag(repository, call.query.text("tag")))
    return Answer(201, b"")


def remove(call: Call) -> list[dict[str, str]]:
    """Remove a name of an image, or the image."""
    query = call.query
    lines = call.engine.images.remove(
        call.names["name"], force=query.flag("force"), no_prune=query.flag("noprune")
    )
    return _deleted(lines)


def _deleted(lines: Sequence[str]) -> list[dict[str, str]]:
    """Return lines such as ``Untagged: name`` as Docker's rows."""
    return [dict([line.partition(": ")[::2]]) for line in lines]


def prune(call: Call) -> dict[str, Any]:
    """Remove untagged images; with ``dangling=false`` all images that no container uses."""
    filters = call.query.filters()
    dangling = filters.pop("dangling", ("true",))
    everything = dangling[-1].lower() in ("0", "false")
    result = call.engine.images.prune(all=everything, filters=filters)
    rows = _deleted([line[:1].upper() + line[1:] for line in result.removed])
    return {"ImagesDeleted": rows or None, "SpaceReclaimed": result.freed}


def search(call: Call) -> list[dict[str, Any]]:
    """Return the search results of a registry."""
    term = call.query.text("term")
    if not term:
        raise InvalidArgumentError("term is required: the text to search for")
    limit = call.query.whole("limit") or 25
    if not 1 <= limit <= 100:
        raise InvalidArgumentError("limit must be a number from 1 to 100")
    tests = _search_tests(call)
    return [
        {
            "name": found.name,
            "description": found.description,
            "star_count": found.stars,
            "is_official": found.official,
            "is_automated": found.automated,
        }
        for found in call.engine.registries.search(term, limit=limit, cancel=call.cancel)
        if all(test(found) for test in tests)
    ]


def _search_tests(call: Call) -> list[Callable[[FoundRepository], bool]]:
    """Return the tests of ``filters`` for a repository; raise for an unknown filter."""
    tests: list[Callable[[FoundRepository], bool]] = []
    for name, values in call.query.filters().items():
        text = values[-1] if values else ""
        if name == "stars" and (stars := natural(text)) is not None:
            tests.append(partial(_has_stars, stars))
        elif name in ("is-official", "is-automated") and text in _TRUTHS:
            tests.append(partial(_is, name.removeprefix("is-"), _TRUTHS[text]))
        else:
            raise InvalidArgumentError(f"invalid filter '{name}={text}'")
    return tests


def _has_stars(least: int, found: FoundRepository) -> bool:
    return found.stars >= least


def _is(word: str, wanted: bool, found: FoundRepository) -> bool:
    return bool(getattr(found, word)) == wanted


def save(call: Call) -> None:
    """Send images as one archive."""
    names = [call.names["name"]] if "name" in call.names else call.query.texts("names")
    if not names:
        raise InvalidArgumentError("names is required: the images to save")
    output = tar_output(call)
    call.engine.images.save(
        names,
        cast("BinaryIO", output),
        compression="none",
        platform=call.query.text("platform") or None,
        cancel=call.cancel,
    )
    output.finish()


def load(call: Call) -> None:
    """Load the images of an archive."""
    lines = Lines(call)
    source = cast("BinaryIO", io.BufferedReader(call.body, _BLOCK))
    with lines.errors(always=True):
        for image in call.engine.images.load(source, cancel=call.cancel):
            for name in image.names:
                lines.stream(f"Loaded image: {name}\n")
            if not image.names:
                lines.stream(f"Loaded image ID: {image.id}\n")
