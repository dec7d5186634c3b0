"""Network namespaces of the real kernel."""

from __future__ import annotations

import gc
import os
import subprocess
import threading

import pytest

from jupyter_containers.errors import NetworkError
from jupyter_containers.network import links
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (network namespaces)")


def identity() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def all_links() -> list[links.Link]:
    with NetlinkSocket() as route:
        return links.get_links(route)


def test_new_namespace_has_loopback_up_and_nothing_else():
    with NetworkNamespace.create() as namespace:
        found = [link for link in namespace.run(all_links) if link.up]
        assert [(link.name, link.index) for link in found] == [("lo", 1)]


def test_calling_thread_stays_where_it_is():
    before = identity()
    with NetworkNamespace.create() as namespace:
        assert namespace.run(identity) != before
        assert identity() == before
    assert threading.active_count() < 20


def test_path_leads_other_processes_into_the_namespace():
    with NetworkNamespace.create() as namespace:
        inside = namespace.run(identity)
        command = ["nsenter", f"--net={namespace.path}", "readlink", "/proc/self/ns/net"]
        assert subprocess.check_output(command, text=True).strip() == inside


def test_descriptor_is_not_inherited():
    with NetworkNamespace.create() as namespace:
        assert not os.get_inheritable(namespace.fd)


def test_namespace_of_a_process_is_found_by_its_pid():
    with NetworkNamespace.create() as namespace:
        process = namespace.run(lambda: subprocess.Popen(["sleep", "60"]))
        try:
            with NetworkNamespace.from_pid(process.pid) as found:
                assert found.run(identity) == namespace.run(identity)
        finally:
            process.kill()
            process.wait()
        with pytest.raises(NetworkError, match="no network namespace"):
            NetworkNamespace.from_pid(process.pid)


def test_close_and_garbage_collection_give_up_the_descriptor():
    namespace = NetworkNamespace.create()
    path = f"/proc/self/fd/{namespace.fd}"
    before = os.readlink(path)
    namespace.close()
    namespace.close()
    assert not os.path.exists(path) or os.readlink(path) != before
    forgotten = NetworkNamespace.create()
    path = f"/proc/self/fd/{forgotten.fd}"
    before = os.readlink(path)
    del forgotten
    gc.collect()
    assert not os.path.exists(path) or os.readlink(path) != before


def test_errors_of_the_function_arrive_as_they_are():
    def fail() -> None:
        raise FileNotFoundError("mine")

    with NetworkNamespace.create() as namespace, pytest.raises(FileNotFoundError, match="mine"):
        namespace.run(fail)


def test_closed_namespace_cannot_be_entered():
    with open(os.devnull) as file:
        other = NetworkNamespace(os.dup(file.fileno()))
    with other, pytest.raises(NetworkError, match="setns of a network namespace failed"):
        other.run(identity)
