"""The command line of a kernel in a container, and the values that it must not contain."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from jupyter_containers.provisioner import ContainerProvisioner, without_values
from tests.coroutines import awaited


@pytest.mark.parametrize(
    ("options", "rest", "given"),
    [
        (["--env=A=1", "--memory=4g"], ["--memory=4g"], {"A": "1"}),
        (["-e", "A=1=2", "-eB=x y", "--env", "C="], [], {"A": "1=2", "B": "x y", "C": ""}),
        (["-e=A=1"], [], {"A": "1"}),
        (["--env-file=f", "-e", "HOME"], ["--env-file=f", "--env", "HOME"], {}),
        (["--label", "a=b", "-e"], ["--label", "a=b"], {}),
    ],
)
def test_values_are_taken_out_of_options(
    options: list[str], rest: list[str], given: dict[str, str]
) -> None:
    assert without_values(options) == (rest, given)


def test_no_value_is_a_word_of_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen to fail before: ``--env TOKEN=secret-1`` was on the line."""
    launched: dict[str, Any] = {}

    async def launch(_: Any, cmd: list[str], **flags: Any) -> dict[str, Any]:
        launched.update(cmd=cmd, env=flags["env"])
        return {}

    monkeypatch.setattr(LocalProvisioner, "launch_kernel", launch)
    file = tmp_path / "connection.json"
    ports = ("shell_port", "iopub_port", "stdin_port", "hb_port", "control_port")
    file.write_text(json.dumps(dict.fromkeys(ports, 1)))
    env = {"TOKEN": "secret-1", "LINES": "secret-2\nsecret-3", "PYTHONPATH": "/mine"}
    provisioner = ContainerProvisioner(
        kernel_spec=KernelSpec(env=env), kernel_id="k", image="i", options=["--env=ONE=secret-4"]
    )
    # A kernel manager is a configurable; only its connection file is used.
    monkeypatch.setattr(
        ContainerProvisioner, "parent", SimpleNamespace(connection_file=str(file)), raising=False
    )
    launch_it = provisioner.launch_kernel(["python"], env={**env, "TOKEN": "secret-filled"})
    awaited(launch_it)
    assert not [word for word in launched["cmd"] if "secret" in word]
    variables = Path(f"{file}.env")
    assert variables.read_text() == "TOKEN=secret-filled\nONE=secret-4\n"
    assert variables.stat().st_mode & 0o777 == 0o600
    assert launched["cmd"][-2:] == ["i", "python"]
    assert launched["env"]["LINES"] == "secret-2\nsecret-3"
