"""The commands of registries and of lists of manifests."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FILTER, FORMAT, NO_TRUNC
from jupyter_containers.commands.words import Flag, Operand, Verb

_INSECURE = Flag("insecure", "Reach the registry without TLS", "bool")
_LIST = Operand("name", "MANIFEST_LIST")

VERBS: tuple[Verb, ...] = (
    Verb(
        "search",
        "Search Docker Hub, or another registry, for images",
        "registries:search",
        (FILTER, FORMAT, Flag("limit", "Results at most (25)", "int"), NO_TRUNC),
        (Operand("term", "[REGISTRY/]TERM"),),
    ),
    Verb(
        "login",
        "Keep credentials for a registry",
        "registries:login",
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
        "registries:logout",
        (),
        (Operand("server", "SERVER", "optional"),),
    ),
    Verb(
        "registry start",
        "Run a registry on this machine",
        "registries:start",
        (
            Flag("image", "Another image than Debian's registry"),
            Flag("name", "Name of the container (registry)"),
            Flag("no-auth", "Let everybody who reaches it pull and push", "bool"),
            Flag("publish", "Where it listens: [address:]port (5000)", "text", "p"),
            Flag("volume", "Volume for what is pushed (NAME-data)", "text", "v", names="volume"),
        ),
    ),
    Verb(
        "registry stop",
        "Stop a registry of this machine; its volume stays",
        "registries:stop",
        (),
        (Operand("name", "NAME", "optional"),),
    ),
    Verb(
        "registry ls",
        "List the repositories and tags of a registry",
        "registries:repositories",
        (FORMAT, Flag("quiet", "Only names", "bool", "q")),
        (Operand("server", "SERVER", "optional"),),
        ("registry list",),
    ),
    Verb(
        "registry tags",
        "List the tags of a repository",
        "registries:tags",
        (),
        (Operand("repository", "REPOSITORY"),),
    ),
    Verb(
        "registry referrers",
        "List what points at an image: signatures, bills of materials",
        "registries:referrers",
        (
            Flag("artifact-type", "Only this kind"),
            FORMAT,
            Flag("quiet", "Only digests", "bool", "q"),
        ),
        (Operand("name", "NAME[:TAG|@DIGEST]"),),
    ),
    Verb(
        "registry rm",
        "Remove images from their registry",
        "registries:remove",
        (),
        (Operand("names", "NAME[:TAG|@DIGEST]", "some"),),
        ("registry remove",),
    ),
    Verb(
        "manifest create",
        "Make one name serve several platforms",
        "registries:manifest_create",
        (Flag("amend", "Add to a list that is there", "bool", "a"), _INSECURE),
        (_LIST, Operand("images", "MANIFEST", "some")),
    ),
    Verb(
        "manifest annotate",
        "Say which platform an image of a list is for",
        "registries:manifest_annotate",
        (
            Flag("arch", "Architecture"),
            Flag("os", "Operating system"),
            Flag("os-features", "Feature of the operating system", "list"),
            Flag("os-version", "Version of the operating system"),
            Flag("variant", "Variant of the architecture"),
        ),
        (_LIST, Operand("image", "MANIFEST")),
    ),
    Verb(
        "manifest inspect",
        "Show a manifest or list, of a draft or of a registry",
        "registries:manifest_inspect",
        (_INSECURE, Flag("verbose", "With reference, platform and digest", "bool", "v")),
        (Operand("name", "[MANIFEST_LIST] MANIFEST", "some"),),
    ),
    Verb(
        "manifest push",
        "Send a list and its images to their registry",
        "registries:manifest_push",
        (
            _INSECURE,
            Flag("purge", "Drop the draft afterwards", "bool", "p"),
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (_LIST,),
    ),
    Verb(
        "manifest rm",
        "Drop drafts of lists",
        "registries:manifest_remove",
        (),
        (Operand("names", "MANIFEST_LIST", "some"),),
    ),
)
