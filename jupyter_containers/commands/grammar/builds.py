"""The commands that create images: build, bootstrap, the build cache."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FORCE,
    FORMAT,
    INTERACTIVE,
    NETWORK_VALUES,
    QUIET,
    REMOVED,
    TTY,
    UNMADE,
)
from jupyter_containers.commands.words import Call, Flag, Interrupted, Operand, Verb
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.flag import declared
from jupyter_containers.options.flags import CONTENT_TRUST

_OF_FRONT_ENDS = (
    Flag("call", "Instead of a build: check, outline, targets, cache (METHOD,format=json)"),
    Flag("check", "Only check the Dockerfile", "bool"),
    Flag("compress", "Accepted without effect: there is no daemon to send a context to", "bool"),
    Flag(
        "context-var",
        "Add a notebook variable (or a dict of files) to the context (PATH=NAME)",
        "list",
    ),
    CONTENT_TRUST,
    Flag("debug", "Show the files of a failed step, or open a shell in them", "bool"),
    Flag("force-rm", "Accepted without effect: steps leave no containers", "bool"),
    Flag(
        "progress",
        "auto, plain, tty, quiet or rawjson",
        values=("auto", "plain", "quiet", "rawjson", "tty"),
    ),
    Flag("rm", "Accepted without effect: steps leave no containers", "bool"),
)

BUILD = Verb(
    "build",
    "Build an image from a Dockerfile",
    "builds:build",
    tuple(sorted((*declared(BuildFlags), *_OF_FRONT_ENDS), key=lambda flag: flag.name)),
    (Operand("context", "PATH", "optional"),),
    ("image build", "builder build", "buildx build"),
    reads_stdin=True,
    takes_paths=True,
    prints="id",
    surplus="quote values with spaces",
    examples=(
        ("build -t app:1 app", "from app/Dockerfile"),
        ("build -t app:2 --build-arg LEVEL=debug --no-cache app", "run every step again"),
        ("build --target base -t app:base app", "only up to one stage"),
        ("build --call=cache app", "which steps are cached, and why the others are not"),
        ("build -o out app", "write the files to a folder, without an image"),
    ),
    interrupted=Interrupted("the completed steps are kept in the cache"),
)

DEBUG = Verb(
    "builder debug",
    "Run a command in the file system of a failed build step",
    "builds:debug",
    (
        INTERACTIVE,
        Flag("network", "Network of the command", values=NETWORK_VALUES, names="network"),
        Flag("step", "ID of the failed step (default: the latest)"),
        TTY,
    ),
    (Operand("command", "COMMAND", "rest"),),
    ("buildx debug",),
    reads_stdin=True,
    examples=(("builder debug ls -l /srv", "after a failed build"),),
)

VERBS: tuple[Verb, ...] = (
    BUILD,
    Verb(
        "bootstrap",
        "Build a base image on this machine from distribution packages",
        Call("images.bootstrap", progress=True),
        (Flag("quiet", "Show no progress", "bool", "q"),),
        (Operand("reference", "NAME[:TAG]"),),
        ("image bootstrap",),
        prints="familiar",
        examples=(
            ("bootstrap busybox", "in a second, without a network"),
            ("bootstrap python:3.11-slim", "from Debian's packages"),
        ),
        interrupted=UNMADE,
    ),
    Verb(
        "builder prune",
        "Remove build cache",
        "builds:prune",
        (
            Flag("all", "Also layers that an image still uses", "bool", "a"),
            FORCE,
            Flag(
                "filter",
                "Remove only matching records (until=24h, type=…)",
                "list",
                keyword="filters",
            ),
            Flag(
                "max-used-space",
                "Remove the least recently used until the cache fits (10gb)",
                aliases=("keep-storage", "reserved-space"),
            ),
            Flag("min-free-space", "Remove the least recently used until this much is free"),
        ),
        (),
        ("buildx prune",),
        examples=(
            ("builder prune -f", ""),
            ("builder prune -f --filter until=168h", "records not used for a week"),
        ),
        interrupted=REMOVED,
    ),
    DEBUG,
    Verb(
        "builder du",
        "List the records of the build cache",
        "builds:usage",
        (FORMAT, QUIET, Flag("verbose", "Do not shorten descriptions", "bool", "v")),
        (),
        ("buildx du",),
        examples=(("builder du", ""),),
    ),
)
