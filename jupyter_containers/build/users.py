"""Resolves names of users and groups by an image's own passwd and group files.

``--chown=user[:group]``: without a group it is the user's own group (by passwd), or for a number
the same number, as in BuildKit.
"""

from __future__ import annotations

from jupyter_containers.lazy_dataclasses import dataclass

_MAX_ID = 2**32 - 2


@dataclass(frozen=True, slots=True)
class Owner:
    """IDs of user and group; ``unknown`` are names that the image does not have."""

    uid: int
    gid: int
    unknown: tuple[str, ...] = ()


ROOT_OWNER = Owner(0, 0)


def owner(text: str, passwd: str, group: str) -> Owner:
    """Return the owner named by ``text``; an unknown name counts as 0."""
    user_text, _, group_text = text.partition(":")
    uid, gid, unknown = 0, 0, []
    if user_text.isdecimal():
        uid = gid = _bounded(user_text)
    elif user_text:
        fields = _record(passwd, user_text, 4)
        if fields:
            uid, gid = _bounded(fields[2]), _bounded(fields[3])
        else:
            unknown.append(user_text)
    if group_text.isdecimal():
        gid = _bounded(group_text)
    elif group_text:
        fields = _record(group, group_text, 3)
        gid = _bounded(fields[2]) if fields else gid
        if not fields:
            unknown.append(group_text)
    return Owner(uid, gid, tuple(unknown))


def _record(database: str, name: str, count: int) -> list[str] | None:
    for line in database.splitlines():
        fields = line.split(":")
        if len(fields) >= count and fields[0] == name:
            return fields
    return None


def _bounded(text: str) -> int:
    number = int(text) if text.isdecimal() and len(text) < 12 else 0
    return number if number <= _MAX_ID else 0
