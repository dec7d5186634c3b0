from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.runtime.cdi import apply_edits, edits_of

FILE = {
    "cdiVersion": "0.6.0",
    "kind": "acme.org/card",
    "devices": [
        {
            "name": "one",
            "containerEdits": {
                "deviceNodes": [{"path": "/dev/card1", "hostPath": "/dev/null"}],
                "env": ["CARD=one"],
            },
        },
        {"name": "all", "containerEdits": {"env": ["CARD=all"]}},
    ],
    "containerEdits": {
        "env": ["VENDOR=acme"],
        "mounts": [{"hostPath": "/usr", "containerPath": "/vendor"}],
        "hooks": [{"hookName": "createContainer", "path": "/bin/true", "args": ["true"]}],
        "additionalGids": [44],
    },
}


def a_spec() -> dict[str, Any]:
    return {
        "process": {"env": ["CARD=none", "PATH=/bin"], "user": {"additionalGids": [0]}},
        "mounts": [],
        "linux": {"devices": [], "resources": {"devices": []}},
    }


def test_a_device_and_its_file_change_the_spec(tmp_path: Path) -> None:
    (tmp_path / "acme.json").write_text(json.dumps(FILE))
    spec = a_spec()
    apply_edits(spec, edits_of(["acme.org/card=one"], [tmp_path]))
    assert spec["process"]["env"] == ["PATH=/bin", "VENDOR=acme", "CARD=one"]
    assert spec["process"]["user"]["additionalGids"] == [0, 44]
    status = os.stat("/dev/null")
    (node,) = spec["linux"]["devices"]
    assert (node["path"], node["major"], node["minor"]) == (
        "/dev/card1",
        os.major(status.st_rdev),
        os.minor(status.st_rdev),
    )
    assert spec["linux"]["resources"]["devices"][0]["access"] == "rwm"
    assert spec["mounts"][0]["destination"] == "/vendor"
    assert spec["hooks"] == {"createContainer": [{"path": "/bin/true", "args": ["true"]}]}


def test_what_a_file_says_in_general_comes_once(tmp_path: Path) -> None:
    (tmp_path / "acme.json").write_text(json.dumps(FILE))
    edits = edits_of(["acme.org/card=one", "acme.org/card=all"], [tmp_path])
    assert [sorted(edit.get("env", [])) for edit in edits] == [
        ["VENDOR=acme"],
        ["CARD=one"],
        ["CARD=all"],
    ]


def test_a_later_folder_wins_and_yaml_is_read(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    first, second = tmp_path / "etc", tmp_path / "run"
    first.mkdir()
    second.mkdir()
    (first / "acme.json").write_text(json.dumps(FILE))
    (second / "acme.yaml").write_text(
        "kind: acme.org/card\ndevices:\n- name: one\n  containerEdits:\n    env: [CARD=later]\n"
    )
    edits = edits_of(["acme.org/card=one"], [first, second])
    assert {"env": ["CARD=later"]} in edits
    assert edits_of(["acme.org/card=all"], [first, second])[-1] == {"env": ["CARD=all"]}


def test_an_unknown_device_is_named_with_what_would_provide_it(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError) as caught:
        edits_of(["nvidia.com/gpu=all"], [tmp_path])
    assert caught.value.capability == "CDI device nvidia.com/gpu=all"
    assert "nvidia-ctk" in caught.value.provided_by


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InvalidArgumentError, match=r"bad\.json"):
        edits_of(["a.b/c=d"], [tmp_path])
