"""Settings for all tests: shared images, a time limit, and immediate reports of failures."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.integration.bases import BaseImages
from tests.watchdog import watched

# A property test must not fail because the machine is busy.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# The machine's shared images must not be used by tests, nor by the kernels, commands and helpers
# that they start.
os.environ.setdefault("JUPYTER_CONTAINERS_ADDITIONAL_STORES", "")


@pytest.fixture(scope="session")
def base_images(tmp_path_factory: pytest.TempPathFactory) -> BaseImages:
    """Return a function that copies slowly built images into a store."""
    return BaseImages.of_run(tmp_path_factory)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """End a test that hangs, together with its fixtures."""
    with watched():
        return (yield)


class _AtOnce:
    """Reports failures and ended workers immediately, because a stopped run has no summary."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.ensure_newline()
            terminal.write_line(f"{report.nodeid} failed in its {report.when}:", red=True)
            terminal.write_line(report.longreprtext)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, error: object) -> None:
        # The remaining tests of this worker would otherwise be skipped without a message.
        if error:
            pytest.exit(f"a worker of the tests has ended: {error}", returncode=3)


def pytest_configure(config: pytest.Config) -> None:
    """Report failures in the process that shows the results."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_AtOnce(config))
