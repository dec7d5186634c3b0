"""The one declaration of every command: names, flags, operands.

The parser, the help texts, completion and the documentation read it.  Names, letters and meanings
are Docker's; a flag's keyword is the field of :mod:`jupyter_containers.options` that it fills.
"""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Operand, Verb

GROUPS = {
    "container": "Manage containers",
    "image": "Manage images",
    "network": "Manage networks",
    "volume": "Manage volumes",
    "system": "Look after the engine as a whole",
    "builder": "Manage the build cache",
}

# Flags that many verbs share.
_FORMAT = Flag("format", "Go template (or 'table …', 'json') for the output")
_FILTER = Flag("filter", "Keep what matches key=value", "list", "f", "filter", keyword="filters")
_QUIET = Flag("quiet", "Only IDs", "bool", "q")
_NO_TRUNC = Flag("no-trunc", "Do not shorten", "bool")
_FORCE = Flag("force", "Go ahead without asking", "bool", "f")
_PLATFORM = Flag("platform", "Platform: os[/arch[/variant]]")
_LABEL = Flag("label", "Set a label", "list", "l", "list")
_INTERACTIVE = Flag("interactive", "Keep standard input open", "bool", "i")
_TTY = Flag("tty", "Give the process a terminal", "bool", "t")
_ENV = Flag("env", "Set an environment variable", "list", "e", "list")
_ENV_FILE = Flag("env-file", "Read environment variables from a file", "list")
_USER = Flag("user", "User name or UID (user[:group])", "text", "u")
_WORKDIR = Flag("workdir", "Working directory in the container", "text", "w")
_INSPECT = (Flag("format", "Go template for the output", "text", "f"),)
_PRUNE = (_FORCE, Flag("filter", "Keep what matches key=value", "list", keyword="filters"))
_STOP = (
    Flag(
        "time", "Seconds before it is killed", "int", "t", aliases=("timeout",), keyword="timeout"
    ),
)

_CONTAINER = Operand("name", "CONTAINER")
_CONTAINERS = Operand("names", "CONTAINER", "some")

_CREATE_FLAGS = (
    Flag("add-host", "Add a host-to-IP line (host:ip)", "list"),
    Flag("cap-add", "Add a Linux capability", "list"),
    Flag("cap-drop", "Drop a Linux capability", "list"),
    Flag("cpu-shares", "CPU shares (relative weight)", "int", "c"),
    Flag("cpus", "Number of CPUs", metavar="decimal"),
    Flag("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
    Flag("dns", "Set a DNS server", "list"),
    Flag("dns-option", "Set a DNS option", "list", aliases=("dns-opt",)),
    Flag("dns-search", "Set a DNS search domain", "list"),
    Flag("entrypoint", "Replace the image's entrypoint"),
    _ENV,
    _ENV_FILE,
    Flag("expose", "Expose a port", "list"),
    Flag("group-add", "Join a further group", "list"),
    Flag("hostname", "Host name in the container", "text", "h"),
    Flag("init", "Run a small init that forwards signals and reaps processes", "bool"),
    _INTERACTIVE,
    _LABEL,
    Flag("memory", "Memory limit", "text", "m", "bytes"),
    Flag("memory-reservation", "Memory soft limit", metavar="bytes"),
    Flag("memory-swap", "Memory plus swap; -1 for unlimited swap", metavar="bytes"),
    Flag("mount", "Attach a mount (type=bind,source=…,target=…)", "list", metavar="mount"),
    Flag("name", "Name of the container"),
    Flag("network", "Join a network", metavar="network", aliases=("net",)),
    Flag("pids-limit", "Limit of processes (-1 for unlimited)", "int"),
    _PLATFORM,
    Flag("privileged", "Give the container all capabilities and devices", "bool"),
    Flag("publish", "Publish a port ([ip:]host:container)", "list", "p"),
    Flag("publish-all", "Publish all exposed ports", "bool", "P"),
    Flag("pull", "Pull the image first: always, missing, never"),
    Flag("read-only", "Mount the root file system read-only", "bool"),
    Flag("restart", "Restart policy: no, on-failure[:n], always, unless-stopped"),
    Flag("rm", "Remove the container when it exits", "bool"),
    Flag("security-opt", "Security options", "list"),
    Flag("shm-size", "Size of /dev/shm", metavar="bytes"),
    Flag("stop-signal", "Signal that stops the container"),
    Flag("stop-timeout", "Seconds before it is killed on stop", "int"),
    Flag("tmpfs", "Mount a tmpfs", "list"),
    Flag("trust-host-ca", "Give the container the host's CA bundle", "bool"),
    _TTY,
    Flag("ulimit", "Resource limit (nofile=1024:2048)", "list", metavar="ulimit"),
    _USER,
    Flag("volume", "Bind a folder or mount a volume (source:target[:ro])", "list", "v"),
    _WORKDIR,
)
_DETACH = Flag("detach", "Run in the background", "bool", "d")
_RUN_OPERANDS = (Operand("image", "IMAGE"), Operand("command", "COMMAND", "rest"))

_CONTAINER_VERBS = (
    Verb(
        "run",
        "Create and start a new container from an image",
        "containers:run",
        (_DETACH, *_CREATE_FLAGS),
        _RUN_OPERANDS,
        ("container run",),
        reads_stdin=True,
    ),
    Verb(
        "create",
        "Create a new container",
        "containers:create",
        _CREATE_FLAGS,
        _RUN_OPERANDS,
        ("container create",),
    ),
    Verb(
        "start",
        "Start stopped containers",
        "containers:start",
        (),
        (_CONTAINERS,),
        ("container start",),
    ),
    Verb(
        "stop",
        "Stop running containers",
        "containers:stop",
        _STOP,
        (_CONTAINERS,),
        ("container stop",),
    ),
    Verb(
        "restart",
        "Restart containers",
        "containers:restart",
        _STOP,
        (_CONTAINERS,),
        ("container restart",),
    ),
    Verb(
        "kill",
        "Send a signal to running containers",
        "containers:kill",
        (Flag("signal", "Signal to send (default KILL)", "text", "s"),),
        (_CONTAINERS,),
        ("container kill",),
    ),
    Verb(
        "pause",
        "Pause all processes in containers",
        "containers:pause",
        (),
        (_CONTAINERS,),
        ("container pause",),
    ),
    Verb(
        "unpause",
        "Let paused containers go on",
        "containers:unpause",
        (),
        (_CONTAINERS,),
        ("container unpause",),
    ),
    Verb(
        "wait",
        "Wait for containers to end; give their exit codes",
        "containers:wait",
        (),
        (_CONTAINERS,),
        ("container wait",),
    ),
    Verb(
        "rm",
        "Remove containers",
        "containers:remove",
        (
            Flag("force", "Kill them first when they run", "bool", "f"),
            Flag("volumes", "Remove their anonymous volumes", "bool", "v"),
        ),
        (_CONTAINERS,),
        ("container rm", "container remove"),
    ),
    Verb(
        "rename",
        "Rename a container",
        "containers:rename",
        (),
        (_CONTAINER, Operand("new", "NEW_NAME")),
        ("container rename",),
    ),
    Verb(
        "ps",
        "List containers",
        "looking:ps",
        (
            Flag("all", "Also those that do not run", "bool", "a"),
            _FILTER,
            _FORMAT,
            Flag("last", "The n created last, running or not", "int", "n"),
            Flag("latest", "The one created last, running or not", "bool", "l"),
            _NO_TRUNC,
            _QUIET,
            Flag("size", "Show sizes", "bool", "s"),
        ),
        (),
        ("container ls", "container list", "container ps"),
    ),
    Verb(
        "logs",
        "Show what a container wrote",
        "looking:logs",
        (
            Flag("follow", "Go on until the container ends", "bool", "f"),
            Flag("since", "Only since a time or a duration ago (10m)"),
            Flag("until", "Only before a time or a duration ago (10m)"),
            Flag("tail", "Only the last n lines", "text", "n"),
            Flag("timestamps", "Show times", "bool", "t"),
        ),
        (_CONTAINER,),
        ("container logs",),
    ),
    Verb(
        "exec",
        "Run a command in a running container",
        "containers:execute",
        (
            _DETACH,
            _ENV,
            _ENV_FILE,
            _INTERACTIVE,
            Flag("privileged", "Give the process all capabilities", "bool"),
            _TTY,
            _USER,
            _WORKDIR,
        ),
        (_CONTAINER, Operand("command", "COMMAND", "rest")),
        ("container exec",),
        reads_stdin=True,
    ),
    Verb(
        "stats",
        "Show what containers use",
        "looking:stats",
        (
            Flag("all", "Also those that do not run", "bool", "a"),
            _FORMAT,
            Flag("no-stream", "Once only", "bool"),
            _NO_TRUNC,
        ),
        (Operand("names", "CONTAINER", "any"),),
        ("container stats",),
    ),
    Verb(
        "top",
        "List the processes of a container",
        "looking:top",
        (),
        (_CONTAINER,),
        ("container top",),
    ),
    Verb(
        "port",
        "List the published ports of a container",
        "looking:port",
        (),
        (_CONTAINER, Operand("private_port", "PRIVATE_PORT[/PROTO]", "optional")),
        ("container port",),
    ),
    Verb(
        "inspect",
        "Show everything about containers, images, networks or volumes",
        "system:inspect",
        (*_INSPECT, Flag("type", "container, image, network or volume", keyword="kind")),
        (Operand("names", "NAME|ID", "some"),),
    ),
    Verb(
        "container inspect",
        "Show everything about containers",
        "system:inspect_container",
        _INSPECT,
        (_CONTAINERS,),
    ),
    Verb("container prune", "Remove all stopped containers", "system:prune_containers", _PRUNE),
)

_IMAGE_VERBS = (
    Verb(
        "images",
        "List images",
        "images:images",
        (
            Flag("all", "Also those without a name", "bool", "a"),
            Flag("digests", "Show digests", "bool"),
            _FILTER,
            _FORMAT,
            _NO_TRUNC,
            _QUIET,
        ),
        (Operand("reference", "REPOSITORY[:TAG]", "optional"),),
        ("image ls", "image list"),
    ),
    Verb(
        "history",
        "Show the history of an image",
        "images:history",
        (
            _FORMAT,
            Flag("human", "Sizes and dates for people (default true)", "bool", "H"),
            _NO_TRUNC,
            _QUIET,
        ),
        (Operand("image", "IMAGE"),),
        ("image history",),
    ),
    Verb(
        "tag",
        "Give an image another name",
        "images:tag",
        (),
        (Operand("source", "SOURCE_IMAGE[:TAG]"), Operand("target", "TARGET_IMAGE[:TAG]")),
        ("image tag",),
    ),
    Verb(
        "rmi",
        "Remove images",
        "images:remove",
        (Flag("force", "Remove them although containers use them", "bool", "f"),),
        (Operand("images", "IMAGE", "some"),),
        ("image rm", "image remove"),
    ),
    Verb(
        "pull",
        "Download an image from a registry",
        "images:pull",
        (_PLATFORM, Flag("quiet", "Show no progress", "bool", "q")),
        (Operand("reference", "NAME[:TAG|@DIGEST]"),),
        ("image pull",),
    ),
    Verb(
        "push",
        "Upload an image to a registry",
        "images:push",
        (Flag("quiet", "Show no progress", "bool", "q"),),
        (Operand("reference", "NAME[:TAG]"),),
        ("image push",),
    ),
    Verb(
        "build",
        "Build an image from a Dockerfile",
        "images:build",
        (
            Flag("build-arg", "Set a build argument", "list"),
            Flag("file", "The Dockerfile (default PATH/Dockerfile, - for the input)", "text", "f"),
            Flag("iidfile", "Write the image ID to a file"),
            Flag("label", "Set a label", "list"),
            Flag("network", "Network of RUN steps"),
            Flag("no-cache", "Do not use the cache", "bool"),
            _PLATFORM,
            Flag("pull", "Pull base images even when they are here", "bool"),
            Flag("quiet", "Show no progress", "bool", "q"),
            Flag("secret", "Give RUN --mount=type=secret a value (id=NAME,src=FILE)", "list"),
            Flag("tag", "Name of the image (name[:tag])", "list", "t"),
            Flag("target", "Stage to build"),
            Flag("trust-host-ca", "Give RUN steps the host's CA bundle", "bool"),
        ),
        (Operand("context", "PATH", "optional"),),
        ("image build", "builder build"),
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
        "import",
        "Make an image from a tar archive of a file system",
        "images:import_image",
        (Flag("change", "Apply a Dockerfile instruction", "list", "c"),),
        (Operand("file", "FILE|-"), Operand("reference", "REPOSITORY[:TAG]", "optional")),
        ("image import",),
        reads_stdin=True,
    ),
    Verb(
        "login",
        "Keep credentials for a registry",
        "images:login",
        (
            Flag("password", "Password", "text", "p"),
            Flag("password-stdin", "Read the password from the input", "bool"),
            Flag("username", "User name", "text", "u"),
        ),
        (Operand("server", "SERVER", "optional"),),
        reads_stdin=True,
    ),
    Verb(
        "logout",
        "Forget credentials for a registry",
        "images:logout",
        (),
        (Operand("server", "SERVER", "optional"),),
    ),
    Verb(
        "image inspect",
        "Show everything about images",
        "system:inspect_image",
        _INSPECT,
        (Operand("names", "IMAGE", "some"),),
    ),
    Verb(
        "image prune",
        "Remove images that nothing uses",
        "system:prune_images",
        (Flag("all", "Also images with a name", "bool", "a"), *_PRUNE),
    ),
)

_NETWORKS = Operand("names", "NETWORK", "some")
_VOLUMES = Operand("names", "VOLUME", "some")
_LIST_FLAGS = (_FILTER, _FORMAT, _NO_TRUNC, _QUIET)

_OTHER_VERBS = (
    Verb("network ls", "List networks", "networks:ls", _LIST_FLAGS, (), ("network list",)),
    Verb(
        "network create",
        "Create a network",
        "networks:create",
        (
            Flag("driver", "Driver: bridge", "text", "d"),
            Flag("gateway", "Gateway address"),
            Flag("internal", "No way out of the network", "bool"),
            Flag("label", "Set a label", "list"),
            Flag("subnet", "Address range (CIDR)"),
        ),
        (Operand("name", "NETWORK"),),
    ),
    Verb(
        "network rm",
        "Remove networks",
        "networks:remove",
        (_FORCE,),
        (_NETWORKS,),
        ("network remove",),
    ),
    Verb(
        "network inspect",
        "Show everything about networks",
        "system:inspect_network",
        _INSPECT,
        (_NETWORKS,),
    ),
    Verb(
        "network prune", "Remove networks that no container uses", "system:prune_networks", _PRUNE
    ),
    Verb(
        "volume ls", "List volumes", "volumes:ls", (_FILTER, _FORMAT, _QUIET), (), ("volume list",)
    ),
    Verb(
        "volume create",
        "Create a volume",
        "volumes:create",
        (
            Flag("driver", "Driver: local", "text", "d"),
            Flag("label", "Set a label", "list"),
            Flag("name", "Name of the volume"),
        ),
        (Operand("name", "VOLUME", "optional"),),
    ),
    Verb(
        "volume rm", "Remove volumes", "volumes:remove", (_FORCE,), (_VOLUMES,), ("volume remove",)
    ),
    Verb(
        "volume inspect",
        "Show everything about volumes",
        "system:inspect_volume",
        _INSPECT,
        (_VOLUMES,),
    ),
    Verb(
        "volume prune",
        "Remove volumes that no container uses",
        "system:prune_volumes",
        (Flag("all", "Also volumes with a name", "bool", "a"), *_PRUNE),
    ),
    Verb("system df", "Show how much disk is used", "system:df", (_FORMAT,)),
    Verb(
        "system prune",
        "Remove everything that nothing uses",
        "system:prune",
        (
            Flag("all", "Also images with a name", "bool", "a"),
            Flag("volumes", "Also anonymous volumes", "bool"),
            *_PRUNE,
        ),
    ),
    Verb(
        "builder prune",
        "Empty the build cache",
        "system:prune_builder",
        (Flag("all", "Also what an image still uses", "bool", "a"), *_PRUNE),
    ),
    Verb(
        "info",
        "Show facts about the engine and this machine",
        "system:info",
        (Flag("format", "Go template for the output", "text", "f"),),
        (),
        ("system info",),
    ),
    Verb(
        "version",
        "Show the versions",
        "system:version",
        (Flag("format", "Go template for the output", "text", "f"),),
    ),
    Verb("doctor", "Check what this machine can do, and what would help", "system:doctor"),
)

VERBS: tuple[Verb, ...] = _CONTAINER_VERBS + _IMAGE_VERBS + _OTHER_VERBS


def spellings() -> dict[str, Verb]:
    """Return every full spelling (``ps``, ``container ls``) with its verb."""
    return {name: verb for verb in VERBS for name in (verb.name, *verb.aliases)}


def members(group: str) -> list[tuple[str, Verb]]:
    """Return the commands of a management group with their verbs, each verb once, by name."""
    found: dict[str, tuple[str, Verb]] = {}
    for name, verb in spellings().items():
        first, _, second = name.partition(" ")
        if first == group and second:
            found.setdefault(verb.name, (second, verb))
    return sorted(found.values(), key=lambda item: item[0])
