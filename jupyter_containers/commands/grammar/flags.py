"""Flags, operands and remarks that several commands share."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Interrupted, Operand

FORMAT = Flag("format", "Go template (or 'table …', 'json') for the output")
FILTER = Flag("filter", "Keep what matches key=value", "list", "f", "filter", keyword="filters")
QUIET = Flag("quiet", "Only IDs", "bool", "q")
NO_TRUNC = Flag("no-trunc", "Do not shorten", "bool")
FORCE = Flag("force", "Go ahead without asking", "bool", "f")
INTERACTIVE = Flag("interactive", "Keep standard input open", "bool", "i")
TTY = Flag("tty", "Give the process a terminal", "bool", "t")
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2")
NETWORK_VALUES = ("bridge", "host", "none")
INSPECT = (Flag("format", "Go template for the output", "text", "f"),)
INSPECT_SIZE = (*INSPECT, Flag("size", "With the bytes of a container's files", "bool", "s"))
PRUNE = (FORCE, Flag("filter", "Keep what matches key=value", "list", keyword="filters"))
STOP = (
    Flag(
        "signal",
        "Signal to send in place of the container's own",
        "text",
        "s",
        values=SIGNALS,
    ),
    Flag(
        "time", "Seconds before it is killed", "int", "t", aliases=("timeout",), keyword="timeout"
    ),
)

DETACH_KEYS = Flag("detach-keys", "Keys that detach from the container", metavar="string")
SIG_PROXY = Flag("sig-proxy", "Pass signals on to the process (default true)", "bool")

CONTAINER = Operand("name", "CONTAINER")
CONTAINERS = Operand("names", "CONTAINER", "some")
LIST_FLAGS = (FILTER, FORMAT, NO_TRUNC, QUIET)

REMOVED = Interrupted("what was removed is gone, the rest is whole")
UNMADE = Interrupted("no image was made")
GOES_ON = Interrupted("the container goes on")
NO_ARCHIVE = Interrupted("no archive is left")
