from __future__ import annotations

import dataclasses
import json
import os
import shlex
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.render.quantities import binary_size
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.looking import moment
from jupyter_containers.engine.results import StatsSample
from jupyter_containers.errors import InvalidArgumentError, NotFoundError


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_ps_is_dockers_table(fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers["containers"] = [a_container]
    found = perform(fake_engine, "ps")
    assert found == [a_container]
    head, row = str(found).splitlines()
    assert head.split("   ")[0] == "CONTAINER ID"
    assert [word.strip() for word in head.split("  ") if word.strip()] == [
        "CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES",
    ]  # fmt: skip
    assert row == (
        '4f5e00000000   debian:12   "sleep 1000000000000"   2 minutes ago   Up 2 minutes   '
        "127.0.0.1:8000->8000/tcp   web"
    )
    assert fake_engine.last == (
        "containers", (), {"all": False, "filters": None, "last": None, "size": False},
    )  # fmt: skip


def test_ps_shortens_the_command_unless_told(fake_engine: Any, a_container: Any) -> None:
    a_container.command = shlex.join(["sh", "-c", 'echo "a long command"'])
    fake_engine.answers["containers"] = [a_container]
    assert 'sh -c \'echo \\"a long…"' in str(perform(fake_engine, "ps"))
    full = str(perform(fake_engine, "ps", "--no-trunc"))
    assert "sh -c 'echo \\\"a long command\\\"'" in full
    assert a_container.id in full


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("ps -a", {"all": True, "last": None}),
        ("ps -l", {"all": True, "last": 1}),
        ("ps -n 3", {"all": True, "last": 3}),
        ("ps -s", {"size": True}),
        (
            "ps -f status=exited -f label=a=b -f status=created",
            {"filters": {"status": ["exited", "created"], "label": ["a=b"]}},
        ),
    ],
)
def test_ps_asks_the_engine(fake_engine: Any, line: str, wanted: dict[str, Any]) -> None:
    fake_engine.answers["containers"] = []
    perform(fake_engine, *line.split())
    assert wanted.items() <= fake_engine.last[2].items()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-q"], "4f5e00000000"),
        (["--format", "{{.Names}}: {{.Status}}"], "web: Up 2 minutes"),
        (["--format", "table {{.ID}}\\t{{.Names}}"], "CONTAINER ID   NAMES\n4f5e00000000   web"),
        (["--format", "{{.State}} {{.Labels}} {{.Networks}}"], "running a=1,b=2 bridge"),
    ],
)
def test_ps_forms(fake_engine: Any, a_container: Any, words: list[str], text: str) -> None:
    fake_engine.answers["containers"] = [a_container]
    assert str(perform(fake_engine, "ps", *words)) == text


def test_ps_json_is_one_object_a_line(fake_engine: Any, a_container: Any) -> None:
    fake_engine.answers["containers"] = [a_container, a_container]
    lines = perform(fake_engine, "ps", "--format", "json")
    assert [json.loads(line)["Names"] for line in lines] == ["web", "web"]


def test_a_table_format_has_headings_without_rows(fake_engine: Any) -> None:
    fake_engine.answers["containers"] = []
    assert str(perform(fake_engine, "ps", "--format", "table {{.ID}}\t{{.Names}}")) == (
        "CONTAINER ID   NAMES"
    )


def test_a_bad_filter(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid filter"):
        perform(fake_engine, "ps", "-f", "running")


LINES = [
    SimpleNamespace(time=datetime(2026, 1, 2, tzinfo=UTC), stream="stdout", data=b"one\n"),
    SimpleNamespace(time=datetime(2026, 1, 2, tzinfo=UTC), stream="stderr", data=b"two\n"),
]


def test_logs(fake_engine: Any) -> None:
    fake_engine.answers["containers.logs"] = iter(LINES)
    log = perform(fake_engine, "logs", "--tail", "5", "web")
    assert str(log) == "one\ntwo\n"
    assert fake_engine.last == (
        "containers.logs", ("web",), {"follow": False, "since": None, "until": None, "tail": 5},
    )  # fmt: skip


def test_logs_follow_passes_lines_on(fake_engine: Any) -> None:
    fake_engine.answers["containers.logs"] = iter(LINES)
    seen: list[tuple[str, bytes]] = []
    result = perform(fake_engine, "logs", "-ft", "web", on_output=lambda *item: seen.append(item))
    assert result is None
    assert seen[1] == ("stderr", b"2026-01-02T00:00:00.000000000Z two\n")
    assert fake_engine.last[2]["follow"] is True


NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, None),
        ("10m", NOW - timedelta(minutes=10)),
        ("1h30m", NOW - timedelta(minutes=90)),
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1.5", datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=UTC)),
    ],
)
def test_moment(text: str | None, wanted: datetime | None) -> None:
    assert moment(text, "since", NOW) == wanted


@pytest.mark.parametrize("words", [["--since", "noon"], ["--tail", "few"]])
def test_logs_mistakes(fake_engine: Any, words: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid"):
        perform(fake_engine, "logs", *words, "web")


def test_stats(fake_engine: Any) -> None:
    sample = StatsSample(
        container_id="4f" * 32,
        name="web",
        cpu_percent=12.5,
        memory_usage=52428800,
        memory_limit=104857600,
        network_rx=1000,
        network_tx=2000,
        block_read=0,
        block_write=4096,
        pids=3,
    )
    fake_engine.answers["containers.stats"] = [sample]
    head, row = str(perform(fake_engine, "stats", "web")).splitlines()
    assert "MEM USAGE / LIMIT" in head
    assert row.split()[:3] == ["4f4f4f4f4f4f", "web", "12.50%"]
    assert "50MiB / 100MiB" in row
    assert "50.00%" in row
    assert "1kB / 2kB" in row
    assert fake_engine.last == ("containers.stats", (["web"],), {})
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    fake_engine.answers["containers.stats"] = [dataclasses.replace(sample, memory_limit=0)]
    (row,) = str(perform(fake_engine, "stats", "web", "--format", "{{.MemUsage}}")).splitlines()
    assert row == f"50MiB / {binary_size(machine)}"


def test_top_takes_its_columns_from_the_rows(fake_engine: Any) -> None:
    fake_engine.answers["containers.top"] = [{"PID": 1, "CMD": "sleep 1"}]
    assert str(perform(fake_engine, "top", "web")) == "PID       CMD\n1         sleep 1"


def test_port(fake_engine: Any) -> None:
    fake_engine.answers["containers.port"] = ["80/tcp -> 127.0.0.1:8000", "53/udp -> 127.0.0.1:53"]
    assert len(perform(fake_engine, "port", "web")) == 2
    assert perform(fake_engine, "port", "web", "80") == ["127.0.0.1:8000"]
    assert perform(fake_engine, "port", "web", "53/udp") == ["127.0.0.1:53"]
    with pytest.raises(NotFoundError, match="no public port 81/tcp"):
        perform(fake_engine, "port", "web", "81")
