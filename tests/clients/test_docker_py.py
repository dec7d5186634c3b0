"""docker-py's own tests against the service: which pass, and which do not and why."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.clients.docker_py import FAILURES, LEAST_PASSED, VERSION
from tests.integration.api_client import Client

_SECONDS = 280


def _tests(folder: Path) -> Path:
    """Return the folder of docker-py's tests, from its source distribution."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    words = [*pip, "--no-deps", "--no-binary", "docker", f"docker=={VERSION}", "-d", str(folder)]
    subprocess.run(words, check=True, timeout=300)
    with tarfile.open(folder / f"docker-{VERSION}.tar.gz") as archive:
        members = [item for item in archive if f"docker-{VERSION}/tests/" in item.name]
        archive.extractall(folder, members, filter="data")
    return folder / f"docker-{VERSION}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tests(tmp_path_factory.mktemp("docker-py"))


@pytest.fixture(scope="module")
def passed() -> list[str]:
    """Return the tests that have passed so far."""
    return []


@pytest.mark.parametrize("name", FAILURES)
def test_docker_pys_own_tests(
    client: Client, venv: Path, folder: Path, tmp_path: Path, passed: list[str], name: str
) -> None:
    report = tmp_path / "report.xml"
    done = subprocess.run(
        [
            *(venv / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=90"),
            *("--tb=short", f"--junitxml={report}", f"tests/integration/{name}"),
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_SECONDS,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DOCKER_HOST": client.url,
            "DOCKER_CONFIG": str(client.config),
        },
    )
    assert done.returncode in (0, 1), done.stdout
    failed = []
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(test)
        elif case.find("skipped") is None:
            passed.append(test)
    for test in failed:
        print(f"{name}: {test}: {FAILURES[name].get(test, 'UNEXPECTED')}")
    assert sorted(failed) == sorted(FAILURES[name]), done.stdout


def test_enough_of_them_pass(passed: list[str], request: pytest.FixtureRequest) -> None:
    if request.session.testscollected <= len(FAILURES):
        pytest.skip("only some of the files were run")
    print(f"{len(passed)} of docker-py's tests pass")
    assert len(passed) >= LEAST_PASSED
