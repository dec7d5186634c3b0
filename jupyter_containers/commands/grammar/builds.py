"""The commands that make images: build, bootstrap, the build cache."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FORCE,
    FORMAT,
    INTERACTIVE,
    NETWORK_VALUES,
    QUIET,
    TTY,
)
from jupyter_containers.commands.words import Flag, Operand, Verb
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.flag import declared
from jupyter_containers.options.flags import CONTENT_TRUST

_OF_FRONT_ENDS = (
    Flag("call", "Instead of a build: check, outline, targets, cache (METHOD,format=json)"),
    Flag("check", "Only check the Dockerfile", "bool"),
    Flag("compress", "Taken and without effect: no daemon is sent a context", "bool"),
    Flag(
        "context-var",
        "Put a notebook's variable (or a dict of them) beside the context (PATH=NAME)",
        "list",
    ),
    CONTENT_TRUST,
    Flag("debug", "Show what a failed step left, or open a shell in it", "bool"),
    Flag("force-rm", "Taken and without effect: steps leave no containers", "bool"),
    Flag(
        "progress",
        "auto, plain, tty, quiet or rawjson",
        values=("auto", "plain", "quiet", "rawjson", "tty"),
    ),
    Flag("rm", "Taken and without effect: steps leave no containers", "bool"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "build",
        "Build an image from a Dockerfile",
        "builds:build",
        tuple(sorted((*declared(BuildFlags), *_OF_FRONT_ENDS), key=lambda flag: flag.name)),
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
        "builder debug",
        "Run a command in what a failed build step left",
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
