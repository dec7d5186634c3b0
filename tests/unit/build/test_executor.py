from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.build.seams import ContextFile, StepMount
from jupyter_containers.errors import (
    BuildError,
    DockerfileSyntaxError,
    ImageNotFoundError,
    InvalidArgumentError,
    OperationCancelledError,
    StepFailedError,
)
from jupyter_containers.events import CancelToken, TaskFinished, TaskOutput, TaskStarted
from jupyter_containers.oci.descriptor import CONFIG, MANIFEST
from jupyter_containers.options.build import BuildOptions


def writing(request: Any, root: Path, on_output: Any) -> int:
    on_output(b"working\n", "stdout")
    (root / "out").write_text(" ".join(request.argv))
    return 0


def test_blobs_and_digests_agree(bench: Any) -> None:
    base = bench.image("base")
    bench.write("a", "1")
    result = bench.build("FROM base\nCOPY a /a\nENV x=1\n")
    manifest = json.loads(bench.blobs[result.manifest.digest])
    assert (result.manifest.media_type, manifest["mediaType"]) == (MANIFEST, MANIFEST)
    assert manifest["config"]["mediaType"] == CONFIG
    assert manifest["config"]["digest"] == result.config_digest
    config = json.loads(bench.blobs[result.config_digest])
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == 2
    assert config["rootfs"]["diff_ids"][0] == base.layers[0].diff_id
    layers = [one for one in config["history"] if not one.get("empty_layer")]
    assert len(layers) == 2
    assert result.diff_ids == tuple(config["rootfs"]["diff_ids"])


def test_a_rebuild_gives_the_same_image_whenever_it_is_made(bench: Any) -> None:
    bench.write("a", "1")
    text = "FROM scratch\nENV e=1\nCOPY a /a\nCMD x\n"
    first = bench.build(text)
    bench.now += 1000
    assert bench.build(text).manifest == first.manifest
    assert first.config.created == "2023-11-14T22:13:20Z"
    assert bench.build(text + "ENV f=1\n").config.created == "2023-11-14T22:30:00Z"


def test_source_date_epoch_sets_every_time(bench: Any) -> None:
    bench.write("a", "1")
    result = bench.build("FROM scratch\nCOPY a /a\nENV x=1\n", build_arg={"SOURCE_DATE_EPOCH": "1"})
    assert {one.created for one in result.config.history} == {"1970-01-01T00:00:01Z"}
    assert result.config.created == "1970-01-01T00:00:01Z"
    assert result.warnings == ()
    with pytest.raises(InvalidArgumentError, match="SOURCE_DATE_EPOCH"):
        bench.build("FROM scratch\n", build_arg={"SOURCE_DATE_EPOCH": "x"})


def test_events_tell_of_each_step_once(bench: Any) -> None:
    bench.layers.runner = writing
    bench.build("FROM scratch\nENV a=1\nRUN make\n")
    started = [one for one in bench.events if isinstance(one, TaskStarted)]
    finished = [one for one in bench.events if isinstance(one, TaskFinished)]
    assert [one.title for one in started] == [
        "[1/3] FROM scratch", "[2/3] ENV a=1", "[3/3] RUN make"
    ]  # fmt: skip
    assert [one.task for one in started] == [one.task for one in finished]
    assert len({one.task for one in started}) == 3
    assert [one.outcome for one in finished] == ["cached", "cached", "done"]
    assert finished[-1].detail == "not built here before"
    output = [one for one in bench.events if isinstance(one, TaskOutput)]
    assert output == [TaskOutput(started[-1].task, b"working\n", "stdout")]
    bench.events.clear()
    bench.build("FROM scratch\nENV a=1\nRUN make\n")
    assert [one.outcome for one in bench.events if isinstance(one, TaskFinished)] == ["cached"] * 3


def test_stages_are_named_in_titles(bench: Any) -> None:
    bench.build("FROM scratch AS one\nENV a=1\nFROM one\nENV b=1\n")
    titles = [one.title for one in bench.events if isinstance(one, TaskStarted)]
    assert titles == [
        "[one 1/2] FROM scratch AS one", "[one 2/2] ENV a=1",
        "[stage-1 1/2] FROM one", "[stage-1 2/2] ENV b=1",
    ]  # fmt: skip


def test_a_failing_step_says_where_and_why(bench: Any) -> None:
    def failing(request: Any, root: Path, on_output: Any) -> int:
        on_output("".join(f"line {number}\n" for number in range(50)).encode(), "stdout")
        on_output(b"last wo", "stderr")
        on_output(b"rds\n", "stderr")
        return 127

    bench.layers.runner = failing
    with pytest.raises(StepFailedError) as caught:
        bench.build("FROM scratch\n\nRUN nosuch \\\n  thing\n", source_name="Cell")
    error = caught.value
    assert error.exit_code == 127
    assert (error.location.filename, error.location.first_line, error.location.last_line) == (
        "Cell", 3, 4
    )  # fmt: skip
    assert error.instruction == "RUN nosuch thing"
    assert len(error.log_tail) == 20
    assert error.log_tail[-2:] == ("line 49", "last words")
    assert "not found" in error.hint
    assert bench.events[-1].outcome == "failed"
    [(kept, _)] = bench.layers.kept
    assert (kept.title, kept.place, kept.exit_code) == ("RUN nosuch thing", "Cell:3", 127)
    assert error.snapshot == "kept1"
    assert error.hint.endswith("; inspect its files: Engine.builds.failed_image()")
    error.suggest_inspection("builder debug ls")
    assert error.hint.endswith("; inspect its files: builder debug ls")
    assert "Engine" not in error.hint
    assert [path.name for path in bench.layers.base.iterdir()] == ["empty"]


def test_cancel_stops_between_and_inside_steps(bench: Any) -> None:
    cancel = CancelToken()

    def cancelling(request: Any, root: Path, on_output: Any) -> int:
        cancel.cancel()
        return 137

    bench.layers.runner = cancelling
    options = BuildOptions.of(bench.context, dockerfile="FROM scratch\nRUN x\nRUN y\n")
    with pytest.raises(OperationCancelledError):
        bench.builder.build(options, bench.events.append, cancel)
    assert len(bench.layers.requests) == 1
    assert bench.events[-1].outcome == "cancelled"
    assert bench.layers.commits == 0


def test_an_interrupt_passes_through_and_discards(bench: Any) -> None:
    def interrupted(request: Any, root: Path, on_output: Any) -> int:
        raise KeyboardInterrupt

    bench.layers.runner = interrupted
    with pytest.raises(KeyboardInterrupt):
        bench.build("FROM scratch\nRUN x\n")
    assert bench.events[-1].outcome == "cancelled"
    assert [path.name for path in bench.layers.base.iterdir()] == ["empty"]


def test_a_stopped_build_goes_on_where_it_was(bench: Any) -> None:
    bench.layers.runner = writing
    text = "FROM scratch\nRUN one\nRUN two\n"

    def second_fails(request: Any, root: Path, on_output: Any) -> int:
        return 1 if "two" in request.argv else writing(request, root, on_output)

    bench.layers.runner = second_fails
    with pytest.raises(StepFailedError):
        bench.build(text.replace("RUN two", 'RUN ["two"]'))
    bench.layers.runner = writing
    assert [step.cached for step in bench.build(text).steps] == [True, True, False]


def test_what_a_run_is_given(bench: Any) -> None:
    bench.image("base", {"Env": ["PATH=/p", "E=1"], "WorkingDir": "/w", "User": "u"})
    bench.layers.runner = writing
    bench.build(
        "FROM base\nARG A=2\nARG E\nRUN x $A\nRUN --network=none y\n",
        build_arg={"https_proxy": "P"}, network="host", trust_host_ca=True,
    )  # fmt: skip
    first, second = bench.layers.requests
    assert first.argv == ("/bin/sh", "-c", "x $A")
    assert first.env == ("PATH=/p", "E=1", "A=2", "https_proxy=P")
    assert (first.cwd, first.user, first.network, first.trust_host_ca) == ("/w", "u", "host", True)
    assert second.network == "none"
    assert first.step_id != second.step_id


def test_run_mounts(bench: Any) -> None:
    bench.image("tools")
    bench.write("src/f", "1")
    bench.layers.runner = writing
    bench.build(
        "FROM scratch AS one\nENV a=1\nFROM scratch\nWORKDIR /w\nARG T=/cache\n"
        "RUN --mount=type=cache,target=$T,sharing=locked,mode=0700,uid=5"
        " --mount=type=tmpfs,dst=t,size=1m --mount=target=/src,source=src,rw"
        " --mount=type=bind,from=tools,target=/tools,src=/etc true\n"
    )
    (request,) = bench.layers.requests
    chain = bench.images.images["tools:latest"].chain_id
    state = bench.context.stat()
    assert request.mounts == (
        StepMount(
            "cache", "/cache", read_only=False, cache_id="/cache", sharing="locked",
            mode=0o700, uid=5, variant="5:0:700",
        ),
        StepMount("tmpfs", "/w/t", read_only=False, size=1024 * 1024),
        StepMount(
            "bind", "/src", read_only=False,
            context=ContextFile(str(bench.context), (state.st_dev, state.st_ino), "src"),
        ),
        StepMount("bind", "/tools", "/etc", chain),
    )  # fmt: skip


def test_mount_points_are_not_committed(bench: Any) -> None:
    def runner(request: Any, root: Path, on_output: Any) -> int:
        assert (root / "a/b").is_dir()
        for name in ("proc", "dev", "sys"):
            (root / name).mkdir()
        (root / "etc").mkdir()
        (root / "etc/hosts").touch()
        (root / "made").write_text("x")
        (root / "kept/own").write_text("x")
        return 0

    bench.layers.runner = runner
    files = bench.files(
        "FROM scratch\nRUN --mount=type=tmpfs,target=/a/b --mount=type=cache,target=/kept true\n"
    )
    assert set(files) == {"made", "kept", "kept/own"}


def test_folders_of_mount_points_keep_their_times(bench: Any) -> None:
    bench.image("base", {}, {"etc/keep": "x", "opt/keep": "x"})
    base = bench.layers.folder(bench.images.images["base:latest"].chain_id)
    for name in ("etc", "opt"):
        os.utime(base / name, (5, 5))

    def runner(request: Any, root: Path, on_output: Any) -> int:
        (root / "etc/hosts").touch()
        (root / "opt/made").touch()
        (root / "done").touch()
        return 0

    bench.layers.runner = runner
    root = bench.root(bench.build("FROM base\nRUN --mount=type=tmpfs,target=/opt/t true\n"))
    assert not (root / "etc/hosts").exists()
    assert not (root / "opt/t").exists()
    assert (root / "etc").stat().st_mtime == 5
    assert (root / "opt").stat().st_mtime > 5


def test_a_bind_of_the_context_is_part_of_the_key(bench: Any) -> None:
    bench.layers.runner = writing
    bench.write("f", "1")
    bench.write(".dockerignore", "hidden")
    bench.write("hidden", "1")
    text = "FROM scratch\nRUN --mount=source=f,target=/f cat /f\n"
    bench.build(text)
    assert bench.build(text).steps[-1].cached
    bench.write("f", "2")
    assert bench.build(text).steps[-1].reason == "f changed"
    with pytest.raises(BuildError, match="excluded by"):
        bench.build("FROM scratch\nRUN --mount=source=hidden,target=/f cat /f\n")


@pytest.mark.parametrize(
    ("text", "flags", "said"),
    [
        ("RUN --security=insecure true", {}, "security.insecure is not allowed"),
        ("RUN --network=host true", {}, "network.host is not allowed"),
        ("RUN --mount=type=ssh,required true", {}, "SSH agent default is required"),
        ("ADD --checksum=sha256:00 f /f", {}, "--checksum can only be used with addresses"),
    ],
)
def test_what_is_not_granted_is_named(
    bench: Any, text: str, flags: dict[str, Any], said: str
) -> None:
    bench.write("f", "1")
    with pytest.raises(BuildError, match=said) as caught:
        bench.build(f"FROM scratch\n{text}\n", **flags)
    assert caught.value.location is not None
    assert caught.value.location.first_line == 2


def test_granted_steps_run(bench: Any) -> None:
    allow = ["security.insecure,network.host"]
    bench.build(
        "FROM scratch\nRUN --security=insecure a\nRUN --network=host b\nRUN --mount=type=ssh c\n",
        allow=allow,
    )
    requests = bench.layers.requests
    assert [one.privileged for one in requests] == [True, False, False]
    assert [one.network for one in requests] == ["bridge", "host", "bridge"]


def test_a_linked_copy_stays_cached_when_the_stage_changes(bench: Any) -> None:
    bench.write("f", "1")
    first = bench.build("FROM scratch\nRUN a\nCOPY --link f /f\n")
    second = bench.build("FROM scratch\nCOPY f /other\nCOPY --link f /f\n")
    assert [step.cached for step in second.steps] == [True, False, True]
    assert first.diff_ids[-1] == second.diff_ids[-1]
    assert {path.name for path in bench.root(second).iterdir()} == {"f", "other"}


def test_contexts_are_folders_mappings_and_archives(bench: Any, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o").write_text("other")
    bench.write("f", "main")
    text = "FROM scratch\nCOPY f /f\nCOPY --from=o o /o\nCOPY --from=d x/y /y\nCOPY v /v\n"
    files = bench.files(
        text, build_context={"o": other, "d": {"x/y": b"mapping"}}, files={"v": "variable"}
    )
    contents = {name: entry[3] for name, entry in files.items()}
    assert contents == {"f": b"main", "o": b"other", "y": b"mapping", "v": b"variable"}


def test_a_named_context_stands_in_for_a_base_image(bench: Any) -> None:
    files = bench.files(
        "FROM base AS b\nFROM b\nCOPY --from=base a /c\n", build_context={"base": {"a": "1"}}
    )
    assert {name: entry[3] for name, entry in files.items()} == {"a": b"1", "c": b"1"}


@pytest.mark.parametrize(
    ("text", "kind", "message", "line"),
    [
        ("COPY nosuch /x", BuildError, "'nosuch' not found", 2),
        ("COPY --chmod=x a /x", DockerfileSyntaxError, "invalid chmod", 2),
        ("COPY [a /x", DockerfileSyntaxError, "invalid pattern", 2),
        ("COPY --from=Bad: a /x", DockerfileSyntaxError, "invalid reference", 2),
        ("ENV a=${b", DockerfileSyntaxError, "at position 3", 2),
        ("EXPOSE nine", DockerfileSyntaxError, "invalid port 'nine'", 2),
        ("STOPSIGNAL SIGNOPE", DockerfileSyntaxError, "invalid signal", 2),
        ("RUN --mount=type=nope,target=/x a", DockerfileSyntaxError, "mount type 'nope'", 2),
        ("RUN --mount=type=cache a", DockerfileSyntaxError, "needs a target", 2),
        ("RUN --mount=type=tmpfs,target=/ a", DockerfileSyntaxError, "invalid mount target", 2),
        ("RUN --mount=targett=/x a", DockerfileSyntaxError, "unexpected key", 2),
        ("RUN --mount=type=bind,uid=1,target=/x a", DockerfileSyntaxError, "uid is not", 2),
    ],
)
def test_errors_have_a_place(
    bench: Any, text: str, kind: type[Any], message: str, line: int
) -> None:
    with pytest.raises(kind) as caught:
        bench.build(f"FROM scratch\n{text}\n")
    assert message in caught.value.message
    assert caught.value.location.first_line == line


def test_base_images(bench: Any) -> None:
    bench.image("base:1")
    bench.build("FROM base:1 AS a\nFROM base:1\nCOPY --from=base:1 /etc /x\n", pull=True)
    assert bench.images.asked == [("base:1", bench.images.asked[0][1], True)]
    with pytest.raises(ImageNotFoundError):
        bench.build("FROM nosuch\n")


def test_dockerfiles_are_read_from_files(bench: Any) -> None:
    bench.write("Dockerfile", "FROM scratch\nCOPY . /c\n")
    bench.write("kept", "1")
    bench.write("left", "1")
    bench.write(".dockerignore", "*\n")
    bench.write("Dockerfile.dockerignore", "left\n")
    request = BuildOptions.of(bench.context)
    files = bench.layers.folder(bench.builder.build(request).chain_id) / "c"
    names = {path.name for path in files.iterdir()}
    assert names == {"Dockerfile", "kept", ".dockerignore", "Dockerfile.dockerignore"}
    with pytest.raises(InvalidArgumentError, match="cannot read the Dockerfile"):
        bench.builder.build(BuildOptions.of(bench.context, file=bench.context / "none"))
    with pytest.raises(InvalidArgumentError, match=r"context '.*none' does not exist"):
        bench.builder.build(BuildOptions.of(bench.context / "none"))


def test_an_ignored_dockerfile_is_still_read(bench: Any) -> None:
    bench.write("Dockerfile", "FROM scratch\nCOPY . /c\n")
    bench.write(".dockerignore", "Dockerfile\n.dockerignore\n")
    bench.write("a", "1")
    result = bench.builder.build(BuildOptions.of(bench.context))
    assert [path.name for path in (bench.root(result) / "c").iterdir()] == ["a"]


def test_warnings(bench: Any) -> None:
    bench.write("a", "1")
    text = (
        "FROM scratch AS x\nMAINTAINER me\nENV a b\nENV API_TOKEN=$nope\nWORKDIR rel\n"
        'COPY a a /x\nCOPY nomatch* /y\nCOPY --chown=nobody a /z\nCMD one\nCMD ["two"]\n'
        "FROM scratch AS X\nENV PUBLIC_KEY=1\nCOPY --from=0 /z /z\n"
    )
    result = bench.build(text, build_arg={"UNUSED": "1", "HTTP_PROXY": "x"})
    assert sorted(finding.rule.name for finding in result.warnings) == [
        "CopySeveralSources", "DuplicateStageName", "EmptyWildcard", "JSONArgsRecommended",
        "LegacyKeyValueFormat", "MaintainerDeprecated", "MultipleInstructionsDisallowed",
        "SecretsUsedInArgOrEnv", "StageNameCasing", "UndefinedVar", "UnknownOwner",
        "UnusedBuildArg", "WorkdirRelativePath",
    ]  # fmt: skip
    shown = b"".join(event.data for event in bench.events if isinstance(event, TaskOutput))
    assert b"UndefinedVar: Usage of undefined variable '$nope'\n  Dockerfile:4\n" in shown
    assert "Dockerfile:4" in str(
        next(one for one in result.warnings if one.rule.name == "UndefinedVar")
    )


def test_descriptors_of_docker_layers_become_oci(bench: Any) -> None:
    import msgspec

    from jupyter_containers.oci.descriptor import DOCKER_LAYER, LAYER_GZIP

    base = bench.image("base")
    descriptor = msgspec.structs.replace(base.layers[0].descriptor, media_type=DOCKER_LAYER)
    layer = type(base.layers[0])(descriptor, base.layers[0].diff_id)
    bench.images.images["base:latest"] = type(base)(
        base.name, base.manifest_digest, base.config, (layer,), base.chain_id
    )
    manifest = json.loads(bench.blobs[bench.build("FROM base\n").manifest.digest])
    assert manifest["layers"][0]["mediaType"] == LAYER_GZIP


def test_an_instruction_file_of_nine_steps_is_cached(bench: Any) -> None:
    bench.layers.runner = writing
    for number in range(50):
        bench.write(f"src/{number}", "x" * 1000)
    text = (
        "FROM scratch\nARG V=1\nENV a=$V\nWORKDIR /app\nCOPY src .\nRUN one\nRUN two\n"
        'EXPOSE 80\nCMD ["x"]\n'
    )
    bench.build(text)
    assert all(step.cached for step in bench.build(text).steps)


def test_changes_without_a_build() -> None:
    from jupyter_containers.build.changes import changed_config

    config = changed_config(["ENV a=1", "ENV b=$a", "WORKDIR x", "CMD echo", 'ENTRYPOINT ["e"]'])
    assert (config.env, config.working_dir) == (("a=1", "b=1"), "/x")
    assert (config.cmd, config.entrypoint) == (("/bin/sh", "-c", "echo"), ("e",))
    with pytest.raises(InvalidArgumentError, match="RUN is not a valid change"):
        changed_config(["RUN x"])


def test_files_left_out_are_copied_by_name_only(bench: Any) -> None:
    for name in ("app.py", "day.ipynb", "sub/night.ipynb", ".ipynb_checkpoints/day.ipynb"):
        bench.write(name, "1")
    left_out = ("**/*.ipynb", "**/.ipynb_checkpoints")

    def built(text: str, cached: bool = False) -> set[str]:
        bench.events.clear()
        result = bench.build(f"FROM scratch\n{text}\n", leave_out=left_out)
        assert result.steps[-1].cached == cached
        return {path.name for path in (bench.root(result) / "c").rglob("*") if path.is_file()}

    assert built("COPY . /c") == {"app.py"}
    [remark] = [one for one in bench.events if getattr(one, "task", "").endswith("note")][:1]
    assert remark.title.startswith("left out: day.ipynb and 1 more; to include it, COPY it by name")
    bench.write("day.ipynb", "saved")
    assert built("COPY . /c", cached=True) == {"app.py"}, "a save must not change the key"
    assert built("COPY *.ipynb /c/") == {"day.ipynb"}
    assert not [one for one in bench.events if getattr(one, "task", "").endswith("note")]
    assert built("COPY sub/night.ipynb /c/") == {"night.ipynb"}
    bench.write(".dockerignore", ".dockerignore\n!**/night.ipynb\n")
    assert built("COPY . /c") == {"app.py", "night.ipynb"}
