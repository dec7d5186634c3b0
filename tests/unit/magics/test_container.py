from __future__ import annotations

import atexit
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_containers.errors import (
    BuildError,
    ContainerFailedError,
    ImageNotFoundError,
    InvalidArgumentError,
    SourceLocation,
    UnsupportedError,
)
from jupyter_containers.magics import load_ipython_extension, unload_ipython_extension
from jupyter_containers.magics.config import ContainersConfig
from jupyter_containers.magics.registration import registered
from jupyter_containers.settings import Settings

RESULT = SimpleNamespace(
    exit_code=0, stdout=b"hi\n", stderr=b"", container_id="c", oom_killed=False, results={}
)


@pytest.fixture
def shell(fake_engine: Any) -> Iterator[InteractiveShell]:
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    load_ipython_extension(shell)
    magics = registered(shell)
    assert magics is not None
    magics._make_engine = lambda **overrides: (
        fake_engine.answers.update(made=overrides) or (fake_engine)
    )
    yield shell
    unload_ipython_extension(shell)
    shell.history_manager.end_session()
    shell.atexit_operations()
    atexit.unregister(shell.atexit_operations)


def run_cell(shell: InteractiveShell, text: str) -> Any:
    return shell.run_cell(text).raise_error()


def value(shell: InteractiveShell, text: str) -> Any:
    result = shell.run_cell(text)
    result.raise_error()
    return result.result


def test_the_line_magic_returns_a_value(shell: Any, fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers["containers"] = [a_container]
    assert value(shell, "%container ps") == [a_container]
    value(shell, "found = %container ps -a")
    assert shell.user_ns["found"] == [a_container]


def test_run_streams_live_and_shows_nothing_twice(
    shell: Any, fake_engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(image: str, command: Any, *, on_output: Any, **flags: Any) -> Any:
        on_output("stdout", b"h\xc3")
        on_output("stdout", b"\xa9\n")
        on_output("stderr", b"warn\n")
        return RESULT

    fake_engine.answers["run"] = run
    outcome = value(shell, "%container run --rm img echo '$HOME' {x}")
    assert fake_engine.last[1] == ("img", ["echo", "$HOME", "{x}"])
    assert outcome.output == "hi\n"
    captured = capsys.readouterr()
    assert captured.out.count("hé\n") == 1
    assert captured.err == "warn\n"
    assert outcome.shown()


def test_a_failed_run_stops_and_shows_no_traceback(
    shell: Any, fake_engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(image: str, command: Any, *, on_output: Any, **flags: Any) -> Any:
        on_output("stderr", b"it broke\n")
        raise ContainerFailedError(
            "container web ended with exit code 3", exit_code=3, log_tail=["it broke"]
        )

    fake_engine.answers["run"] = run
    result = shell.run_cell("%container run img false\nafter = 1")
    assert isinstance(result.error_in_exec, ContainerFailedError)
    assert result.error_in_exec.exit_code == 3
    assert "after" not in shell.user_ns
    captured = capsys.readouterr()
    text = captured.out + captured.err
    assert "ContainerFailedError: container web ended with exit code 3" in text
    assert text.count("it broke") == 1
    assert "Traceback" not in text
    assert ".py" not in text


def test_an_interrupt_is_one_line(shell: Any, fake_engine: Any, capsys: Any) -> None:
    def run(*args: Any, **kwargs: Any) -> Any:
        raise KeyboardInterrupt

    fake_engine.answers["run"] = run
    result = shell.run_cell("%container run img\nafter = 1")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "after" not in shell.user_ns
    captured = capsys.readouterr()
    shown = (captured.out + captured.err).strip()
    assert shown == "KeyboardInterrupt: run was interrupted"
    shell.run_cell("%container run -p 80:80 img")
    captured = capsys.readouterr()
    assert "run was interrupted: with -d a server runs" in captured.out + captured.err


def test_an_engine_error_is_one_line_and_a_hint(
    shell: Any, fake_engine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*args: Any, **kwargs: Any) -> Any:
        raise ImageNotFoundError("no such image: nope", hint="pull it first")

    fake_engine.answers["run"] = missing
    shell.run_cell("%container run nope")
    captured = capsys.readouterr()
    assert (captured.out + captured.err).strip().splitlines() == [
        "ImageNotFoundError: no such image: nope",
        "  hint: pull it first",
    ]


def test_a_cell_is_the_input(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    value(shell, "%%container run -i img sh\necho $A\necho é\n")
    assert fake_engine.last[2]["stdin"] == "echo $A\necho é\n".encode()
    value(shell, "%%container run img sh\nx\n")
    assert fake_engine.last[2]["stdin"] == b"x\n"
    with pytest.raises(InvalidArgumentError, match="ps reads no input"):
        run_cell(shell, "%%container ps\nx\n")


def test_it_with_a_cell_needs_no_terminal(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    with pytest.raises(UnsupportedError, match="front end"):
        run_cell(shell, "%container run -it img sh")
    value(shell, "%%container run -it img sh\nx\n")
    assert fake_engine.last[2]["stdin"] == b"x\n"


def test_a_cell_of_commands(shell: Any, fake_engine: Any, capsys: Any) -> None:
    fake_engine.answers["containers"] = []
    result = value(shell, "%%container\n# two\nstop a\nps \\\n  -a\n")
    assert result == []
    assert [name for name, _, _ in fake_engine.calls] == ["containers.stop", "containers"]
    assert "a\n" in capsys.readouterr().out


def test_dockerfile_builds_the_cell(shell: Any, fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    shell.user_ns["version"] = "1"
    text = "FROM debian\nRUN echo $HOME {{x}}\n"
    assert value(shell, "%%dockerfile -t app:{{version}} --no-cache --out img dir\n" + text) is (
        an_image
    )
    name, args, kwargs = fake_engine.last
    assert (name, args) == ("build", ("dir",))
    assert kwargs["dockerfile"] == text
    assert kwargs["tag"] == ["app:1"]
    assert kwargs["source_name"].startswith("In[")
    assert "out" not in kwargs
    assert shell.user_ns["img"] is an_image
    value(shell, "%%dockerfile\nFROM x\n")
    assert fake_engine.last[1] == (".",)
    with pytest.raises(InvalidArgumentError, match="variable"):
        run_cell(shell, "%%dockerfile --out 1x\nFROM x\n")
    with pytest.raises(InvalidArgumentError, match="-f"):
        run_cell(shell, "%%dockerfile -f D\nFROM x\n")


def test_the_engine_is_made_once_from_the_configuration(shell: Any, fake_engine: Any) -> None:
    assert "made" not in fake_engine.answers
    fake_engine.answers["containers"] = []
    shell.run_line_magic("config", "ContainersConfig.root = '/tmp/x'")
    value(shell, "%container ps")
    assert fake_engine.answers["made"] == {"root": "/tmp/x"}
    shell.run_line_magic("config", "ContainersConfig.stop_timeout = 3")
    assert fake_engine.closed
    value(shell, "%container ps")
    assert fake_engine.answers["made"] == {"root": "/tmp/x", "stop_timeout": 3}


def test_unload_leaves_nothing(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["containers"] = []
    value(shell, "%container ps")
    load_ipython_extension(shell)
    assert fake_engine.closed
    unload_ipython_extension(shell)
    unload_ipython_extension(shell)
    assert registered(shell) is None
    assert "container" not in shell.magics_manager.magics["line"]
    assert "dockerfile" not in shell.magics_manager.magics["cell"]
    assert not any(isinstance(item, ContainersConfig) for item in shell.configurables)


def test_configuration_has_every_setting() -> None:
    assert set(ContainersConfig.class_own_traits(config=True)) - {"docker_magic"} == {
        field.name for field in fields(Settings)
    }
    config = ContainersConfig(config=Config(ContainersConfig={"insecure_registries": ["r:1"]}))
    assert config.overrides() == {"insecure_registries": ["r:1"]}


PROBE = """
import sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
shell.history_manager.enabled = False
before = set(sys.modules)
import jupyter_containers.magics
jupyter_containers.magics.load_ipython_extension(shell)
heavy = {"requests", "pyroute2", "msgspec", "ipywidgets", "anywidget", "pandas", "isal"}
new = set(sys.modules) - before
loaded = {name.partition(".")[0] for name in new}
print(sorted(loaded & heavy), "jupyter_containers.engine" in sys.modules, len(new))
"""


def test_loading_is_cheap() -> None:
    """Seen to fail with an import of msgspec, and of a verb's module, in a magic's module."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    heavy, engine, modules = done.stdout.rsplit(maxsplit=2)
    assert (heavy, engine) == ("[]", "False")
    assert int(modules) <= 60


def test_a_cell_runs_by_the_shell_of_the_image(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    fake_engine.answers["system.inspect"] = {
        "Config": {"Shell": ["/bin/bash", "-eo", "pipefail", "-c"]}
    }
    value(shell, "%%container run --rm img\necho $HOME\nls\n")
    _, args, flags = fake_engine.last
    assert args == ("img", ["-eo", "pipefail", "-c", "echo $HOME\nls\n"])
    assert flags["entrypoint"] == "/bin/bash"
    assert flags["stdin"] is None
    value(shell, "%%container run img\n" + "echo x\n" * 20_000)
    assert fake_engine.last[1] == ("img", ["-s"])
    assert fake_engine.last[2]["stdin"] == b"echo x\n" * 20_000


def test_a_cell_runs_by_an_interpreter(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["run"] = RESULT
    value(shell, "%%container run --interpreter 'python -X dev' img\nprint(1)\n")
    _, args, flags = fake_engine.last
    assert (args, flags["entrypoint"]) == (("img", ["-X", "dev", "-"]), "python")
    assert flags["stdin"] == b"print(1)\n"
    with pytest.raises(InvalidArgumentError, match="--interpreter"):
        run_cell(shell, "%container run --interpreter python img")
    with pytest.raises(InvalidArgumentError, match="replaces the command"):
        run_cell(shell, "%%container run --interpreter python img ls\nx\n")
    with pytest.raises(InvalidArgumentError, match="detached"):
        run_cell(shell, "%%container run -d --interpreter python img\nx\n")


def test_a_cell_runs_in_a_running_container(shell: Any, fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers.update(
        {"containers.exec": RESULT, "containers.get": a_container, "system.inspect": {"Config": {}}}
    )
    value(shell, "%%container exec web\ndate\n")
    assert fake_engine.last[1] == ("web", ["/bin/sh", "-c", "date\n"])


def test_out_binds_any_result(shell: Any, fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers.update({"containers": [a_container], "run": RESULT})
    value(shell, "%container ps --out found")
    assert shell.user_ns["found"] == [a_container]
    value(shell, "%%container run -i --out=done img sh\nx\n")
    assert shell.user_ns["done"].output == "hi\n"
    # Behind the image it is the program's own flag.
    value(shell, "%container run img prog --out x")
    assert fake_engine.last[1] == ("img", ["prog", "--out", "x"])
    value(shell, "%%container\nps --out a\nps --out b\n")
    assert shell.user_ns["a"] == shell.user_ns["b"]
    with pytest.raises(InvalidArgumentError, match="variable"):
        run_cell(shell, "%container ps --out 1x")


def test_interpolate_fills_a_dockerfile(shell: Any, fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    shell.user_ns["base"] = "debian:12"
    value(shell, "%%dockerfile --interpolate\nFROM {{base}}\nRUN echo {{.Go}} {{1 + 1}}\n")
    assert fake_engine.last[2]["dockerfile"] == "FROM debian:12\nRUN echo {{.Go}} 2\n"
    assert "interpolate" not in fake_engine.last[2]


def test_docker_is_another_name_for_those_who_want_it(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["containers"] = []
    assert shell.find_line_magic("docker") is None
    shell.run_line_magic("config", "ContainersConfig.docker_magic = True")
    assert value(shell, "%docker ps") == []
    assert value(shell, "%%docker\nps\n") == []
    shell.run_line_magic("config", "ContainersConfig.docker_magic = False")
    assert shell.find_line_magic("docker") is None
    assert shell.find_cell_magic("docker") is None


def test_completion_comes_and_goes_with_the_extension(shell: Any, fake_engine: Any) -> None:
    fake_engine.answers["system.names"] = ["busybox:latest"]
    text = "x = 1\n%container run bu"
    with provisionalcompleter():
        found = [item.text for item in shell.Completer.completions(text, len(text))]
    assert found == ["busybox:latest"]
    unload_ipython_extension(shell)
    assert shell.Completer.custom_matchers == []
    load_ipython_extension(shell)


def test_a_configuration_file_is_read(tmp_path: Any, fake_engine: Any) -> None:
    from traitlets.config import PyFileConfigLoader

    file = tmp_path / "ipython_config.py"
    file.write_text("c.ContainersConfig.root = '/srv/x'\nc.ContainersConfig.docker_magic = True\n")
    config = PyFileConfigLoader(file.name, str(tmp_path)).load_config()
    parent = SimpleNamespace(config=config)
    from traitlets.config import Configurable

    made = ContainersConfig(parent=Configurable(config=parent.config))
    assert made.overrides() == {"root": "/srv/x"}
    assert made.docker_magic


def test_a_cell_continues_the_one_before(
    shell: Any, fake_engine: Any, an_image: Any, capsys: Any
) -> None:
    with pytest.raises(InvalidArgumentError, match="no cell to continue"):
        run_cell(shell, "%%dockerfile --continue\nRUN x\n")
    fake_engine.answers["build"] = an_image
    value(shell, "%%dockerfile\nFROM x\n")
    value(shell, "%%dockerfile --continue -t app\nRUN y\n")
    assert fake_engine.last[2]["dockerfile"] == f"FROM {an_image.id}\nRUN y\n"
    assert fake_engine.last[2]["tag"] == ["app"]
    with pytest.raises(InvalidArgumentError, match="cannot have a FROM"):
        run_cell(shell, "%%dockerfile --continue\n# x\nfrom y\n")
    assert "stale" not in capsys.readouterr().err


def test_lines_of_a_cell_that_continues(shell: Any, fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    value(shell, "%%dockerfile\nFROM x\n")

    def fail(context: str, source_name: str, **flags: Any) -> Any:
        raise BuildError("no", location=SourceLocation(source_name, 3, 3))

    fake_engine.answers["build"] = fail
    with pytest.raises(BuildError) as caught:
        run_cell(shell, "%%dockerfile --continue\nRUN a\nRUN b\n")
    assert caught.value.location is not None
    assert caught.value.location.first_line == 3  # the magic's own line is the first


def test_a_functions_own_variables_count_in_it(shell: InteractiveShell) -> None:
    shell.run_cell("form = 'global'").raise_error()
    line = "found = %container version --format {{form}}"
    text = f"def shown(form):\n    {line}\n    return str(found)\n\nshown('local')"
    assert value(shell, text) == "local"
    shell.run_cell(line).raise_error()
    assert str(shell.user_ns["found"]) == "global"


@pytest.mark.parametrize(
    "line", ["--context lab kill x", "kill --context lab x", "--context=lab kill x"]
)
def test_a_context_has_an_engine(shell: Any, fake_engine: Any, line: str) -> None:
    """Selected for one command: the next one is in the current context again."""
    run_cell(shell, f"%container {line}")
    assert fake_engine.answers["made"]["context"] == "lab"
    run_cell(shell, "%container kill x")
    assert "context" not in fake_engine.answers["made"]
