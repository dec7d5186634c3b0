from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.engine.images.recipes import recipe_of
from jupyter_containers.engine.images.registry_image import CONFIGURATION, DATA, registry_root
from jupyter_containers.errors import ContainersError
from jupyter_containers.oci.reference import Reference


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A Debian system as far as the registry needs it."""
    files = (
        "usr/bin/docker-registry",
        "lib/x86_64-linux-gnu/libc.so.6",
        "lib/x86_64-linux-gnu/libpthread.so.0",
        "lib/x86_64-linux-gnu/libresolv.so.2",
        "lib/x86_64-linux-gnu/libnss_dns.so.2",
        "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    )
    for name in files:
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    os.utime(tmp_path / "source" / files[0], (1_700_000_000, 1_700_000_000))
    return tmp_path / "source"


def test_the_image_holds_the_program_and_what_it_needs(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    assert registry_root(root, source) == 1_700_000_000
    assert (root / "lib64/ld-linux-x86-64.so.2").exists()
    assert (root / "lib/x86_64-linux-gnu/libc.so.6").exists()
    assert os.access(root / "usr/bin/docker-registry", os.X_OK)
    assert (root / DATA[1:]).is_dir()
    assert f"rootdirectory: {DATA}" in (root / CONFIGURATION[1:]).read_text()


def test_what_is_missing_is_named(source: Path, tmp_path: Path) -> None:
    (source / "lib/x86_64-linux-gnu/libresolv.so.2").unlink()
    (tmp_path / "root").mkdir()
    with pytest.raises(ContainersError, match=r"libresolv\.so\.2"):
        registry_root(tmp_path / "root", source)


@pytest.mark.parametrize("name", ["registry", "registry:2", "docker.io/library/registry:2"])
def test_its_names(name: str) -> None:
    assert recipe_of(Reference.parse(name)).kind == "registry"
