"""Flags, operands and remarks that several commands share."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Interrupted, Operand

FORMAT = Flag("format", "Go template (or 'table …', 'json') for the output")
FILTER = Flag("filter", "Keep what matches key=value", "list", "f", "filter", keyword="filters")
QUIET = Flag("quiet", "Only IDs", "bool", "q")
NO_TRUNC = Flag("no-trunc", "Do not shorten", "bool")
FORCE = Flag("force", "Go ahead without asking", "bool", "f")
PLATFORM = Flag("platform", "Platform: os[/arch[/variant]]")
CONTENT_TRUST = Flag(
    "disable-content-trust", "Do not ask for signed images (always so here)", "bool"
)
LABEL = Flag("label", "Set a label", "list", "l", "list")
INTERACTIVE = Flag("interactive", "Keep standard input open", "bool", "i")
TTY = Flag("tty", "Give the process a terminal", "bool", "t")
ENV = Flag("env", "Set an environment variable", "list", "e", "list")
ENV_FILE = Flag("env-file", "Read environment variables from a file", "list")
USER = Flag("user", "User name or UID (user[:group])", "text", "u")
WORKDIR = Flag("workdir", "Working directory in the container", "text", "w")
INSPECT = (Flag("format", "Go template for the output", "text", "f"),)
INSPECT_SIZE = (*INSPECT, Flag("size", "With the bytes of a container's files", "bool", "s"))
PRUNE = (FORCE, Flag("filter", "Keep what matches key=value", "list", keyword="filters"))
STOP = (
    Flag("signal", "Signal to send in place of the container's own", "text", "s"),
    Flag(
        "time", "Seconds before it is killed", "int", "t", aliases=("timeout",), keyword="timeout"
    ),
)

DETACH_KEYS = Flag("detach-keys", "Keys that detach from the container", metavar="string")
SIG_PROXY = Flag("sig-proxy", "Pass an interrupt on to the process (default true)", "bool")
ENDPOINT_FLAGS = (
    Flag("ip", "IPv4 address (172.30.100.104)"),
    Flag("ip6", "IPv6 address (2001:db8::33)"),
    Flag("link", "A further name for another container (container:alias)", "list"),
    Flag("link-local-ip", "Link-local address", "list"),
)

CONTAINER = Operand("name", "CONTAINER")
CONTAINERS = Operand("names", "CONTAINER", "some")
LIST_FLAGS = (FILTER, FORMAT, NO_TRUNC, QUIET)

REMOVED = Interrupted("what was removed is gone, the rest is whole")
UNMADE = Interrupted("no image was made")
GOES_ON = Interrupted("the container goes on")
NO_ARCHIVE = Interrupted("no archive is left")
