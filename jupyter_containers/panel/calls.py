"""Performs the calls of a page with the engine, each in its own thread."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.panel.messages import (
    Act,
    ActOnProject,
    BuildSteps,
    Call,
    Check,
    Command,
    Complete,
    Completion,
    Describe,
    Description,
    Download,
    Files,
    Forecast,
    Inspect,
    Login,
    NotebookDockerfile,
    Output,
    Prune,
    PrunePreview,
    Remove,
    Step,
    Tag,
    Upload,
)

if TYPE_CHECKING:
    from jupyter_containers.build.result import StepReport
    from jupyter_containers.engine import Engine
    from jupyter_containers.panel.uploads import Uploads

Say = Callable[[str], None]
# Maps the text of a cell and its ID to the steps of its build.
Foretell = Callable[[str, str], "Sequence[StepReport]"]
# Commands that wait for keys or never end by themselves cannot run in a dialog.
_OUTPUT_CHARACTERS = 200_000


class Calls:
    """Performs one call; ``say`` reports its progress."""

    def __init__(
        self, engine: Engine, say: Say, uploads: Uploads, forecast: Foretell | None = None
    ) -> None:
        self._engine, self._say, self._uploads = engine, say, uploads
        self._forecast = forecast

    def perform(self, call: Call, buffers: Sequence[bytes]) -> tuple[Any, Sequence[bytes]]:
        """Perform a call; return its result and the buffers to send with it."""
        match call:
            case Act():
                self._act(call)
                return None, ()
            case ActOnProject(action, project):
                from jupyter_containers.commands.applications import Deeds

                Deeds.of_project(self._engine, project).act(action)
                return None, ()
            case Remove() | Tag() | Prune() | PrunePreview():
                return self._keep_house(call), ()
            case Files() | Download() | Upload():
                from jupyter_containers.panel.files import ContainerFiles

                return ContainerFiles(self._engine, self._uploads).perform(call, buffers)
            case Command(line):
                return self._command(line), ()
            case Login():
                return self._login(call), ()
            case BuildSteps(build):
                found = self._engine.builds.steps(build)
                return [Step(one.title, one.outcome, one.seconds, one.reason) for one in found], ()
            case Inspect(what, name):
                return self._engine.system.inspect(name, what), ()
        return self._write(call), ()

    def _act(self, call: Act) -> None:
        engine = self._engine
        match call.action:
            case "start":
                engine.containers.start(call.id)
            case "stop":
                engine.containers.stop(call.id)
            case "restart":
                engine.containers.restart(call.id)
            case "pause":
                engine.containers.pause(call.id)
            case "unpause":
                engine.containers.unpause(call.id)
            case "kill":
                engine.containers.kill(call.id)
            case "remove":
                engine.containers.remove(call.id, force=True)

    def _keep_house(self, call: Remove | Tag | Prune | PrunePreview) -> Any:
        from jupyter_containers.panel import prune

        engine = self._engine
        match call:
            case Tag(image, name):
                engine.images.tag(image, name)
            case Remove("container", name, force):
                engine.containers.remove(name, force=force)
            case Remove("image", name, force):
                engine.images.remove(name, force=force)
            case Remove("volume", name):
                engine.volumes.remove(name)
            case Remove("network", name):
                engine.networks.remove(name)
            case PrunePreview(everything):
                return prune.preview(engine, all=everything)
            case Prune(groups, everything):
                return prune.prune(engine, groups, all=everything)
        return None

    def _write(self, call: Call) -> Any:
        """Perform a call of the editor of a Dockerfile or a Compose file."""
        match call:
            case Check(text, "compose", path):
                from jupyter_containers.panel.compose_checks import compose_squiggles

                return compose_squiggles(text, path)
            case Complete(before, "compose", after):
                from jupyter_containers.compose.editing.suggestions import suggest

                line, column = before.count("\n"), len(before.rpartition("\n")[2])
                names = self._engine.system.names
                token, matches = suggest(before + after, line, column, names)
                return Completion(len(token), matches[:200])
            case Describe(text, line, column):
                from jupyter_containers.compose.editing.suggestions import describe

                found = describe(text, line, column)
                if found is None:
                    return Description("", "", [], 0, 0)
                forms, place = list(found.forms), (found.first_column, found.last_column)
                return Description(found.title, found.words, forms, *place)
            case Check(text):
                from jupyter_containers.panel.dockerfile_checks import squiggles

                return squiggles(self._engine, text)
            case Complete(before):
                from jupyter_containers.commands.dockerfile_completion import complete_dockerfile

                token, matches = complete_dockerfile(before, self._engine.system.names)
                return Completion(len(token), matches[:200])
            case Forecast(source, place):
                if self._forecast is None:
                    raise InvalidArgumentError("there is no notebook with cells to read")
                return [
                    Step(one.title, "cached" if one.cached else "wanted", 0.0, one.reason)
                    for one in self._forecast(source, place)
                ]
            case NotebookDockerfile(notebook):
                from jupyter_containers.panel.environment import notebook_dockerfile

                return Output(notebook_dockerfile(notebook))
        raise InvalidArgumentError(f"unknown call: {type(call).__name__}")

    def _login(self, call: Login) -> Output:
        from jupyter_containers.commands.execute import execute
        from jupyter_containers.commands.grammar.registries import LOGIN
        from jupyter_containers.commands.session import Session

        session = Session(provide_engine=lambda: self._engine, stdin=call.password.encode())
        words = [LOGIN.name, f"--username={call.username}", "--password-stdin"]
        if call.registry:
            words += ["--", call.registry]
        return Output(str(execute(session, words)))

    def _command(self, line: str) -> Output:
        from jupyter_containers.commands.execute import execute
        from jupyter_containers.commands.session import Session
        from jupyter_containers.panel.command_progress import CommandProgress

        try:
            words = shlex.split(line)
        except ValueError as error:
            raise InvalidArgumentError(f"cannot read the line: {error}") from error
        progress = CommandProgress(self._say)
        session = Session(
            provide_engine=lambda: self._engine,
            program="%container",
            progress=progress.progress,
            on_output=progress.receive,
        )
        result = execute(session, words)
        # Output that was passed on live is not repeated as the command's value.
        text = progress.text or ("" if result is None else str(result))
        return Output(text[-_OUTPUT_CHARACTERS:])
