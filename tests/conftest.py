"""Settings for all tests: shared images, order, a time limit, and immediate reports of failures."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.durations import Slowest, longest_first
from tests.integration.bases import BaseImages
from tests.watchdog import watched

# A property test must not fail because the machine is busy.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# The machine's shared images must not be used by tests, nor by the kernels, commands and helpers
# that they start.
os.environ.setdefault("JUPYTER_CONTAINERS_ADDITIONAL_STORES", "")

# Commands and kernels import compiled modules, as with users: compiling the engine costs each of
# them 0.4 s of processor time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture(scope="session")
def base_images(tmp_path_factory: pytest.TempPathFactory) -> BaseImages:
    """Return a function that copies slowly built images into a store."""
    return BaseImages.of_run(tmp_path_factory)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """End a test that hangs, together with its fixtures."""
    with watched():
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Let the workers of ``--dist loadfile`` take the longest files first."""
    if config.option.dist != "loadfile":
        return None
    from tests.scheduling import LongestFirst

    return LongestFirst(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Bring the tests of a parallel run into the order in which its workers take the files."""
    if hasattr(config, "workerinput"):
        key = longest_first(item.nodeid for item in items)
        items.sort(key=lambda item: key(item.nodeid))


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
    """Report failures and the slowest files in the process that shows the results."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_AtOnce(config))
        config.pluginmanager.register(Slowest())
