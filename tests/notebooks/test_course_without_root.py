"""The course in the hands of ordinary users: the same lessons, exercises and checks.

All lessons with one id, which is the least that a user can have; those in which other users than
root appear with subordinate ids too.  (The quickstart has a test of its own.)
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.account import NEEDS, Account, opened
from tests.integration.engine_fixtures import Place
from tests.notebooks.course import BASES, LESSONS, argv_of, lesson_in

pytestmark = NEEDS
WITH_USERS = ("04_the_dockerfile", "10_web_app_and_database", "12_security")
CASES = [("single", name) for name in LESSONS[1:]] + [("subordinate", name) for name in WITH_USERS]


@pytest.fixture(scope="module")
def account(place: Place, request: pytest.FixtureRequest) -> Iterator[Account]:
    """Yield a user who has the images that the lessons begin with."""
    with place.engine() as engine, opened(request.param) as user:
        for name in BASES:
            engine.bootstrap(name)
        saved = user.home / "bases.tar"
        engine.save(BASES, saved)
        saved.chmod(0o644)
        loaded = user.container(f"load -i {saved}")
        assert all(name in loaded for name in BASES)
        yield user


@pytest.mark.parametrize(("account", "name"), CASES, indirect=["account"])
def test_a_lesson_works_and_its_exercises_can_be_solved(name: str, account: Account) -> None:
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
