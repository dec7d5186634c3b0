"""What one types: an example or two of every command, shown by ``--help`` and in the reference.

They tell of one small world: the images ``app:1`` and ``app:2``, made from the folder ``app``; the
containers ``web`` and ``db``, which run, and ``job``, which has ended; a network ``backend``, a
volume ``data`` and a registry on port 5000 of this machine.  Each is a command line and what it is
good for.
"""

from __future__ import annotations

from collections.abc import Mapping

Example = tuple[str, str]

_CONTAINERS: Mapping[str, tuple[Example, ...]] = {
    "run": (
        ("run --rm busybox echo hello", "one command; nothing of it is left"),
        ("run -it --rm busybox sh", "a shell in a terminal"),
        ("run -d --name web -p 8000:8000 app:1", "a server, at http://localhost:8000"),
        (
            "run --rm -m 512m --cpus 1.5 -v data:/data -e LEVEL=debug app:1 env",
            "limits, a volume, a variable",
        ),
        ("run --rm --here busybox ls", "in the current folder, as its owner"),
    ),
    "create": (("create --name later -m 64m app:1", "as run, but not started yet"),),
    "start": (
        ("start job", ""),
        ("start -a job", "and show what it writes, until it ends"),
    ),
    "attach": (("attach web", "its output from now on; Ctrl-P Ctrl-Q leaves it running"),),
    "stop": (
        ("stop web", "asks it to end, and kills it after 10 seconds"),
        ("stop -t 1 web db", "after one second"),
    ),
    "restart": (("restart web", ""),),
    "kill": (
        ("kill web", ""),
        ("kill -s HUP web", "a signal that many servers read their configuration on"),
    ),
    "pause": (("pause web", ""),),
    "unpause": (("unpause web", ""),),
    "wait": (("wait job", "until it has ended; 0 is success"),),
    "rm": (
        ("rm job", ""),
        ("rm -f web", "also when it runs"),
    ),
    "update": (("update -m 256m --memory-swap 512m --cpus 0.5 web", "while it runs"),),
    "rename": (("rename web site", ""),),
    "ps": (
        ("ps", "what runs"),
        ("ps -a -f status=exited", "what has ended"),
        ("ps --format '{{.Names}}: {{.Status}}'", "only these columns"),
        ("ps --watch", "live, with charts and buttons in a notebook"),
    ),
    "logs": (
        ("logs --tail 20 web", "the last 20 lines"),
        ("logs -f --since 10m web", "the last 10 minutes, and what comes"),
    ),
    "exec": (
        ("exec web ls -l /srv", ""),
        ("exec -it web sh", "a shell in a terminal"),
        ("exec -u 1000 -w /tmp web id", "as another user, in another folder"),
    ),
    "stats": (
        ("stats", "live, with charts in a notebook"),
        ("stats --no-stream web", "once"),
    ),
    "top": (("top web", ""),),
    "explain": (
        ("explain web", "namespaces, control groups, mounts, address: seen from both sides"),
    ),
    "port": (
        ("port web", ""),
        ("port web 8000/tcp", "the address of one port"),
    ),
    "compose config": (
        ("compose config", "compose.yaml of this folder as it is understood, or where it is wrong"),
        ("compose -f base.yaml -f dev.yaml config --services", "the services of two files, merged"),
        ("compose config --no-interpolate", "variables as they are written"),
    ),
    "cp": (
        ("cp web:/etc/passwd .", "out of the container"),
        ("cp app/index.html web:/srv/", "into it"),
    ),
    "container diff": (("container diff web", "A added, C changed, D deleted"),),
    "export": (("export -o web.tar web", "the files, without the image's history"),),
    "commit": (
        ("commit web app:saved", ""),
        ("commit -c 'CMD [\"sh\"]' -m 'as it was' web app:shell", "with other settings"),
    ),
    "container inspect": (("container inspect -f '{{.State.Status}}' web", ""),),
    "container prune": (
        ("container prune -f", "without asking"),
        ("container prune -f --filter until=24h", "only those of yesterday and before"),
    ),
    "map": (("map --over names busybox echo hello {}", "names: a list in the notebook"),),
}

_IMAGES: Mapping[str, tuple[Example, ...]] = {
    "images": (
        ("images", ""),
        ("images -f dangling=true -q", "the IDs of those without a name"),
    ),
    "history": (("history --no-trunc app:1", "how it was made, the newest first"),),
    "tag": (("tag app:1 localhost:5000/app:1", "the name that push needs"),),
    "rmi": (
        ("rmi app:2", "the image goes with its last name"),
        ("rmi -f app:2", "also with several names, or when a stopped container uses it"),
    ),
    "pull": (
        ("pull python:3.11-slim", "from Docker Hub"),
        ("pull localhost:5000/app:1", "from a registry of one's own"),
        ("pull --platform linux/arm64 busybox", "for another kind of processor"),
    ),
    "push": (
        ("push localhost:5000/app:1", ""),
        ("push -a localhost:5000/app", "all its tags"),
    ),
    "import": (("import web.tar app:flat", "one layer, from what export wrote"),),
    "save": (
        ("save -o images.tar app:1 busybox", "what load and docker load read"),
        ("save --format oci-archive -o app.tar app:1", "in the layout of the OCI"),
    ),
    "load": (("load -i images.tar", "also from docker save"),),
    "layers": (("layers app:1", "an explorer in a notebook"),),
    "diff": (
        ("diff app:1 app:2", "two images: files, settings, sizes"),
        ("diff web", "what a container changed"),
    ),
    "image inspect": (("image inspect -f '{{.Config.Cmd}}' app:1", ""),),
    "image prune": (
        ("image prune -f", "those without a name"),
        ("image prune -af", "all that no container uses"),
    ),
    "build": (
        ("build -t app:1 app", "from app/Dockerfile"),
        ("build -t app:2 --build-arg LEVEL=debug --no-cache app", "every step anew"),
        ("build --target base -t app:base app", "only up to one stage"),
        ("build --call=cache app", "what would come from the cache, and why not the rest"),
        ("build -o out app", "the files into a folder, no image"),
    ),
    "bootstrap": (
        ("bootstrap busybox", "in a second, without a network"),
        ("bootstrap python:3.11-slim", "from Debian's packages"),
    ),
    "builder prune": (
        ("builder prune -f", ""),
        ("builder prune -f --filter until=168h", "what nobody used for a week"),
    ),
    "builder debug": (("builder debug ls -l /srv", "right after a build that failed"),),
    "builder du": (("builder du", ""),),
}

_NETWORKS_AND_VOLUMES: Mapping[str, tuple[Example, ...]] = {
    "network ls": (("network ls", ""),),
    "network create": (
        ("network create frontend", "its containers find each other by name"),
        ("network create --subnet 172.30.0.0/24 --internal closed", "no way out"),
    ),
    "network connect": (("network connect --alias site backend web", "while it runs"),),
    "network disconnect": (("network disconnect backend db", ""),),
    "network rm": (("network rm backend", ""),),
    "network inspect": (("network inspect backend", "drawn, and live, in a notebook"),),
    "network prune": (("network prune -f", ""),),
    "volume ls": (("volume ls -f dangling=true", "those that no container uses"),),
    "volume create": (("volume create results", ""),),
    "volume rm": (("volume rm data", ""),),
    "volume inspect": (("volume inspect -f '{{.Mountpoint}}' data", "where its files are"),),
    "volume prune": (
        ("volume prune -f", "only those without a name"),
        ("volume prune -af", "all that no container uses"),
    ),
}

_REGISTRIES: Mapping[str, tuple[Example, ...]] = {
    "search": (("search --limit 5 python", "on Docker Hub"),),
    "login": (
        ("login localhost:5000", "asks for name and password"),
        ("login -u ada --password-stdin localhost:5000", "the password from the input"),
    ),
    "logout": (("logout localhost:5000", ""),),
    "registry start": (("registry start -p 5000", "push to localhost:5000 from now on"),),
    "registry stop": (("registry stop", ""),),
    "registry ls": (("registry ls localhost:5000", ""),),
    "registry tags": (("registry tags localhost:5000/app", ""),),
    "registry referrers": (("registry referrers localhost:5000/app:1", ""),),
    "registry rm": (("registry rm localhost:5000/app:1", ""),),
    "manifest create": (
        (
            "manifest create localhost:5000/app:all localhost:5000/app:amd localhost:5000/app:arm",
            "one name for both",
        ),
    ),
    "manifest annotate": (
        (
            "manifest annotate --arch arm64 localhost:5000/app:all localhost:5000/app:arm",
            "",
        ),
    ),
    "manifest inspect": (("manifest inspect localhost:5000/app:all", ""),),
    "manifest push": (("manifest push localhost:5000/app:all", ""),),
    "manifest rm": (("manifest rm localhost:5000/app:all", ""),),
}

_AROUND: Mapping[str, tuple[Example, ...]] = {
    "store share": (("store share python:3.11-slim", "as root: everybody has it at once"),),
    "store unshare": (("store unshare python:3.11-slim", ""),),
    "store ls": (("store ls", ""),),
    "store map": (("store map alice bob", "as root: their containers need no copy"),),
    "store unmap": (("store unmap alice", ""),),
    "kernel install": (
        ("kernel install python:3.11-slim", "then choose it in the launcher"),
        ("kernel install -m 2g --option --volume=data:/data app:1", "with limits and a volume"),
    ),
    "kernel rm": (("kernel rm app-1", ""),),
    "magics enable": (
        ("magics enable", "for all notebooks of yours"),
        ("magics enable --sys-prefix", "for everybody who uses this environment"),
    ),
    "magics disable": (("magics disable", ""),),
    "magics ls": (("magics ls", ""),),
    "inspect": (
        ("inspect web", ""),
        ("inspect -f '{{.NetworkSettings.IPAddress}}' web", "one fact"),
    ),
    "events": (("events --since 10m --until 0s", "the last 10 minutes"),),
    "system check": (("system check --repair", "after a crash of the machine"),),
    "system df": (("system df -v", "each image, container and volume"),),
    "system prune": (("system prune -af --volumes", "all that nothing uses"),),
    "system reset": (("system reset --force", "before a deinstallation"),),
    "info": (("info -f '{{.Driver}}'", "one fact"),),
    "version": (("version -f '{{.Version}}'", ""),),
    "doctor": (
        ("doctor", ""),
        ("doctor --fix", "as root: installs what is missing"),
    ),
}

EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    **_CONTAINERS,
    **_IMAGES,
    **_NETWORKS_AND_VOLUMES,
    **_REGISTRIES,
    **_AROUND,
}


def lines_of(verb: str, program: str) -> list[str]:
    """Return the lines that show a verb's examples, each below what it is good for."""
    lines = []
    for line, meaning in EXAMPLES.get(verb, ()):
        if meaning:
            lines.append(f"# {meaning}")
        lines.append(f"{program} {line}")
    return lines
