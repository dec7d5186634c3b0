from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.runtime.binfmt import require_runnable

AMD = Platform("amd64", "linux")
ARM = Platform("arm64", "linux", "v8")


def entry(folder: Path, name: str, *, state: str = "enabled", flags: str = "OCF") -> None:
    (folder / name).write_text(
        f"{state}\ninterpreter /usr/libexec/qemu-binfmt/x\nflags: {flags}\nmagic 7f454c46\n"
    )


@pytest.mark.parametrize("wanted", ["linux/amd64", "linux/386"])
def test_what_the_processor_runs_itself_needs_nothing(tmp_path: Path, wanted: str) -> None:
    require_runnable(Platform.parse(wanted), AMD, tmp_path)


@pytest.mark.parametrize("name", ["qemu-aarch64", "qemu-aarch64-static"])
def test_a_registered_emulator_serves(tmp_path: Path, name: str) -> None:
    entry(tmp_path, name)
    require_runnable(ARM, AMD, tmp_path)


def test_without_one_the_error_says_what_provides_it(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="no qemu-aarch64 is registered") as caught:
        require_runnable(ARM, AMD, tmp_path)
    assert "qemu-user-static" in caught.value.hint
    with pytest.raises(UnsupportedError, match="no qemu-x86_64"):
        require_runnable(AMD, ARM, tmp_path)


def test_an_emulator_that_does_not_reach_into_containers(tmp_path: Path) -> None:
    entry(tmp_path, "qemu-aarch64", flags="OC")
    with pytest.raises(UnsupportedError, match="without the flag F"):
        require_runnable(ARM, AMD, tmp_path)
    entry(tmp_path, "qemu-aarch64", state="disabled")
    with pytest.raises(UnsupportedError, match="is disabled"):
        require_runnable(ARM, AMD, tmp_path)


def test_other_systems_are_never_runnable(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="windows/amd64"):
        require_runnable(Platform("amd64", "windows"), AMD, tmp_path)
