"""The commands about the whole engine."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FORCE,
    FORMAT,
    INSPECT_SIZE,
    PRUNE,
    REMOVED,
)
from jupyter_containers.commands.words import Flag, Interrupted, Operand, Verb

VERSION = Verb(
    "version",
    "Show the versions",
    "system:version",
    (Flag("format", "Go template for the output", "text", "f"),),
    examples=(("version -f '{{.Version}}'", ""),),
    needs_engine=False,
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "inspect",
        "Show details of containers, images, networks or volumes",
        "system:inspect",
        (*INSPECT_SIZE, Flag("type", "container, image, network or volume", keyword="kind")),
        (Operand("names", "NAME|ID", "some"),),
        examples=(
            ("inspect web", ""),
            ("inspect -f '{{.NetworkSettings.IPAddress}}' web", "one fact"),
        ),
        reads=True,
    ),
    Verb(
        "events",
        "Show events of containers, images, networks and volumes",
        "events:events",
        (
            Flag(
                "filter", "Filter the events (key=value)", "list", "f", "filter", keyword="filters"
            ),
            Flag("format", "Go template for each event"),
            Flag("since", "Show events since a time or a duration ago (10m)"),
            Flag("until", "Stop at a time or a duration ago (10m)"),
        ),
        (),
        ("system events",),
        examples=(("events --since 10m --until 0s", "the last 10 minutes"),),
    ),
    Verb(
        "system check",
        "Check the integrity of the store",
        "check:check",
        (Flag("repair", "Repair the problems that can be repaired", "bool"),),
        examples=(("system check --repair", "after a crash of the machine"),),
        interrupted=Interrupted("only completed repairs changed anything"),
    ),
    Verb(
        "system df",
        "Show disk usage",
        "system:df",
        (FORMAT, Flag("verbose", "Show each image, container and volume", "bool", "v")),
        examples=(("system df -v", "each image, container and volume"),),
    ),
    Verb(
        "system prune",
        "Remove all unused objects",
        "system:prune",
        (
            Flag("all", "Also remove images with a name", "bool", "a"),
            Flag("volumes", "Also remove anonymous volumes", "bool"),
            *PRUNE,
        ),
        examples=(("system prune -af --volumes", "everything that is unused"),),
        interrupted=REMOVED,
    ),
    Verb(
        "system service",
        "Serve the Docker Engine API on a socket, for docker, Compose and other tools",
        "serving:service",
        (
            Flag("time", "Exit after this many seconds without a request; 0 for never", "int", "t"),
            Flag("install", "Have systemd start it at its first request: write the units", "bool"),
            Flag("uninstall", "Remove the units again", "bool"),
            Flag("tlscacert", "Over TCP: trust clients that this CA has signed", "text"),
            Flag("tlscert", "Over TCP: the service's certificate", "text"),
            Flag("tlskey", "Over TCP: the key of its certificate", "text"),
            Flag("tlsverify", "Over TCP: always, as clients need a certificate", "bool"),
        ),
        (Operand("address", "unix://PATH|tcp://HOST:PORT", "optional"),),
        examples=(
            ("system service", "until 5 minutes pass without a request"),
            ("system service --time 0 unix:///tmp/docker.sock", "without end, on another socket"),
            ("system service --install", "whenever a client comes, by systemd"),
            (
                "system service --tlscacert ca.pem --tlscert cert.pem --tlskey key.pem "
                "tcp://0.0.0.0:2376",
                "over TCP, to clients with a certificate",
            ),
        ),
    ),
    Verb(
        "system env",
        "Print the variable that points Docker's tools to the service",
        "serving:env",
        examples=(("system env", "for a shell's eval"),),
    ),
    Verb(
        "system reset",
        "Remove all containers, images, volumes and networks",
        "system:reset",
        (FORCE,),
        examples=(("system reset --force", "before uninstalling"),),
    ),
    Verb(
        "info",
        "Show information about the engine and this machine",
        "system:info",
        (Flag("format", "Go template for the output", "text", "f"),),
        (),
        ("system info",),
        examples=(("info -f '{{.Driver}}'", "one fact"),),
    ),
    VERSION,
    Verb(
        "doctor",
        "Check the capabilities of this machine, and how to add missing ones",
        "system:doctor",
        (
            Flag("format", "Go template for the output, or json", "text", "f"),
            Flag("fix", "Install missing packages (without root: print the command)", "bool"),
        ),
        examples=(
            ("doctor", ""),
            ("doctor --fix", "as root: install the missing packages"),
        ),
    ),
)
