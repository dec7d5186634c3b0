from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.engine.builds.cache_records import BuildRecord
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import TaskFinished, TaskStarted


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_build_flags(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    perform(
        fake_engine,
        *[
            "build",
            "-t",
            "a",
            "-t",
            "b",
            "--build-arg",
            "X=1",
            "--no-cache",
            "-f",
            "D",
            "--target",
            "t",
            "dir",
        ],
    )
    assert fake_engine.last == (
        "build",
        ("dir",),
        {"tag": ["a", "b"], "build_arg": ["X=1"], "no_cache": True, "file": "D", "target": "t"},
    )


@pytest.mark.parametrize(("words", "context"), [(["-"], {}), (["-f", "-", "."], ".")])
def test_build_takes_the_dockerfile_from_the_input(
    fake_engine: Any, an_image: Any, words: list[str], context: object
) -> None:
    fake_engine.answers["build"] = an_image
    perform(fake_engine, "build", *words, stdin=b"FROM x\n")
    assert fake_engine.last[1] == (context,)
    assert fake_engine.last[2]["dockerfile"] == "FROM x\n"
    with pytest.raises(InvalidArgumentError, match="the Dockerfile"):
        perform(fake_engine, "build", *words)


def test_build_takes_an_archive_from_the_input(fake_engine: Any, an_image: Any) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        tar.addfile(tarfile.TarInfo("Dockerfile"))
    fake_engine.answers["build"] = an_image
    perform(fake_engine, "build", "-", "-f", "D", stdin=archive.getvalue())
    assert fake_engine.last[1:] == ((archive.getvalue(),), {"file": "D"})


def test_a_variable_becomes_a_file_of_the_context(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    variables: dict[str, Any] = {"text": "a", "number": 3}
    words = ("build", "--context-var", "d/t=text", "--context-var", "text", ".")
    perform(fake_engine, *words, variables=variables)
    assert fake_engine.last[2]["files"] == {"d/t": "a", "text": "a"}
    assert "**/*.ipynb" in fake_engine.last[2]["leave_out"]
    variables["several"] = {"x": "1", "d/y": b"2"}
    words = ("build", "--context-var", "several", "--context-var", "e=several")
    perform(fake_engine, *words, variables=variables)
    found = fake_engine.last[2]["files"]
    assert found == {"x": "1", "d/y": b"2", "e/x": "1", "e/d/y": b"2"}
    for word, said in (("n=number", "is a int"), ("gone", "no variable 'gone'")):
        with pytest.raises(InvalidArgumentError, match=said):
            perform(fake_engine, "build", "--context-var", word, variables=variables)
    with pytest.raises(InvalidArgumentError, match="this is not a notebook"):
        perform(fake_engine, "build", "--context-var", "a=text")
    variables["several"] = {"x": [1]}
    with pytest.raises(InvalidArgumentError, match="x is a list"):
        perform(fake_engine, "build", "--context-var", "several", variables=variables)


def test_progress_styles(
    fake_engine: Any, an_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(context: str, emit: Any, **flags: Any) -> Any:
        emit(TaskStarted("a", "[1/1] FROM x"))
        emit(TaskFinished("a", "cached"))
        return an_image

    fake_engine.answers["build"] = build
    perform(fake_engine, "build", "--progress", "plain")
    assert "CACHED" in capsys.readouterr().err
    perform(fake_engine, "build", "--progress", "quiet")
    assert capsys.readouterr().err == ""
    perform(fake_engine, "build", "--progress", "rawjson")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["vertexes"][0].get("cached", False) for line in lines] == [False, True]
    with pytest.raises(InvalidArgumentError, match="invalid progress 'loud'"):
        perform(fake_engine, "build", "--progress", "loud")


def test_a_secret_of_a_variable(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    words = ["build", "--secret", "id=a,var=token", "--secret", "id=b,src=f"]
    perform(fake_engine, *words, variables={"token": "xyz"})
    flags = fake_engine.last[2]
    assert (flags["secret_values"], flags["secret"]) == ({"a": "xyz"}, ["id=b,src=f"])
    with pytest.raises(InvalidArgumentError, match="no variable token"):
        perform(fake_engine, *words, variables={})
    with pytest.raises(InvalidArgumentError, match="is a int") as caught:
        perform(fake_engine, *words, variables={"token": 4711})
    assert "4711" not in str(caught.value)


def test_files_are_the_result_of_a_build_into_files(fake_engine: Any, an_image: Any) -> None:
    fake_engine.answers["build"] = an_image
    assert perform(fake_engine, "build", "-o", "out", "-o", "type=tar,dest=x.tar") == [
        "out", "x.tar"
    ]  # fmt: skip
    assert perform(fake_engine, "build", "-o", "out", "--load") is an_image
    assert perform(fake_engine, "build", "-o", "type=docker") is an_image
    stream = io.BytesIO()
    assert perform(fake_engine, "build", "-o", "-", binary_output=stream) is None
    assert fake_engine.last[2]["stream"] is stream
    with pytest.raises(InvalidArgumentError, match="dest=-"):
        perform(fake_engine, "build", "-o", "-")


def test_prune_passes_its_limits_on(fake_engine: Any) -> None:
    fake_engine.answers["builds.prune"] = PruneResult(("x",), 1_500_000)
    line = "builder prune -af --filter until=24h --keep-storage 10gb --min-free-space 1g"
    words = line.split()
    assert "1.5MB" in perform(fake_engine, *words)
    assert fake_engine.last[2] == {
        "all": True,
        "filters": ["until=24h"],
        "max_used_space": "10gb",
        "min_free_space": "1g",
    }


def test_the_cache_as_a_table(fake_engine: Any) -> None:
    moment = datetime.now(UTC) - timedelta(hours=3)
    record = BuildRecord(
        id="abc",
        type="regular",
        description="RUN " + "x" * 80,
        size=12_000_000,
        created=moment,
        last_used=moment,
        shared=True,
    )
    fake_engine.answers["builds.records"] = [record]
    found = perform(fake_engine, "builder", "du")
    assert found == [record]
    head, line = str(found).splitlines()
    assert head.split("  ")[0] == "ID"
    assert [word.strip() for word in line.split("  ") if word.strip()] == [
        "abc", "true", "true", "12MB", "3 hours ago", "RUN " + "x" * 55 + "…"
    ]  # fmt: skip
    assert "x" * 80 in str(perform(fake_engine, "buildx", "du", "--verbose"))
    assert perform(fake_engine, "builder", "du", "-q") == ["abc"]


def test_flags_of_the_old_builder_change_nothing(fake_engine: Any) -> None:
    words = ["build", "--rm=false", "--force-rm", "--compress", "--add-host", "a:1.2.3.4", "."]
    execute(Session(lambda: fake_engine), words)
    keywords = fake_engine.last[2]
    assert keywords["add_host"] == ["a:1.2.3.4"]
    assert not {"rm", "force_rm", "compress"} & set(keywords)
