"""The course as ordinary users: the same lessons, exercises and checks.

Most lessons run with a single ID, the least that a user can have; those whose containers have users
other than root run with subordinate IDs too.  ``scripts/demo`` runs the quickstart as here.
Two long lessons that need nothing more of the engine than the others run only in ``test_course``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integration.account import CLONE, NEEDS, USER, Account, opened
from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.course import BASES, LESSONS, argv_of, lesson_in
from tests.notebooks.test_quickstart import NOTEBOOK, on_free_ports

pytestmark = NEEDS
LEFT_OUT = ("11_data_science", "13_for_teachers")
WITH_USERS = ("04_the_dockerfile", "10_web_app_and_database", "12_security")


@contextmanager
def provided(place: Place, kind: str, base_images: BaseImages) -> Iterator[Account]:
    """Yield a user with the base images of the lessons."""
    with place.engine() as engine, opened(kind) as user:
        base_images.bring(engine, *BASES)
        saved = user.home / "bases.tar"
        engine.images.save(BASES, saved)
        saved.chmod(0o644)
        loaded = user.container(f"load -i {saved}")
        assert all(name in loaded for name in BASES)
        yield user


@pytest.fixture(scope="module")
def one_id(place: Place, base_images: BaseImages) -> Iterator[Account]:
    with provided(place, "single", base_images) as user:
        yield user


@pytest.fixture(scope="module")
def many_ids(place: Place, base_images: BaseImages) -> Iterator[Account]:
    with provided(place, "subordinate", base_images) as user:
        yield user


@pytest.mark.parametrize("name", [name for name in LESSONS[1:] if name not in LEFT_OUT])
def test_a_lesson_works_with_one_id(name: str, one_id: Account) -> None:
    works(name, one_id)


@pytest.mark.parametrize("name", WITH_USERS)
def test_a_lesson_works_with_subordinate_ids(name: str, many_ids: Account) -> None:
    works(name, many_ids)


def test_the_quickstart_works_with_one_id(one_id: Account) -> None:
    quickstart_works(one_id)


def test_the_quickstart_works_with_subordinate_ids(many_ids: Account) -> None:
    quickstart_works(many_ids)


def quickstart_works(account: Account) -> None:
    """Check that all cells run, and the images at the end."""
    folder = account.home / "quickstart"
    folder.mkdir()
    os.chown(folder, USER.pw_uid, USER.pw_gid)
    (folder / "quickstart.ipynb").write_text(on_free_ports(NOTEBOOK.read_text()))
    script = [sys.executable, str(CLONE / "scripts/run_notebook.py")]
    notebooks = [str(folder / name) for name in ("quickstart.ipynb", "result.ipynb")]
    done = account.run([*script, *notebooks], timeout=300)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    summary = done.stdout.decode().partition("\n\n")[2]
    for word in ("built   my-python-app:latest", "pushed  localhost:", "sha256:"):
        assert word in summary


def works(name: str, account: Account) -> None:
    """Check that the lesson runs and its exercises can be solved."""
    before = set(account.container("ps -aq").split())
    argv = argv_of(name, account.home)
    for file in account.home.glob(f"{name}*"):
        file.chmod(0o644)
    done = account.run(argv, timeout=300)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    lesson = lesson_in(account.home, name)
    passed = [cell.id for cell in lesson.notebook.cells if cell.get("id", "").startswith("passed")]
    assert len(passed) >= 2
    assert set(account.container("ps -aq").split()) <= before
