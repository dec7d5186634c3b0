"""The commands of registries and manifest lists."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FILTER, FORMAT, NO_TRUNC
from jupyter_containers.commands.words import Call, Flag, Interrupted, Operand, Verb

_INSECURE = Flag("insecure", "Use the registry without TLS", "bool")
_LIST = Operand("name", "MANIFEST_LIST")

LOGIN = Verb(
    "login",
    "Store credentials for a registry",
    "registries:login",
    (
        Flag("password", "Password", "text", "p"),
        Flag("password-stdin", "Read the password from standard input", "bool"),
        Flag("username", "User name", "text", "u"),
    ),
    (Operand("server", "SERVER", "optional"),),
    reads_stdin=True,
    examples=(
        ("login localhost:5000", "asks for a user name and a password"),
        ("login -u ada --password-stdin localhost:5000", "the password from standard input"),
    ),
    interrupted=Interrupted("no credentials were stored"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "search",
        "Search Docker Hub, or another registry, for images",
        "registries:search",
        (FILTER, FORMAT, Flag("limit", "Maximum number of results (25)", "int"), NO_TRUNC),
        (Operand("term", "[REGISTRY/]TERM"),),
        examples=(("search --limit 5 python", "on Docker Hub"),),
    ),
    LOGIN,
    Verb(
        "logout",
        "Remove the credentials for a registry",
        "registries:logout",
        (),
        (Operand("server", "SERVER", "optional"),),
        examples=(("logout localhost:5000", ""),),
    ),
    Verb(
        "registry start",
        "Run a registry on this machine",
        "registries:start",
        (
            Flag("image", "Image to use instead of Debian's registry"),
            Flag("name", "Name of the container (registry)"),
            Flag("no-auth", "Allow pull and push without a password", "bool"),
            Flag("publish", "Address to listen on: [address:]port (5000)", "text", "p"),
            Flag("volume", "Volume for pushed images (NAME-data)", "text", "v", names="volume"),
        ),
        examples=(("registry start -p 5000", "push to localhost:5000 from now on"),),
    ),
    Verb(
        "registry stop",
        "Stop a registry on this machine; its volume stays",
        "registries:stop",
        (),
        (Operand("name", "NAME", "optional"),),
        examples=(("registry stop", ""),),
    ),
    Verb(
        "registry ls",
        "List the repositories and tags of a registry",
        "registries:repositories",
        (FORMAT, Flag("quiet", "Only names", "bool", "q")),
        (Operand("server", "SERVER", "optional"),),
        ("registry list",),
        examples=(("registry ls localhost:5000", ""),),
    ),
    Verb(
        "registry tags",
        "List the tags of a repository",
        Call("registries.tags", "lines"),
        (),
        (Operand("repository", "REPOSITORY"),),
        examples=(("registry tags localhost:5000/app", ""),),
    ),
    Verb(
        "registry referrers",
        "List artifacts that refer to an image: signatures, bills of materials",
        "registries:referrers",
        (
            Flag("artifact-type", "Show only this artifact type"),
            FORMAT,
            Flag("quiet", "Only digests", "bool", "q"),
        ),
        (Operand("name", "NAME[:TAG|@DIGEST]"),),
        examples=(("registry referrers localhost:5000/app:1", ""),),
    ),
    Verb(
        "registry rm",
        "Remove images from their registry",
        "registries:remove",
        (),
        (Operand("names", "NAME[:TAG|@DIGEST]", "some"),),
        ("registry remove",),
        examples=(("registry rm localhost:5000/app:1", ""),),
    ),
    Verb(
        "manifest create",
        "Create a manifest list: one name for several platforms",
        "registries:manifest_create",
        (Flag("amend", "Amend an existing list", "bool", "a"), _INSECURE),
        (_LIST, Operand("images", "MANIFEST", "some")),
        examples=(
            (
                "manifest create localhost:5000/app:all"
                " localhost:5000/app:amd localhost:5000/app:arm",
                "one name for both",
            ),
        ),
    ),
    Verb(
        "manifest annotate",
        "Set the platform of an image in a list",
        "registries:manifest_annotate",
        (
            Flag("arch", "Architecture"),
            Flag("os", "Operating system"),
            Flag("os-features", "Feature of the operating system", "list"),
            Flag("os-version", "Version of the operating system"),
            Flag("variant", "Variant of the architecture"),
        ),
        (_LIST, Operand("image", "MANIFEST")),
        examples=(
            ("manifest annotate --arch arm64 localhost:5000/app:all localhost:5000/app:arm", ""),
        ),
    ),
    Verb(
        "manifest inspect",
        "Show a manifest or list from a draft or a registry",
        "registries:manifest_inspect",
        (_INSECURE, Flag("verbose", "Also show reference, platform and digest", "bool", "v")),
        (Operand("name", "[MANIFEST_LIST] MANIFEST", "some"),),
        examples=(("manifest inspect localhost:5000/app:all", ""),),
    ),
    Verb(
        "manifest push",
        "Upload a list and its images to their registry",
        "registries:manifest_push",
        (
            _INSECURE,
            Flag("purge", "Remove the draft afterwards", "bool", "p"),
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        (_LIST,),
        examples=(("manifest push localhost:5000/app:all", ""),),
    ),
    Verb(
        "manifest rm",
        "Remove drafts of lists",
        Call("manifests.remove", "nothing", each="names"),
        (),
        (Operand("names", "MANIFEST_LIST", "some"),),
        examples=(("manifest rm localhost:5000/app:all", ""),),
    ),
)
