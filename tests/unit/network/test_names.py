from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.names import (
    HostEntry,
    added_hosts,
    hostname_file,
    hosts_file,
    resolv_conf,
)
from jupyter_containers.options.names import AddedHost, parse_resolver_words, parse_servers

HEAD = hosts_file("", [])


def test_hosts_file_begins_with_localhost():
    assert HEAD.splitlines()[0] == "127.0.0.1\tlocalhost"
    assert HEAD.splitlines()[1].split()[:2] == ["::1", "localhost"]


def test_hosts_file_holds_itself_the_host_and_its_peers():
    text = hosts_file(
        "web",
        ["10.89.0.2", "10.89.1.2"],
        gateway="10.89.0.1",
        extra=added_hosts([AddedHost("api:192.0.2.7")], "10.89.0.1"),
        peers=[HostEntry("10.89.1.3", ("db", "database", "db"))],
    )
    assert text.removeprefix(HEAD).splitlines() == [
        "192.0.2.7\tapi",
        "10.89.0.1\thost.containers.internal host.docker.internal",
        "10.89.0.2\tweb",
        "10.89.1.2\tweb",
        "10.89.1.3\tdb database",
    ]


def test_add_host_overrides_the_names_of_the_host():
    extra = added_hosts([AddedHost("host.docker.internal:192.0.2.9")], "10.89.0.1")
    text = hosts_file("web", [], gateway="10.89.0.1", extra=extra)
    assert "10.89.0.1\thost.containers.internal\n" in text
    assert text.count("host.docker.internal") == 1


def test_host_network_keeps_the_hosts_file():
    text = hosts_file(
        "vm", [], base="127.0.0.1 localhost vm", extra=[HostEntry("192.0.2.1", ("x",))]
    )
    assert text == "127.0.0.1 localhost vm\n192.0.2.1\tx\n"


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("a:192.0.2.1", "192.0.2.1"),
        ("a=192.0.2.1", "192.0.2.1"),
        ("a:host-gateway", "10.0.0.1"),
        ("a=host-gateway", "10.0.0.1"),
        ("a:::1", "::1"),
        ("a:[::1]", "::1"),
        ("a=[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_add_host(entry, address):
    assert added_hosts([AddedHost(entry)], "10.0.0.1") == (HostEntry(address, ("a",)),)


@pytest.mark.parametrize("entry", ["a", "a:", ":1.2.3.4", "a:b", "a b:1.2.3.4", "a\nb:1.2.3.4"])
def test_bad_add_host_is_refused(entry):
    with pytest.raises(InvalidArgumentError, match="invalid add-host"):
        added_hosts([AddedHost(entry)], "10.0.0.1")


def test_host_gateway_needs_a_gateway():
    with pytest.raises(InvalidArgumentError, match="no host gateway"):
        added_hosts([AddedHost("a:host-gateway")], "")


def test_alias_cannot_smuggle_a_line_in():
    with pytest.raises(InvalidArgumentError):
        hosts_file("web", [], peers=[HostEntry("10.0.0.3", ("db\n192.0.2.1 bank",))])


HOST = """# ours
nameserver 10.0.0.53
nameserver 127.0.0.53
nameserver ::1
search a.example b
options edns0
"""


@pytest.mark.parametrize(
    ("text", "flags", "expected"),
    [
        (HOST, {}, "nameserver 10.0.0.53\nsearch a.example b\noptions edns0\n"),
        (
            HOST,
            {"keep_loopback": True},
            "nameserver 10.0.0.53\nnameserver 127.0.0.53\nnameserver ::1\n"
            "search a.example b\noptions edns0\n",
        ),
        (
            HOST,
            {"servers": ["192.0.2.1"], "search": ["x"], "options": ["ndots:2"]},
            "nameserver 192.0.2.1\nsearch x\noptions ndots:2\n",
        ),
        (HOST, {"search": ["."]}, "nameserver 10.0.0.53\noptions edns0\n"),
        ("nameserver 127.0.0.53\n", {}, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"),
        ("", {"servers": ["127.0.0.1"]}, "nameserver 127.0.0.1\n"),
        ("nameserver 192.0.2.1\ndomain old\n", {}, "nameserver 192.0.2.1\nsearch old\n"),
        ("nameserver fe80::1%eth0\n", {}, "nameserver fe80::1%eth0\n"),
    ],
)
def test_resolv_conf(text, flags, expected):
    assert resolv_conf(text, **flags) == expected


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_servers, "dns.example"),
        (parse_resolver_words, "a b"),
        (parse_resolver_words, "x\nnameserver 1"),
    ],
)
def test_bad_dns_flags_are_refused(parse, text):
    with pytest.raises(InvalidArgumentError, match="invalid dns"):
        parse([text])


def test_hostname_file_is_one_line():
    assert hostname_file("web") == "web\n"
