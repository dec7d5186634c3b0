"""The Compose commands that bring applications up, inspect them and take them down."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import SIGNALS
from jupyter_containers.commands.words import Flag, Interrupted, Operand, Verb

PROJECT_FLAGS = (
    Flag(
        "file",
        "A Compose file, or - for standard input; several are merged",
        "list",
        keyword="files",
    ),
    Flag("project-name", "Name of the project", keyword="project"),
    Flag("profile", "Enable a profile; * is all of them", "list", keyword="profiles"),
    Flag("env-file", "Read variables from this file instead of .env", "list", keyword="env_files"),
    Flag(
        "project-directory",
        "Base folder of relative paths (default: the first file's)",
        keyword="folder",
    ),
)
_PROGRESS = Flag(
    "progress", "How progress is shown", values=("auto", "tty", "plain", "json", "quiet")
)
_SHARED = (*PROJECT_FLAGS, _PROGRESS)
_SERVICES = (Operand("services", "SERVICE", "any"),)
_SERVICE = Operand("service", "SERVICE")
_COMMAND = Operand("command", "COMMAND", "rest")

_FORMAT = Flag("format", "Go template (or 'table …', 'json') for the output")
_QUIET_IDS = Flag("quiet", "Only IDs", "bool", "q")
_TIMEOUT = Flag("timeout", "Seconds before a container is killed", "int", "t")
_INDEX = Flag("index", "Number of the container, of a service that has several", "int")
_NO_DEPS = Flag("no-deps", "Do not start dependencies", "bool")
_REMOVE_ORPHANS = Flag(
    "remove-orphans", "Remove containers of services that the file does not have", "bool"
)
_BUILD = Flag("build", "Build images first", "bool")
_PULL = Flag("pull", "Pull images first: always, missing, never", values=("always", "missing"))
_ENV = Flag("env", "Set an environment variable", "list", "e", metavar="list")
_USER = Flag("user", "User name or UID", "text", "u")
_WORKDIR = Flag("workdir", "Working directory in the container", "text", "w")
_NO_TTY = Flag("no-tty", "Give the process no terminal", "bool", "T")
_COLOURLESS = Flag("no-color", "No colours", "bool")
_NO_PREFIX = Flag("no-log-prefix", "No names before the lines", "bool")
_TIMESTAMPS = Flag("timestamps", "Show times", "bool", "t")

_CREATE = (
    _BUILD,
    Flag("force-recreate", "Recreate containers even if nothing has changed", "bool"),
    Flag("no-build", "Do not build images, even if they are missing", "bool"),
    Flag("no-recreate", "Do not recreate containers, even if they have changed", "bool"),
    _PULL,
    Flag("quiet-pull", "Show no progress of pulls", "bool"),
    _REMOVE_ORPHANS,
    Flag("scale", "Number of containers: SERVICE=NUMBER", "list"),
)
_UP = (
    Flag("abort-on-container-exit", "Stop all when a container ends", "bool"),
    Flag("abort-on-container-failure", "Stop all when a container fails", "bool"),
    Flag("always-recreate-deps", "Recreate dependencies too", "bool"),
    Flag("attach", "Show the output of these services only", "list"),
    Flag("attach-dependencies", "Show the output of dependencies too", "bool"),
    Flag("detach", "Leave them running in the background", "bool", "d"),
    Flag("exit-code-from", "End with the exit code of this service"),
    Flag("menu", "Shortcuts in a terminal (there are none here)", "bool"),
    Flag("no-attach", "Do not show the output of these services", "list"),
    _COLOURLESS,
    _NO_DEPS,
    _NO_PREFIX,
    Flag("no-start", "Create the containers only", "bool"),
    Flag("renew-anon-volumes", "Recreate anonymous volumes", "bool", "V"),
    Flag("timeout", "Seconds before a container is killed", "int", "t"),
    Flag("timestamps", "Show times", "bool"),
    Flag("wait", "Wait until the services run, and are healthy", "bool"),
    Flag("wait-timeout", "Seconds to wait at most", "int"),
    Flag("watch", "Follow changes of files (develop.watch)", "bool", "w"),
)
_LEFT = Interrupted("existing objects stay; compose down removes them")


def _verb(
    name: str,
    help: str,
    handler: str,
    flags: tuple[Flag, ...] = (),
    operands: tuple[Operand, ...] = _SERVICES,
    *,
    examples: tuple[tuple[str, str], ...],
    interrupted: Interrupted | None = None,
    starts: bool = False,
    aliases: tuple[str, ...] = (),
) -> Verb:
    return Verb(
        f"compose {name}",
        help,
        handler if ":" in handler else f"applications:{handler}",
        tuple(sorted((*_SHARED, *flags), key=lambda flag: flag.name)),
        operands,
        tuple(f"compose {alias}" for alias in aliases),
        reads_stdin=True,
        takes_paths=True,
        interrupted=interrupted or Interrupted(),
        starts="command" if starts else "",
        examples=tuple((f"compose {line}", text) for line, text in examples),
    )


VERBS: tuple[Verb, ...] = (
    _verb(
        "up",
        "Create and start the services of a Compose file",
        "up",
        (*_CREATE, *_UP),
        examples=(
            ("up -d", "the services of compose.yaml, in the background"),
            ("up -d --wait --scale web=2", "until they are healthy; two of one"),
            ("up --abort-on-container-exit", "in the foreground, until one ends"),
        ),
        interrupted=_LEFT,
    ),
    _verb(
        "create",
        "Create the containers of the services",
        "create",
        _CREATE,
        examples=(("create", "and start none of them"),),
        interrupted=_LEFT,
    ),
    _verb(
        "down",
        "Stop and remove containers and networks of a project",
        "act",
        (
            _REMOVE_ORPHANS,
            Flag("rmi", "Remove images too: local or all", values=("local", "all")),
            _TIMEOUT,
            Flag("volumes", "Remove the volumes of the file and anonymous ones", "bool", "v"),
        ),
        examples=(("down", ""), ("down -v --rmi local", "with volumes, and images built here")),
        interrupted=Interrupted("what is gone is gone; compose down removes the rest"),
    ),
    _verb(
        "start",
        "Start the containers of services",
        "act",
        (
            Flag("wait", "Wait until the services run, and are healthy", "bool"),
            Flag("wait-timeout", "Seconds to wait at most", "int"),
        ),
        examples=(("start", "those that were created or stopped"),),
    ),
    _verb("stop", "Stop services", "act", (_TIMEOUT,), examples=(("stop web", ""),)),
    _verb(
        "restart",
        "Restart services",
        "act",
        (_NO_DEPS, _TIMEOUT),
        examples=(("restart web", ""),),
    ),
    _verb(
        "kill",
        "Send a signal to the containers of services",
        "act",
        (
            _REMOVE_ORPHANS,
            Flag("signal", "Signal to send (default KILL)", "text", "s", values=SIGNALS),
        ),
        examples=(("kill -s HUP web", ""),),
    ),
    _verb("pause", "Pause services", "act", examples=(("pause web", ""),)),
    _verb("unpause", "Unpause services", "act", examples=(("unpause web", ""),)),
    _verb(
        "rm",
        "Remove stopped containers of services",
        "remove",
        (
            Flag("force", "Go ahead without asking", "bool", "f"),
            Flag("stop", "Stop them first", "bool", "s"),
            Flag("volumes", "Remove their anonymous volumes", "bool", "v"),
        ),
        examples=(("rm -f", "all that have ended"),),
    ),
    _verb(
        "scale",
        "Set the number of containers of services",
        "scale",
        (_NO_DEPS,),
        (Operand("counts", "SERVICE=NUMBER", "some"),),
        examples=(("scale job=3", ""),),
        interrupted=_LEFT,
    ),
    _verb(
        "run",
        "Run one command in a new container of a service",
        "run",
        (
            _BUILD,
            Flag("cap-add", "Add a Linux capability", "list"),
            Flag("cap-drop", "Drop a Linux capability", "list"),
            Flag("detach", "Run in the background", "bool", "d"),
            Flag("entrypoint", "Replace the image's entrypoint"),
            _ENV,
            Flag("interactive", "Keep standard input open", "bool", "i"),
            Flag("label", "Set a label", "list", "l"),
            Flag("name", "Name of the container"),
            _NO_TTY,
            _NO_DEPS,
            Flag("publish", "Publish a port ([ip:]host:container)", "list", "p"),
            _PULL,
            Flag("quiet", "Show no progress", "bool", "q"),
            Flag("quiet-pull", "Show no progress of pulls", "bool"),
            _REMOVE_ORPHANS,
            Flag("rm", "Remove the container when it ends", "bool"),
            Flag("service-ports", "Publish the ports of the service", "bool", "P"),
            Flag("tty", "Give the process a terminal", "bool", "t"),
            Flag("use-aliases", "Let others find it by the service's name", "bool"),
            _USER,
            Flag("volume", "Bind a folder or mount a volume", "list", "v"),
            _WORKDIR,
        ),
        (_SERVICE, _COMMAND),
        examples=(("run --rm -T job echo hello", "its dependencies are started first"),),
        starts=True,
    ),
    _verb(
        "exec",
        "Run a command in a running container of a service",
        "execute",
        (
            Flag("detach", "Run in the background", "bool", "d"),
            _ENV,
            _INDEX,
            Flag("interactive", "Keep standard input open", "bool", "i"),
            _NO_TTY,
            Flag("privileged", "Give the process all capabilities", "bool"),
            Flag("tty", "Give the process a terminal", "bool", "t"),
            _USER,
            _WORKDIR,
        ),
        (_SERVICE, _COMMAND),
        examples=(("exec -T web ls /", ""), ("exec -it web sh", "a shell in a terminal")),
        starts=True,
    ),
    _verb(
        "wait",
        "Wait until a container of the services exits, and exit with its code",
        "wait",
        (Flag("down-project", "Take the project down afterwards", "bool"),),
        (Operand("services", "SERVICE", "some"),),
        examples=(("wait job", ""),),
    ),
    _verb(
        "ps",
        "List the containers of a project",
        "projects:ps",
        (
            Flag("all", "Also those that do not run, and those of run", "bool", "a"),
            Flag("filter", "Keep what matches status=…", "list", keyword="filters"),
            _FORMAT,
            Flag("no-trunc", "Do not shorten", "bool"),
            Flag("orphans", "With those that the file does not have (default true)", "bool"),
            _QUIET_IDS,
            Flag("services", "Only the names of the services", "bool", keyword="show_services"),
            Flag("status", "Only those in this state", "list"),
        ),
        examples=(("ps", ""), ("ps -a --format json", "")),
    ),
    _verb(
        "ls",
        "List the projects that have running containers",
        "projects:projects",
        (
            Flag("all", "Also those that do not run", "bool", "a"),
            Flag("filter", "Keep what matches name=…", "list", keyword="filters"),
            _FORMAT,
            Flag("quiet", "Only names", "bool", "q"),
        ),
        (),
        examples=(("ls -a", ""),),
    ),
    _verb(
        "logs",
        "Show the output of services",
        "projects:logs",
        (
            Flag("follow", "Follow the output until all have ended", "bool", "f"),
            _INDEX,
            _COLOURLESS,
            _NO_PREFIX,
            Flag("since", "Only since a time or a duration ago (10m)"),
            Flag("tail", "Only the last n lines of each", "text", "n"),
            _TIMESTAMPS,
            Flag("until", "Only before a time or a duration ago (10m)"),
        ),
        examples=(("logs --tail 20 web", ""), ("logs -f", "of all services, merged")),
        interrupted=Interrupted("the containers go on"),
    ),
    _verb(
        "images",
        "List the images of a project's containers",
        "projects:images",
        (Flag("format", "table or json", values=("table", "json")), _QUIET_IDS),
        examples=(("images", ""),),
    ),
    _verb("top", "List the processes of services", "projects:top", examples=(("top", ""),)),
    _verb(
        "stats",
        "Show the resource usage of services",
        "projects:stats",
        (
            Flag("all", "Also those that do not run", "bool", "a"),
            _FORMAT,
            Flag("no-stream", "Once only", "bool"),
            Flag("no-trunc", "Do not shorten", "bool"),
        ),
        examples=(("stats --no-stream", "once"),),
    ),
    _verb(
        "port",
        "Print the published port of a service",
        "projects:port",
        (_INDEX, Flag("protocol", "tcp or udp", values=("tcp", "udp"))),
        (_SERVICE, Operand("private_port", "PRIVATE_PORT")),
        examples=(("port web 8000", ""),),
    ),
    _verb(
        "volumes",
        "List the volumes of a project",
        "projects:volumes",
        (Flag("format", "table, json or a Go template"), Flag("quiet", "Only names", "bool", "q")),
        examples=(("volumes", ""),),
    ),
    _verb(
        "events",
        "Show events of the containers of a project",
        "projects:events",
        (
            Flag("json", "One JSON object a line", "bool"),
            Flag("since", "Only since a time or a duration ago (10m)"),
            Flag("until", "Only before a time or a duration ago (10m)"),
        ),
        examples=(("events --since 10m --until 0s", "what has happened"),),
    ),
    _verb(
        "cp",
        "Copy files between a container of a service and this machine",
        "copy",
        (
            Flag("archive", "Keep owners (uid and gid)", "bool", "a"),
            Flag("follow-link", "Copy what a link points at", "bool", "L"),
            _INDEX,
        ),
        (Operand("source", "SERVICE:SRC|SRC|-"), Operand("target", "SERVICE:DEST|DEST|-")),
        examples=(("cp web:/etc/passwd .", "out of the container"),),
    ),
    _verb(
        "build",
        "Build the images of services",
        "build",
        (
            Flag("build-arg", "Set a build argument", "list"),
            Flag("no-cache", "Do not use the cache", "bool"),
            Flag("pull", "Pull base images even when they are here", "bool"),
            Flag("push", "Push the images when they are built", "bool"),
            Flag("quiet", "Show no progress", "bool", "q"),
            Flag("ssh", "Agent or keys for RUN --mount=type=ssh", "list"),
            Flag("with-dependencies", "Build their dependencies too", "bool"),
        ),
        examples=(("build", "all services with a build section"),),
        interrupted=Interrupted("no image was made"),
    ),
    _verb(
        "pull",
        "Fetch the images of services from their registries",
        "act",
        (
            Flag("ignore-buildable", "Leave out images that can be built", "bool"),
            Flag("ignore-pull-failures", "Go on where an image cannot be fetched", "bool"),
            Flag("include-deps", "Fetch those of dependencies too", "bool"),
            Flag("policy", "missing or always", values=("missing", "always")),
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        examples=(("pull --policy missing", "only what is not here"),),
    ),
    _verb(
        "push",
        "Send the images that services build to their registries",
        "act",
        (
            Flag("ignore-push-failures", "Go on where an image cannot be sent", "bool"),
            Flag("include-deps", "Send those of dependencies too", "bool"),
            Flag("quiet", "Show no progress", "bool", "q"),
        ),
        examples=(("push", ""),),
    ),
    _verb(
        "watch",
        "Watch files and sync or rebuild services when they change",
        "watch",
        (
            Flag("no-up", "Do not bring the services up first", "bool"),
            Flag("prune", "Remove images that a rebuild replaced (default true)", "bool"),
            Flag("quiet", "Show no progress of builds", "bool"),
        ),
        examples=(("watch", "until it is interrupted"),),
        interrupted=Interrupted("the containers go on"),
    ),
    _verb(
        "version",
        "Show the version of Compose",
        "version",
        (
            Flag("format", "pretty or json", "text", "f", values=("pretty", "json")),
            Flag("short", "Only the number", "bool"),
        ),
        (),
        examples=(("version --short", "the version of Docker Compose that is followed"),),
    ),
)
