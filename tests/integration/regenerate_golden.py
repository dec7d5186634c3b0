"""Freeze Docker's results of the golden cases: ``python -m tests.integration.regenerate_golden``.

Asks the engine of ``tests/oracle`` (which it starts and leaves running) for every case, for those
named as arguments, or for the ``--new`` ones, and writes their ``expected.json``: the image's
files, its configuration and history, and what ``docker build --check`` says of the Dockerfile.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from tests.integration import golden

_WIDTH = 100
ORACLE = Path(__file__).parents[1] / "oracle"


def ask(*words: object, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a client of the oracle."""
    return subprocess.run(
        [ORACLE, *map(str, words)], input=stdin, capture_output=True, check=False, cwd="/tmp"
    )


def must(*words: object, stdin: bytes | None = None) -> bytes:
    done = ask(*words, stdin=stdin)
    if done.returncode:
        raise SystemExit(f"{words}: {done.stderr.decode()[-3000:]}")
    return done.stdout


def prepare() -> str:
    """Give the oracle the base image; return the name and version of the engine."""
    subprocess.run([ORACLE, "start"], check=True)
    changes = [word for change in golden.BASE_CHANGES for word in ("--change", change)]
    must("docker", "import", *changes, "-", golden.BASE, stdin=golden.base_tar())
    return must("docker", "version", "-f", "docker {{.Server.Version}}").decode().strip()


def freeze(name: str, version: str) -> dict[str, Any]:
    """Return the oracle's result of a case."""
    about = golden.case(name)
    folder = Path(tempfile.mkdtemp(prefix="golden-"))
    try:
        context, served = golden.lay_out(name, folder)
        with golden.web_server(served) as address:
            words = {"{http}": address, "{folder}": str(folder)}
            flags = [_filled(flag, words) for flag in about.get("flags", [])]
            if about.get("engine") == "buildah":
                return _buildah(folder, context, flags, address)
            found = _docker(folder, context, flags, address)
            return {"engine": version, **found, **_checks(folder, context, flags)}
    finally:
        shutil.rmtree(folder)


def _filled(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _docker(folder: Path, context: Path, flags: list[str], address: str) -> dict[str, Any]:
    tag = "golden:case"
    done = ask(
        "docker", "build", "--network=none", "-f", folder / "Dockerfile", "-t", tag, *flags, context
    )
    if done.returncode:
        lines = [line for line in done.stderr.decode().splitlines() if line.startswith("ERROR:")]
        return {"error": lines[-1] if lines else done.stderr.decode()[-400:]}
    saved = folder / "saved.tar"
    if ask("docker", "save", "-o", saved, tag).returncode:
        # An image without layers cannot be saved; its configuration can be looked at.
        [about] = json.loads(must("docker", "image", "inspect", tag))
        document = {"config": about["Config"], "author": about["Author"]}
        made = golden.outcome(document, (), address)
        return {"config": made["config"], "author": made["author"]}
    return _read(saved, address)


def _read(saved: Path, address: str) -> dict[str, Any]:
    with tarfile.open(saved) as archive:

        def member(name: str) -> Any:
            return archive.extractfile(name)

        [manifest] = json.load(member("manifest.json"))
        config = json.load(member(manifest["Config"]))
        return golden.outcome(config, (member(layer) for layer in manifest["Layers"]), address)


def _checks(folder: Path, context: Path, flags: list[str]) -> dict[str, Any]:
    done = ask(
        "docker", "build", "--call=check,format=json", "-f", folder / "Dockerfile", *flags, context
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return {}
    found = [
        [
            one["ruleName"],
            one["location"]["ranges"][0]["start"]["line"] if one["location"].get("ranges") else 0,
            one["detail"],
        ]
        for one in report.get("warnings") or []
    ]
    return {"checks": sorted(found, key=lambda one: (one[1], one[0], one[2]))}


def _line(location: dict[str, Any]) -> int:
    ranges = location.get("ranges")
    return int(ranges[0]["start"]["line"]) if ranges else 0


def _buildah(folder: Path, context: Path, flags: list[str], address: str) -> dict[str, Any]:
    saved = folder / "base.tar"
    must("docker", "save", "-o", saved, golden.BASE)
    ask("buildah", "pull", f"docker-archive:{saved}")
    version = must("buildah", "--version").decode().split()[2]
    done = ask(
        "buildah", "build", "--isolation=chroot", "--network=host", "--pull=never",
        "--layers=false", "-f", folder / "Dockerfile", "-t", "golden:case", *flags, context,
    )  # fmt: skip
    if done.returncode:
        return {"engine": f"buildah {version}", "error": done.stderr.decode().splitlines()[-1]}
    target = folder / "built.tar"
    must("buildah", "push", "golden:case", f"docker-archive:{target}")
    made = _read(target, address)
    # Configuration and history are in buildah's own words, so only the files are compared.
    return {"engine": f"buildah {version}", "tree": made["tree"]}


def main() -> None:
    only = sys.argv[1:]
    if only == ["--new"]:
        only = [one for one in golden.NAMES if not (golden.CASES / one / "expected.json").exists()]
    for store in ("", "containerd"):
        names = [name for name in only or golden.NAMES if _store(name) == store]
        if not names:
            continue
        os.environ["ORACLE_STORE"] = store
        version = f"{prepare()} {store}".strip()
        for name in names:
            frozen = freeze(name, version)
            (golden.CASES / name / "expected.json").write_text(_text(frozen))
            print(name, frozen.get("error", ""))


def _store(name: str) -> str:
    """Return the image store of the Docker in use, empty for its default one."""
    return "containerd" if golden.case(name).get("engine") == "containerd" else ""


def _text(document: dict[str, Any]) -> str:
    """Return JSON with a line for each value of the document, and for each file."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    lines = []
    for key, value in document.items():
        text = compact(value)
        if isinstance(value, (dict, list)) and len(text) > _WIDTH:
            items = value.items() if isinstance(value, dict) else ((None, one) for one in value)
            inner = [
                (f"{compact(name)}: " if name is not None else "") + compact(item)
                for name, item in items
            ]
            opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
            text = f"{opened}\n  " + ",\n  ".join(inner) + f"\n {closed}"
        lines.append(f" {compact(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
