"""The image of builder pods for tests: this machine's Python and this clone, on busybox.

Nothing is downloaded, and no RUN is needed to make it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

from jupyter_containers.engine import Engine

_CLONE = Path(__file__).resolve().parents[2]
_PACKAGES = (
    "msgspec", "isal", "backports", "requests", "urllib3", "certifi", "idna", "charset_normalizer",
    "typing_extensions.py",
)  # fmt: skip
_LEFT_OUT = re.compile(
    r"/(test|tests|idlelib|tkinter|turtledemo|lib2to3|ensurepip|site-packages|dist-packages"
    r"|config-[^/]*|static|labextension)(/|$)|/_tkinter|/_test|\.a$"
)


def make(engine: Engine, name: str, registry: str) -> None:
    """Build the image and push it; pods reach ``registry`` without TLS."""
    folder = engine.settings.root / "builder-image"
    folder.mkdir(exist_ok=True)
    _write_tree(folder / "tree.tar")
    (folder / "registries.conf").write_text(
        f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n'
    )
    base = Path(sys.base_prefix)
    text = f"""FROM busybox
ADD tree.tar /
COPY registries.conf /etc/containers/
ENV PATH={base}/bin:/bin PYTHONPATH=/site:/clone HOME=/root
"""
    engine.build(folder, dockerfile=text, tag=name, push=True)


def _write_tree(file: Path) -> None:
    base, version = Path(sys.base_prefix), f"python3.{sys.version_info.minor}"
    program = base / "bin" / version
    library = Path(sysconfig.get_path("stdlib"))
    site = Path(sysconfig.get_path("purelib"))
    found = [
        program,
        *(library / "lib-dynload").glob("*.so"),
        *(base / "lib").glob("libpython*.so*"),
    ]
    found += [path for name in _PACKAGES for path in (site / name).rglob("*.so")]
    with tarfile.open(file, "w") as tar:
        _add(tar, program, f"{base}/bin/{version}")
        link = tarfile.TarInfo(f"{base}/bin/python3".lstrip("/"))
        link.type, link.linkname = tarfile.SYMTYPE, version
        tar.addfile(link)
        _add(tar, library, str(library))
        for name in _PACKAGES:
            if (site / name).exists():
                _add(tar, site / name, f"/site/{name}")
        _add(tar, _CLONE / "jupyter_containers", "/clone/jupyter_containers")
        for path in sorted(_libraries(found)):
            _add(tar, Path(path).resolve(), path)


def _libraries(files: list[Path]) -> set[str]:
    wanted = [path for path in files if not path.name.startswith(("_tkinter", "_test"))]
    done = subprocess.run(["ldd", *wanted], capture_output=True, text=True, check=False)
    return set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", done.stdout, re.MULTILINE))


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    def owned(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if _LEFT_OUT.search("/" + member.name.removeprefix(name.lstrip("/"))):
            return None
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    tar.add(path, name.lstrip("/"), filter=owned)
