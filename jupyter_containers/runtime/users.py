"""The user of a container's process: names resolved by the image's passwd and group files.

Pure: the caller reads the texts safely below the container's root.  The grammar is Docker's
``--user``: ``name | uid [:group | :gid]``.  passwd(5), group(5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jupyter_containers.errors import InvalidArgumentError, UnknownUserError
from jupyter_containers.lazy_dataclasses import dataclass

MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class User:
    """Numeric IDs of a process; ``name`` is empty for a number without a passwd entry."""

    uid: int = 0
    gid: int = 0
    additional_gids: tuple[int, ...] = ()
    home: str = "/root"
    name: str = "root"

    def spec(self) -> dict[str, object]:
        """Return ``process.user`` of the OCI Runtime Specification 1.1.

        The primary group is repeated among the additional ones: otherwise a process could drop a
        group that negative permissions rely on.
        """
        groups = list(dict.fromkeys((self.gid, *self.additional_gids)))
        return {"uid": self.uid, "gid": self.gid, "additionalGids": groups}


def resolve_user(
    text: str, passwd: str = "", group: str = "", group_add: Sequence[str] = ()
) -> User:
    """Return the user for ``text`` in an image; an empty text means root.

    A number needs no entry.  Raises :class:`InvalidArgumentError` for a name without an entry and
    for IDs out of range.
    """
    user_part, colon, group_part = text.strip().partition(":")
    if colon and not group_part:
        group_part = ""
    user = _base_user(user_part, passwd, default=not text.strip())
    if group_part:
        gid = _group_id(group_part, group)
        additional: tuple[int, ...] = ()
    else:
        gid = user.gid
        additional = tuple(
            number for _, number, members in _groups(group) if user.name and user.name in members
        )
    extra = tuple(_group_id(name, group) for name in group_add)
    return User(user.uid, gid, tuple(dict.fromkeys((*additional, *extra))), user.home, user.name)


def _base_user(text: str, passwd: str, *, default: bool) -> User:
    wanted = "0" if default or not text else text
    number = _number(wanted, "user")
    entries = list(_users(passwd))
    for user in entries:
        if user.name == wanted:
            return user
    if number is None:
        raise UnknownUserError(
            f"unable to find user {text}: no matching entries in passwd file",
            hint="use a numeric id, or a user that the image's /etc/passwd lists",
        )
    for user in entries:
        if user.uid == number:
            return user
    return User(number, 0, (), "/root" if number == 0 and not passwd else "/", "")


def _group_id(text: str, group: str) -> int:
    number = _number(text, "group")
    for name, gid, _ in _groups(group):
        if name == text:
            return gid
    if number is None:
        raise UnknownUserError(
            f"unable to find group {text}: no matching entries in group file",
            hint="use a numeric id, or a group that the image's /etc/group lists",
        )
    return number


def _number(text: str, what: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text) > 10 or int(text) > MAX_ID:
        raise InvalidArgumentError(f"{what} id {text[:20]} is not in the range 0-{MAX_ID}")
    return int(text)


def _users(passwd: str) -> Iterator[User]:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) < 6 or line.startswith("#"):
            continue
        uid, gid = _entry_id(fields[2]), _entry_id(fields[3])
        if uid is not None and gid is not None:
            yield User(uid, gid, (), fields[5] or "/", fields[0])


def _groups(group: str) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    for line in group.splitlines():
        fields = line.split(":")
        if len(fields) < 4 or line.startswith("#"):
            continue
        gid = _entry_id(fields[2])
        if gid is not None:
            yield fields[0], gid, tuple(name.strip() for name in fields[3].split(",") if name)


def _entry_id(text: str) -> int | None:
    # The image is hostile input: an entry out of range is ignored.
    valid = text.isascii() and text.isdigit() and len(text) <= 10 and int(text) <= MAX_ID
    return int(text) if valid else None
