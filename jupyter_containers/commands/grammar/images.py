"""The commands of images and registries."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FILTER,
    FORMAT,
    INSPECT,
    NO_TRUNC,
    PLATFORM,
    PRUNE,
    QUIET,
)
from jupyter_containers.commands.words import Flag, Operand, Verb

VERBS: tuple[Verb, ...] = (
    Verb(
        "images",
        "List images",
        "images:images",
        (
            Flag("all", "Also those without a name", "bool", "a"),
            Flag("digests", "Show digests", "bool"),
            FILTER,
            FORMAT,
            NO_TRUNC,
            QUIET,
        ),
        (Operand("reference", "REPOSITORY[:TAG]", "optional"),),
        ("image ls", "image list"),
    ),
    Verb(
        "history",
        "Show the history of an image",
        "images:history",
        (
            FORMAT,
            Flag("human", "Sizes and dates for people (default true)", "bool", "H"),
            NO_TRUNC,
            QUIET,
        ),
        (Operand("image", "IMAGE"),),
        ("image history",),
    ),
    Verb(
        "tag",
        "Give an image another name",
        "images:tag",
        (),
        (Operand("source", "SOURCE_IMAGE[:TAG]"), Operand("target", "TARGET_IMAGE[:TAG]")),
        ("image tag",),
    ),
    Verb(
        "rmi",
        "Remove images",
        "images:remove",
        (Flag("force", "Remove them although containers use them", "bool", "f"),),
        (Operand("images", "IMAGE", "some"),),
        ("image rm", "image remove"),
    ),
    Verb(
        "pull",
        "Download an image from a registry",
        "images:pull",
        (PLATFORM, Flag("quiet", "Show no progress", "bool", "q")),
        (Operand("reference", "NAME[:TAG|@DIGEST]"),),
        ("image pull",),
    ),
    Verb(
        "push",
        "Upload an image to a registry",
        "images:push",
        (Flag("quiet", "Show no progress", "bool", "q"),),
        (Operand("reference", "NAME[:TAG]"),),
        ("image push",),
    ),
    Verb(
        "import",
        "Make an image from a tar archive of a file system",
        "images:import_image",
        (Flag("change", "Apply a Dockerfile instruction", "list", "c"),),
        (Operand("file", "FILE|-"), Operand("reference", "REPOSITORY[:TAG]", "optional")),
        ("image import",),
        reads_stdin=True,
    ),
    Verb(
        "login",
        "Keep credentials for a registry",
        "images:login",
        (
            Flag("password", "Password", "text", "p"),
            Flag("password-stdin", "Read the password from the input", "bool"),
            Flag("username", "User name", "text", "u"),
        ),
        (Operand("server", "SERVER", "optional"),),
        reads_stdin=True,
    ),
    Verb(
        "logout",
        "Forget credentials for a registry",
        "images:logout",
        (),
        (Operand("server", "SERVER", "optional"),),
    ),
    Verb(
        "image inspect",
        "Show everything about images",
        "system:inspect_image",
        INSPECT,
        (Operand("names", "IMAGE", "some"),),
    ),
    Verb(
        "image prune",
        "Remove images that nothing uses",
        "system:prune_images",
        (Flag("all", "Also images with a name", "bool", "a"), *PRUNE),
    ),
)
