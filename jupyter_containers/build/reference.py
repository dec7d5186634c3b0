"""What each instruction of a Dockerfile is for, in a line or two, and its forms.

Shown by an editor beside the text; ``labextension/src/facts.ts`` is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Help:
    """``words`` say what an instruction does; ``forms`` are lines that show how it is written."""

    words: str
    forms: tuple[str, ...]


INSTRUCTIONS: Mapping[str, Help] = {
    "FROM": Help(
        "Begins a stage on an image, or on an earlier stage. `scratch` is empty.",
        ("FROM [--platform=OS/ARCH] IMAGE [AS NAME]",),
    ),
    "RUN": Help(
        "Runs a command; what it changes becomes a layer. Mounts (cache, bind, tmpfs, secret, ssh) "
        "are there for this step only.",
        (
            "RUN COMMAND",
            'RUN ["program", "argument"]',
            "RUN --mount=type=cache,target=/root/.cache COMMAND",
            "RUN <<EOF",
        ),
    ),
    "CMD": Help(
        "What a container runs when nothing else is asked for; with an ENTRYPOINT, its arguments. "
        "Only the last one counts.",
        ('CMD ["program", "argument"]', "CMD COMMAND"),
    ),
    "ENTRYPOINT": Help(
        "The program that a container always runs; CMD and the command line give its arguments.",
        ('ENTRYPOINT ["program", "argument"]',),
    ),
    "COPY": Help(
        "Copies files of the context, of another stage or image, or written here. With --link the "
        "layer does not depend on those below.",
        (
            "COPY [--chown=USER:GROUP] [--chmod=755] SOURCE… TARGET",
            "COPY --from=STAGE|IMAGE SOURCE TARGET",
            "COPY <<EOF /path",
        ),
    ),
    "ADD": Help(
        "Like COPY; also fetches addresses and git repositories, and unpacks local archives.",
        ("ADD [--checksum=sha256:…] SOURCE… TARGET", "ADD https://… TARGET"),
    ),
    "WORKDIR": Help(
        "The folder in which RUN, CMD, COPY … work from here on; it is made if it is not there.",
        ("WORKDIR /path",),
    ),
    "ENV": Help("Variables for the steps that follow and for containers.", ("ENV NAME=value …",)),
    "ARG": Help(
        "A variable for the build only, set by --build-arg. Before the first FROM it is for FROM "
        "lines.",
        ("ARG NAME[=default]",),
    ),
    "EXPOSE": Help(
        "Says which ports the program listens on; -p publishes them.",
        ("EXPOSE 8000[/tcp|/udp] …",),
    ),
    "LABEL": Help("Facts about the image, for people and filters.", ('LABEL name="value" …',)),
    "USER": Help(
        "Who runs the steps that follow, and the container.", ("USER NAME|UID[:GROUP|GID]",)
    ),
    "VOLUME": Help(
        "Places whose files outlive a container: each gets a volume.",
        ("VOLUME /path …", 'VOLUME ["/path"]'),
    ),
    "SHELL": Help(
        "What runs the shell form of RUN, CMD and ENTRYPOINT.",
        ('SHELL ["/bin/bash", "-o", "pipefail", "-c"]',),
    ),
    "STOPSIGNAL": Help("The signal that `stop` sends first.", ("STOPSIGNAL SIGTERM",)),
    "HEALTHCHECK": Help(
        "A command that tells whether a container is well: exit code 0 is healthy.",
        (
            "HEALTHCHECK [--interval=30s] [--timeout=30s] [--retries=3] CMD COMMAND",
            "HEALTHCHECK NONE",
        ),
    ),
    "ONBUILD": Help(
        "An instruction that is carried out when another build begins with this image.",
        ("ONBUILD INSTRUCTION",),
    ),
    "MAINTAINER": Help("Deprecated: a label says it.", ("MAINTAINER NAME",)),
}
