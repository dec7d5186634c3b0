"""The options of ``build``: one declaration each (see :mod:`.flags`)."""

# Annotations are values here: the grammar reads them.
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

from jupyter_containers.options.flag import Flag
from jupyter_containers.options.flags import PLATFORM
from jupyter_containers.options.given import Number, Pairs, Switch, Text, Texts

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_containers.options.output import BuildOutput

    PathText = Path | str | None
    Contexts = Mapping[str, Any] | Texts
    Outputs = Iterable[BuildOutput]
else:  # types of modules that are not loaded for the grammar
    PathText = Contexts = Outputs = object


class BuildFlags(TypedDict, total=False):
    """Options of ``build``; options of front ends only are in the grammar."""

    add_host: Annotated[
        Texts,
        Flag(help="Add a host-to-IP line for RUN steps (host:ip)", kind="list", reads="hosts"),
    ]
    allow: Annotated[
        Texts, Flag(help="Grant an entitlement (network.host, security.insecure)", kind="list")
    ]
    annotation: Annotated[Texts, Flag(help="Annotate the image (key=value)", kind="list")]
    build_arg: Annotated[Pairs, Flag(help="Set a build argument", kind="list")]
    build_context: Annotated[
        Contexts,
        Flag(help="Additional build context (NAME=PATH, URL, docker-image://…)", kind="list"),
    ]
    cache_from: Annotated[
        Texts, Flag(help="Source of cached steps (an image, or type=…)", kind="list", names="image")
    ]
    cache_to: Annotated[
        Texts, Flag(help="Export the build cache (type=registry|local|inline)", kind="list")
    ]
    file: Annotated[
        PathText,
        Flag(help="The Dockerfile (default PATH/Dockerfile, - for standard input)", short="f"),
    ]
    format: Annotated[Text, Flag(help="Format of the image: oci or docker")]
    iidfile: Annotated[PathText, Flag(help="Write the image ID to a file")]
    isolation: Annotated[
        Text,
        Flag(
            help="Isolation of RUN steps: oci (a container) or chroot (only a root directory)",
            values=("default", "oci", "chroot"),
        ),
    ]
    label: Annotated[Pairs, Flag(help="Set a label", kind="list")]
    load: Annotated[Switch, Flag(help="Short for --output=type=docker", kind="bool")]
    metadata_file: Annotated[PathText, Flag(help="Write the metadata of the result to a file")]
    network: Annotated[
        Text, Flag(help="Network of RUN steps", values=("bridge", "host", "none"), names="network")
    ]
    no_cache: Annotated[Switch, Flag(help="Do not use the cache", kind="bool")]
    no_cache_filter: Annotated[
        Texts, Flag(help="Do not use the cache for these stages", kind="list")
    ]
    output: Annotated[
        Texts,
        Flag(help="Output destination (type=local|tar|oci|docker|image)", kind="list", short="o"),
    ]
    platform: Annotated[Texts, PLATFORM]
    pull: Annotated[Switch, Flag(help="Pull base images even if they exist locally", kind="bool")]
    push: Annotated[Switch, Flag(help="Short for --output=type=registry", kind="bool")]
    quiet: Annotated[Switch, Flag(help="Show no progress", kind="bool", short="q")]
    secret: Annotated[
        Texts,
        Flag(
            help="Secret for RUN --mount=type=secret (id=NAME,src=FILE|env=NAME|var=NAME)",
            kind="list",
        ),
    ]
    shm_size: Annotated[Number, Flag(help="Size of /dev/shm of RUN steps (64m)", reads="size")]
    ssh: Annotated[
        Texts,
        Flag(help="SSH agent or keys for RUN --mount=type=ssh (default|ID[=PATH,…])", kind="list"),
    ]
    tag: Annotated[
        Texts, Flag(help="Name of the image (name[:tag])", kind="list", short="t", names="image")
    ]
    target: Annotated[Text, Flag(help="Stage to build")]
    trust_host_ca: Annotated[Switch, Flag(help="Give RUN steps the host's CA bundle", kind="bool")]
    ulimit: Annotated[
        Texts,
        Flag(
            help="Limits of the processes of RUN steps (nofile=1024:2048)",
            kind="list",
            reads="ulimits",
        ),
    ]

    # Keywords of Python only.
    build_args: Pairs
    build_contexts: Contexts
    dockerfile: Text
    files: Mapping[str, Any]
    labels: Pairs
    leave_out: Texts
    lines_above: int
    outputs: Outputs
    place: str
    secret_values: Mapping[str, str | bytes] | None
    source_name: str
    tags: Texts
