from __future__ import annotations

from jupyter_containers.engine.containers.sidecars import health_check, health_config
from jupyter_containers.oci.image import ExecutionConfig, Healthcheck
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.health import HealthCheck

SECOND = 10**9
IMAGE = ExecutionConfig(
    healthcheck=Healthcheck(test=("CMD", "probe", "-x"), interval=7 * SECOND, retries=2)
)


def health_of(config: ExecutionConfig, **flags: object) -> HealthCheck | None:
    return health_check(config, RunOptions.of("i", **flags).health)


def test_the_images_check_with_dockers_defaults() -> None:
    check = health_of(IMAGE)
    assert check == HealthCheck(("probe", "-x"), interval=7.0, retries=2)
    assert check.timeout == 30.0
    assert check.start_period == 0.0


def test_flags_replace_parts_of_it() -> None:
    check = health_of(IMAGE, health_cmd="test -e /x", health_timeout="1s", health_retries=9)
    assert check == HealthCheck(("/bin/sh", "-c", "test -e /x"), 7.0, 1.0, retries=9)
    config = health_config(IMAGE, RunOptions.of("i", health_interval="3s").health)
    assert config is not None
    assert (config.test, config.interval) == (("CMD", "probe", "-x"), 3 * SECOND)


def test_the_images_shell_runs_the_shell_form() -> None:
    check = Healthcheck(test=("CMD-SHELL", "x"))
    config = ExecutionConfig(healthcheck=check, shell=("/bin/ash", "-ec"))
    found = health_of(config)
    assert found is not None
    assert found.command == ("/bin/ash", "-ec", "x")


def test_no_check() -> None:
    assert health_of(ExecutionConfig()) is None
    assert health_of(IMAGE, no_healthcheck=True) is None
    none = ExecutionConfig(healthcheck=Healthcheck(test=("NONE",)))
    assert health_of(none) is None
    assert health_of(ExecutionConfig(), health_interval="1s") is None  # nothing to run
