"""Images that a scripted registry serves: whatever layers a test wants, honest or not."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.integration.registry_server import Answer, Asked

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def member(name: str, data: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


@dataclass
class ServedImage:
    """Blobs and manifests by digest; call it as the script of a ``ScriptedRegistry``.

    ``pace`` makes blobs go out in pieces of 64 KiB with that many seconds between them.
    ``lies`` maps a digest to the bytes that are sent instead.
    """

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    pace: float = 0.0

    def blob(self, data: bytes) -> dict[str, Any]:
        self.blobs[digest(data)] = data
        return {"digest": digest(data), "size": len(data)}

    def document(self, value: Any, media_type: str, *names: str) -> dict[str, Any]:
        data = json.dumps(value).encode()
        for name in (digest(data), *names):
            self.manifests[name] = (media_type, data)
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def image(
        self,
        layers: list[bytes],
        *names: str,
        architecture: str = "amd64",
        level: int = 1,
        **config: Any,
    ) -> dict[str, Any]:
        """Serve an image of uncompressed tars; return its manifest's descriptor."""
        document = {
            "architecture": architecture,
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **self.blob(json.dumps(document).encode())},
            "layers": [
                {"mediaType": LAYER, **self.blob(gzip.compress(layer, level, mtime=0))}
                for layer in layers
            ],
        }
        return self.document(manifest, MANIFEST, *names)

    def index(self, entries: list[tuple[dict[str, Any], dict[str, str]]], *names: str) -> None:
        manifests = [{**entry, "platform": platform} for entry, platform in entries]
        value = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        self.document(value, INDEX, *names)

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/v2/":
            return Answer(200)
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/(.+)", asked.path)
        if not match:
            return Answer(404)
        name = match[3]
        if match[2] == "manifests":
            if name not in self.manifests:
                return Answer(404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
            kind, data = self.manifests[name]
            return Answer(200, {"Content-Type": kind, "Docker-Content-Digest": digest(data)}, data)
        if name not in self.blobs:
            return Answer(404, {}, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}')
        return self._blob(self.lies.get(name, self.blobs[name]), asked)

    def _blob(self, data: bytes, asked: Asked) -> Answer:
        headers, status, wanted = {}, 200, re.match(r"bytes=(\d+)-", asked.headers["Range"] or "")
        if wanted:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data, status = data[start:], 206
        if not self.pace:
            return Answer(status, headers, data)
        headers["Content-Length"] = str(len(data))
        return Answer(status, headers, self._slowly(data))

    def _slowly(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), 65536):
            yield data[start : start + 65536]
            time.sleep(self.pace)
