"""Stores, run roots, shared stores and settings of others are refused by one clear line.

Each was accepted at 39323e0, by root and by an ordinary user: the test was seen to fail there.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.store import Store
from tests.integration.account import NEEDS, USER, opened
from tests.integration.engine_fixtures import Place

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files to others")
COMMAND = (sys.executable, "-m", "jupyter_containers.cli")


def refused(line: str, place: Place, **variables: str) -> str:
    """Return the message of a command of root, which must fail with two lines."""
    done = subprocess.run(
        [*COMMAND, *line.split()],
        env={**os.environ, **place.variables, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stdout
    first, hint = done.stderr.splitlines()[-2:]
    assert hint.startswith("hint: ")
    return first


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place.under(tmp_path)
    made.engine().close()
    return made


def theirs(path: Path) -> None:
    os.chown(path, USER.pw_uid, USER.pw_gid, follow_symlinks=False)


@pytest.mark.parametrize("part", ["root", "run_root"])
def test_folders_of_another_user(place: Place, part: str) -> None:
    folder: Path = getattr(place, part)
    folder.mkdir(exist_ok=True)
    theirs(folder)
    assert f"{folder}" in (said := refused("ps", place))
    assert "belongs to user nobody" in said
    os.chown(folder, 0, 0)
    (folder / "builds").mkdir(exist_ok=True)
    theirs(folder / "builds")
    assert "builds in it belongs to user nobody" in refused("ps", place)
    (folder / "builds").rmdir()
    folder.chmod(0o777)
    (folder / "planted").touch()
    assert "can be changed by every user" in refused("ps", place)


@pytest.mark.parametrize("part", ["root", "run_root"])
def test_a_folder_on_the_way_of_another_user(tmp_path: Path, part: str) -> None:
    way = tmp_path / "way"
    way.mkdir()
    places = {"root": tmp_path / "root", "run_root": tmp_path / "run", part: way / "mine"}
    place = Place(**places)
    place.engine().close()
    theirs(way)
    assert f"{way}, a folder above it, belongs to user nobody" in refused("ps", place)
    os.chown(way, 0, 0)
    way.chmod(0o777)
    assert "changed by every user" in refused("ps", place)
    way.chmod(0o1777)
    place.engine().close()


def test_a_record_database_of_another_user(place: Place) -> None:
    theirs(place.root / "records.db")
    assert "records.db in it belongs to user nobody" in refused("ps", place)


def test_a_shared_store_that_others_can_change(tmp_path: Path, place: Place) -> None:
    shared = tmp_path / "way/shared"
    shared.parent.mkdir()
    Store.publish(shared)
    named = {"JUPYTER_CONTAINERS_ADDITIONAL_STORES": str(shared)}
    assert subprocess.run(
        [*COMMAND, "ps"], env={**os.environ, **place.variables, **named}, check=True
    )
    for folder in (shared, shared / "content", shared / "layers", shared / "shared.db"):
        theirs(folder)
        assert "as a shared store" in refused("ps", place, **named)
        os.chown(folder, 0, 0)
    shared.parent.chmod(0o777)
    assert "a folder above it, can be changed" in refused("ps", place, **named)


def test_settings_of_others(tmp_path: Path, place: Place) -> None:
    config = tmp_path / "config.toml"
    config.write_text("stop_timeout = 3\n")
    config.chmod(0o666)
    named = {"JUPYTER_CONTAINERS_CONFIG": str(config)}
    assert f"cannot use {config} as the configuration" in refused("ps", place, **named)
    config.chmod(0o644)
    theirs(config)
    assert "belongs to user nobody" in refused("ps", place, **named)
    conf = tmp_path / "registries.conf"
    conf.write_text("")
    conf.chmod(0o666)
    named = {"JUPYTER_CONTAINERS_REGISTRY_FILES": str(conf)}
    assert "a registry configuration file" in refused("pull localhost:1/x", place, **named)
    docker = tmp_path / "docker"
    docker.mkdir()
    (docker / "config.json").write_text("{}")
    docker.chmod(0o777)
    named = {"DOCKER_CONFIG": str(docker)}
    assert "a credentials file" in refused("logout localhost:1", place, **named)
    certificates = tmp_path / "certs/localhost:1"
    certificates.mkdir(parents=True)
    (certificates / "ca.crt").touch(0o666)
    (certificates / "ca.crt").chmod(0o666)
    named = {"JUPYTER_CONTAINERS_CERTIFICATE_FOLDERS": str(tmp_path / "certs")}
    assert "a folder of certificates" in refused("pull localhost:1/x", place, **named)


class TestAnOrdinaryUser:
    """The same for a user without root: files of another ordinary user are refused too."""

    pytestmark = NEEDS

    @pytest.mark.parametrize("setting", ["ROOT", "RUN_ROOT"])
    def test_a_folder_of_another_user(self, setting: str) -> None:
        with opened("single") as account:
            way = account.home / "way"
            (way / "mine").mkdir(parents=True)
            theirs(way / "mine")
            os.chown(way, 1, 1)
            variables = {f"JUPYTER_CONTAINERS_{setting}": str(way / "mine")}
            user = dataclasses.replace(account, variables=variables)
            done = user.run(user.command("ps"))
            assert done.returncode == 1
            assert b"a folder above it, belongs to user daemon" in done.stderr
            os.chown(way, 0, 0)
            way.chmod(0o755)
            assert "IMAGE" in user.container("ps")
            (way / "mine").chmod(0o777)
            done = user.run(user.command("ps"))
            assert b"can be changed by every user" in done.stderr
            assert "IMAGE" in account.container("ps")
