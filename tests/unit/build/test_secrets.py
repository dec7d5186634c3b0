from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import BuildError, DockerfileSyntaxError


def mounted(bench: Any) -> dict[str, tuple[bytes, int, int]]:
    return {one.target: (one.data, one.mode, one.uid) for one in bench.layers.requests[-1].mounts}


def test_a_secret_is_a_file_of_the_step(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"\xff1")
    secret = f"id=t,src={tmp_path}/token"
    bench.build("FROM scratch\nRUN --mount=type=secret,id=t true\n", secret=secret)
    assert mounted(bench) == {"/run/secrets/t": (b"\xff1", 0o400, 0)}
    text = "RUN --mount=type=secret,id=t,target=/x,mode=0440,uid=7 true"
    bench.build(f"FROM scratch\n{text}\n", secret=secret)
    assert mounted(bench) == {"/x": (b"\xff1", 0o440, 7)}


def test_a_secret_is_a_variable_of_the_step(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "value")
    text = "FROM scratch\nENV A=1\nRUN --mount=type=secret,id=t,env=T true\nRUN true\n"
    result = bench.build(text, secret="id=t,env=HERE")
    first, second = bench.layers.requests
    assert "T=value" in first.env
    assert first.mounts == ()
    assert "T=value" not in second.env
    assert not any("value" in entry.created_by for entry in result.config.history)
    assert not any(b"value" in data for data in (*bench.cache.values(), *bench.blobs.values()))


def test_what_was_not_given_is_left_out_unless_required(bench: Any) -> None:
    bench.build("FROM scratch\nRUN --mount=type=secret,id=t true\n")
    assert mounted(bench) == {}
    with pytest.raises(BuildError, match="secret t is required") as caught:
        bench.build("FROM scratch\nRUN --mount=type=secret,id=t,required true\n")
    assert caught.value.location.first_line == 2
    assert "--secret id=t" in caught.value.hint


def test_a_cached_step_needs_no_secret(bench: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("1")
    text = "FROM scratch\nRUN --mount=type=secret,id=t,required true\n"
    bench.build(text, secret=f"id=t,src={tmp_path}/token")
    assert bench.build(text).steps[-1].cached


@pytest.mark.parametrize(
    ("size", "message"), [(None, "cannot read secret t"), (500 * 1024 + 1, "over 500 KiB")]
)
def test_bad_files(bench: Any, tmp_path: Path, size: int | None, message: str) -> None:
    if size is not None:
        (tmp_path / "token").write_bytes(bytes(size))
    with pytest.raises(BuildError, match=message):
        bench.build(
            "FROM scratch\nRUN --mount=type=secret,id=t true\n",
            secret=f"id=t,src={tmp_path}/token",
        )


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        ("type=secret", "needs an id"),
        ("type=cache,target=/c,source=/x", "source needs from"),
        ("type=cache,target=/c,env=X", "env is not allowed"),
    ],
)
def test_bad_mounts(bench: Any, mount: str, message: str) -> None:
    with pytest.raises(DockerfileSyntaxError, match=message):
        bench.build(f"FROM scratch\nRUN --mount={mount} true\n")
