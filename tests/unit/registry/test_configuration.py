from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_containers.errors import ContainersError, DeniedError
from jupyter_containers.registry.configuration import RegistryFiles, read_registry_files, route
from jupyter_containers.registry.endpoint import Endpoint


def files(folder: Path, text: str = "", daemon: object = None, **more: str) -> RegistryFiles:
    (folder / "daemon.json").write_text(json.dumps(daemon) if daemon is not None else "")
    (folder / "registries.conf").write_text(text)
    for name, part in more.items():
        (folder / "registries.conf.d").mkdir(exist_ok=True)
        (folder / "registries.conf.d" / f"{name}.conf").write_text(part)
    return read_registry_files([folder / "daemon.json", folder / "registries.conf"])


def reached(known: RegistryFiles, name: str, **settings: object) -> list[str]:
    """Return the locations tried for a repository, in order, with its name at each."""
    registry, _, repository = name.partition("/")
    way = route(registry, repository, files=known, **settings)
    return [
        f"{end.scheme or '-'} {end.host}{end.prefix}/{end.renamed(repository)}"
        for end in (*way.mirrors, way.main)
    ]


def test_no_files_say_nothing(tmp_path: Path) -> None:
    known = read_registry_files([tmp_path / "none.json", tmp_path / "none.conf"])
    assert known == RegistryFiles()
    assert reached(known, "docker.io/library/x") == ["- registry-1.docker.io/library/x"]
    assert reached(known, "quay.io/a/b") == ["- quay.io/a/b"]


def test_docker_mirrors_docker_hub_only(tmp_path: Path) -> None:
    daemon = {"registry-mirrors": ["https://m.test/"], "insecure-registries": ["10.0.0.0/8"]}
    known = files(tmp_path, daemon=daemon)
    assert reached(known, "docker.io/library/x")[0] == "https m.test/library/x"
    assert reached(known, "quay.io/a/b") == ["- quay.io/a/b"]
    assert route("quay.io", "a", files=known, insecure=["x"]).insecure == ("x", "10.0.0.0/8")
    both = reached(known, "docker.io/library/x", mirrors=["http://own.test"])
    assert both[:2] == ["http own.test/library/x", "https m.test/library/x"]


RULES = """
unqualified-search-registries = ["quay.io"]
[[registry]]
location = "docker.io"
[[registry.mirror]]
location = "cache.test:5000/hub"
insecure = true
[[registry.mirror]]
location = "digests.test"
pull-from-mirror = "digest-only"
[[registry]]
prefix = "shop.test/team"
location = "inner.test/moved/team"
insecure = true
[[registry]]
prefix = "*.wild.test"
location = "tame.test/wild"
[[registry]]
prefix = "*.same.test"
[[registry]]
location = "bad.test"
blocked = true
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "docker.io/library/x",
            [
                "- cache.test:5000/hub/library/x",
                "- digests.test/library/x",
                "- registry-1.docker.io/library/x",
            ],
        ),
        ("shop.test/team/app", ["- inner.test/moved/team/app"]),
        ("shop.test/team", ["- inner.test/moved/team"]),
        ("shop.test/teams/app", ["- shop.test/teams/app"]),
        ("a.wild.test/x/y", ["- tame.test/wild/x/y"]),
        ("wild.test/x", ["- wild.test/x"]),
        ("b.same.test/x", ["- b.same.test/x"]),
        ("bad.test.other/x", ["- bad.test.other/x"]),
    ],
)
def test_rules(tmp_path: Path, name: str, expected: list[str]) -> None:
    assert reached(files(tmp_path, RULES), name) == expected


def test_whom_rules_trust(tmp_path: Path) -> None:
    known = files(tmp_path, RULES)
    assert route("docker.io", "library/x", files=known).insecure == ("cache.test:5000",)
    assert route("shop.test", "team/app", files=known).insecure == ("inner.test",)


def test_a_blocked_registry_is_refused_by_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(DeniedError, match=r"bad.test is blocked by .*registries.conf"):
        route("bad.test", "x", files=files(tmp_path, RULES))
    with pytest.raises(DeniedError):
        route("bad.test", "x", files=files(tmp_path, RULES), push=True)


def test_pushes_go_where_the_name_says(tmp_path: Path) -> None:
    known = files(tmp_path, RULES)
    assert reached(known, "docker.io/library/x", push=True) == ["- registry-1.docker.io/library/x"]
    assert reached(known, "shop.test/team/app", push=True) == ["- shop.test/team/app"]


def test_the_longest_prefix_and_the_last_file_win(tmp_path: Path) -> None:
    first = '[[registry]]\nprefix = "a.test"\nlocation = "one.test"\n'
    longer = '[[registry]]\nprefix = "a.test/b"\nlocation = "two.test/b"\n'
    later = '[[registry]]\nprefix = "a.test"\nlocation = "three.test"\n'
    known = files(tmp_path, first + longer, z=later)
    assert reached(known, "a.test/b/c") == ["- two.test/b/c"]
    assert reached(known, "a.test/x") == ["- three.test/x"]


def test_what_a_mirror_may_be_asked() -> None:
    digest = "sha256:" + "0" * 64
    assert Endpoint("m", "m", pulls="digest-only").answers(digest)
    assert not Endpoint("m", "m", pulls="digest-only").answers("latest")
    assert Endpoint("m", "m", pulls="tag-only").answers("latest")
    assert not Endpoint("m", "m", pulls="tag-only").answers(digest)


@pytest.mark.parametrize(
    "text",
    [
        "[[registry",
        "[[registry]]\ninsecure = true\n",
        '[registries.search]\nregistries = ["a"]\n',
        '[[registry]]\nlocation = "a"\n[[registry.mirror]]\ninsecure = true\n',
        '[[registry]]\nlocation = "a"\n[[registry.mirror]]\nlocation = "https://b"\n',
        '[[registry]]\nlocation = "a"\nmirror = 5\n',
        "registry = [5]\n",
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(ContainersError, match=r"registries\.conf"):
        files(tmp_path, text)


@pytest.mark.parametrize("daemon", [[], {"registry-mirrors": "x"}, {"insecure-registries": [5]}])
def test_a_damaged_daemon_file_is_named(tmp_path: Path, daemon: object) -> None:
    with pytest.raises(ContainersError, match=r"daemon\.json"):
        files(tmp_path, daemon=daemon)
