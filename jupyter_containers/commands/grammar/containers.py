"""The commands of containers."""

from __future__ import annotations

from jupyter_containers.commands.grammar.data import DATA_FLAGS
from jupyter_containers.commands.grammar.flags import (
    CONTAINER,
    CONTAINERS,
    DETACH_KEYS,
    FILTER,
    FORMAT,
    GOES_ON,
    INSPECT_SIZE,
    NO_ARCHIVE,
    NO_TRUNC,
    PRUNE,
    QUIET,
    REMOVED,
    SIG_PROXY,
    SIGNALS,
    STOP,
    UNMADE,
)
from jupyter_containers.commands.words import Call, Flag, Interrupted, Live, Operand, Verb, View
from jupyter_containers.options.flag import declared
from jupyter_containers.options.flags import ExecFlags, RunFlags, UpdateFlags

# Options of the front end, not of a container.
_PULL_QUIET = Flag("quiet", "Do not show the progress of a pull", "bool", "q")
RUN_FLAGS = tuple(sorted((*declared(RunFlags), _PULL_QUIET), key=lambda flag: flag.name))
CREATE_FLAGS = tuple(flag for flag in RUN_FLAGS if flag.key != "detach")
RUN_OPERANDS = (Operand("image", "IMAGE"), Operand("command", "COMMAND", "rest"))


RUN = Verb(
    "run",
    "Create and start a new container from an image",
    "containers:run",
    (DETACH_KEYS, SIG_PROXY, *RUN_FLAGS),
    RUN_OPERANDS,
    ("container run",),
    reads_stdin=True,
    starts="container",
    prints="id",
    notebook_flags=DATA_FLAGS,
    interrupted=Interrupted(
        advice="with -d a server runs in the background", advised_with=("publish", "publish_all")
    ),
    examples=(
        ("run --rm busybox echo hello", "one command; its container is removed"),
        ("run -it --rm busybox sh", "a shell in a terminal"),
        ("run -d --name web -p 8000:8000 app:1", "a server, at http://localhost:8000"),
        (
            "run --rm -m 512m --cpus 1.5 -v data:/data -e LEVEL=debug app:1 env",
            "limits, a volume, a variable",
        ),
        ("run --rm --here busybox ls", "in the current folder, as its owner"),
    ),
)

KILL = Verb(
    "kill",
    "Send a signal to running containers",
    Call("containers.kill", "names", each="names"),
    (Flag("signal", "Signal to send (default KILL)", "text", "s", values=SIGNALS),),
    (CONTAINERS,),
    ("container kill",),
    examples=(
        ("kill web", ""),
        ("kill -s HUP web", "many servers reload their configuration on this signal"),
    ),
)

REMOVE = Verb(
    "rm",
    "Remove containers",
    "containers:remove",
    (
        Flag("force", "Kill running ones first", "bool", "f"),
        Flag("volumes", "Also remove their anonymous volumes", "bool", "v"),
    ),
    (CONTAINERS,),
    ("container rm", "container remove"),
    examples=(
        ("rm job", ""),
        ("rm -f web", "even if it runs"),
    ),
    interrupted=REMOVED,
)

CHANGES = Verb(
    "container diff",
    "List the files that a container changed",
    "files:diff",
    (),
    (CONTAINER,),
    examples=(("container diff web", "A added, C changed, D deleted"),),
)

VERBS: tuple[Verb, ...] = (
    RUN,
    Verb(
        "create",
        "Create a new container",
        "containers:create",
        CREATE_FLAGS,
        RUN_OPERANDS,
        ("container create",),
        prints="id",
        examples=(("create --name later -m 64m app:1", "like run, but without starting it"),),
    ),
    Verb(
        "start",
        "Start stopped containers",
        "attaching:start",
        (
            Flag("attach", "Attach to its output and wait until it ends", "bool", "a"),
            DETACH_KEYS,
            Flag("interactive", "Attach to its input", "bool", "i"),
        ),
        (CONTAINERS,),
        ("container start",),
        reads_stdin=True,
        examples=(
            ("start job", ""),
            ("start -a job", "and show its output until it ends"),
        ),
    ),
    Verb(
        "attach",
        "Attach to the input and output of a running container",
        "attaching:attach",
        (DETACH_KEYS, Flag("no-stdin", "Do not attach to its input", "bool"), SIG_PROXY),
        (CONTAINER,),
        ("container attach",),
        reads_stdin=True,
        examples=(("attach web", "shows its output from now on; Ctrl-P Ctrl-Q detaches"),),
        interrupted=GOES_ON,
    ),
    Verb(
        "stop",
        "Stop running containers",
        Call("containers.stop", "names", each="names"),
        STOP,
        (CONTAINERS,),
        ("container stop",),
        examples=(
            ("stop web", "asks it to end, then kills it after 10 seconds"),
            ("stop -t 1 web db", "after one second"),
        ),
        interrupted=Interrupted("the signal was sent; containers that have not ended keep running"),
    ),
    Verb(
        "restart",
        "Restart containers",
        Call("containers.restart", "names", each="names"),
        STOP,
        (CONTAINERS,),
        ("container restart",),
        examples=(("restart web", ""),),
        interrupted=Interrupted(
            "containers that had not ended keep running, the others stay stopped"
        ),
    ),
    KILL,
    Verb(
        "pause",
        "Pause all processes in containers",
        Call("containers.pause", "names", each="names"),
        (),
        (CONTAINERS,),
        ("container pause",),
        examples=(("pause web", ""),),
    ),
    Verb(
        "unpause",
        "Resume paused containers",
        Call("containers.unpause", "names", each="names"),
        (),
        (CONTAINERS,),
        ("container unpause",),
        examples=(("unpause web", ""),),
    ),
    Verb(
        "wait",
        "Wait until containers end, then print their exit codes",
        Call("containers.wait", "lines", each="names"),
        (),
        (CONTAINERS,),
        ("container wait",),
        examples=(("wait job", "until it ends; 0 means success"),),
        interrupted=GOES_ON,
    ),
    REMOVE,
    Verb(
        "update",
        "Change limits of containers",
        Call("containers.update", "names", each="names"),
        declared(UpdateFlags),
        (CONTAINERS,),
        ("container update",),
        examples=(("update -m 256m --memory-swap 512m --cpus 0.5 web", "while it runs"),),
    ),
    Verb(
        "rename",
        "Rename a container",
        Call("containers.rename", "nothing"),
        (),
        (CONTAINER, Operand("new", "NEW_NAME")),
        ("container rename",),
        examples=(("rename web site", ""),),
    ),
    Verb(
        "ps",
        "List containers",
        "looking:ps",
        (
            Flag("all", "Show stopped containers too", "bool", "a"),
            FILTER,
            FORMAT,
            Flag("last", "Show the n latest containers, in any state", "int", "n"),
            Flag("latest", "Show the latest container, in any state", "bool", "l"),
            NO_TRUNC,
            QUIET,
            Flag("size", "Show sizes", "bool", "s"),
            Flag("watch", "Keep updating the list", "bool"),
        ),
        (),
        ("container ls", "container list", "container ps"),
        live=Live(View.DASHBOARD, asked_by="watch", in_terminal=True),
        examples=(
            ("ps", "what runs"),
            ("ps -a -f status=exited", "the containers that have ended"),
            ("ps --format '{{.Names}}: {{.Status}}'", "only these columns"),
            ("ps --watch", "live, with charts and buttons in a notebook"),
        ),
        reads=True,
    ),
    Verb(
        "logs",
        "Show the output of a container",
        "looking:logs",
        (
            Flag("details", "Show the labels and variables of --log-opt before the lines", "bool"),
            Flag("follow", "Follow the output until the container ends", "bool", "f"),
            Flag("since", "Show lines since a time or a duration ago (10m)"),
            Flag("until", "Show lines before a time or a duration ago (10m)"),
            Flag("tail", "Show only the last n lines", "text", "n"),
            Flag("timestamps", "Show times", "bool", "t"),
            Flag("wait", "With -f in a notebook: the cell runs until the container ends", "bool"),
        ),
        (CONTAINER,),
        ("container logs",),
        examples=(
            ("logs --tail 20 web", "the last 20 lines"),
            ("logs -f --since 10m web", "the last 10 minutes, and new lines"),
        ),
        interrupted=GOES_ON,
        reads=True,
    ),
    Verb(
        "exec",
        "Run a command in a running container",
        "containers:execute",
        (*declared(ExecFlags), DETACH_KEYS),
        (CONTAINER, Operand("command", "COMMAND", "rest")),
        ("container exec",),
        reads_stdin=True,
        starts="command",
        examples=(
            ("exec web ls -l /srv", ""),
            ("exec -it web sh", "a shell in a terminal"),
            ("exec -u 1000 -w /tmp web id", "as another user, in another folder"),
        ),
        interrupted=Interrupted("the command was ended, the container keeps running"),
        reads=True,
    ),
    Verb(
        "stats",
        "Show the resource usage of containers",
        "looking:stats",
        (
            Flag("all", "Show stopped containers too", "bool", "a"),
            FORMAT,
            Flag("no-stream", "Once only", "bool"),
            NO_TRUNC,
        ),
        (Operand("names", "CONTAINER", "any"),),
        ("container stats",),
        live=Live(View.STATS, unless=("no_stream", "format"), in_terminal=True),
        examples=(
            ("stats", "live, with charts in a notebook"),
            ("stats --no-stream web", "once"),
        ),
        reads=True,
    ),
    Verb(
        "top",
        "List the processes of a container",
        "looking:top",
        (),
        (CONTAINER, Operand("options", "ps OPTIONS", "rest")),
        ("container top",),
        examples=(("top web", ""),),
        reads=True,
    ),
    Verb(
        "explain",
        "Show a container from inside and from outside, side by side",
        "explaining:explain",
        (),
        (CONTAINER,),
        ("container explain",),
        live=Live(View.EXPLANATION),
        examples=(
            ("explain web", "namespaces, control groups, mounts and address, from both sides"),
        ),
    ),
    Verb(
        "port",
        "List the published ports of a container",
        "looking:port",
        (),
        (CONTAINER, Operand("private_port", "PRIVATE_PORT[/PROTO]", "optional")),
        ("container port",),
        examples=(
            ("port web", ""),
            ("port web 8000/tcp", "the address of one port"),
        ),
        reads=True,
    ),
    Verb(
        "cp",
        "Copy files between a container and this machine",
        "files:copy",
        (
            Flag("archive", "Keep owners (uid and gid)", "bool", "a"),
            Flag("follow-link", "Copy the targets of links", "bool", "L"),
            QUIET,
        ),
        (Operand("source", "CONTAINER:SRC|SRC|-"), Operand("target", "CONTAINER:DEST|DEST|-")),
        ("container cp",),
        reads_stdin=True,
        takes_paths=True,
        examples=(
            ("cp web:/etc/passwd .", "out of the container"),
            ("cp app/index.html web:/srv/", "into it"),
        ),
        interrupted=Interrupted("files that were already copied are kept"),
    ),
    CHANGES,
    Verb(
        "export",
        "Write a container's files to a tar archive",
        "files:export",
        (
            Flag(
                "output",
                "Write to a file instead of standard output",
                "text",
                "o",
                "file",
                redirect=">",
            ),
        ),
        (CONTAINER,),
        ("container export",),
        takes_paths=True,
        examples=(("export -o web.tar web", "the files, without the image's history"),),
        interrupted=NO_ARCHIVE,
    ),
    Verb(
        "commit",
        "Create an image from a container's changes",
        Call("containers.commit"),
        (
            Flag("author", "Author (Name <name@example.org>)", "text", "a"),
            Flag("change", "Apply a Dockerfile instruction", "list", "c"),
            Flag("message", "Message of the commit", "text", "m"),
            Flag("pause", "Pause the container during the commit (default true)", "bool", "p"),
        ),
        (CONTAINER, Operand("repository", "REPOSITORY[:TAG]", "optional")),
        ("container commit",),
        prints="id",
        examples=(
            ("commit web app:saved", ""),
            ("commit -c 'CMD [\"sh\"]' -m 'as it was' web app:shell", "with other settings"),
        ),
        interrupted=UNMADE,
    ),
    Verb(
        "container inspect",
        "Show details of containers",
        "system:inspect_container",
        INSPECT_SIZE,
        (CONTAINERS,),
        examples=(("container inspect -f '{{.State.Status}}' web", ""),),
        reads=True,
    ),
    Verb(
        "container prune",
        "Remove all stopped containers",
        "system:prune_containers",
        PRUNE,
        examples=(
            ("container prune -f", "without asking"),
            ("container prune -f --filter until=24h", "only those created more than 24 hours ago"),
        ),
        interrupted=REMOVED,
    ),
)
