"""Work over many items in a cluster: pods that stay, and what happens when one is lost."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from jupyter_containers.errors import ItemFailedError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.engine import ClusterEngine
from tests.kubernetes.conftest import Cluster

BOX = "box:1"


def in_pod(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_results_are_in_the_order_of_the_items(engine: ClusterEngine) -> None:
    found = engine.workloads.map(
        BOX, in_pod("echo out {}; echo err {} >&2; exit 3"), range(5), workers=2, check=False
    )
    assert [(one.stdout, one.stderr, one.exit_code) for one in found] == [
        (b"out %d\n" % item, b"err %d\n" % item, 3) for item in range(5)
    ]
    assert len({one.container_id for one in found}) <= 2, "items share pods"
    assert engine.workloads.map(BOX, ["printf", "%s"], ["a'b", "x\ny $HOME"], workers=1)[
        1
    ].stdout == (b"x\ny $HOME")
    assert engine.workloads.map(BOX, ["cat"], ["in"], stdin=True)[0].stdout == b"in"


def test_a_failure_ends_all(engine: ClusterEngine) -> None:
    with pytest.raises(ItemFailedError, match=r"item 1 \(1\) failed: .* exit code 4"):
        engine.workloads.map(BOX, in_pod("[ {} != 1 ] || exit 4"), range(3), workers=2)


def test_a_time_limit_ends_an_item_only(engine: ClusterEngine) -> None:
    found = engine.workloads.map(BOX, ["sleep"], [0, 60, 0], workers=1, timeout=5, check=False)
    assert [one.exit_code for one in found] == [0, 124, 0]


def test_items_of_a_lost_pod_run_again(engine: ClusterEngine) -> None:
    taken: list[Any] = []

    def lose() -> None:
        while not (pods := engine.containers()):
            time.sleep(0.1)
        time.sleep(1)
        taken.extend(pods)
        pods[0].remove(force=True)

    thread = threading.Thread(target=lose)
    thread.start()
    found = engine.workloads.map(BOX, in_pod("sleep 3; echo {}"), range(3), workers=1)
    thread.join()
    assert [one.stdout for one in found] == [b"0\n", b"1\n", b"2\n"]
    assert taken[0].id not in {one.container_id for one in found[1:]}


def test_cancelling_leaves_no_pod(engine: ClusterEngine) -> None:
    cancel = CancelToken()
    threading.Timer(4, cancel.cancel).start()
    with pytest.raises(OperationCancelledError):
        engine.workloads.map(BOX, ["sleep"], [60, 60, 60], workers=2, cancel=cancel)
    assert engine.containers.everything() == []


def test_a_full_quota_means_fewer_pods(engine: ClusterEngine, cluster: Cluster) -> None:
    quota = (
        "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {pods: '1'}}\n"
    )
    cluster.kubectl_as_admin("apply", "-f", "-", stdin=quota)
    try:
        time.sleep(1)
        found = engine.workloads.map(BOX, in_pod("echo {}"), range(4), workers=3)
    finally:
        cluster.kubectl_as_admin("delete", "quota", "few")
    assert len({one.container_id for one in found}) == 1


def test_a_thousand_items_take_a_few_pods(engine: ClusterEngine) -> None:
    found = engine.workloads.map(BOX, ["true"], range(1000), workers=2)
    assert len(found) == 1000
    assert len({one.container_id for one in found}) <= 2
