"""A login from a notebook asks for the password in a hidden field, and does not save it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient

from tests.integration.engine_fixtures import Place
from tests.integration.registry_server import DockerRegistry, missing_registry
from tests.notebooks.kernels import kernel, run_cell


@pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there")
def test_the_password_is_asked_for_and_never_shown(place: Place, tmp_path: Path) -> None:
    docker = tmp_path / "docker"
    with (
        DockerRegistry(tmp_path / "registry", user=("ada", "s3cret")) as registry,
        kernel(place, tmp_path, DOCKER_CONFIG=str(docker)) as client,
    ):
        run_cell(client, "%load_ext jupyter_containers")
        # Programs that run a notebook without a user (nbconvert) cannot ask.
        [refused] = run_cell(client, f"%container login -u ada {registry.host}")
        assert refused["output_type"] == "error"
        assert "cannot ask for a password" in "\n".join(refused["traceback"])
        assert "--password-stdin" in "\n".join(refused["traceback"])

        asker = BlockingKernelClient()
        asker.load_connection_file(client.km.connection_file)
        asker.start_channels()
        try:
            asked = asker.execute(f"%container login {registry.host}", allow_stdin=True)
            questions = []
            for answer in ("ada", "s3cret"):
                question = asker.get_stdin_msg(timeout=30)["content"]
                questions.append((question["prompt"], question["password"]))
                asker.input(answer)
            said = []
            while True:
                message = asker.get_iopub_msg(timeout=30)
                if message["parent_header"].get("msg_id") != asked:
                    continue
                said.append(json.dumps(message["content"]))
                if message["content"].get("execution_state") == "idle":
                    break
        finally:
            asker.stop_channels()
        assert questions == [
            (f"Username for {registry.host}: ", False),
            (f"Password of ada at {registry.host}: ", True),
        ]
        text = "\n".join(said)
        assert "Login Succeeded" in text
        assert "s3cret" not in text
        assert registry.host in json.loads((docker / "config.json").read_text())["auths"]
        assert (docker / "config.json").stat().st_mode & 0o077 == 0
