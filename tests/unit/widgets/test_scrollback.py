from __future__ import annotations

from jupyter_containers.widgets.scrollback import Scrollback


def test_a_view_gets_as_many_lines_as_it_holds() -> None:
    scrollback = Scrollback()
    scrollback.add(b"".join(b"%d\n" % number for number in range(10)))
    assert scrollback.replay(3) == b"7\n8\n9\n"
    assert scrollback.replay(50) == scrollback.replay()


def test_what_was_shown_is_replayed() -> None:
    kept = Scrollback()
    kept.add(b"one\r\n")
    kept.add("zwölf\r\n".encode())
    assert kept.replay() == "one\r\nzwölf\r\n".encode()
    assert kept.text == "one\r\nzwölf\r\n"


def test_only_the_end_is_kept_from_the_beginning_of_a_line() -> None:
    kept = Scrollback(limit=100)
    for number in range(1000):
        kept.add(b"line %d\r\n" % number)
    replay = kept.replay()
    assert 90 < len(replay) <= 210
    assert replay.startswith(b"line ")
    assert replay.endswith(b"line 999\r\n")


def test_a_line_without_an_end_is_cut_too() -> None:
    kept = Scrollback(limit=100)
    kept.add(b"x" * 1000)
    assert len(kept.replay()) == 100


def test_a_full_screen_program_is_on_the_second_screen_after_a_cut() -> None:
    kept = Scrollback(limit=50)
    kept.add(b"$ vim\r\n\x1b[?10")
    kept.add(b"49h")
    assert kept.full_screen
    for _ in range(30):
        kept.add(b"~ a line of the file\r\n")
    assert kept.replay().startswith(b"\x1b[?1049h")
    kept.add(b"\x1b[?1049l$ ")
    assert not kept.full_screen
    assert not kept.replay().startswith(b"\x1b[?1049h")


def test_text_leaves_full_screen_programs_out() -> None:
    kept = Scrollback()
    kept.add(b"$ vim\r\n\x1b[?1049hTHE FILE\x1b[?1049l$ done\r\n")
    assert kept.text == "$ vim\r\n$ done\r\n"
