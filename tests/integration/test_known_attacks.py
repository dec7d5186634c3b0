"""Attacks that worked on other container engines, tried on this one.

One test a class of CVE; the table in ``docs/security.md`` names it.  Classes with a room of their
own in the tests (archives, registries, races in trees, networks) are tried there.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    InvalidArgumentError,
    OCIRuntimeError,
)
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import MANIFEST, ServedImage, member, tar

NONE: dict[str, Any] = {"network": "none"}
LIMIT_SECONDS = 30.0


def sh(engine: Engine, image: str, script: str, **flags: Any) -> str:
    """Return both streams of a shell script in a container that removes itself."""
    result = engine.run(image, ["sh", "-c", script], rm=True, check=False, **{**NONE, **flags})
    return (result.stdout + result.stderr).decode().strip()


def attempt(engine: Engine, image: str, script: str, **flags: Any) -> str:
    """Return a script's output, or the error that prevents it from running."""
    try:
        return sh(engine, image, script, **flags)
    except ContainersError as error:
        return error.message


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file of the host with a text that no container may show."""
    file = tmp_path / "secret"
    file.write_text("secret of the host")
    return file


def test_a_working_directory_is_no_way_through_a_descriptor(
    engine: Engine, busybox: str, secret: Path
) -> None:
    """CVE-2024-21626: ``-w /proc/self/fd/7`` reached a directory that the runtime had open."""
    climb = f"cat {'../' * 12}{str(secret)[1:]}"
    engine.run(busybox, ["sleep", "60"], detach=True, name="fd-dir", **NONE)
    held = [os.open(secret.parent, os.O_RDONLY | os.O_DIRECTORY) for _ in range(8)]
    try:
        for number in range(3, 24):
            folder = f"/proc/self/fd/{number}"
            assert "secret of" not in attempt(engine, busybox, climb, workdir=folder)
            with suppress(OCIRuntimeError, InvalidArgumentError):  # it belongs to a process
                result = engine.containers.exec(
                    "fd-dir", ["sh", "-c", climb], workdir=folder, check=False
                )
                assert "secret of" not in result.output
        with pytest.raises(BuildError):
            engine.build(
                dockerfile=f"FROM {busybox}\nWORKDIR /proc/self/fd/8\nRUN {climb}\n", no_cache=True
            )
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_no_capability_is_inheritable(engine: Engine, busybox: str) -> None:
    """CVE-2022-24769, -27649, -27651, -29162: file capabilities came back through the set."""
    look = "grep CapInh /proc/self/status"
    assert sh(engine, busybox, look) == "CapInh:\t" + "0" * 16
    engine.run(busybox, ["sleep", "60"], detach=True, name="inherits", **NONE)
    assert engine.containers.exec("inherits", ["sh", "-c", look]).output.split() == [
        "CapInh:",
        "0" * 16,
    ]
    engine.build(dockerfile=f"FROM {busybox}\nRUN {look} | grep 0000000000000000\n", no_cache=True)


@pytest.mark.parametrize("user", ["2147483648", "4294967296", "4294967295", "-1", "1:4294967296"])
def test_a_number_that_overflows_is_not_root(engine: Engine, busybox: str, user: str) -> None:
    """CVE-2024-40635: a user id beyond 32 bits became 0."""
    with pytest.raises(InvalidArgumentError):
        sh(engine, busybox, "id -u", user=user)


def test_the_primary_group_cannot_be_dropped(engine: Engine, busybox: str) -> None:
    """CVE-2022-36109, -2989, CVE-2023-25173: negative group permissions were passed by."""
    assert sh(engine, busybox, "id -G", user="1000:1234").split() == ["1234"]
    assert sh(engine, busybox, "grep Groups /proc/self/status", user="1000:1234").split()[1:] == [
        "1234"
    ]


def test_a_volume_of_an_image_takes_no_files_of_the_host(
    engine: Engine, busybox: str, secret: Path
) -> None:
    """CVE-2022-23648: ``VOLUME /../../etc`` filled a volume with the host's files."""
    climb = "/" + "../" * 12 + str(secret.parent)[1:]
    engine.build(dockerfile=f'FROM {busybox}\nVOLUME ["{climb}"]\n', tag="climbs:1")
    assert "secret" not in attempt(engine, "climbs:1", f"ls -R {secret.parent}")


@pytest.mark.parametrize("trap", ["mkfifo /etc/passwd", "ln -s /dev/zero /etc/passwd"])
def test_looking_up_a_user_neither_waits_nor_eats_memory(
    engine: Engine, busybox: str, trap: str
) -> None:
    """CVE-2024-9676: ``/etc/passwd`` of an image was a FIFO, or a link to an endless file."""
    engine.build(dockerfile=f"FROM {busybox}\nRUN rm -f /etc/passwd && {trap}\n", tag="trap:1")
    answers: list[str] = []
    waiter = threading.Thread(
        target=lambda: answers.append(attempt(engine, "trap:1", "id", user="bob")), daemon=True
    )
    waiter.start()
    waiter.join(LIMIT_SECONDS)
    assert answers
    assert "unable to find user bob" in answers[0]


def test_no_neighbour_is_believed_to_be_a_router(engine: Engine, busybox: str) -> None:
    """CVE-2020-10749, -13401: a container that announced itself as IPv6 router got all traffic."""
    engine.networks.create("attack6", ipv6=True, subnet=["172.29.77.0/24", "fd00:77::/64"])
    try:
        read = "cd /proc/sys/net/ipv6/conf/eth0 && cat accept_ra disable_ipv6"
        assert sh(engine, busybox, read, network="attack6").split() == ["0", "0"]
        assert sh(engine, busybox, read, network="bridge").split()[1] == "1"
    finally:
        engine.networks.remove("attack6")


def test_the_name_of_a_cache_is_no_path(engine: Engine, busybox: str, secret: Path) -> None:
    """CVE-2024-9675: ``id=../../…`` of a cache mount was a folder of the host."""
    climb = "../" * 24 + str(secret.parent)[1:]
    dockerfile = f"FROM {busybox}\nRUN --mount=type=cache,id={climb},target=/c ls /c; touch /c/mine"
    engine.build(dockerfile=dockerfile, no_cache=True)
    assert os.listdir(secret.parent) == ["secret"]


@pytest.mark.parametrize(
    "option", ["bind-propagation=shared", "bind-propagation=rshared", "relabel=shared"]
)
def test_a_step_chooses_no_propagation(engine: Engine, busybox: str, option: str) -> None:
    """CVE-2024-9407: an unchecked option exposed the host through a mount of a step."""
    with pytest.raises(ContainersError, match=option.split("=")[0]):
        engine.build(
            dockerfile=f"FROM {busybox}\nRUN --mount=type=bind,{option},target=/m true\n",
        )


def test_the_source_of_a_steps_mount_stays_in_its_stage(
    engine: Engine, busybox: str, secret: Path
) -> None:
    """CVE-2024-1753: the source was a link of the stage that led to the host's root."""
    dockerfile = (
        f"FROM {busybox} AS evil\nRUN ln -s {secret.parent} /out && ln -s {'/..' * 12} /up\n"
        f"FROM {busybox}\n"
        "RUN --mount=type=bind,from=evil,source=SOURCE,target=/m,rw ls -R /m/ | grep -x SECRET\n"
    ).replace("SECRET", secret.name)
    for source in ("/out", f"/up{secret.parent}"):
        with pytest.raises(BuildError):
            engine.build(dockerfile=dockerfile.replace("SOURCE", source), no_cache=True)


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1:1/x.git#--upload-pack=touch${IFS}HERE",
        "git@127.0.0.1:x.git#-oProxyCommand=touch${IFS}HERE",
        "ssh://-oProxyCommand=touch${IFS}HERE/x.git",
        "ext::sh -c 'touch HERE'",
    ],
)
def test_a_git_address_is_no_option(engine: Engine, tmp_path: Path, address: str) -> None:
    """CVE-2019-13139, CVE-2017-1000117: a part of the address was an option of git or ssh."""
    here = tmp_path / "here"
    with pytest.raises(ContainersError):
        engine.build(address.replace("HERE", str(here)))
    assert not here.exists()


def test_a_program_of_the_container_is_never_run_for_the_engine(
    engine: Engine, busybox: str
) -> None:
    """CVE-2019-14271, CVE-2022-1227: `cp` and `top` ran a program or library of the container."""
    trap = "printf '#!/bin/sh\\necho $0 >>/ran\\n' >/trap; chmod 755 /trap"
    names = "ps tar cp nsenter gzip xz mount sh.real"
    script = f"{trap}; for n in {names}; do rm -f /bin/$n; ln -s /trap /bin/$n; done; sleep 60"
    engine.run(busybox, ["sh", "-c", script], detach=True, name="trapped", **NONE)
    engine.containers.exec(
        "trapped", ["sh", "-c", "until [ -e /bin/sh.real ]; do sleep 0.05; done"]
    )
    engine.containers.top("trapped")
    engine.system.inspect("trapped")
    engine.containers.diff("trapped")
    engine.containers.export("trapped", os.devnull)
    engine.containers.commit("trapped", "trapped:1")
    assert (
        engine.containers.exec("trapped", ["sh", "-c", "[ ! -e /ran ]"], check=False).exit_code == 0
    )


def test_an_address_in_a_layer_is_not_asked(
    own: Engine, served: ServedImage, scripted: ScriptedRegistry
) -> None:
    """CVE-2020-15157: the address in a foreign layer got the registry's password."""
    served.image([tar(member("f", b"x"))], "1")
    manifest = json.loads(served.manifests["1"][1])
    with ScriptedRegistry(ServedImage()) as elsewhere:
        url = f"http://{elsewhere.host}/layer.tar"
        manifest["layers"][0]["urls"] = [url]
        served.document(manifest, MANIFEST, "1")
        served.blobs.pop(manifest["layers"][0]["digest"])
        with pytest.raises(ContainersError):
            own.pull(f"{scripted.host}/image:1")
        assert elsewhere.asked == []


@pytest.mark.parametrize("trap", ["fifo", "link"])
def test_a_dockerfile_neither_blocks_nor_leads_out_of_its_folder(
    engine: Engine, busybox: str, secret: Path, trap: str
) -> None:
    """A container that has the context made a FIFO of it: the build waited for ever before."""
    context = secret.parent / "context"
    context.mkdir()
    made = "mkfifo /c/Dockerfile" if trap == "fifo" else f"ln -s ../{secret.name} /c/Dockerfile"
    sh(engine, busybox, made, volume=f"{context}:/c")
    answers: list[str] = []

    def build() -> None:
        try:
            engine.build(str(context))
        except ContainersError as error:
            answers.append(error.message)

    waiter = threading.Thread(target=build, daemon=True)
    waiter.start()
    waiter.join(LIMIT_SECONDS)
    assert answers
    assert "cannot read the Dockerfile" in answers[0]
    assert "secret of" not in answers[0]
