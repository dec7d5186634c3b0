from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import DeniedError, InvalidArgumentError
from jupyter_containers.settings import environment, load_settings, machine_user, read_lab


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


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr("jupyter_containers.settings.read_lab", lambda: found)
    return found


def test_a_locked_setting_is_changed_by_nothing_of_the_user(
    lab: dict[str, Any], tmp_path: Path
) -> None:
    """Without a lock each of the three origins counts over the administrator's file."""
    lab |= {"for_root": True, "locked": ["root", "registry_mirrors"]}
    lab["settings"] = {"root": str(tmp_path / "{user}"), "registry_mirrors": ["http://lab:5000"]}
    config = tmp_path / "config.toml"
    config.write_text('registry_mirrors = ["http://evil"]\n')
    plain = {"HOME": "/", "USER": "somebody-else", "JUPYTER_CONTAINERS_CONFIG": os.devnull}
    settings = load_settings(plain)
    name = pwd.getpwuid(os.geteuid()).pw_name
    assert settings.root == tmp_path / name, "the user is whom the machine knows, not $USER"
    for environ, overrides, origin in (
        ({"JUPYTER_CONTAINERS_ROOT": "/mine"}, {}, "the environment"),
        ({"JUPYTER_CONTAINERS_CONFIG": str(config)}, {}, str(config)),
        ({}, {"root": "/mine"}, "the arguments"),
    ):
        with pytest.raises(
            DeniedError, match=f"by the administrator .* and {origin} cannot change it"
        ):
            load_settings({**plain, **environ}, overrides)
    # The same value is not a change: engines pass on their settings this way.
    assert load_settings({**plain, **environment(settings)}) == settings
    assert load_settings(plain, {"stop_timeout": 3}).stop_timeout == 3
    lab["locked"] = ["runtime"]
    with pytest.raises(InvalidArgumentError, match=r"locked names runtime, which \[settings\]"):
        load_settings(plain)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who is exempt")
def test_root_is_held_by_no_lock(lab: dict[str, Any]) -> None:
    lab |= {"locked": ["pids_limit"], "settings": {"pids_limit": 5}}
    assert load_settings({"HOME": "/", "JUPYTER_CONTAINERS_PIDS_LIMIT": "7"}).pids_limit == 7


@pytest.mark.parametrize(("maps", "user"), [("-Ur", 1), ("-Ur unshare -Ur", -1)])
def test_a_namespace_of_ones_own_makes_nobody_root_of_the_machine(
    tmp_path: Path, maps: str, user: int
) -> None:
    """Root in a namespace within another was taken for the machine's root, and exempt."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    drop = ["setpriv", "--reuid=1", "--regid=1", "--clear-groups"]
    done = subprocess.run(
        [*drop, "unshare", *maps.split(), "cat", "/proc/self/uid_map"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("no user namespaces for ordinary users here")
    file = tmp_path / "uid_map"
    file.write_text(done.stdout)
    assert machine_user(file) == user


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, whose file it is")
def test_a_lab_file_below_a_folder_of_others_is_refused(tmp_path: Path) -> None:
    """Any user with write access to the folder could exchange the file; 39323e0 read it."""
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "lab.toml").write_text("for_root = true\n")
    assert read_lab(folder / "lab.toml") == {"for_root": True}
    folder.chmod(0o777)
    with pytest.raises(InvalidArgumentError, match="a folder above it, can be changed by every"):
        read_lab(folder / "lab.toml")
    folder.chmod(0o755)
    os.chown(folder, 12345, 0)
    with pytest.raises(InvalidArgumentError, match="belongs to user 12345"):
        read_lab(folder / "lab.toml")
