"""Allow lists: names by name alone, addresses by the registries of IANA."""

from __future__ import annotations

import pytest

from jupyter_containers.engine.sessions.allowlist import AllowList, host_name, is_public
from jupyter_containers.errors import InvalidArgumentError


def test_a_pattern_is_a_name_or_all_names_below_a_domain() -> None:
    allow = AllowList.of(["PyPI.org.", "*.example.org"])
    assert allow.permits("pypi.org")
    assert allow.permits("a.b.example.org")
    for host in ("example.org", "badexample.org", "pypi.org.evil.com", "xpypi.org", "a.pypi.org"):
        assert not allow.permits(host)


@pytest.mark.parametrize(
    "text", ["", "*", "*.*.org", "a*.org", "127.0.0.1", "http://a.org", "a.org:443", "[::1]", "a b"]
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid host"):
        AllowList.of([text])


@pytest.mark.parametrize(
    "text",
    ["127.0.0.1", "2130706433", "0x7f.1", "0x7f000001", "127.1", "::1", "[::1]", "localhost",
     "a.localhost", "LOCALHOST.", "a..b", "-a.org", "a.org\0", "a" * 64 + ".org", "é.org", ""],
)  # fmt: skip
def test_addresses_in_any_spelling_are_no_names(text: str) -> None:
    assert host_name(text) is None


def test_a_name_is_compared_in_lower_case_without_a_final_dot() -> None:
    assert host_name("PyPI.ORG.") == "pypi.org"


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1%eth0", "fc00::1",
     "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "nothing"],
)  # fmt: skip
def test_other_addresses_than_public_ones_are_refused(address: str) -> None:
    """``is_global`` alone accepts 64:ff9b:: (NAT64), 2002: and mapped ones."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "151.101.0.223", "2606:4700::1111"])
def test_public_addresses_are_accepted(address: str) -> None:
    assert is_public(address)
