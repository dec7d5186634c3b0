"""Maps of users and groups."""

from __future__ import annotations

from jupyter_containers.oci.idmap import IDMap, IDMapping


def test_the_machines_own_map() -> None:
    own = IDMap.parse("         0          0 4294967295\n")
    assert own.initial
    assert [own.has(0), own.has(4294967294)] == [True, True]


def test_a_map_of_one_id_and_one_of_many() -> None:
    one = IDMap.parse("         0       1001          1\n")
    assert (one.initial, one.size, one.has(0), one.has(1)) == (False, 1, True, False)
    many = IDMap.parse("0 1001 1\n1 100000 65536\n")
    assert (many.initial, many.size) == (False, 65537)
    assert (one.last, many.last, IDMap().last) == (0, 65536, -1)
    assert (many.has(65536), many.has(65537)) == (True, False)
    assert many.mappings[1].document() == {"containerID": 1, "hostID": 100000, "size": 65536}
    assert many.mappings[0] == IDMapping(0, 1001, 1)
