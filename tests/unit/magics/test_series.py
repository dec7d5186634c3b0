from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.magics.series import SeriesOfCells


def three() -> SeriesOfCells:
    cells = SeriesOfCells()
    assert cells.begun("a", "In[1]", "image a") == []
    assert cells.continued("b", "In[2]", "image b", cells.below("b")) == []
    assert cells.continued("c", "In[3]", "image c", cells.below("c")) == []
    return cells


def test_each_cell_stands_on_the_one_before() -> None:
    cells = three()
    assert cells.below("new").image == "image c"
    assert cells.below("c").image == "image b"
    assert cells.below("b").image == "image a"


def test_nothing_to_continue() -> None:
    with pytest.raises(InvalidArgumentError, match="no cell to continue"):
        SeriesOfCells().below("a")
    cells = SeriesOfCells()
    cells.begun("a", "In[1]", "x")
    with pytest.raises(InvalidArgumentError, match="no cell to continue"):
        cells.below("a")


def test_a_changed_cell_makes_the_later_ones_stale() -> None:
    cells = three()
    assert cells.begun("a", "In[4]", "image a") == [], "the same image changes nothing"
    assert cells.begun("a", "In[5]", "image a2") == ["In[2]", "In[3]"]
    assert cells.warning(cells.below("c")) == (
        "In[2] is stale: In[5] has changed since In[2] was built on it; run In[2] again first"
    )
    assert cells.warning(cells.below("b")) == ""
    assert cells.continued("b", "In[6]", "image b2", cells.below("b")) == ["In[3]"]
    assert cells.warning(cells.below("c")) == ""
    assert "In[3] is stale: In[6]" in cells.warning(cells.below("d"))
    assert cells.continued("c", "In[7]", "image c2", cells.below("c")) == []
    assert cells.warning(cells.below("d")) == ""


def test_a_cell_in_the_middle_changes() -> None:
    cells = three()
    assert cells.continued("b", "In[4]", "image b2", cells.below("b")) == ["In[3]"]


def test_a_second_series_is_continued_until_the_first_runs_again() -> None:
    cells = three()
    cells.begun("x", "In[4]", "image x")
    assert cells.below("y").image == "image x"
    assert cells.below("c").image == "image b", "a cell keeps its place"
    cells.begun("a", "In[5]", "image a")
    assert cells.below("y").image == "image c"


def test_a_cell_that_no_longer_continues_begins_a_series() -> None:
    cells = three()
    cells.begun("b", "In[4]", "image b2")
    assert cells.below("new").image == "image b2"
    assert cells.below("c").image == "image a"


def test_a_first_cell_that_continues_another_now_moves() -> None:
    cells = three()
    cells.begun("x", "In[4]", "image x")
    cells.continued("x", "In[5]", "image x2", cells.below("x"))
    assert cells.below("new").image == "image x2"
    assert cells.below("x").image == "image c"
