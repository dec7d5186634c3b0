"""The commands that make images: build, bootstrap, the build cache."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FORCE, FORMAT, PLATFORM, QUIET
from jupyter_containers.commands.words import Flag, Operand, Verb

VERBS: tuple[Verb, ...] = (
    Verb(
        "build",
        "Build an image from a Dockerfile",
        "builds:build",
        (
            Flag("allow", "Grant an entitlement (network.host, security.insecure)", "list"),
            Flag("annotation", "Annotate the image (key=value)", "list"),
            Flag("build-arg", "Set a build argument", "list"),
            Flag("build-context", "Further context (NAME=PATH, URL, docker-image://…)", "list"),
            Flag("cache-from", "Take steps from there (an image, or type=…)", "list"),
            Flag("cache-to", "Keep steps there (type=registry|local|inline)", "list"),
            Flag("check", "Only check the Dockerfile", "bool"),
            Flag("context-var", "Put a notebook's variable beside the context (PATH=NAME)", "list"),
            Flag("file", "The Dockerfile (default PATH/Dockerfile, - for the input)", "text", "f"),
            Flag("format", "Format of the image: oci or docker"),
            Flag("iidfile", "Write the image ID to a file"),
            Flag("label", "Set a label", "list"),
            Flag("load", "Short for --output=type=docker", "bool"),
            Flag("metadata-file", "Write facts about the result to a file"),
            Flag("network", "Network of RUN steps"),
            Flag("no-cache", "Do not use the cache", "bool"),
            Flag("no-cache-filter", "Do not use the cache for these stages", "list"),
            Flag("output", "Where the result goes (type=local|tar|oci|docker|image)", "list", "o"),
            PLATFORM,
            Flag("progress", "auto, plain, tty, quiet or rawjson"),
            Flag("pull", "Pull base images even when they are here", "bool"),
            Flag("push", "Short for --output=type=registry", "bool"),
            Flag("quiet", "Show no progress", "bool", "q"),
            Flag(
                "secret",
                "Give RUN --mount=type=secret a value (id=NAME,src=FILE|env=NAME|var=NAME)",
                "list",
            ),
            Flag("ssh", "Agent or keys for RUN --mount=type=ssh (default|ID[=PATH,…])", "list"),
            Flag("tag", "Name of the image (name[:tag])", "list", "t"),
            Flag("target", "Stage to build"),
            Flag("trust-host-ca", "Give RUN steps the host's CA bundle", "bool"),
        ),
        (Operand("context", "PATH", "optional"),),
        ("image build", "builder build", "buildx build"),
        reads_stdin=True,
    ),
    Verb(
        "bootstrap",
        "Make a base image on this machine from distribution packages",
        "images:bootstrap",
        (Flag("quiet", "Show no progress", "bool", "q"),),
        (Operand("reference", "NAME[:TAG]"),),
        ("image bootstrap",),
    ),
    Verb(
        "builder prune",
        "Make the build cache smaller",
        "builds:prune",
        (
            Flag("all", "Also what an image still has", "bool", "a"),
            FORCE,
            Flag("filter", "Keep what matches (until=24h, type=…)", "list", keyword="filters"),
            Flag(
                "max-used-space",
                "Remove the least recently used until the cache fits (10gb)",
                aliases=("keep-storage", "reserved-space"),
            ),
            Flag("min-free-space", "Remove the least recently used until so much is free"),
        ),
        (),
        ("buildx prune",),
    ),
    Verb(
        "builder du",
        "Show what the build cache holds",
        "builds:usage",
        (FORMAT, QUIET, Flag("verbose", "Show whole descriptions", "bool", "v")),
        (),
        ("buildx du",),
    ),
)
