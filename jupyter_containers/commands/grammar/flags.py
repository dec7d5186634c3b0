"""Flags, operands and remarks shared by several commands."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Interrupted, Operand

FORMAT = Flag("format", "Go template (or 'table …', 'json') for the output")
FILTER = Flag("filter", "Filter the output (key=value)", "list", "f", "filter", keyword="filters")
QUIET = Flag("quiet", "Only IDs", "bool", "q")
NO_TRUNC = Flag("no-trunc", "Do not shorten the output", "bool")
FORCE = Flag("force", "Do not ask for confirmation", "bool", "f")
INTERACTIVE = Flag("interactive", "Keep standard input open", "bool", "i")
TTY = Flag("tty", "Give the process a terminal", "bool", "t")
SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL", "SIGHUP", "SIGUSR1", "SIGUSR2")
NETWORK_VALUES = ("bridge", "host", "none")
INSPECT = (Flag("format", "Go template for the output", "text", "f"),)
INSPECT_SIZE = (*INSPECT, Flag("size", "Show the size of each container's files", "bool", "s"))
PRUNE = (FORCE, Flag("filter", "Remove only matching ones (key=value)", "list", keyword="filters"))
STOP = (
    Flag(
        "signal",
        "Signal to send instead of the container's stop signal",
        "text",
        "s",
        values=SIGNALS,
    ),
    Flag(
        "time",
        "Seconds to wait before killing it",
        "int",
        "t",
        aliases=("timeout",),
        keyword="timeout",
    ),
)

DETACH_KEYS = Flag("detach-keys", "Keys that detach from the container", metavar="string")
SIG_PROXY = Flag("sig-proxy", "Forward signals to the process (default true)", "bool")

CONTAINER = Operand("name", "CONTAINER")
CONTAINERS = Operand("names", "CONTAINER", "some")
LIST_FLAGS = (FILTER, FORMAT, NO_TRUNC, QUIET)

REMOVED = Interrupted("what was removed is gone, the rest is intact")
UNMADE = Interrupted("no image was created")
GOES_ON = Interrupted("the container keeps running")
NO_ARCHIVE = Interrupted("no archive was written")
