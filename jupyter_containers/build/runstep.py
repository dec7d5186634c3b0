"""RUN as a file step: command, environment, mounts, and errors."""

from __future__ import annotations

import posixpath
import stat
from collections import deque
from collections.abc import Callable, Sequence

from jupyter_containers.build import flags, history, secrets, ssh
from jupyter_containers.build.cache import StepKey
from jupyter_containers.build.filestep import FileStep, StepContext
from jupyter_containers.build.instructions import Run
from jupyter_containers.build.mountpoints import make_mount_points, remove_mount_points
from jupyter_containers.build.mounts import MountSpec, parse_run_mount
from jupyter_containers.build.parser import is_heredoc_word
from jupyter_containers.build.seams import StepMount, StepRequest, Stream, Workspace
from jupyter_containers.build.steps import Expander, command_vector
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.errors import (
    DockerfileSyntaxError,
    InvalidArgumentError,
    OCIRuntimeError,
    StepFailedError,
)
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.oci.descriptor import digest_of

_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_SCRIPTS = "/dev/pipes"


def describe_run(instruction: Run, expand: Expander, around: StepContext) -> FileStep:
    """Return RUN as a step; raise for mounts and modes that are not available."""
    _check_entitlements(instruction, around)
    argv, script = _command(instruction, around)
    specs = [_spec(text, expand, around) for text in instruction.mounts]
    mounts = (
        tuple(_mount(spec, around) for spec in specs if spec.type not in ("secret", "ssh")) + script
    )
    env, proxies = around.state.run_env(around.build_args)
    config = around.state.config
    network = around.network if instruction.network == "default" else instruction.network
    flagged = dict(flags.key_parts(instruction))
    flagged["mounts"] += tuple(repr(_identity(one)) for one in mounts)
    parts = around.base_parts() | {
        "command": "\0".join(argv),
        "env": "\0".join(env),
        "cwd": config.cwd,
        "user": config.user,
        **{name: "\0".join(words) for name, words in flagged.items()},
    }
    request = StepRequest(
        step_id=around.step_id,
        argv=argv,
        env=(*env, *proxies),
        cwd=config.cwd,
        user=config.user,
        network=network,
        mounts=mounts,
        trust_host_ca=around.trust_host_ca,
        platform=around.state.platform,
        privileged=instruction.security == "insecure",
        means=around.step_means,
    )

    def key() -> StepKey:
        return StepKey(parts, _context_files(specs, around))

    return FileStep(
        None,
        key,
        _runner(request, specs, instruction, around),
        history.run(argv, around.state.argument_values()),
    )


def _check_entitlements(instruction: Run, around: StepContext) -> None:
    """Raise if a step needs an entitlement that the request does not grant."""
    wanted = {
        "security.insecure": instruction.security == "insecure",
        "network.host": instruction.network == "host" and around.network != "host",
    }
    for name, needed in wanted.items():
        if needed and name not in around.allow:
            raise around.fail(
                f"{name} is not allowed in this build", hint=f"grant it: build --allow {name} …"
            )


def _command(
    instruction: Run, around: StepContext
) -> tuple[tuple[str, ...], tuple[StepMount, ...]]:
    """Return the argument vector, and the script to mount if the heredoc has a ``#!`` line."""
    command, heredocs = instruction.command, instruction.heredocs
    if not (command.shell and heredocs):
        return command_vector(command, around.state), ()
    first = heredocs[0]
    if is_heredoc_word(command.arguments[0]):
        if first.text.startswith("#!"):
            path = f"{_SCRIPTS}/{first.name}"
            script = StepMount("file", path, mode=0o755, data=first.text.encode())
            return (*around.state.shell, path), (script,)
        return (*around.state.shell, first.text), ()
    # The shell reads other heredocs itself, so the text is joined again.
    documents = "".join(f"\n{one.content}{one.name}" for one in heredocs)
    return (*around.state.shell, command.arguments[0] + documents), ()


def _spec(text: str, expand: Expander, around: StepContext) -> MountSpec:
    try:
        return parse_run_mount(text, expand, around.state.config.working_dir)
    except DockerfileSyntaxError:
        raise
    except InvalidArgumentError as error:
        raise DockerfileSyntaxError(
            f"RUN: {error.message}", location=around.instruction.location, hint=error.hint
        ) from error


def _mount(spec: MountSpec, around: StepContext) -> StepMount:
    context = around.contexts.tree(spec.from_) if spec.from_ else around.context
    chain = around.chain_of(spec.from_) if context is None else None
    if spec.type == "tmpfs":
        return StepMount("tmpfs", spec.target, read_only=False, size=spec.size)
    if spec.type == "cache":
        return StepMount(
            "cache",
            spec.target,
            source=spec.source,
            chain_id=chain,
            read_only=spec.read_only,
            cache_id=spec.id,
            variant=_variant(spec),
            sharing=spec.sharing,  # type: ignore[arg-type]  # checked where it was parsed
            mode=0o755 if spec.mode is None else spec.mode,
            uid=spec.uid or 0,
            gid=spec.gid or 0,
        )
    source = posixpath.normpath("/" + spec.source).replace("//", "/", 1)
    if context is not None:
        # Looked up under the ignore rules, so that an ignored file cannot be mounted by its name.
        [found] = context.tree.find(source.replace("\\", "\\\\")) or [None]
        if found is None:
            raise around.fail(f"mount source {spec.source!r} not found in the context")
        return StepMount(
            "bind",
            spec.target,
            read_only=spec.read_only,
            is_file=not found.is_folder,
            context=context.host_file(found.path),
        )
    return StepMount("bind", spec.target, source, chain, spec.read_only)


def _with_kind(mount: StepMount, around: StepContext) -> StepMount:
    """Return a mount from a stage or image with the kind of its source filled in."""
    if mount.type != "bind" or mount.chain_id is None or mount.source == "/":
        return mount
    root = around.tree_of(mount.chain_id).root
    status = root.stat(root.resolve(mount.source))
    return replace(mount, is_file=status is not None and not stat.S_ISDIR(status.st_mode))


def _variant(spec: MountSpec) -> str:
    """Return what distinguishes caches of one ID: owner and mode, if either is given.

    As in BuildKit: a cache made by root stays root's, and ``uid=1000`` gets a separate folder.
    """
    given = (spec.uid, spec.gid, spec.mode)
    if given == (None, None, None):
        return ""
    return f"{spec.uid or 0}:{spec.gid or 0}:{0o755 if spec.mode is None else spec.mode:o}"


def _identity(mount: StepMount) -> tuple[object, ...]:
    """Return the part of a mount that decides a step's result: no host path, no cache content."""
    return (mount.type, mount.target, mount.chain_id, mount.read_only, digest_of(mount.data))


def _context_files(specs: list[MountSpec], around: StepContext) -> dict[str, str]:
    files: dict[str, str] = {}
    for spec in specs:
        context = around.contexts.tree(spec.from_) if spec.from_ else around.context
        if spec.type != "bind" or context is None:
            continue
        tree: SourceTree = context.tree
        for source in tree.find(spec.source or "/"):
            for entry in tree.walk(source):
                around.cancel.check()
                files[f"{spec.target}:{entry.path}"] = tree.digest(entry)
    return files


class _Tail:
    """The last lines of a step's output."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def add(self, data: bytes) -> None:
        self._chunks.append(data[-_TAIL_BYTES:])
        self._size += len(self._chunks[-1])
        while self._size - len(self._chunks[0]) > _TAIL_BYTES:
            self._size -= len(self._chunks.popleft())

    def lines(self) -> tuple[str, ...]:
        text = b"".join(self._chunks).decode("utf-8", "replace")
        return tuple(line.rstrip("\r") for line in text.rstrip("\n").split("\n"))[-_TAIL_LINES:]


_HINTS = {
    126: "the command exists but cannot be executed",
    127: "the command was not found in the image",
    137: "the process was killed, perhaps for lack of memory",
}


def _failed(
    instruction: Run, argv: Sequence[str], tail: _Tail, code: int, ending: str, hint: str
) -> StepFailedError:
    shown = " ".join(instruction.command.arguments)
    shown = shown if len(shown) <= 80 else shown[:79] + "…"
    return StepFailedError(
        f"RUN {shown} {ending}".replace("\n", " "),
        exit_code=code,
        log_tail=tuple(line for line in tail.lines() if line),
        command=argv,
        location=instruction.location,
        instruction=instruction.source,
        hint=hint,
    )


def _runner(
    described: StepRequest, specs: list[MountSpec], instruction: Run, around: StepContext
) -> Callable[[Workspace], None]:
    def act(workspace: Workspace) -> None:
        tail = _Tail()
        given = secrets.given(specs, around)
        agents = ssh.agents(specs, around)
        request = replace(
            described,
            env=(*described.env, *given.env, *agents.env),
            mounts=(
                *(_with_kind(mount, around) for mount in described.mounts),
                *given.files,
                *agents.sockets,
            ),
        )

        def on_output(data: bytes, stream: Stream) -> None:
            tail.add(data)
            around.output(data, stream)

        made = workspace.call(lambda rootfs: make_mount_points(rootfs, request.mounts))
        try:
            code = workspace.run(request, on_output, around.cancel)
        except OCIRuntimeError as error:
            ending = f"could not be started: {error.message}"
            code, hint = error.exit_code, error.hint
            raise _failed(instruction, described.argv, tail, code, ending, hint) from error
        except InvalidArgumentError as error:
            raise around.fail(f"RUN: {error.message}", hint=error.hint) from error
        around.cancel.check()
        workspace.call(lambda rootfs: remove_mount_points(rootfs, made))
        if code != 0:
            ending = f"ended with exit code {code}"
            hint = _HINTS.get(code, "")
            raise _failed(instruction, described.argv, tail, code, ending, hint)

    return act
