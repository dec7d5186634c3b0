"""Verbs of registries: search, login, list, remove, local registries, manifest lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_containers.commands.render.quantities import human_size
from jupyter_containers.commands.render.results import JSONObject, Lines, Table, Text
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import (
    each,
    filters_of,
    listing,
    progress_of,
    read_text,
)
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_modules import json
from jupyter_containers.options.values import natural

HUB = "docker.io"
_FOUND = (
    Column("Name", "NAME"),
    Column("Description", "DESCRIPTION"),
    Column("StarCount", "STARS"),
    Column("IsOfficial", "OFFICIAL"),
)
_DESCRIPTION_WIDTH = 45
_WORDS = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}


def search(session: Session, parsed: Parsed) -> Any:
    """Return the repositories that match a term, the best first."""
    found = session.engine.registries.search(
        parsed.operands["term"], limit=parsed.flag("limit", 25)
    )
    kept = [each for each in found if _fits(each, filters_of(parsed) or {})]
    full = parsed.flag("no_trunc", False)
    more = (Column("IsAutomated", "AUTOMATED"),)
    return listing(
        kept,
        _FOUND,
        lambda item: [_found_row(item, full)],
        parsed,
        more=more,
        empty="nothing found",
    )


def _found_row(item: Any, full: bool) -> Row:
    text = " ".join(item.description.split())
    if not full and len(text) > _DESCRIPTION_WIDTH:
        text = text[: _DESCRIPTION_WIDTH - 1] + "…"
    return {
        "Name": item.name,
        "Description": text,
        "StarCount": str(item.stars),
        "IsOfficial": "[OK]" if item.official else "",
        "IsAutomated": "[OK]" if item.automated else "",
    }


def _fits(item: Any, filters: dict[str, list[str]]) -> bool:
    for key, values in filters.items():
        for value in values:
            if key == "stars" and (least := natural(value)) is not None:
                fits = item.stars >= least
            elif key in ("is-official", "is-automated") and value.lower() in _WORDS:
                own = item.official if key == "is-official" else item.automated
                fits = own == _WORDS[value.lower()]
            else:
                raise InvalidArgumentError(
                    f"invalid filter '{key}={value}'",
                    hint="stars=NUMBER, is-official=true|false or is-automated=true|false",
                )
            if not fits:
                return False
    return True


def login(session: Session, parsed: Parsed) -> Text:
    """Store credentials; the password preferably comes from the input or from a prompt."""
    server = _server(parsed.operands["server"])
    username, password = parsed.flag("username"), parsed.flag("password")
    if parsed.flag("password_stdin"):
        if password is not None:
            raise InvalidArgumentError("--password and --password-stdin exclude each other")
        if not username:
            raise InvalidArgumentError("Must provide --username with --password-stdin")
        password = read_text(session, "the password").rstrip("\r\n")
        return _logged_in(session, server, username, password)
    warning = ""
    if password is not None:
        warning = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n"
    if not username and password is None and session.engine.registries.relogin(server):
        return Text("Authenticating with existing credentials...\nLogin Succeeded")
    username = username or _ask(f"Username for {server}: ", secret=False)
    if password is None:
        password = _ask(f"Password of {username} at {server}: ", secret=True)
    return _logged_in(session, server, username, password, warning)


def _logged_in(
    session: Session, server: str, username: str, password: str, warning: str = ""
) -> Text:
    if not username or not password:
        raise InvalidArgumentError("login needs a user name and a password")
    kept = session.engine.registries.login(server, username, password)
    if not kept.startswith("docker-credential-"):
        warning += f"WARNING! Your password will be stored unencrypted in {kept}.\n"
    return Text(f"{warning}Login Succeeded")


def _ask(question: str, *, secret: bool) -> str:
    """Ask the user and return the answer; a notebook shows an input (or password) field."""
    from getpass import getpass

    try:
        return (getpass if secret else input)(question).strip("\r\n")
    except (EOFError, RuntimeError, OSError) as error:
        # A kernel raises a subclass of RuntimeError if its front end cannot ask (nbconvert).
        if not isinstance(error, EOFError) and type(error).__name__ != "StdinNotImplementedError":
            raise
        raise InvalidArgumentError(
            "cannot ask for a password here",
            hint="use --username NAME --password-stdin",
        ) from error


def _server(given: str | None) -> str:
    """Return a registry's name from the argument of ``login``: a host or a URL."""
    if not given:
        return HUB
    host = given.partition("://")[2] or given
    host = host.partition("/")[0]
    return HUB if host in ("index.docker.io", "registry-1.docker.io") else host


def logout(session: Session, parsed: Parsed) -> Text:
    """Remove stored credentials."""
    server = _server(parsed.operands["server"])
    if session.engine.registries.logout(server):
        return Text(f"Removing login credentials for {server}")
    return Text(f"Not logged in to {server}")


def start(session: Session, parsed: Parsed) -> Any:
    """Start a registry on this machine and return it."""
    with session.progress() as emit:
        return session.engine.registries.start(
            parsed.flag("name", "registry"),
            publish=parsed.flag("publish", "5000"),
            volume=parsed.flag("volume", ""),
            image=parsed.flag("image", ""),
            auth=not parsed.flag("no_auth", False),
            emit=emit,
        )


def stop(session: Session, parsed: Parsed) -> Text:
    """Stop and remove a registry on this machine."""
    return Text(session.engine.registries.stop(parsed.operands["name"] or "registry").name)


_REPOSITORIES = (Column("Name", "REPOSITORY"), Column("Tags", "TAGS"))


def repositories(session: Session, parsed: Parsed) -> Table[Any] | Lines[str] | Text:
    """Return the repositories of a registry, by default of those that run here."""
    server = parsed.operands["server"]
    servers = [server] if server else [each.address for each in session.engine.registries.list()]
    if not servers:
        raise InvalidArgumentError(
            "no registry runs here", hint="name one, or start one: registry start"
        )
    found = [item for name in servers for item in session.engine.registries.repositories(name)]

    def rows(item: Any) -> Iterable[Row]:
        return [{"Name": item.name, "Tags": list(item.tags)}]

    return listing(found, _REPOSITORIES, rows, parsed, quiet="Name", empty="no repositories")


_REFERRERS = (
    Column("Digest", "DIGEST"),
    Column("ArtifactType", "ARTIFACT TYPE"),
    Column("Size", "SIZE"),
)


def referrers(session: Session, parsed: Parsed) -> Table[Any] | Lines[str] | Text:
    """Return the artifacts that refer to an image in its registry."""
    found = session.engine.registries.referrers(
        parsed.operands["name"], artifact_type=parsed.flag("artifact_type", "")
    )

    def rows(item: Any) -> Iterable[Row]:
        kind = item.artifact_type or item.media_type
        return [{"Digest": item.digest, "ArtifactType": kind, "Size": human_size(item.size)}]

    return listing(
        found, _REFERRERS, rows, parsed, quiet="Digest", empty="no artifact refers to it"
    )


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove images from their registry and return their digests."""
    return Lines(each(parsed.operands["names"], session.engine.registries.remove))


def manifest_create(session: Session, parsed: Parsed) -> Text:
    """Create the draft of a manifest list."""
    name = parsed.operands["name"]
    session.engine.manifests.create(
        name,
        parsed.operands["images"],
        amend=parsed.flag("amend", False),
        insecure=parsed.flag("insecure", False),
    )
    return Text(f"Created manifest list {_complete(name)}")


def _complete(name: str) -> str:
    from jupyter_containers.oci.reference import Reference

    return str(Reference.parse(name))


def manifest_annotate(session: Session, parsed: Parsed) -> None:
    """Change the platform of an image in a draft."""
    facts = {key: parsed.flag(key) for key in ("os", "arch", "variant", "os_version")}
    session.engine.manifests.annotate(
        parsed.operands["name"],
        parsed.operands["image"],
        os_features=parsed.flag("os_features") or (),
        **{key: value for key, value in facts.items() if value},
    )


def manifest_inspect(session: Session, parsed: Parsed) -> JSONObject:
    """Return a manifest or list as JSON."""
    import msgspec

    names = parsed.operands["name"]
    if len(names) > 2:
        raise InvalidArgumentError("manifest inspect takes a manifest, or a list and a manifest")
    found = session.engine.manifests.inspect(*names, insecure=parsed.flag("insecure", False))
    raw = getattr(found, "data", None)
    if not isinstance(raw, bytes):
        return JSONObject(msgspec.to_builtins(found))
    document = json.loads(raw)
    if not parsed.flag("verbose"):
        return JSONObject(document)
    descriptor: Any = found
    kind = "ManifestList" if "manifests" in document else "Manifest"
    return JSONObject(
        {
            "Ref": _complete(names[-1]),
            "Descriptor": msgspec.to_builtins(descriptor.descriptor),
            kind: document,
        }
    )


def manifest_push(session: Session, parsed: Parsed) -> Text:
    """Push a list and return its digest in the registry."""
    with progress_of(session, parsed) as emit:
        return Text(
            session.engine.manifests.push(
                parsed.operands["name"],
                purge=parsed.flag("purge", False),
                insecure=parsed.flag("insecure", False),
                emit=emit,
            )
        )
