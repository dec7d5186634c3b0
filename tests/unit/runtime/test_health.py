from __future__ import annotations

from pathlib import Path

from jupyter_containers.runtime.health import ProbeResult, read_health, read_status


def results(folder: Path, *numbers: int) -> None:
    for number in numbers:
        (folder / f"result.{number}").write_text(f"{number}.5 {number}.75 1\nsaid {number}\n")


def test_a_container_without_checks_has_no_health(tmp_path: Path) -> None:
    assert read_health(tmp_path) is None
    assert read_status(tmp_path) == ""


def test_the_last_five_results_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "health"
    folder.mkdir()
    (folder / "status").write_text("unhealthy 4\n")
    results(folder, 8, 9, 10, 11, 12, 13)
    (folder / "result.new").write_text("half")
    health = read_health(tmp_path)
    assert health is not None
    assert (health.status, health.failing_streak) == ("unhealthy", 4)
    assert [result.start for result in health.log] == [9.5, 10.5, 11.5, 12.5, 13.5]
    assert health.log[0] == ProbeResult(9.5, 9.75, 1, "said 9\n")
    assert read_status(tmp_path) == "unhealthy"


def test_long_and_odd_output_is_cut(tmp_path: Path) -> None:
    folder = tmp_path / "health"
    folder.mkdir()
    (folder / "status").write_text("healthy 0\n")
    (folder / "result.1").write_bytes(b"1 2 0\n" + b"\xff" + b"x" * 4096)
    (folder / "result.2").write_bytes(b"damaged")
    health = read_health(tmp_path)
    assert health is not None
    (result,) = health.log
    assert result.output == "\ufffd" + "x" * 4095 + "..."
