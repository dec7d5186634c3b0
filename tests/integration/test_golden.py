"""Every folder of tests/data/dockerfiles builds the same as with a real Docker (or buildah)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build.checks import OWN_RULES
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
from tests.integration import golden

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="module")
def oven(engine: Engine) -> Engine:
    """Return the shared engine with the cases' base image."""
    engine.images.import_archive(golden.base_tar(), golden.BASE, changes=golden.BASE_CHANGES)
    return engine


def test_there_are_enough_cases() -> None:
    assert len(golden.NAMES) >= 150


@pytest.mark.parametrize("name", golden.NAMES)
def test_case(name: str, oven: Engine, tmp_path: Path) -> None:
    about = golden.case(name)
    expected = json.loads((golden.CASES / name / "expected.json").read_text())
    context, served = golden.lay_out(name, tmp_path)
    with golden.web_server(served) as address:
        options = _filled(about.get("options", {}), {"{http}": address, "{folder}": str(tmp_path)})

        options = {
            "file": tmp_path / "Dockerfile",
            "network": "none",
            "trust_host_ca": False,
            **options,
        }
        checks = expected.pop("checks", None)
        if checks is not None and "error" not in expected:
            # Docker repeats a message that applies to one line several times.
            wanted = [one for at, one in enumerate(checks) if one not in checks[:at]]
            assert _differences(_checks(oven, context, options), wanted) == []

        def build() -> Any:
            return oven.build(context, **options)

        if "error" in expected:
            with pytest.raises(ContainersError):
                build()
            return
        image = build()
        content = oven._context.store.content
        record = oven._context.store.records.get_image(image.digest)
        assert record is not None
        manifest = json.loads(content.read(record.manifest.digest))
        layers = [content.open(layer["digest"]) for layer in manifest["layers"]]
        try:
            config = json.loads(content.read(record.config_digest))
            made = golden.outcome(config, layers, address)
        finally:
            for layer in layers:
                layer.close()
    for key in made.keys() & expected.keys():
        differences = _differences(made[key], expected[key])
        assert differences == [], "\n".join(differences)


def _checks(oven: Engine, context: Path, options: dict[str, Any]) -> list[list[Any]]:
    """Return the findings of BuildKit's rules in frozen form, without those of our own rules."""
    found = [
        [one.rule.name, one.location.first_line if one.location else 0, one.message]
        for one in oven.builds.check(context, **options)
        if one.rule not in OWN_RULES
    ]
    return sorted(found, key=lambda one: (one[1], one[0], one[2]))


def _differences(made: Any, expected: Any, place: str = "") -> list[str]:
    """Return where two documents differ, a line each."""
    if isinstance(made, dict) and isinstance(expected, dict):
        return [
            line
            for key in sorted({*made, *expected})
            for line in _differences(made.get(key), expected.get(key), f"{place}/{key}")
        ]
    if isinstance(made, list) and isinstance(expected, list) and len(made) == len(expected):
        pairs = enumerate(zip(made, expected, strict=True))
        return [line for at, pair in pairs for line in _differences(*pair, f"{place}/{at}")]
    return [] if made == expected else [f"{place}: made {made!r}, expected {expected!r}"]


def _filled(value: Any, words: dict[str, str]) -> Any:
    text = json.dumps(value)
    for word, replacement in words.items():
        text = text.replace(word, replacement)
    return json.loads(text)
