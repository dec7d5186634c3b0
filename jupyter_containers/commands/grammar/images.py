"""The commands of images and registries."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FILTER,
    FORMAT,
    INSPECT,
    NO_TRUNC,
    PRUNE,
    QUIET,
)
from jupyter_containers.commands.words import Flag, Operand, Verb
from jupyter_containers.options.flags import CONTENT_TRUST, PLATFORM

VERBS: tuple[Verb, ...] = (
    Verb(
        "images",
        "List images",
        "images:images",
        (
            Flag("all", "Also those that an image has for other platforms", "bool", "a"),
            Flag("digests", "Show digests", "bool"),
            FILTER,
            FORMAT,
            NO_TRUNC,
            QUIET,
            Flag("tree", "Show the layers as the tree in which they stand on each other", "bool"),
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
            PLATFORM,
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
        (
            Flag("force", "Remove them although containers use them", "bool", "f"),
            Flag("no-prune", "Leave their layers to the next prune", "bool"),
        ),
        (Operand("images", "IMAGE", "some"),),
        ("image rm", "image remove"),
    ),
    Verb(
        "pull",
        "Download an image from a registry",
        "images:pull",
        (
            Flag("all-tags", "All tags of the repository", "bool", "a"),
            CONTENT_TRUST,
            PLATFORM,
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (Operand("reference", "NAME[:TAG|@DIGEST]"),),
        ("image pull",),
    ),
    Verb(
        "push",
        "Upload an image to a registry",
        "images:push",
        (
            Flag("all-tags", "All names that images have in the repository", "bool", "a"),
            Flag("compression", "Compress layers for the registry: gzip, zstd or none"),
            CONTENT_TRUST,
            PLATFORM,
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (Operand("reference", "NAME[:TAG]"),),
        ("image push",),
    ),
    Verb(
        "import",
        "Make an image from a tar archive of a file system",
        "images:import_image",
        (
            Flag("change", "Apply a Dockerfile instruction", "list", "c"),
            Flag("message", "Comment in the image's history", "text", "m"),
            PLATFORM,
        ),
        (Operand("file", "FILE|URL|-"), Operand("reference", "REPOSITORY[:TAG]", "optional")),
        ("image import",),
        reads_stdin=True,
    ),
    Verb(
        "save",
        "Write images to an archive",
        "images:save",
        (
            Flag("compression", "gzip, zstd or none (by default as the file's suffix says)"),
            Flag("format", "docker-archive (default; also an OCI layout) or oci-archive"),
            Flag("output", "Write to a file instead of the output", "text", "o", "file"),
            PLATFORM,
        ),
        (Operand("images", "IMAGE", "some"),),
        ("image save",),
    ),
    Verb(
        "load",
        "Read images from an archive",
        "images:load",
        (
            Flag(
                "input",
                "Read a file, or a layout's folder, instead of the input",
                "text",
                "i",
                "file",
            ),
            PLATFORM,
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (),
        ("image load",),
        reads_stdin=True,
    ),
    Verb(
        "layers",
        "Show what each layer of an image adds, changes, removes and wastes",
        "images:layers",
        (Flag("files", "List the files of every layer in the text too", "bool"),),
        (Operand("image", "IMAGE"),),
        ("image layers",),
    ),
    Verb(
        "diff",
        "Show what a container changed, or how files, settings and sizes of two images differ",
        "images:diff",
        (),
        (Operand("name", "CONTAINER|IMAGE"), Operand("second", "IMAGE", "optional")),
        ("image diff",),
    ),
    Verb(
        "image inspect",
        "Show everything about images",
        "system:inspect_image",
        (*INSPECT, PLATFORM),
        (Operand("names", "IMAGE", "some"),),
    ),
    Verb(
        "image prune",
        "Remove images that nothing uses",
        "system:prune_images",
        (Flag("all", "Also images with a name", "bool", "a"), *PRUNE),
    ),
)
