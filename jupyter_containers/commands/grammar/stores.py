"""The commands of image stores shared by a machine's users."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FORMAT
from jupyter_containers.commands.words import Flag, Operand, Verb

_STORE = Flag("store", "Folder of the shared store (/var/lib/jupyter-containers-shared)")
_IMAGES = Operand("images", "IMAGE", "some")
_USERS = Operand("users", "USER", "some")

VERBS: tuple[Verb, ...] = (
    Verb(
        "store share",
        "Share images read-only with all users of this machine",
        "stores:share",
        (_STORE, Flag("quiet", "Show no progress", "bool", "q")),
        (_IMAGES,),
        examples=(("store share python:3.11-slim", "as root: available to all users immediately"),),
    ),
    Verb(
        "store unshare",
        "Remove images from a shared store",
        "stores:unshare",
        (_STORE,),
        (_IMAGES,),
        examples=(("store unshare python:3.11-slim", ""),),
    ),
    Verb(
        "store ls",
        "List the shared stores in use",
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
        examples=(("store map alice bob", "as root: their containers need no copies of layers"),),
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
