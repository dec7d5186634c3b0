"""Builds through the engine: real layers, real RUN steps, a real store."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine, Image
from jupyter_containers.errors import (
    ArchiveError,
    BuildError,
    ContainersError,
    DockerfileSyntaxError,
    StepFailedError,
    StorageError,
)
from jupyter_containers.events import TaskOutput, TaskStarted
from tests.integration.build_bench import Bench
from tests.integration.engine_fixtures import Place, demolish, nothing_left

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def layer_names(engine: Engine, image: Image, depth: int = -1) -> list[str]:
    """Return the members of one layer's archive."""
    document = engine.system.inspect(image.id, kind="image")
    assert document["RootFS"]["Layers"]
    manifest = engine._context.store.content.read(image.digest)
    import json

    blob = json.loads(manifest)["layers"][depth]["digest"]
    with (
        engine._context.store.content.open(blob) as file,
        tarfile.open(fileobj=io.BytesIO(file.read()), mode="r:*") as archive,
    ):
        return archive.getnames()


def test_a_build_makes_an_image_that_runs(bench: Bench, tmp_path: Path) -> None:
    bench.write("app/main.sh", "echo from $WHO in $PWD as $(id -u)")
    iid = tmp_path / "iid"
    image = bench.build(
        "FROM busybox\nARG WHO=nobody\nENV WHO=$WHO\nWORKDIR /srv/app\nCOPY app .\n"
        "RUN echo ann:x:1234:1234::/:/bin/sh >> /etc/passwd && chown ann main.sh\nUSER ann\n"
        'EXPOSE 80\nVOLUME /data\nLABEL a="b c"\nCMD ["sh", "main.sh"]\n',
        tag=["built:1", "built:2"],
        build_arg={"WHO": "me"},
        label=["from=flag"],
        iidfile=iid,
    )
    result = bench.engine.run(image, rm=True, network="none")
    assert result.stdout == b"from me in /srv/app as 1234\n"
    assert iid.read_text() == image.id
    assert set(image.names) >= {"built:1", "built:2"}
    config = image.inspect()["Config"]
    assert config["Labels"] == {"a": "b c", "from": "flag"}
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert config["Volumes"] == {"/data": {}}
    assert (config["User"], config["WorkingDir"]) == ("ann", "/srv/app")


def test_cached_steps_and_the_reasons_of_misses(bench: Bench) -> None:
    bench.write("a", "1")
    bench.write("b", "1")
    text = "FROM busybox\nARG X=1\nRUN echo $X > /x\nCOPY a b /in/\nRUN cat /in/a > /out\n"
    first = bench.build(text)
    second = bench.build(text)
    assert second.id == first.id
    assert {outcome for outcome, _ in bench.steps} == {"cached"}

    os.utime(bench.context / "a", (1, 1))
    assert bench.build(text).id == first.id, "a time is no content"

    bench.write("b", "2")
    third = bench.build(text)
    assert third.id != first.id
    assert [outcome for outcome, _ in bench.steps][-2:] == ["done", "done"]
    assert bench.steps[-2][1] == "b changed"
    assert bench.steps[-1][1] == "the parent changed: [4/5] COPY a b /in/"

    bench.build(text, build_arg=["X=2"])
    assert bench.steps[-3] == ("done", "variable X changed")

    bench.write("b", "1")
    assert bench.build(text).id == first.id, "what was built once is still there"

    bench.build(text, no_cache=True)
    assert [detail for _, detail in bench.steps if detail] == ["the cache is off"] * 3


def test_stages_targets_and_what_is_not_needed(bench: Bench) -> None:
    text = (
        "FROM busybox AS one\nRUN echo one > /one\n"
        "FROM busybox AS broken\nRUN false\n"
        "FROM scratch AS files\nCOPY --from=one /one /only\n"
        "FROM one\nCOPY --from=files /only /copied\nCOPY --from=busybox /etc/passwd /p\n"
    )
    image = bench.build(text)
    assert bench.run(image, "cat /copied /one; test -s /p") == "one\none\n"
    target = bench.build(text, target="files")
    assert layer_names(bench.engine, target) == ["only"]
    with pytest.raises(StepFailedError):
        bench.build(text, target="broken")
    with pytest.raises(BuildError, match="nosuch"):
        bench.build(text, target="nosuch")


def test_dockerignore(bench: Bench) -> None:
    for name in ("keep.txt", "secret.key", "logs/a.log", "logs/keep.log", "Dockerfile"):
        bench.write(name, name)
    bench.write(".dockerignore", "*.key\nlogs\n!logs/keep.log\n.dockerignore\n")
    image = bench.build("FROM busybox\nCOPY . /c/\n")
    assert bench.run(image, "cd /c; find . -type f | sort").split() == [
        "./Dockerfile",
        "./keep.txt",
        "./logs/keep.log",
    ]
    with pytest.raises(BuildError, match=r"excluded by \.dockerignore"):
        bench.build("FROM busybox\nCOPY secret.key /\n")


def test_a_failed_step_says_where_and_what(bench: Bench) -> None:
    text = "FROM busybox\nRUN echo fine\nRUN echo before; \\\n    echo broken >&2; \\\n    exit 3\n"
    with pytest.raises(StepFailedError) as caught:
        bench.build(text, source_name="cell")
    error = caught.value
    assert error.exit_code == 3
    assert set(error.log_tail) == {"before", "broken"}
    assert error.location is not None
    assert (error.location.first_line, error.location.last_line) == (3, 5)
    report = error.report()
    assert "cell:3" in report
    assert "echo broken" in report
    assert ("failed", "") in bench.steps
    with pytest.raises(StepFailedError) as caught:
        bench.build("FROM busybox\nRUN no-such-program\n")
    assert caught.value.exit_code == 127
    assert "not found" in caught.value.hint


@pytest.mark.parametrize("step", ['RUN ["/nope"]', 'SHELL ["/nope"]\nRUN true'])
def test_a_step_that_cannot_start_is_a_failed_step(bench: Bench, step: str) -> None:
    with pytest.raises(StepFailedError, match="could not be started") as caught:
        bench.build(f"FROM busybox\n{step}\n")
    assert caught.value.exit_code == 127
    assert caught.value.location is not None
    assert "RUN" in caught.value.report()


def test_a_step_that_fills_the_disk(tmp_path: Path, engine: Engine, busybox: str) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", small], check=True)
    try:
        with Engine(root=small / "root", run_root=tmp_path / "run") as tiny:
            try:
                tiny.images.bootstrap("busybox")
                (tmp_path / "f").write_bytes(os.urandom(4_000_000))
                fill = "RUN dd if=/dev/urandom of=/x bs=1M count=20"
                with nothing_left(tiny), pytest.raises(StepFailedError, match="dd") as caught:
                    tiny.build(tmp_path, dockerfile=f"FROM busybox\n{fill}\n")
                assert "No space left" in caught.value.report()
                with nothing_left(tiny), pytest.raises(StorageError, match="No space left"):
                    tiny.build(tmp_path, dockerfile="FROM busybox\nCOPY f /a\nCOPY f /b\n")
                assert not list((small / "root/staging").iterdir())
                tiny.build(tmp_path, dockerfile="FROM busybox\nRUN echo fits > /f\n")
            finally:
                demolish(tiny)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("", DockerfileSyntaxError, "empty|no.*FROM|no instructions|without"),
        ("RUN true\n", DockerfileSyntaxError, "FROM"),
        ("FROM busybox\nCOPPY a b\n", DockerfileSyntaxError, "COPPY"),
        ("FROM busybox\nCOPY a\n", DockerfileSyntaxError, "COPY"),
        ("FROM busybox\nRUN --mount=type=bind true\n", DockerfileSyntaxError, "target"),
        ("FROM busybox\nCOPY nothing /\n", BuildError, "nothing"),
        ("FROM busybox\nCOPY --from=localhost:1/nosuch /a /b\n", BuildError, "localhost:1/nosuch"),
        ("FROM busybox\nADD http://127.0.0.1:1/x /\n", BuildError, "cannot download http://127"),
        ("FROM busybox\nRUN --mount=type=ssh,required true\n", BuildError, "SSH agent"),
    ],
)
def test_bad_dockerfiles(bench: Bench, text: str, error: type[ContainersError], words: str) -> None:
    with pytest.raises(error, match=words):
        bench.build(text)


def test_a_missing_base_image_names_the_way_out(bench: Bench) -> None:
    with pytest.raises(BuildError, match="localhost:1/none:1") as caught:
        bench.build("FROM busybox AS a\nFROM localhost:1/none:1\n", source_name="cell")
    assert "cell:2" in caught.value.report()


def test_image_ids_as_bases(bench: Bench) -> None:
    base = bench.build("FROM busybox\nRUN echo base > /base\n")
    for name in (base.id, base.short_id):
        image = bench.build(f"FROM {name}\nRUN cat /base > /copy\n", pull=True)
        assert bench.run(image, "cat /copy") == "base\n"
    image = bench.build(f"FROM busybox\nCOPY --from={base.short_id} /base /b\n")
    assert bench.run(image, "cat /b") == "base\n"


def test_archives_are_unpacked_with_the_wished_owner(bench: Bench) -> None:
    bench.write("f", "in the archive")
    with tarfile.open(bench.context / "a.tar.gz", "w:gz") as archive:
        archive.add(bench.context / "f", "deep/f")
    image = bench.build("FROM busybox\nADD --chown=7:8 a.tar.gz /x/\nADD a.tar.gz /y/\n")
    assert bench.run(image, "stat -c '%u:%g' /x/deep /x/deep/f").split() == ["7:8", "7:8"]
    assert bench.run(image, "cat /y/deep/f") == "in the archive"


def test_an_archive_cannot_write_outside(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    with tarfile.open(bench.context / "up.tar", "w") as archive:
        up = tarfile.TarInfo("../" * 12 + f"{victim}")
        up.size = 4
        archive.addfile(up, io.BytesIO(b"evil"))
    with pytest.raises(ArchiveError, match="leads out of the archive's folder"):
        bench.build("FROM busybox\nADD up.tar /x/\n")
    with tarfile.open(bench.context / "evil.tar", "w") as archive:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        through = tarfile.TarInfo("way/victim")
        through.size = 4
        archive.addfile(through, io.BytesIO(b"evil"))
    # The link's target is a name below the image's root, where nothing is.
    with pytest.raises(ArchiveError, match="a parent of it is not a directory"):
        bench.build("FROM busybox\nADD evil.tar /x/\n")
    assert not victim.exists()


def test_writes_into_a_volume_are_kept(bench: Bench) -> None:
    image = bench.build("FROM busybox\nRUN mkdir /data\nVOLUME /data\nRUN echo kept > /data/f\n")
    assert bench.run(image, "cat /data/f") == "kept\n"


def test_nothing_of_a_mount_is_committed(bench: Bench) -> None:
    bench.write("src/x", "x")
    image = bench.build(
        "FROM busybox\nRUN --mount=target=/m/src,source=src --mount=type=tmpfs,target=/m/tmp "
        "--mount=type=cache,target=/m/cache touch /m/tmp/t /m/cache/c; cp /m/src/x /x\n"
    )
    assert layer_names(bench.engine, image) == ["x"]
    image = bench.build("FROM busybox\nRUN true\n")
    assert len(image.inspect()["RootFS"]["Layers"]) == 1, "an empty step makes no layer"


def test_cache_mounts_live_on_and_are_pruned(bench: Bench) -> None:
    name = f"count-{os.getpid()}"
    step = f"--mount=type=cache,id={name},target=/c echo x >> /c/n; wc -l < /c/n"
    for expected in ("1", "2", "3"):
        bench.build(f"FROM busybox\nRUN {step}\n", no_cache=True)
        assert bench.output.strip() == expected
    bench.engine.builds.prune()
    bench.build(f"FROM busybox\nRUN {step}\n")
    assert bench.output.strip() == "1"


def test_a_cache_begins_with_what_from_holds(bench: Bench) -> None:
    def text(script: str) -> str:
        return (
            "FROM busybox AS seed\nRUN mkdir -p /s/d && echo seed > /s/d/f && chown -R 3:4 /s\n"
            "FROM busybox\nRUN --mount=type=cache,id=seeded,target=/c,from=seed,source=/s "
            f"{script}\n"
        )

    bench.build(text("stat -c %u:%g /c /c/d/f; cat /c/d/f; echo more >> /c/d/f"))
    assert bench.output.split() == ["3:4", "3:4", "seed"]
    bench.build(text("cat /c/d/f"))
    assert bench.output.split() == ["seed", "more"]


def test_secrets_are_seen_by_their_step_only(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("s3cr3t-in-a-file")
    monkeypatch.setenv("W2_SECRET", "s3cr3t-in-a-variable")
    text = (
        "FROM busybox\n"
        "RUN --mount=type=secret,id=f stat -c '%a %u' /run/secrets/f; wc -c < /run/secrets/f\n"
        "RUN --mount=type=secret,id=v,env=TOKEN,required echo ${#TOKEN} > /length\n"
        "RUN ls /run/secrets 2>&1 || true\n"
    )
    secret = [f"id=f,src={file}", "id=v,env=W2_SECRET"]
    image = bench.build(text, secret=secret)
    assert bench.output.split()[:3] == ["400", "0", "16"]
    assert bench.run(image, "cat /length") == "20\n"
    content = bench.engine._context.store.content
    for digest in content.digests():
        assert b"s3cr3t-in" not in content.path(digest).read_bytes()
    file.write_text("another")
    bench.build(text, secret=secret)
    assert {outcome for outcome, _ in bench.steps} == {"cached"}, "a value is not part of the key"
    with pytest.raises(BuildError, match="secret v is required"):
        bench.build(text, no_cache=True, secret=secret[:1])


def test_networks_of_run_steps(bench: Bench) -> None:
    show = "ip -o addr | grep -c eth0 || true"
    bench.build(f"FROM busybox\nRUN --network=none {show}\n")
    assert bench.output.strip() == "0"
    bench.build(f"FROM busybox\nRUN {show}; grep -c nameserver /etc/resolv.conf\n")
    assert bench.output.split()[0] == "1"
    before = set(os.listdir("/sys/class/net"))
    bench.build("FROM busybox\nRUN ls /sys/class/net\n", network="host")
    lasting = before & set(os.listdir("/sys/class/net"))
    assert lasting <= set(bench.output.split())


def test_what_run_steps_find_around_them(bench: Bench) -> None:
    text = (
        "FROM busybox\nRUN grep -c -e 10.1.2.3.db -e machine /etc/hosts; ulimit -n; "
        "df -k /dev/shm | tail -1 | awk '{print $2}'\n"
    )
    around: dict[str, Any] = {
        "add_host": ["db:10.1.2.3", "machine:host-gateway"],
        "shm_size": "2m",
        "ulimit": "nofile=123:456",
    }
    image = bench.build(text, **around)
    assert bench.output.split() == ["2", "123", "2048"]
    with pytest.raises(ContainersError, match="invalid add-host"):
        bench.build(text, no_cache=True, add_host=["nonsense"])
    with pytest.raises(ContainersError, match="invalid ulimit"):
        bench.build(text, no_cache=True, ulimit="nosuch=1")
    # As in BuildKit, it is not part of a step's cache key.
    assert bench.build(text, add_host=["db:10.1.2.4"]).id == image.id


def test_host_trust_stays_out_of_layers_keys_and_history(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    text = (
        'FROM busybox\nRUN echo "<$SSL_CERT_FILE> <$https_proxy>"; '
        '[ -z "$SSL_CERT_FILE" ] || grep -c BEGIN "$SSL_CERT_FILE"; ls /dev > /dev-list\n'
    )
    image = bench.build(text, trust_host_ca=True)
    assert "<http://proxy.invalid:3128>" in bench.output
    if bench.engine._context.host.ca.bundle:
        assert "host-ca-certificates" in bench.output
        assert int(bench.output.split()[-1]) > 0
    assert layer_names(bench.engine, image) == ["dev-list"]
    document = image.inspect()
    assert not any("CERT" in entry or "proxy" in entry for entry in document["Config"]["Env"])
    assert not any("proxy.invalid" in step.created_by for step in image.history())
    monkeypatch.setenv("https_proxy", "http://other.invalid:1")
    again = bench.build(text, trust_host_ca=False)
    assert again.id == image.id, "neither proxies nor authorities are part of the key"
    bench.build(text, trust_host_ca=False, no_cache=True)
    assert "<> <>" in bench.output


def test_passwords_of_the_hosts_proxies_reach_no_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As Docker 28.2 does with the same input; before, the step printed "printed-1"."""
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://user:secret-1@proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "inside.invalid")
    show = "env | grep -i proxy | sed s/secret/printed/ | sort"
    text = f"FROM busybox\nRUN {show}\n"
    bench.build(text, trust_host_ca=True)
    assert bench.output.strip() == "no_proxy=inside.invalid"
    given = {"httpProxy": "http://user:secret-2@asked.invalid", "noProxy": ""}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": {"default": given}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for trusting in (True, False):
        image = bench.build(text, trust_host_ca=trusting, no_cache=True)
        lines = [line for line in bench.output.split() if not line.startswith("no_")]
        asked = "=http://user:printed-2@asked.invalid"
        assert lines == [f"HTTP_PROXY{asked}", f"http_proxy{asked}"], "asked for, as with Docker"
    engine = bench.engine
    shown = engine.run(image.id, ["sh", "-c", show], network="none", rm=True).output
    assert f"http_proxy{asked}" in shown
    assert "printed-1" not in shown
    told = engine.run(image.id, ["env"], network="none", rm=True, env=["http_proxy=mine"]).output
    assert "http_proxy=mine\n" in told
    engine._context.store._staging.finish()
    kept = subprocess.run(
        ["grep", "-rlaE", "secret-[12]", str(engine.settings.root)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert kept.stdout == "", "in no layer, record, log or history"


def test_proxy_arguments_stay_out_of_history(bench: Bench) -> None:
    image = bench.build(
        "FROM busybox\nRUN echo $http_proxy\n",
        build_arg=["http_proxy=http://user:pw@proxy.invalid"],
        trust_host_ca=False,
    )
    assert "user:pw@proxy.invalid" in bench.output
    assert not any("pw@" in step.created_by for step in image.history())


def test_steps_are_told_as_they_happen(bench: Bench) -> None:
    bench.build("FROM busybox\nRUN echo one; echo two >&2\nCOPY --from=busybox /bin/sh /s\n")
    titles = [event.title for event in bench.events if isinstance(event, TaskStarted)]
    assert [title.split("]")[0] for title in titles] == ["[1/3", "[2/3", "[3/3"]
    streams = {e.stream: e.data for e in bench.events if isinstance(e, TaskOutput)}
    assert streams == {"stdout": b"one\n", "stderr": b"two\n"}


def _together(workers: list[Callable[[], Any]]) -> list[Any]:
    results: list[Any] = [None] * len(workers)

    def work(index: int) -> None:
        try:
            results[index] = workers[index]()
        except BaseException as error:  # noqa: BLE001  # handed to the test
            results[index] = error

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(workers))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


def test_threads_build_at_once(bench: Bench) -> None:
    def build(number: int) -> Callable[[], Image]:
        text = f"FROM busybox\nRUN echo same > /s; sleep 0.1\nRUN echo {number} > /own\n"
        return lambda: bench.engine.build(bench.context, dockerfile=text, tag=f"thread:{number}")

    results = _together([build(number) for number in range(4)])
    assert all(isinstance(result, Image) for result in results), results
    for number, image in enumerate(results):
        assert bench.run(image, "cat /s /own") == f"same\n{number}\n"


OTHER_KERNEL = """
import sys
from jupyter_containers import Engine
root, run, text, tag = sys.argv[1:]
with Engine(root=root, run_root=run) as engine:
    print(engine.build(".", dockerfile=text, tag=tag).id)
"""


def test_processes_build_at_once(bench: Bench, place: Place) -> None:
    text = "FROM busybox\nRUN sleep 0.2; echo one > /one\nRUN cat /one > /two\n"
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER_KERNEL, place.root, place.run_root, text, f"twice:{n}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=bench.context,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        for n in range(2)
    ]
    done = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], done
    for number in range(2):
        assert bench.run(bench.engine.images.get(f"twice:{number}"), "cat /two") == "one\n"


def test_a_step_that_leaves_a_daemon_behind_ends(bench: Bench) -> None:
    image = bench.build("FROM busybox\nRUN sleep 1000 & echo started > /f\n")
    assert bench.run(image, "cat /f; ps | grep -c '[s]leep' || true") == "started\n0\n"


def test_reproducible_with_a_source_date(bench: Bench) -> None:
    bench.write("f", "f")
    first, second = (
        bench.build(
            "FROM busybox\nRUN echo x > /x\nCOPY f /f\n",
            build_arg=["SOURCE_DATE_EPOCH=1700000000"],
            no_cache=True,
            output="type=image,rewrite-timestamp=true",
        )
        for _ in range(2)
    )
    assert first.digest == second.digest


def test_a_trigger_of_a_base_image_copies_from_a_stage(bench: Bench) -> None:
    bench.build("FROM busybox\nONBUILD COPY --from=other /one /two\n", tag="triggering")
    image = bench.build("FROM busybox AS other\nRUN echo 1 > /one\nFROM triggering\n")
    assert bench.run(image, "cat /two") == "1\n"
    with pytest.raises(StepFailedError, match="RUN false"):
        bench.build("FROM busybox AS other\nRUN false\nFROM triggering\n")
