"""The commands of image stores that a machine's users share."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FORMAT
from jupyter_containers.commands.words import Flag, Operand, Verb

_STORE = Flag("store", "Folder of the shared store (/var/lib/jupyter-containers-shared)")
_IMAGES = Operand("images", "IMAGE", "some")
_USERS = Operand("users", "USER", "some")

VERBS: tuple[Verb, ...] = (
    Verb(
        "store share",
        "Let all users of this machine use images, and nobody change them",
        "stores:share",
        (_STORE, Flag("quiet", "Show no progress", "bool", "q")),
        (_IMAGES,),
        examples=(("store share python:3.11-slim", "as root: everybody has it at once"),),
    ),
    Verb(
        "store unshare",
        "Take images out of a shared store",
        "stores:unshare",
        (_STORE,),
        (_IMAGES,),
        examples=(("store unshare python:3.11-slim", ""),),
    ),
    Verb(
        "store ls",
        "List the shared stores that are used here",
        "stores:ls",
        (FORMAT,),
        (),
        ("store list",),
        examples=(("store ls", ""),),
    ),
    Verb(
        "store map",
        "Let users' containers use shared layers in place (as root, until the next boot)",
        "stores:map_users",
        (),
        (_USERS,),
        examples=(("store map alice bob", "as root: their containers need no copy"),),
    ),
    Verb(
        "store unmap",
        "Undo store map",
        "stores:unmap_users",
        (),
        (_USERS,),
        examples=(("store unmap alice", ""),),
    ),
)
