"""A short description of each Dockerfile instruction, and its forms.

Editors show it beside the text; ``labextension/src/facts.ts`` is generated from it.
"""

from __future__ import annotations

from collections.abc import Mapping

from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Help:
    """``words`` describe an instruction; ``forms`` are example lines."""

    words: str
    forms: tuple[str, ...]


INSTRUCTIONS: Mapping[str, Help] = {
    "FROM": Help(
        "Begins a stage on an image, or on an earlier stage. `scratch` is empty.",
        ("FROM [--platform=OS/ARCH] IMAGE [AS NAME]",),
    ),
    "RUN": Help(
        "Runs a command; its changes become a layer. Mounts (cache, bind, tmpfs, secret, ssh) "
        "exist during this step only.",
        (
            "RUN COMMAND",
            'RUN ["program", "argument"]',
            "RUN --mount=type=cache,target=/root/.cache COMMAND",
            "RUN <<EOF",
        ),
    ),
    "CMD": Help(
        "The default command; with an ENTRYPOINT, its default arguments. Only the last one counts.",
        ('CMD ["program", "argument"]', "CMD COMMAND"),
    ),
    "ENTRYPOINT": Help(
        "The program that a container always runs; CMD or the command line give its arguments.",
        ('ENTRYPOINT ["program", "argument"]',),
    ),
    "COPY": Help(
        "Copies files of the context or of another stage or image, or inline documents. With "
        "--link the layer does not depend on those below.",
        (
            "COPY [--chown=USER:GROUP] [--chmod=755] SOURCE… TARGET",
            "COPY --from=STAGE|IMAGE SOURCE TARGET",
            "COPY <<EOF /path",
        ),
    ),
    "ADD": Help(
        "Like COPY; also downloads URLs and git repositories, and unpacks local archives.",
        ("ADD [--checksum=sha256:…] SOURCE… TARGET", "ADD https://… TARGET"),
    ),
    "WORKDIR": Help(
        "The folder in which RUN, CMD, COPY … work from here on; it is created if it is missing.",
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
    "LABEL": Help("Metadata of the image, for people and filters.", ('LABEL name="value" …',)),
    "USER": Help(
        "The user of the following steps and of the container.", ("USER NAME|UID[:GROUP|GID]",)
    ),
    "VOLUME": Help(
        "Folders whose files outlive a container: each gets a volume.",
        ("VOLUME /path …", 'VOLUME ["/path"]'),
    ),
    "SHELL": Help(
        "The shell for the shell form of RUN, CMD and ENTRYPOINT.",
        ('SHELL ["/bin/bash", "-o", "pipefail", "-c"]',),
    ),
    "STOPSIGNAL": Help("The signal that `stop` sends first.", ("STOPSIGNAL SIGTERM",)),
    "HEALTHCHECK": Help(
        "A command that checks a container: exit code 0 means healthy.",
        (
            "HEALTHCHECK [--interval=30s] [--timeout=30s] [--retries=3] CMD COMMAND",
            "HEALTHCHECK NONE",
        ),
    ),
    "ONBUILD": Help(
        "An instruction to execute when another build uses this image as its base.",
        ("ONBUILD INSTRUCTION",),
    ),
    "MAINTAINER": Help("Deprecated: use a label instead.", ("MAINTAINER NAME",)),
}
