"""The commands about everything."""

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
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "inspect",
        "Show everything about containers, images, networks or volumes",
        "system:inspect",
        (*INSPECT_SIZE, Flag("type", "container, image, network or volume", keyword="kind")),
        (Operand("names", "NAME|ID", "some"),),
        examples=(
            ("inspect web", ""),
            ("inspect -f '{{.NetworkSettings.IPAddress}}' web", "one fact"),
        ),
    ),
    Verb(
        "events",
        "Show what happens to containers, images, networks and volumes",
        "events:events",
        (
            Flag("filter", "Keep what matches key=value", "list", "f", "filter", keyword="filters"),
            Flag("format", "Go template for each event"),
            Flag("since", "Begin with what happened since a time or a duration ago (10m)"),
            Flag("until", "End at a time, or a duration ago (10m)"),
        ),
        (),
        ("system events",),
        examples=(("events --since 10m --until 0s", "the last 10 minutes"),),
    ),
    Verb(
        "system check",
        "Verify everything that is stored",
        "check:check",
        (Flag("repair", "Mend what can be mended", "bool"),),
        examples=(("system check --repair", "after a crash of the machine"),),
        interrupted=Interrupted("nothing was changed but what is mended"),
    ),
    Verb(
        "system df",
        "Show how much disk is used",
        "system:df",
        (FORMAT, Flag("verbose", "Show each image, container and volume", "bool", "v")),
        examples=(("system df -v", "each image, container and volume"),),
    ),
    Verb(
        "system prune",
        "Remove everything that nothing uses",
        "system:prune",
        (
            Flag("all", "Also images with a name", "bool", "a"),
            Flag("volumes", "Also anonymous volumes", "bool"),
            *PRUNE,
        ),
        examples=(("system prune -af --volumes", "all that nothing uses"),),
        interrupted=REMOVED,
    ),
    Verb(
        "system service",
        "Serve the Docker Engine API on a socket, for docker, Compose and other tools",
        "serving:service",
        (
            Flag("time", "End after so many seconds without a request; 0 for never", "int", "t"),
            Flag("install", "Have systemd start it at its first request: write the units", "bool"),
            Flag("uninstall", "Remove the units again", "bool"),
            Flag("tlscacert", "Over TCP: trust clients that this CA has signed", "text"),
            Flag("tlscert", "Over TCP: the service's certificate", "text"),
            Flag("tlskey", "Over TCP: the key of its certificate", "text"),
            Flag("tlsverify", "Over TCP: always, as clients need a certificate", "bool"),
        ),
        (Operand("address", "unix://PATH|tcp://HOST:PORT", "optional"),),
        examples=(
            ("system service", "until nobody has asked for anything for 5 minutes"),
            ("system service --time 0 unix:///tmp/docker.sock", "for ever, on another socket"),
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
        "Print the variable by which Docker's tools find the service",
        "serving:env",
        examples=(("system env", "for a shell's eval"),),
    ),
    Verb(
        "system reset",
        "Remove everything there is, as before a deinstallation",
        "system:reset",
        (FORCE,),
        examples=(("system reset --force", "before a deinstallation"),),
    ),
    Verb(
        "info",
        "Show facts about the engine and this machine",
        "system:info",
        (Flag("format", "Go template for the output", "text", "f"),),
        (),
        ("system info",),
        examples=(("info -f '{{.Driver}}'", "one fact"),),
    ),
    VERSION,
    Verb(
        "doctor",
        "Check what this machine can do, and what would help",
        "system:doctor",
        (
            Flag("format", "Go template for the output, or json", "text", "f"),
            Flag("fix", "Install the missing packages (without root: print the command)", "bool"),
        ),
        examples=(
            ("doctor", ""),
            ("doctor --fix", "as root: installs what is missing"),
        ),
    ),
)
