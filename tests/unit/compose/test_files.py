"""Values of secrets and configs: written for their owner alone, in the project's own folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.compose import LoadOptions, Project, load
from jupyter_containers.engine.applications.files import ProjectFiles
from jupyter_containers.errors import InvalidArgumentError

FILE = """\
services:
  SERVICE:
    image: x
    secrets: [{source: word, mode: 0400}]
    configs: [settings]
secrets: {word: {environment: WORD}}
configs: {settings: {content: low}}
"""


def project(service: str = "web", **environment: str) -> Project:
    text = FILE.replace("SERVICE", service)
    return load(LoadOptions(text=text, name="p", folder="/srv", environment=environment))


def test_values_are_files_that_are_mounted_read_only(tmp_path: Path) -> None:
    files = ProjectFiles(tmp_path / "applications", "p")
    word, settings = files.mounts(project(WORD="hidden"), "web")
    assert (word.target, settings.target) == ("/run/secrets/word", "/settings")
    assert word.read_only
    assert settings.read_only
    assert Path(word.source).read_text() == "hidden"
    assert os.stat(word.source).st_mode & 0o777 == 0o400
    assert os.stat(settings.source).st_mode & 0o777 == 0o444
    assert os.stat(tmp_path / "applications" / "p").st_mode & 0o777 == 0o700
    assert "hidden" not in word.source
    assert files.mounts(project(WORD="hidden"), "web")[0] == word
    assert files.mounts(project(WORD="other"), "web")[0].source != word.source
    files.remove()
    assert [*(tmp_path / "applications").iterdir()] == []


def test_a_service_whose_name_climbs_stays_in_the_folder(tmp_path: Path) -> None:
    """With the service's bare name the values were written beside the project's folder."""
    mounts = ProjectFiles(tmp_path / "a", "p").mounts(project("..", WORD="x"), "..")
    inside = os.path.realpath(tmp_path / "a" / "p") + "/"
    assert all(os.path.realpath(mount.source).startswith(inside) for mount in mounts)


def test_a_project_whose_name_climbs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError):
        ProjectFiles(tmp_path, "../p")


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match='variable "WORD" required by secret word'):
        ProjectFiles(tmp_path, "p").mounts(project(), "web")


def test_what_others_took_down_is_removed_a_day_later(tmp_path: Path) -> None:
    for name in ("old", "used", "new"):
        (tmp_path / name).mkdir()
    for name in ("old", "used"):
        os.utime(tmp_path / name, (0, 0))
    ProjectFiles(tmp_path, "p").sweep({"used"})
    assert {path.name for path in tmp_path.iterdir()} == {"used", "new"}
