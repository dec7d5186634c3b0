"""docker-py's own tests against the service: which pass, and which do not and why."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from xml.etree import ElementTree

from tests.clients.docker_py import FAILURES, LEAST_PASSED, NOT_HERE, VERSION
from tests.integration.api_client import Client

_SECONDS = 1500


def _tests(folder: Path) -> Path:
    """Return the folder of docker-py's tests, from its source distribution."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    words = [*pip, "--no-deps", "--no-binary", "docker", f"docker=={VERSION}", "-d", str(folder)]
    subprocess.run(words, check=True, timeout=300)
    with tarfile.open(folder / f"docker-{VERSION}.tar.gz") as archive:
        members = [item for item in archive if f"docker-{VERSION}/tests/" in item.name]
        archive.extractall(folder, members, filter="data")
    return folder / f"docker-{VERSION}"


def test_docker_pys_own_tests(client: Client, venv: Path, tmp_path: Path) -> None:
    folder, report = _tests(tmp_path), tmp_path / "report.xml"
    ignored = [f"--ignore=tests/integration/{name}" for name in NOT_HERE]
    done = subprocess.run(
        [
            *(venv / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=90"),
            *("--tb=short", f"--junitxml={report}", "tests/integration", *ignored),
        ],
        cwd=folder,
        timeout=_SECONDS,
        check=False,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DOCKER_HOST": client.url,
            "DOCKER_CONFIG": str(client.config),
        },
    )
    assert done.returncode in (0, 1)
    passed, failed = [], []
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        elif case.find("skipped") is None:
            passed.append(name)
    print(f"docker-py's tests: {len(passed)} pass, {len(failed)} fail:")
    for name in failed:
        print(f"  {name}: {FAILURES.get(name, 'UNEXPECTED')}")
    assert sorted(failed) == sorted(FAILURES)
    assert len(passed) >= LEAST_PASSED
