from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.settings import load_settings


def test_each_layer_overrides_the_one_below(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('runtime = "crun"\nstop_timeout = 3\ninsecure_registries = ["a:1", "b:2"]\n')
    environ = {
        "JUPYTER_CONTAINERS_CONFIG": str(config),
        "JUPYTER_CONTAINERS_STOP_TIMEOUT": "4",
        "JUPYTER_CONTAINERS_ROOT": str(tmp_path),
        "HOME": str(tmp_path),
    }
    settings = load_settings(environ, {"pids_limit": 7})
    assert (settings.runtime, settings.stop_timeout, settings.pids_limit) == ("crun", 4, 7)
    assert settings.insecure_registries == ("a:1", "b:2")
    assert settings.root == tmp_path


@pytest.mark.parametrize(
    ("environ", "overrides", "words"),
    [
        ({}, {"rutime": "runc"}, "unknown setting 'rutime'"),
        ({"JUPYTER_CONTAINERS_STOP_TIMEOUT": "soon"}, {}, "stop_timeout in the environment"),
        ({"JUPYTER_CONTAINERS_NO_NEW_PRIVILEGES": "maybe"}, {}, "no_new_privileges in the env"),
        ({"JUPYTER_CONTAINERS_TRUST_HOST_CA": "maybe"}, {}, "auto, always, never"),
    ],
)
def test_bad_values_name_their_origin(
    environ: dict[str, str], overrides: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        load_settings({"HOME": "/nowhere", **environ}, overrides)


def test_a_broken_config_file_is_named(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("runtime = ")
    with pytest.raises(InvalidArgumentError, match=r"config\.toml"):
        load_settings({"JUPYTER_CONTAINERS_CONFIG": str(config), "HOME": "/"})
