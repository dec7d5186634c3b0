"""Images with more layers than the kernel stacks: refused when they arrive.

Docker refuses them then too, with "max depth exceeded" (20.10 asked: 125 are loaded, 126 are not).
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.oci.image import MAX_DEPTH

MESSAGE = "max depth exceeded: an image of 501 layers, and the kernel stacks 500"


def archive(folder: Path, layers: int, program: bytes) -> Path:
    """Return an archive of ``docker save`` whose layers are a file each; the first can run."""
    target = folder / f"{layers}.tar"
    diff_ids, names = [], []
    with tarfile.open(target, "w") as tar:
        for number in range(layers):
            name = "bin/busybox" if number == 0 else f"f{number}"
            data = layer_of(name, program if number == 0 else str(number).encode())
            diff_ids.append("sha256:" + hashlib.sha256(data).hexdigest())
            names.append(f"{number}/layer.tar")
            _add(tar, names[-1], data)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }
        _add(tar, "config.json", json.dumps(config).encode())
        entry = {"Config": "config.json", "RepoTags": [f"deep:{layers}"], "Layers": names}
        _add(tar, "manifest.json", json.dumps([entry]).encode())
    return target


def layer_of(name: str, data: bytes) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o755
        tar.addfile(member, io.BytesIO(data))
    return output.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


def test_as_many_layers_as_the_kernel_stacks_and_one_more(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """Seen to fail before: 501 came, and no container of them could start."""
    program = Path("/bin/busybox").read_bytes()
    with pytest.raises(UnsupportedError) as refused:
        engine.images.load(archive(tmp_path, MAX_DEPTH + 1, program))
    assert refused.value.message == MESSAGE
    assert "import the archive" in refused.value.hint
    assert all("deep:501" not in image.names for image in engine.images())
    engine.images.load(archive(tmp_path, MAX_DEPTH, program))
    try:
        command = ["/bin/busybox", "cat", "/f499"]
        assert engine.run("deep:500", command, rm=True, network="none").output == "499"
        (tmp_path / "Dockerfile").write_text("FROM deep:500\nCOPY Dockerfile /one-more\n")
        (tmp_path / "500.tar").unlink()
        (tmp_path / "501.tar").unlink()
        with pytest.raises(UnsupportedError) as refused:
            engine.build(tmp_path, tag="deep:built")
        assert refused.value.message == MESSAGE
        command = ["/bin/busybox", "touch", "/more"]
        container = engine.run("deep:500", command, name="deep", network="none")
        with pytest.raises(UnsupportedError) as refused:
            engine.containers.commit("deep", "deep:committed")
        assert refused.value.message == MESSAGE
        assert container is not None
        engine.containers.remove("deep")
    finally:
        engine.images.remove("deep:500", force=True)
