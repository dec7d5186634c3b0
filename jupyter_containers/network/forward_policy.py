"""Lets the engine's bridges through a FORWARD chain that drops by default.

Docker (and ufw) set the policy of iptables' FORWARD chain to DROP.  Accepting a packet in the
engine's table does not help then, because a packet must pass every table.  So under that policy,
two rules for each bridge are inserted at the front: into ``DOCKER-USER``, the chain that Docker
leaves to others, or into FORWARD itself.  Firewalld rejects what belongs to none of its zones at
the end of its own chains; there the rules are inserted at the front too.  Packets *to* a bridge are
still filtered by the engine's table.

Rules are written through nftables where iptables is its front end (iptables-nft, the default of
current distributions), and through ``iptables-legacy`` where only that has a filter table.
They are removed with their bridge.
"""

from __future__ import annotations

import re

from jupyter_containers.errors import NetworkError
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.network import nf_tables
from jupyter_containers.network.nft import Nft

__all__ = ["ForwardPolicy"]

_SECONDS = 30
_FIREWALLD = ("filter_FORWARD", "filter_INPUT")
_CHAINS = (
    ("ip filter", "DOCKER-USER"),
    ("ip filter", "FORWARD"),
    *(("inet firewalld", chain) for chain in _FIREWALLD),
)
_HANDLE = pattern(r"# handle (\d+)")


class ForwardPolicy:
    """Keeps bridges reachable in the calling thread's network namespace."""

    __slots__ = ("_kernel", "_nft")

    def __init__(self, nft: Nft | None = None, kernel: nf_tables.NfTables | None = None) -> None:
        self._nft = nft or Nft()
        self._kernel = kernel or nf_tables.NfTables()

    def admit(self, interface: str) -> bool:
        """Add missing rules for the bridge; return whether any were missing.  Idempotent."""
        # There is nearly always nothing to do, and asking the kernel that starts no program.
        changed = False
        if self._kernel.chain_policy(nf_tables.IPV4, "filter", "FORWARD") is False:
            listing = self._nft.try_run("list chain ip filter FORWARD") or ""
            chain = "DOCKER-USER" if "jump DOCKER-USER" in listing else "FORWARD"
            changed = self._admit(chain, interface)
        for chain in _FIREWALLD:
            if self._kernel.chain_policy(nf_tables.INET, "firewalld", chain) is not None:
                sides = ("iif", "oif") if chain == "filter_FORWARD" else ("iif",)
                changed = self._admit(chain, interface, "inet firewalld", sides) or changed
        return _legacy_admit(interface) or changed

    def _admit(
        self,
        chain: str,
        interface: str,
        table: str = "ip filter",
        sides: tuple[str, ...] = ("iif", "oif"),
    ) -> bool:
        rules = self._nft.try_run(f"list chain {table} {chain}") or ""
        missing = [
            f'insert rule {table} {chain} {side}name "{interface}" counter accept'
            for side in sides
            if not _rule(side, interface).search(rules)
        ]
        if missing:
            self._nft.run("\n".join(missing))
        return bool(missing)

    def withdraw(self, interface: str) -> None:
        """Remove the rules for the bridge; idempotent."""
        for table, chain in _CHAINS:
            for line in self._listing(table, chain):
                handle = _HANDLE.search(line)
                ours = any(_rule(side, interface).search(line) for side in ("iif", "oif"))
                if handle and ours:
                    self._nft.try_run(f"delete rule {table} {chain} handle {handle[1]}")
        if _legacy_in_use():
            for side in ("-i", "-o"):
                rule = [side, interface, "-j", "ACCEPT"]
                for chain in ("DOCKER-USER", "FORWARD"):
                    while _legacy("-C", chain, *rule) == 0 and _legacy("-D", chain, *rule) == 0:
                        pass

    def _listing(self, table: str, chain: str) -> list[str]:
        listing = self._nft.try_run(f"list chain {table} {chain}", handles=True)
        return (listing or "").splitlines()


def _rule(side: str, interface: str) -> re.Pattern[str]:
    return re.compile(rf'^\s*{side}name "{re.escape(interface)}" counter [^"]*accept', re.MULTILINE)


def _legacy_in_use() -> bool:
    try:
        with open("/proc/thread-self/net/ip_tables_names") as file:
            return "filter" in file.read().split()
    except OSError:
        return False


def _legacy_admit(interface: str) -> bool:
    if not _legacy_in_use() or _legacy("-S", "FORWARD", expect="-P FORWARD DROP") != 0:
        return False
    chain = "DOCKER-USER" if _legacy("-S", "DOCKER-USER") == 0 else "FORWARD"
    changed = False
    for side in ("-i", "-o"):
        rule = [side, interface, "-j", "ACCEPT"]
        if _legacy("-C", chain, *rule) != 0:
            if _legacy("-I", chain, *rule) != 0:
                raise NetworkError(f"cannot let {interface} through iptables' FORWARD chain")
            changed = True
    return changed


def _legacy(*arguments: str, expect: str = "") -> int:
    try:
        result = subprocess.run(
            ["iptables-legacy", "-w", *arguments],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return -1
    return result.returncode if expect in result.stdout else -1
