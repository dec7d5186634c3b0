from __future__ import annotations

import re

import pytest

from jupyter_containers.runtime.advisories import (
    ADVISORIES,
    Program,
    known_advisories,
    remedy,
    versions,
)

RUNC = """runc version 1.1.5+ds1
commit: 1.1.5+ds1-1+deb12u1
spec: 1.0.2-dev
go: go1.19.8
libseccomp: 2.5.4
"""
SLIRP = "slirp4netns version 1.2.0\ncommit: 656041d45\nlibslirp: 4.7.0\nlibseccomp: 2.5.4\n"
OF_2025 = {"CVE-2025-31133", "CVE-2025-52565", "CVE-2025-52881"}


def cves(name: str, version: str, package: str = "") -> set[str]:
    return {hole.cve for hole in known_advisories(Program(name, version, package))}


def test_what_programs_say() -> None:
    assert versions("runc", RUNC) == (Program("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"),)
    assert versions("slirp4netns", SLIRP) == (
        Program("slirp4netns", "1.2.0"),
        Program("libslirp", "4.7.0"),
    )
    plain = "runc version 1.3.3\ncommit: v1.3.3-0-gd842d77\n"
    assert versions("runc", plain) == (Program("runc", "1.3.3"),)
    assert versions("crun", "crun version 1.8.1\n") == (Program("crun", "1.8.1"),)
    fuse = "fusermount3 version: 3.14.0\nfuse-overlayfs: version 1.10\n"
    assert versions("fuse-overlayfs", fuse) == (Program("fuse-overlayfs", "1.10"),)
    assert versions("conmon", "") == ()


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.1.11", {"CVE-2024-21626", "CVE-2024-45310", *OF_2025}),
        ("1.1.12", {"CVE-2024-45310", *OF_2025}),
        ("1.1.14", OF_2025),
        ("1.2.0-rc2", {"CVE-2024-45310", *OF_2025}),
        ("1.2.0-rc3", OF_2025),
        ("1.2.7", OF_2025),
        ("1.2.8", set()),
        ("1.3.0", OF_2025),
        ("1.3.2", OF_2025),
        ("1.3.3", set()),
        ("1.4.0-rc2", OF_2025),
        ("1.4.0-rc.3", set()),
        ("1.4.0", set()),
        ("2.0.0", set()),
        ("1.3.3+dev", set()),
    ],
)
def test_lines_of_releases(version: str, expected: set[str]) -> None:
    assert cves("runc", version) == expected


def test_old_releases_have_the_holes_of_their_time() -> None:
    assert "CVE-2019-5736" in cves("runc", "1.0.0-rc6")
    assert "CVE-2019-5736" not in cves("runc", "1.0.0-rc93")
    assert "CVE-2021-30465" in cves("runc", "1.0.0-rc93")
    assert "CVE-2021-30465" not in cves("runc", "1.0.0")


def test_packages_that_debian_mended() -> None:
    without = {"CVE-2024-45310", *OF_2025}
    assert cves("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1") == without
    assert cves("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u2") == without
    assert cves("runc", "1.1.5+ds1", "1.1.5+ds1-1") == {"CVE-2024-21626", *without}
    assert cves("runc", "1.0.0~rc94+ds1", "1.0.0~rc94+ds1-2") & {"CVE-2021-30465"} == set()


def test_other_programs() -> None:
    assert cves("crun", "1.8.1") == {"CVE-2025-24965"}
    assert cves("crun", "1.20") == set()
    assert cves("libslirp", "4.7.0") == set()
    assert "CVE-2020-29129" in cves("libslirp", "4.3.1")
    assert cves("slirp4netns", "0.4.1") == set()
    assert cves("conmon", "2.1.6") == set()


def test_the_remedy_names_the_line_of_each_release() -> None:
    holes = known_advisories(Program("runc", "1.1.5+ds1", "1.1.5+ds1-1+deb12u1"))
    assert remedy(holes) == "runc 1.2.8 or 1.3.3 or 1.4.0-rc3, or newer"


def test_the_table_is_well_formed() -> None:
    assert len({(hole.cve, hole.program) for hole in ADVISORIES}) == len(ADVISORIES)
    for hole in ADVISORIES:
        assert re.fullmatch(r"CVE-20\d\d-\d{4,5}", hole.cve)
        assert hole.fixed
        assert len(hole.what) < 70
