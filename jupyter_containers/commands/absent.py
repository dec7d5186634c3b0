"""Docker's commands and flags that do not exist here, with hints.

Suggesting similar words would mislead: ``swarm`` is not a misspelt ``start``.
"""

from __future__ import annotations

_ONE_MACHINE = "there is no swarm here; run -d --restart always keeps a container running"
_OF_COMPOSE = {
    "compose attach": "logs -f shows what the services write",
    "compose commit": "commit PROJECT-SERVICE-1 NAME",
    "compose export": "export PROJECT-SERVICE-1",
    "compose publish": "a project is its file: share that",
    "compose viz": "a cell of %%compose draws the project",
}
_BUILDERS = "there are no builders to choose: build does everything, also with --platform"
_LISTS = "ps lists containers, images lists images"
_REMOVES = "rm removes containers, rmi images"

INSTEAD = {
    "docker": "omit the word: write the command directly",
    **_OF_COMPOSE,
    **dict.fromkeys(("swarm", "service", "stack", "node", "config"), _ONE_MACHINE),
    "secret": "build --secret id=… for a build; -v FILE:/run/secrets/NAME:ro for a container",
    "plugin": "plugins belong to Docker's daemon; volumes are local, networks bridges",
    "trust": "signatures are not verified; pull NAME@sha256:… pins an image by its digest",
    **dict.fromkeys(("scan", "scout", "sbom"), "save NAME -o FILE writes an archive for a scanner"),
    "init": "write a Dockerfile (%%dockerfile in a cell), then build",
    "checkpoint": "a container cannot be saved to disk; pause it, or commit its files",
    **dict.fromkeys(("ls", "list"), _LISTS),
    **dict.fromkeys(("remove", "delete", "del"), _REMOVES),
    "download": "pull downloads an image",
    "install": "pull downloads an image",
    "ssh": "exec -it NAME sh opens a shell in a container",
    "shell": "exec -it NAME sh opens a shell in a container",
    "dockerfile": "a cell that begins with %%dockerfile, or build -f FILE",
    **dict.fromkeys(("buildx create", "buildx use", "buildx ls", "buildx inspect"), _BUILDERS),
    **dict.fromkeys(("buildx bootstrap", "buildx version", "buildx rm", "buildx stop"), _BUILDERS),
    **{
        f"build --{flag}": "BuildKit does not need it either: omit it"
        for flag in (
            *("memory", "memory-swap", "cpu-shares", "cpu-period", "cpu-quota", "cpuset-cpus"),
            *("cpuset-mems", "isolation", "security-opt", "cgroup-parent"),
        )
    },
    "build --squash": "a last stage with FROM scratch and COPY --from=STAGE / / has one layer",
    "buildx imagetools": "manifest inspect NAME, manifest create NAME IMAGE…",
    "buildx bake": "bake files are not supported: run build for each target",
}
