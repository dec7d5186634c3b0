"""RUN by chroot: the same images as in containers, in places where no container can be made.

The first tests choose it by ``--isolation chroot`` on this machine; the last is a real container
with the rights of a usual pod: root, 14 capabilities, the usual system call filter, no namespaces.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    BuildError,
    OperationCancelledError,
    StepFailedError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.process import find_processes
from tests.integration.account import CLONE

EPOCH = {"SOURCE_DATE_EPOCH": "1700000000"}
CONTEXT = {"f": "f\n", "d/g": "g\n", ".dockerignore": "no\n"}

# Each leaves different traces in the root: none of them may differ from those of a container.
DOCKERFILES = {
    "files": r"""
RUN mkdir -p /a/b && echo x > /a/b/c && chmod 4711 /a/b/c && chown 7:8 /a/b \
    && ln /bin/sh /etc/hard && ln -s /proc/self /etc/soft && mkfifo /etc/pipe \
    && rm /bin/vi && rm -r /home && mkdir /home
RUN true
""",
    "names": r"""
RUN echo 1 >> /etc/hosts; echo 2 > /etc/resolv.conf; echo x > /dev/null; echo y > /dev/new; \
    echo z > /dev/shm/z; echo > /dev/stdout; cat /proc/version
COPY f /etc/hosts
COPY --chmod=600 f /etc/resolv.conf
RUN ln -s ../run/r /etc/hostname; grep localhost /etc/hosts
""",
    "environment": r"""
ENV A=1
ARG B=2
RUN env | sort > /env && pwd >> /env && umask >> /env && ulimit -c >> /env
USER 7:8
WORKDIR /w
RUN id > id; echo $HOME $PWD >> id
""",
    "mounts": r"""
RUN --mount=type=cache,target=/c/c,id=chroot --mount=type=tmpfs,target=/etc/t \
    --mount=type=secret,id=s echo x >> /c/c/x; touch /c/y; cp /run/secrets/s /etc/t/
RUN --mount=type=bind,target=/b --mount=type=bind,source=d,target=/b/d,rw \
    --mount=type=bind,from=busybox,source=/bin,target=/m touch /b/d/new; ls -R /b /m > /l
""",
    "heredoc": r"""
RUN <<EOF
#!/bin/sh
echo $0 > /zero
EOF
""",
    "no etc": """FROM scratch
COPY --from=busybox /bin /bin
RUN ls / > /seen; ls /etc >> /seen
COPY f /etc/f
RUN true
""",
}


def build(engine: Engine, text: str, isolation: str, **flags: Any) -> Any:
    """Return the built image's document."""
    if not text.startswith("FROM"):
        text = f"FROM busybox\n{text}"
    image = engine.build(
        CONTEXT,
        dockerfile=text,
        isolation=isolation,
        build_arg=EPOCH,
        output="type=image,rewrite-timestamp=true",
        secret_values={"s": "geheim"},
        **flags,
    )
    return engine.system.inspect(image.id)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_image_is_that_of_containers(engine: Engine, busybox: str, name: str) -> None:
    """Seen to fail for five of them without ``StandIns._accept``."""
    del busybox
    text = DOCKERFILES[name]
    made = build(engine, text, "chroot", no_cache=True)
    again = build(engine, text, "oci", no_cache=True)
    assert made["RootFS"]["Layers"] == again["RootFS"]["Layers"]
    assert made["Id"] == again["Id"]


def test_the_cache_is_that_of_containers(engine: Engine, busybox: str) -> None:
    del busybox
    text = "COPY f /f\nRUN echo cached > /c\n"
    made = build(engine, text, "chroot")
    assert build(engine, text, "oci")["Id"] == made["Id"]
    newest = engine.builds.history()[0]
    assert [one.outcome for one in engine.builds.steps(newest.id)][-2:] == ["cached", "cached"]
    build(engine, text.replace("cached", "other"), "chroot")
    reasons = [step.reason for step in engine.builds.steps(engine.builds.history()[0].id)]
    assert "command" in reasons[-1]


ATTACKS = r"""
RUN chroot /tmp true 2>&1 | grep -q 'not permitted' && ! mknod /disk b 8 0 && ! ls /proc/1 \
    && ! mount -t tmpfs t /tmp && ! unshare -m true
"""


def test_it_leaves_its_root_by_no_usual_way(engine: Engine, busybox: str) -> None:
    """Seen to fail (``chroot``, ``mknod``) with an empty ``chroot.WITHHELD``."""
    del busybox
    build(engine, ATTACKS, "chroot", no_cache=True)


def test_a_step_that_replaces_its_folders_changes_nothing_outside(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """Seen to fail with paths instead of held directories: ``resolv.conf`` appears outside."""
    del busybox
    text = f"""
RUN mkdir -p {tmp_path} && mv /etc /moved && ln -s {tmp_path} /etc && rm -r /dev && ln -s / /dev
RUN test -e /moved/passwd && test ! -s /moved/resolv.conf && test -L /etc
"""
    build(engine, text, "chroot", no_cache=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_a_step_started_is_left(engine: Engine, busybox: str) -> None:
    """Seen to fail without PR_SET_CHILD_SUBREAPER: the second sleep is then nobody's child."""
    del busybox
    text = "RUN sleep 4242 & setsid sh -c 'sleep 4242 & sleep 4242' & sleep 0.1"
    build(engine, text, "chroot", no_cache=True)
    assert not find_processes(lambda words: b"4242" in words)
    token = CancelToken()

    def on_event(event: object) -> None:
        if b"ready" in getattr(event, "data", b""):
            token.cancel()

    text = "RUN trap '' TERM; setsid sleep 4242 & echo ready; sleep 4242"
    began = time.monotonic()
    with pytest.raises(OperationCancelledError):
        build(engine, text, "chroot", no_cache=True, cancel=token, emit=on_event)
    assert time.monotonic() - began < 20
    assert not find_processes(lambda words: b"4242" in words)


def test_errors_are_those_of_containers(engine: Engine, busybox: str) -> None:
    del busybox
    for text, code in (
        ('RUN ["none"]', 127),
        ('RUN ["/etc/passwd"]', 126),
        ("RUN exit 7", 7),
    ):
        found = []
        for isolation in ("chroot", "oci"):
            with pytest.raises(StepFailedError) as caught:
                build(engine, text, isolation, no_cache=True)
            assert caught.value.exit_code == code
            found.append(caught.value.hint)
        assert found[0] == found[1]
    # A failed step is kept without what stood in for mounts.
    changes = engine.builds.failed_changes()
    assert changes == []


@pytest.mark.parametrize(
    ("text", "flags", "name"),
    [
        ("RUN --network=none true", {}, "the network none"),
        ("RUN --security=insecure true", {"allow": "security.insecure"}, "--security=insecure"),
        ("RUN --mount=type=tmpfs,target=/t,size=1m true", {}, "the size of a tmpfs"),
        ("RUN true", {"shm_size": "1m"}, "--shm-size"),
    ],
)
def test_what_cannot_be_given_is_refused_by_name(
    engine: Engine, busybox: str, text: str, flags: dict[str, Any], name: str
) -> None:
    del busybox
    with pytest.raises((UnsupportedError, BuildError), match=f"RUN by chroot cannot have {name}"):
        build(engine, text, "chroot", no_cache=True, **flags)


_ROOT_IN_A_POD = """
from jupyter_containers import Engine
from jupyter_containers.errors import ContainersError
with Engine() as e:
    e.images.load("/given/bases.tar")
    text = '''FROM busybox
RUN id -u > /id; echo a > /dev/null
RUN --mount=type=cache,target=/c,uid=5 touch /c/x
USER 5
RUN ! touch /root/x && id -u > /tmp/id
'''
    image = e.build({}, dockerfile=text, tag="c:1", output="type=image,rewrite-timestamp=true",
                    build_arg={"SOURCE_DATE_EPOCH": "1700000000"})
    print(image.id)
    print(e.system.info()["BuildIsolation"], e.system.info()["Driver"])
    print({one.name: one for one in e.system.doctor().capabilities}["RUN steps"].detail)
    try:
        e.build({}, dockerfile="FROM busybox\\nRUN true", isolation="oci")
    except ContainersError as error:
        print(error.message)
"""


def test_root_in_a_pod_without_namespaces_builds(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    """The pod has this machine's Python, so that no image need be made for it."""
    engine.images.save([busybox], tmp_path / "bases.tar")
    tmp_path.chmod(0o755)
    given = {CLONE: "/clone", tmp_path: "/given"}
    given |= {Path(path): path for path in ("/usr", "/lib", "/lib64", sys.prefix, sys.base_prefix)}
    result = engine.run(
        busybox,
        [sys.executable, "-c", _ROOT_IN_A_POD],
        volume=[f"{source}:{target}:ro" for source, target in given.items() if source.is_dir()],
        env={"PYTHONPATH": "/clone"},
        network="none",
        rm=True,
        check=False,
    )
    assert result.exit_code == 0, result.stderr.decode()
    made, facts, detail, refused = result.output.splitlines()
    text = _ROOT_IN_A_POD.partition("'''")[2].partition("'''")[0]
    assert made == build(engine, text, "oci", no_cache=True)["Id"]
    assert facts == "chroot vfs"
    assert detail.startswith("by chroot: ")
    assert refused


def test_only_root_changes_its_root(tmp_path: Path) -> None:
    from jupyter_containers.runtime import chroot

    status = tmp_path / "status"
    status.write_text("CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fb\n")
    assert (chroot.refusal(status) is None) == (os.geteuid() == 0)
    status.write_text("CapEff:\t00000000a80425fb\nCapBnd:\t00000000a80425fa\n")
    refused = chroot.refusal(status)
    assert refused is not None
    assert "it lacks CAP_CHOWN" in refused.message
