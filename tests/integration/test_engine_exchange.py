"""Values go into a real container and results come out of it."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    ResultNotFoundError,
    VerificationError,
)

FRAME = pd.DataFrame({"n": [1, 2, 3], "w": ["a", "b", 'c "d"']})


def run(engine: Engine, image: str, script: str, **flags: Any) -> Any:
    """Run a shell's script; the folder of the exchange is gone afterwards, however it ends."""
    try:
        return engine.run(image, ["sh", "-c", script], network="none", rm=True, **flags)
    finally:
        folder = engine.settings.root / "exchange"
        assert not folder.exists() or os.listdir(folder) == []


def test_inputs_are_files_and_results_are_values(engine: Engine, busybox: str) -> None:
    done = run(
        engine,
        busybox,
        "head -n 2 $df > $first.csv; cat $words; wc -c < $raw; echo '{\"a\": [1]}' > $made.json",
        inputs={"df=df.csv": FRAME, "words": "two words\n", "raw": b"\0\1", "spare": [1]},
        results=["first", "made"],
    )
    assert done.output == "two words\n2\n"
    assert done.results["made"] == {"a": [1]}
    pd.testing.assert_frame_equal(done.results["first"], FRAME.head(1))


def test_files_and_folders_are_seen_where_they_are(
    engine: Engine, busybox: str, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.txt").write_text("one")
    done = run(
        engine,
        busybox,
        "cat $folder/one.txt /opt/m/model.txt; touch $folder/x || echo kept; ls /data/in",
        inputs={"folder": tmp_path / "sub", "m=/opt/m/model.txt": tmp_path / "sub" / "one.txt"},
    )
    assert done.output == "oneonekept\nfolder\n"


def test_any_user_of_the_container_can_leave_a_result(engine: Engine, busybox: str) -> None:
    done = run(
        engine,
        busybox,
        "id -u > $who.txt; cat $n > $again.json;"
        "mkdir $many; echo a > $many/a.txt; ln -s /etc $many/l",
        user="1234",
        inputs={"n": {"k": 1}},
        results=["who", "again", "many"],
    )
    assert done.results == {"who": "1234\n", "again": {"k": 1}, "many": {"a.txt": "a\n"}}


def test_variables_that_programs_live_by_stay(engine: Engine, busybox: str) -> None:
    done = run(engine, busybox, "which ls; cat /data/in/PATH.txt", inputs={"PATH": "mine"})
    assert done.output.endswith("/ls\nmine")


@pytest.mark.parametrize(
    ("script", "error", "words"),
    [
        ("true", ResultNotFoundError, "left no result r"),
        ("echo 1 > $r.json; echo 2 > $r.txt", VerificationError, "several results r"),
        ("ln -s /etc/shadow $r.txt", VerificationError, "not a regular file"),
        ("mkfifo $r.txt", VerificationError, "not a regular file"),
        ("echo { > $r.json", VerificationError, "not what its suffix says"),
        ("exit 3", ContainerFailedError, "exit code 3"),
    ],
)
def test_a_bad_result_is_one_line(
    engine: Engine, busybox: str, script: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        run(engine, busybox, script, results=["r"])


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (
            "truncate -s 100G $r.bin",
            "the result r.bin holds 100GiB, and the kernel reads no more than",
        ),
        ("truncate -s 100G $r.txt", "the result r.txt holds 100GiB"),
        ("mkdir $r; truncate -s 600M $r/a; truncate -s 600M $r/b", "the result r/b holds 600MiB"),
        ("mkdir $r; cd $r; for i in $(seq 10001); do : > $i; done", "of more than 10000 files"),
        (
            "p=$r; for i in $(seq 70); do p=$p/d; done; mkdir -p $p; : > $p/f",
            "more than 64 folders",
        ),
        ("mkfifo $r.txt", "r.txt is not a regular file"),
        ("ln -s /etc/shadow $r.txt", "r.txt is not a regular file"),
        ("ln -s /etc $r", "the result r is not a regular file"),
    ],
)
def test_a_result_never_takes_the_kernels_memory(
    engine: Engine, busybox: str, script: str, words: str
) -> None:
    """Seen to fail before: a sparse file of 100 GB ended the kernel with a MemoryError."""
    before = _peak()
    with pytest.raises(VerificationError, match=words):
        run(engine, busybox, script, results=["r"])
    assert _peak() - before < 1300 << 20


def test_links_in_a_result_folder_are_left_out(engine: Engine, busybox: str) -> None:
    script = "mkdir -p $r/d; echo 1 > $r/d/f.json; ln -s /etc $r/l; mkfifo $r/p; ln -s d $r/m"
    assert run(engine, busybox, script, results=["r"]).results == {"r": {"d/f.json": 1}}


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"inputs": {"x": object()}}, "x cannot be passed to a container"),
        ({"inputs": {"not a name": 1}}, "is not a variable's name"),
        ({"inputs": {"x=../y": 1}}, "leaves /data/in"),
        ({"inputs": {"x=same": 1, "y=same": 2}}, "the same file"),
        ({"inputs": {"x": Path("/nowhere")}}, "no such file: /nowhere"),
        ({"inputs": {"x": 1}, "detach": True}, "in the foreground"),
        ({"results": ["a-b"]}, "is not a variable's name"),
    ],
)
def test_a_bad_request_starts_nothing(
    engine: Engine, busybox: str, flags: dict[str, Any], words: str
) -> None:
    before = len(engine.containers(all=True))
    with pytest.raises(InvalidArgumentError, match=words):
        run(engine, busybox, "true", **flags)
    assert len(engine.containers(all=True)) == before


def test_a_script_of_python_has_the_values_as_variables(
    engine: Engine, busybox: str, python: str
) -> None:
    done = engine.run(
        python,
        "python",
        rm=True,
        inputs={"df=df.csv": FRAME, "factor": 10, "where": Path("/etc/hostname")},
        results=["total", "text", "raw", "copy"],
        script="total = {'n': sum(df['n']) * factor}\ntext = 'ü'\nraw = b'\\0'\ncopy = where\n",
    )
    assert done.results["total"] == {"n": 60}
    assert (done.results["text"], done.results["raw"]) == ("ü", b"\0")
    assert done.results["copy"] == Path("/etc/hostname").read_bytes()


def test_a_scripts_error_is_its_own_traceback(engine: Engine, busybox: str, python: str) -> None:
    with pytest.raises(ContainerFailedError) as caught:
        engine.run(python, "python", rm=True, results=["r"], script="\nx = 1\nr = x / 0\n")
    tail = "\n".join(caught.value.log_tail)
    assert 'cell.py", line 3, in <module>\n    r = x / 0' in tail
    assert "run.py" not in tail
    for script, words in [
        ("pass", "the cell has not set r"),
        ("r = {1}", "cannot return r: set is not one of"),
    ]:
        with pytest.raises(ContainerFailedError) as caught:
            engine.run(python, "python", rm=True, results=["r"], script=script)
        [line] = caught.value.log_tail
        assert line.startswith(words)
    with pytest.raises(ContainerFailedError) as caught:
        engine.run(python, "python", rm=True, inputs={"a": np.arange(3)}, script="print(a)")
    assert "this image has no numpy" in caught.value.log_tail[0]


def test_what_a_killed_process_left_is_removed(engine: Engine, busybox: str) -> None:
    left = engine.settings.root / "exchange" / "999999-1-00000000.abc" / "in"
    left.mkdir(parents=True)
    run(engine, busybox, "true", inputs={"x": 1})
    assert not left.exists()
