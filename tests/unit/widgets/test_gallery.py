from __future__ import annotations

from jupyter_containers.widgets.gallery import Gallery


class Thing:
    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


def test_a_cell_that_runs_again_closes_what_it_made() -> None:
    gallery, first, other, nameless = Gallery(), Thing(), Thing(), Thing()
    gallery.begin("a")
    gallery.add(first)
    gallery.begin("b")
    gallery.add(other)
    gallery.begin(None)
    gallery.add(nameless)
    gallery.begin("a")
    assert (first.closed, other.closed) == (1, 0)
    gallery.begin(None)
    assert nameless.closed == 0
    assert len(gallery) == 2


def test_all_are_closed_once() -> None:
    gallery, thing, forgotten = Gallery(), Thing(), Thing()
    gallery.add(thing)
    gallery.add(forgotten)
    gallery.forget(forgotten)
    gallery.forget(forgotten)
    gallery.close()
    gallery.close()
    assert (thing.closed, forgotten.closed) == (1, 0)
