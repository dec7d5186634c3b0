"""AppArmor and SELinux, of hosts that are a folder: this machine may have neither."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.runtime.confinement import (
    PROFILE,
    PROFILE_NAME,
    Labels,
    SecurityModules,
    categories,
    labels_of,
    profile_is_loaded,
    profile_of,
    security_modules,
    shared_label,
)
from tests.unit.runtime.test_spec import CONTEXT, spec

SELINUX = SecurityModules(
    selinux=True,
    process_label="system_u:system_r:container_t:s0",
    file_label="system_u:object_r:container_file_t:s0",
)
APPARMOR = SecurityModules(apparmor=True)


def a_host(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_host_without_modules(tmp_path: Path) -> None:
    assert security_modules(tmp_path) == SecurityModules()
    assert not profile_is_loaded(tmp_path)
    assert labels_of((), SecurityModules(), "id", shared=False) == ("", "")
    assert profile_of("", SecurityModules(), privileged=False, loaded=True) == ""


def test_a_host_with_apparmor(tmp_path: Path) -> None:
    host = a_host(
        tmp_path,
        sys__module__apparmor__parameters__enabled="Y\n",
        sys__kernel__security__apparmor__profiles="docker-default (enforce)\n",
    )
    assert security_modules(host) == APPARMOR
    assert not profile_is_loaded(host)
    a_host(
        host, sys__kernel__security__apparmor__profiles=f"x (enforce)\n{PROFILE_NAME} (enforce)\n"
    )
    assert profile_is_loaded(host)


def test_a_host_with_selinux(tmp_path: Path) -> None:
    contexts = 'process = "system_u:system_r:container_t:s0"\nfile = "system_u:object_r:f_t:s0"\n'
    host = a_host(
        tmp_path,
        sys__fs__selinux__enforce="1",
        etc__selinux__config="# how\nSELINUX=enforcing\nSELINUXTYPE=mls\n",
        etc__selinux__mls__contexts__lxc_contexts=contexts,
    )
    found = security_modules(host)
    assert (found.selinux, found.process_label) == (True, "system_u:system_r:container_t:s0")
    assert found.file_label == "system_u:object_r:f_t:s0"
    (host / "etc/selinux/mls/contexts/lxc_contexts").unlink()
    assert labels_of((), security_modules(host), "id", shared=False) == ("", "")


@pytest.mark.parametrize(
    ("asked", "privileged", "loaded", "expected"),
    [
        ("", False, True, PROFILE_NAME),
        ("", False, False, ""),
        ("", True, True, "unconfined"),
        ("unconfined", False, True, "unconfined"),
        ("mine", False, False, "mine"),
        ("mine", True, True, "mine"),
    ],
)
def test_which_profile(asked: str, privileged: bool, loaded: bool, expected: str) -> None:
    assert profile_of(asked, APPARMOR, privileged=privileged, loaded=loaded) == expected


def test_labels_are_of_the_container() -> None:
    own = categories("a" * 64)
    process, files = labels_of((), SELINUX, "a" * 64, shared=False)
    assert process == f"system_u:system_r:container_t:s0:{own}"
    assert files == f"system_u:object_r:container_file_t:s0:{own}"
    assert labels_of((), SELINUX, "a" * 64, shared=False) == (process, files)
    assert labels_of((), SELINUX, "b" * 64, shared=False)[0] != process
    assert shared_label(SELINUX) == "system_u:object_r:container_file_t:s0"


def test_categories_are_two_and_in_order() -> None:
    seen = {categories(str(number)) for number in range(3000)}
    for text in seen:
        first, second = (int(word) for word in re.findall(r"c(\d+)", text))
        assert 0 <= first < second < 1024
    assert len(seen) > 2950


def test_words_of_label() -> None:
    process, files = labels_of(("type:my_t", "level:s0:c1,c2"), SELINUX, "id", shared=False)
    assert process == "system_u:system_r:my_t:s0:c1,c2"
    assert files == "system_u:object_r:container_file_t:s0:c1,c2"
    assert ":f_t:" in labels_of(("filetype:f_t",), SELINUX, "id", shared=False)[1]
    assert labels_of(("disable",), SELINUX, "id", shared=False) == ("", "")
    assert labels_of((), SELINUX, "id", shared=True) == ("", "")
    assert labels_of(("type:spc_t",), SELINUX, "id", shared=True)[0]
    with pytest.raises(InvalidArgumentError, match="label=colour:red"):
        labels_of(("colour:red",), SELINUX, "id", shared=False)


def test_the_spec_carries_what_the_host_gives() -> None:
    labels = Labels("prof", "u:r:t:s0:c1,c2", "u:r:f:s0:c1,c2")
    made: dict[str, Any] = spec(context=replace(CONTEXT, labels=labels))
    assert made["process"]["apparmorProfile"] == "prof"
    assert made["process"]["selinuxLabel"] == "u:r:t:s0:c1,c2"
    assert made["linux"]["mountLabel"] == "u:r:f:s0:c1,c2"
    assert labels.mount_option == 'context="u:r:f:s0:c1,c2"'
    plain = spec()
    assert not {"apparmorProfile", "selinuxLabel"} & set(plain["process"])
    assert "mountLabel" not in plain["linux"]


def test_the_profile_refuses_what_reaches_the_machine() -> None:
    for rule in ("deny network alg,", "deny network vsock,", "deny mount,", "sysrq-trigger"):
        assert rule in PROFILE
    parser = shutil.which("apparmor_parser")
    if parser is None:
        pytest.skip("needs apparmor_parser, to read the profile")
    command = [parser, "--skip-kernel-load", "--skip-cache"]
    subprocess.run(command, input=PROFILE.encode(), check=True, capture_output=True)
