"""Checks for exercises: each inspects one thing that a student made and returns a verdict.

A *check* returns one sentence that begins with ``✓``, or raises :class:`NotYetError`, an
``AssertionError`` that explains what is missing and what to try.  So it works unchanged in a
notebook (``print(check.port_answers(8000))``), in an autograded cell of nbgrader, in a test of
otter-grader and in pytest.

Checks use the store of the notebook's ``%container`` if that is loaded, otherwise this user's;
``engine=`` selects another.  They change nothing.  Sizes are Docker's (``64m``), megabytes are
those of ``images`` (10⁶ bytes).

The contents of a student's containers are untrusted: no link out of a volume is followed, only
regular files are opened, and every read and wait is limited.
"""

from __future__ import annotations

import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from jupyter_containers.errors import ContainersError, NotFoundError
from jupyter_containers.grading import untrusted
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

_OK = 200
_SETTLED = 0.5  # seconds: most programs that end have ended by then
_PATIENCE = 1.0  # seconds that a container may need that the cell above has just started
_SHOWN = 60
_CHUNK = 1 << 20
_MOST_FILE = 64 << 20
_MOST_LOG = 256 << 20
_MOST_PASSWD = 1 << 20
_LOOKING_SECONDS = 600.0


class NotYetError(AssertionError):
    """The exercise is not solved yet: ``message`` says what is missing, ``hint`` what to try."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return [f"✗ {self.message}", *([f"  hint: {self.hint}"] if self.hint else [])]


def that(holds: object, says: str, *, otherwise: str, hint: str = "") -> str:
    """Check any condition: return ``says`` if it ``holds``; ``otherwise`` is the other verdict."""
    if not holds:
        raise NotYetError(otherwise, hint=hint)
    return f"✓ {says}"


def running(container: str, *, engine: Engine | None = None) -> str:
    """Check that a container runs, and still runs half a second after its start."""
    with _looking(engine) as here:
        found = here.containers.get(container)
        age = time.time() - found.record.state.started
        if found.status.alive and 0 <= age < _SETTLED:
            time.sleep(_SETTLED - age)
            found = here.containers.get(container)
        if not found.status.alive:
            hints = {
                None: f"it was made, but not started: %container start {container}",
                0: "its program has ended, and with it the container: give it one that goes on "
                "(sleep 3600)",
            }
            said = f"see what it said: %container logs {container}"
            raise NotYetError(
                f"{container} does not run: {found.status_text}",
                hint=hints.get(found.exit_code, said),
            )
    return f"✓ {container} runs"


def exited(container: str, code: int = 0, *, engine: Engine | None = None) -> str:
    """Check that a container has ended with an exit code; wait up to a second for that."""
    with _looking(engine) as here:
        _await(lambda: not here.containers.get(container).status.alive)
        found = here.containers.get(container)
        if found.exit_code is None:
            raise NotYetError(
                f"{container} has not ended: {found.status_text}",
                hint=f"%container stop {container} ends it, wait {container} waits for its end",
            )
        if found.exit_code != code:
            raise NotYetError(
                f"{container} ended with exit code {found.exit_code}, not {code}",
                hint="it is the exit code of its first process; a shell's is that of its last "
                f"command, or what exit {code} says",
            )
    return f"✓ {container} ended with exit code {code}"


def logged(container: str, text: str, *, engine: Engine | None = None) -> str:
    """Check that a container wrote a text; wait up to a second for that."""
    with _looking(engine) as here:

        def wrote() -> bool:
            lines = (line.data for line in here.containers.logs(container))
            return untrusted.contains(untrusted.first(lines, _MOST_LOG), [text.encode()])

        _await(lambda: not here.containers.get(container).status.alive or wrote())
        there = wrote()
    if not there:
        raise NotYetError(
            f"nothing that {container} wrote contains {text!r}",
            hint=f"read it: %container logs {container}",
        )
    return f"✓ {container} wrote {text!r}"


def runs_as_non_root(name: str, *, engine: Engine | None = None) -> str:
    """Check that a container, or any container of an image, does not run as root.

    User names are looked up in the container's ``/etc/passwd``: another name for uid 0 is root.
    """
    with _looking(engine) as here:
        user = _user_of(here, name).partition(":")[0]
        uid = user if _is_number(user) else _uid(here, name, user) if user else "0"
    if uid is not None and not _is_number(uid):
        raise NotYetError(f"{name} runs as {user}, who has no number in /etc/passwd")
    if user == "root" or (uid is not None and int(uid) == 0):
        told = f"as {user}" if user else "as nobody in particular, which means root"
        raise NotYetError(
            f"{name} runs {told}",
            hint="end the Dockerfile with USER 1000, or with a user that RUN useradd made; or give "
            "run a --user",
        )
    return printable(f"✓ {name} runs as {user}, not as root")


def limit_set(
    container: str,
    *,
    memory: str | int | None = None,
    cpus: float | None = None,
    pids: int | None = None,
    engine: Engine | None = None,
) -> str:
    """Check that a container has limits, none of them above the given ones."""
    from jupyter_containers.engine.units import binary_size
    from jupyter_containers.options.values import parse_size

    with _looking(engine) as here:
        host = here.containers.inspect(container)["HostConfig"]
    found: list[tuple[str, float, float, str, Callable[[float], str]]] = []
    if memory is not None:
        size = parse_size(memory, "memory")
        found.append(("memory", host["Memory"], size, f"--memory {memory}", binary_size))
    if cpus is not None:
        found.append(("CPU", _cpus(host), cpus, f"--cpus {cpus:g}", "{:g} CPUs".format))
    if pids is not None:
        tasks = max(host["PidsLimit"] or 0, 0)
        found.append(("process", tasks, pids, f"--pids-limit {pids}", "{:g} processes".format))
    for kind, value, most, flag, words in found:
        if not value:
            raise NotYetError(f"{container} has no {kind} limit", hint=f"run it with {flag}")
        if value > most:
            raise NotYetError(
                f"the {kind} limit of {container} is {words(value)}, more than {words(most)}",
                hint=f"run or update it with {flag}",
            )
    told = ", ".join(words(value) for _, value, _, _, words in found)
    return f"✓ {container} is limited: {told}"


def port_answers(
    port: int,
    path: str = "/",
    *,
    contains: str = "",
    status: int = _OK,
    seconds: float = 10.0,
    engine: Engine | None = None,
) -> str:
    """Check that a web server responds on a port of this machine, within ``seconds``."""
    from http.client import HTTPException

    from jupyter_containers.grading.answers import ask

    url = f"http://127.0.0.1:{port}/{path.removeprefix('/')}"
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask(port, path, max(1.0, deadline - time.monotonic()))
            break
        except (OSError, HTTPException, ValueError) as error:
            if time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise NotYetError(
                f"nothing answers at {url}", hint=_why_silent(port, engine)
            ) from error
    if answer.status != status:
        raise NotYetError(
            f"{url} answers with status {answer.status}, not {status}",
            hint=f"it leads to {_short(answer.elsewhere)!r}, which is another server"
            if answer.elsewhere
            else "the program's log says why: %container logs NAME",
        )
    if contains not in answer.text:
        raise NotYetError(f"{url} answers {_short(answer.text)!r}, which lacks {contains!r}")
    return f"✓ {url} answers" + (f" {contains!r}" if contains else "")


def _why_silent(port: int, engine: Engine | None) -> str:
    """Return a hint for a port without a response."""
    with _looking(engine) as here:
        published = [
            (container.name, place.rpartition("->")[2])
            for container in here.containers()
            for place in container.ports
            if f":{port}->" in place
        ]
    if not published:
        return f"no running container publishes that port: run it with -p {port}:PORT"
    name, inside = published[0]
    return (
        f"the port leads to {inside} of {name}: does its program listen there, and on 0.0.0.0 "
        f"rather than on 127.0.0.1? %container logs {name} and exec {name} netstat -tln tell"
    )


def on_network(container: str, network: str, *, engine: Engine | None = None) -> str:
    """Check that a container is connected to a network."""
    with _looking(engine) as here:
        here.networks.get(network)
        networks = here.containers.get(container).networks
    if network not in networks:
        raise NotYetError(
            f"{container} is in {', '.join(networks) or 'no network'}, not in {network}",
            hint=f"run it with --network {network}, or %container network connect {network} "
            f"{container}",
        )
    return f"✓ {container} is in the network {network}"


def mounted(container: str, target: str, volume: str = "", *, engine: Engine | None = None) -> str:
    """Check that a container has a mount, or mounts the volume of that name."""
    with _looking(engine) as here:
        mounts = {
            item["Destination"]: item for item in here.containers.inspect(container)["Mounts"]
        }
    wanted = f"{volume or 'VOLUME'}:{target}"
    if target not in mounts:
        there = ", ".join(mounts) or "nothing"
        raise NotYetError(
            f"nothing is mounted at {target} in {container}; there is {there}",
            hint=f"run it with -v {wanted}",
        )
    name = mounts[target].get("Name") or mounts[target]["Source"]
    if volume and name != volume:
        raise NotYetError(
            f"at {target} in {container} is {name}, not {volume}", hint=f"run it with -v {wanted}"
        )
    return f"✓ {container} has {name} at {target}"


def volume_holds(
    volume: str, path: str, *, contains: str = "", engine: Engine | None = None
) -> str:
    """Check that a volume has a file, and check its contents."""
    with _looking(engine) as here:
        place = here.volumes.get(volume).mountpoint
    try:
        with untrusted.regular_file(place, path) as file:
            start = file.read(_SHOWN * 8).decode(errors="replace")
            file.seek(0)
            parts = untrusted.pieces(file, _MOST_FILE)
            found = not contains or untrusted.contains(parts, [contains.encode()])
    except OSError as error:
        raise NotYetError(
            f"the volume {volume} has no readable file {path}",
            hint="write it from a container that has the volume mounted (-v "
            f"{volume}:/data), below that folder",
        ) from error
    if not found:
        raise NotYetError(
            f"{path} in the volume {volume} is {_short(start)!r}, without {contains!r}"
        )
    return f"✓ the volume {volume} holds {path}"


def image_at_most(image: str, megabytes: float, *, engine: Engine | None = None) -> str:
    """Check the size of an image, in the megabytes of ``images``."""
    with _looking(engine) as here:
        size = here.images.get(image).size / 1e6
    if size > megabytes:
        raise NotYetError(
            f"{image} has {size:.1f} MB, more than {megabytes:g}",
            hint=f"%container layers {image} shows which step made it large; a smaller base, a "
            "second stage, and removing files in the step that made them help",
        )
    return f"✓ {image} has {size:.1f} MB, at most {megabytes:g}"


def layers_at_most(image: str, count: int, *, engine: Engine | None = None) -> str:
    """Check the number of an image's layers, including those of its base."""
    with _looking(engine) as here:
        found = len(here.images.inspect(image)["RootFS"]["Layers"])
    if found > count:
        raise NotYetError(
            f"{image} has {found} layers, more than {count}",
            hint="RUN, COPY and ADD make a layer each: join commands with &&, copy folders at once",
        )
    return f"✓ {image} has {found} layers, at most {count}"


def image_sets(image: str, setting: str, value: Any, *, engine: Engine | None = None) -> str:
    """Check a setting of an image, named as in ``inspect``: ``WorkingDir``, ``Cmd``, ``Labels`` ….

    For a mapping, ``value`` is a part of it; for a list, the whole or one of its words.
    """
    with _looking(engine) as here:
        found = here.images.inspect(image)["Config"].get(setting)
    if isinstance(value, dict):
        right = isinstance(found, dict) and found.items() >= value.items()
    else:
        right = found == value or (isinstance(found, list) and value in found)
    if not right:
        raise NotYetError(
            f"{setting} of {image} is {found!r}, not {value!r}",
            hint=f"see %container inspect {image}",
        )
    return f"✓ {setting} of {image} is {value!r}"


def same_image(first: str, second: str, *, engine: Engine | None = None) -> str:
    """Check that two names refer to one image."""
    with _looking(engine) as here:
        one, other = here.images.get(first).id, here.images.get(second).id
    if one != other:
        raise NotYetError(
            f"{first} and {second} are different images: {one[7:19]} and {other[7:19]}",
            hint=f"%container tag {first} {second} gives the first one the second name",
        )
    return f"✓ {first} and {second} are the image {one[7:19]}"


def has_file(image: str, path: str, *, engine: Engine | None = None) -> str:
    """Check that an image contains a file or folder."""
    if path.strip("/") not in _paths(image, engine):
        raise NotYetError(
            f"{image} has no {path}", hint=f"%container layers --files {image} lists its files"
        )
    return f"✓ {image} has {path}"


def has_no_file(image: str, path: str, *, engine: Engine | None = None) -> str:
    """Check that containers of an image do not contain a file or folder."""
    if path.strip("/") in _paths(image, engine):
        raise NotYetError(
            f"{image} has {path}",
            hint="name it in .dockerignore, copy less, or copy from a stage before only what is "
            "needed; then build again",
        )
    return f"✓ {image} has no {path}"


def step_cached(image: str, text: str, *, engine: Engine | None = None) -> str:
    """Check that the last build of that name took a step with ``text`` from the cache."""
    with _looking(engine) as here:
        names = {image, f"{image}:latest"}
        notes = [note for note in here.builds.history() if names & set(note.names)]
        if not notes:
            raise NotYetError(f"nothing was built as {image}", hint=f"%%dockerfile -t {image}")
        steps = [step for step in here.builds.steps(notes[0].id) if text in step.title]
    if not steps:
        raise NotYetError(f"the last build of {image} has no step with {text!r}")
    if "cached" not in steps[0].outcome:
        reason = f": {steps[0].reason}" if steps[0].reason else ""
        raise NotYetError(
            f"the step with {text!r} was not taken from the cache{reason}",
            hint="put what changes often below what changes seldom, and build twice",
        )
    return f"✓ the step with {text!r} came from the cache"


def no_secret_in_layers(image: str, *secrets: str, engine: Engine | None = None) -> str:
    """Check that no layer of an image, nor its settings or history, contains a secret.

    Files that a later layer removes count: everybody who has the image has them.
    """
    wanted = [secret.encode() for secret in secrets]
    if not all(wanted) or not wanted:
        raise ValueError("a secret to look for has at least one character")
    # A file, not memory: images are large.  By its path, which every engine can write.
    with tempfile.TemporaryDirectory() as folder, _looking(engine) as here:
        here.images.get(image)
        here.images.save(image, f"{folder}/image.tar")
        with tarfile.open(f"{folder}/image.tar") as saved:
            places = list(_places_with(saved, wanted))
    if places:
        where = ", ".join(sorted(set(places)))
        raise NotYetError(
            f"the secret is in {image}: {where}",
            hint="hand it to the one step that needs it: RUN --mount=type=secret,id=NAME and "
            "build --secret id=NAME; ARG, ENV and files removed by a later layer stay readable",
        )
    return f"✓ no layer of {image} has the secret, nor its settings"


def in_registry(name: str, *, engine: Engine | None = None) -> str:
    """Check that a registry has the image ``REGISTRY/REPOSITORY:TAG``."""
    repository, _, tag = name.rpartition(":")
    if not repository or "/" in tag:
        repository, tag = name, "latest"
    with _looking(engine) as here:
        try:
            tags = here.registries.tags(repository)
        except NotFoundError as error:
            raise NotYetError(error.message, hint=f"%container push {name}") from error
    if tag not in tags:
        raise NotYetError(
            f"{repository} has the tags {', '.join(tags) or '(none)'}, not {tag}",
            hint=f"tag the image as {name} and push that name",
        )
    return f"✓ the registry has {name}"


def _await(holds: Callable[[], bool]) -> None:
    """Wait a moment for a condition; the caller checks the result."""
    deadline = time.monotonic() + _PATIENCE
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)


@contextmanager
def _looking(engine: Engine | None) -> Iterator[Engine]:
    """Yield the engine for a check; treat missing or unsupported objects as not done yet."""
    own = None
    try:
        if engine is None:
            engine = _notebooks_engine()
        if engine is None:
            from jupyter_containers import Engine

            engine = own = Engine()
        yield engine
    except NotFoundError as error:
        raise NotYetError(error.message, hint=error.hint) from error
    except ContainersError as error:
        raise NotYetError(f"cannot look: {error.message}", hint=error.hint) from error
    finally:
        if own is not None:
            own.close()


def _notebooks_engine() -> Engine | None:
    """Return the engine of ``%container`` in this process, if there is one."""
    if "IPython" not in sys.modules:
        return None
    from IPython.core.getipython import get_ipython

    from jupyter_containers.magics.registration import registered

    shell: Any = get_ipython()
    magics = registered(shell) if shell is not None else None
    return magics.engine if magics is not None else None


def _user_of(engine: Engine, name: str) -> str:
    """Return the user of a container or image."""
    try:
        document = engine.containers.inspect(name)
    except NotFoundError:
        try:
            document = engine.images.inspect(name)
        except NotFoundError as error:
            raise NotFoundError(f"no such container or image: {name}") from error
    return str(document["Config"].get("User") or "")


def _uid(engine: Engine, name: str, user: str) -> str | None:
    """Return the number of a user, from the container's own ``/etc/passwd``."""
    archive = untrusted.SmallArchive(_MOST_PASSWD)
    try:
        engine.containers.copy(f"{name}:/etc/passwd", "-", follow_link=True, stdout=archive)  # type: ignore[arg-type]  # only written to
    except NotFoundError:  # an image, or a container without that file: only the name is known
        return None
    text = archive.only_file()
    if text is None:
        raise NotYetError(f"{name} has no readable /etc/passwd, so nobody knows who {user} is")
    lines = [line.split(":") for line in text.decode(errors="replace").splitlines()]
    return next((line[2] for line in lines if len(line) > 2 and line[0] == user), None)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _cpus(host: dict[str, Any]) -> float:
    """Return how many CPUs a container may use; 0 for all."""
    if host["NanoCpus"]:
        return float(host["NanoCpus"]) / 1e9
    if (host.get("CpuQuota") or 0) > 0:
        return float(host["CpuQuota"]) / float(host.get("CpuPeriod") or 100_000)
    return 0.0


def _paths(image: str, engine: Engine | None) -> set[str]:
    """Return the initial paths of a container of the image, without the leading slash."""
    paths: set[str] = set()
    with _looking(engine) as here:
        for layer in here.images.layers(image).layers:
            for change in layer.changes:
                path = os.fspath(change.path).strip("/")
                if change.kind == "removed":
                    paths = {
                        kept for kept in paths if kept != path and not kept.startswith(f"{path}/")
                    }
                else:
                    paths.add(path)
    return paths


def _places_with(saved: tarfile.TarFile, secrets: Sequence[bytes]) -> Iterator[str]:
    """Yield the files of an image's layers, and its configuration, that contain a secret."""
    deadline = time.monotonic() + _LOOKING_SECONDS
    for member in saved:
        file = saved.extractfile(member) if member.isfile() else None
        if file is None or member.name in ("manifest.json", "repositories"):
            continue
        start = file.read(_CHUNK)
        file.seek(0)
        if start.lstrip().startswith(b"{"):
            if untrusted.contains(_in_time(file, deadline), secrets):
                yield "its settings or history"
            continue
        with tarfile.open(fileobj=file) as layer:
            for entry in layer:
                content = layer.extractfile(entry) if entry.isfile() else None
                if content is not None and untrusted.contains(_in_time(content, deadline), secrets):
                    yield repr(f"/{entry.name.removeprefix('./')}")[1:-1]


def _in_time(file: IO[bytes], deadline: float) -> Iterator[bytes]:
    """Yield the contents of a file of an image; a sparse one may be too large to read."""
    while piece := file.read(_CHUNK):
        if time.monotonic() > deadline:
            raise NotYetError(
                f"the image has more than can be looked through in {_LOOKING_SECONDS:.0f} seconds"
            )
        yield piece


def _short(text: str) -> str:
    text = text.strip()
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
