"""The service itself: ping, version, info, events, login."""

from __future__ import annotations

import os
import platform
from typing import Any

from jupyter_containers.api.bodies import read
from jupyter_containers.api.call import Answer, Call
from jupyter_containers.api.credentials import Login, registry_of
from jupyter_containers.api.routes import CURRENT_TEXT, MINIMUM_TEXT
from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.version import __version__

# Go's names of architectures.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NO_CACHE = {
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Builder-Version": "1",
    "Swarm": "inactive",
}

_NO_SWARM = {
    "NodeID": "",
    "NodeAddr": "",
    "LocalNodeState": "inactive",
    "ControlAvailable": False,
    "Error": "",
    "RemoteManagers": None,
}


def ping(call: Call) -> Answer:  # noqa: ARG001  # a handler
    """Confirm that the service answers, with its API version in the headers."""
    return Answer(200, b"OK", _NO_CACHE)


def version(call: Call) -> dict[str, Any]:
    """Return the versions of the engine and of its programs."""
    facts = call.engine.system.info()
    machine = os.uname()
    engine = {
        "ApiVersion": CURRENT_TEXT,
        "MinAPIVersion": MINIMUM_TEXT,
        "Arch": _ARCHITECTURES.get(machine.machine, machine.machine),
        "Os": "linux",
        "KernelVersion": machine.release,
    }
    return {
        "Platform": {"Name": "jupyter-containers"},
        "Version": __version__,
        **engine,
        "PythonVersion": platform.python_version(),
        "GoVersion": "",
        "GitCommit": "",
        "BuildTime": "",
        "Components": [
            {"Name": "Engine", "Version": __version__, "Details": engine},
            {
                "Name": facts["DefaultRuntime"],
                "Version": facts["RuntimeVersion"],
                "Details": {"GitCommit": ""},
            },
            {"Name": "conmon", "Version": facts["MonitorVersion"], "Details": {"GitCommit": ""}},
        ],
    }


def info(call: Call) -> dict[str, Any]:
    """Return the data of ``docker info``."""
    facts = call.engine.system.info()
    runtime = facts["DefaultRuntime"]
    return {
        "ID": facts["Name"],
        "DriverStatus": [],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": ["json-file", "k8s-file", "local", "none"],
        },
        "CpuCfsPeriod": facts["CpuCfsQuota"],
        "OomKillDisable": False,
        "IPv4Forwarding": True,
        "Debug": False,
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": 0,
        "SystemTime": _now(),
        "LoggingDriver": "json-file",
        "NEventsListener": 0,
        "OSVersion": "",
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registries(facts),
        "GenericResources": None,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Labels": [],
        "ExperimentalBuild": False,
        "Runtimes": {runtime: {"path": runtime}} if runtime else {},
        "Swarm": _NO_SWARM,
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "",
        "ContainerdCommit": {"ID": "", "Expected": ""},
        "RuncCommit": {"ID": facts["RuntimeVersion"], "Expected": facts["RuntimeVersion"]},
        "InitCommit": {"ID": "", "Expected": ""},
        "Warnings": None,
        **facts,
        "SecurityOptions": _security(facts),
        "KernelMemory": False,
        "KernelMemoryTCP": False,
        "BridgeNfIptables": False,
        "BridgeNfIp6tables": False,
    }


def _registries(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        "AllowNondistributableArtifactsCIDRs": None,
        "AllowNondistributableArtifactsHostnames": None,
        "InsecureRegistryCIDRs": ["127.0.0.0/8", "::1/128"],
        "IndexConfigs": {
            name: {"Name": name, "Mirrors": None, "Secure": False, "Official": False}
            for name in facts["InsecureRegistries"]
        }
        | {
            "docker.io": {
                "Name": "docker.io",
                "Mirrors": facts["RegistryMirrors"],
                "Secure": True,
                "Official": True,
            }
        },
        "Mirrors": facts["RegistryMirrors"],
    }


def _security(facts: dict[str, Any]) -> list[str]:
    words = [
        "name=seccomp,profile=builtin" if name == "seccomp" else f"name={name}"
        for name in facts["SecurityOptions"]
    ]
    return [*words, "name=cgroupns", *(["name=rootless"] if facts["Rootless"] else [])]


def _now() -> str:
    from datetime import UTC, datetime

    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def plugins(call: Call) -> list[Any]:  # noqa: ARG001  # a handler
    """Return an empty list: there are no plugins."""
    return []


def auth(call: Call) -> dict[str, str]:
    """Check a user's credentials with their registry; only the client stores them."""
    login = read(call, Login)
    call.engine.registries.verify(registry_of(login.serveraddress), login.username, login.password)
    return {"Status": "Login Succeeded", "IdentityToken": ""}


def events(call: Call) -> None:
    """Send events as lines of JSON, until the requested time or until the client disconnects."""
    query = call.query
    filters = query.filters()
    found = call.engine.system.events(
        since=query.moment("since"),
        until=query.moment("until"),
        filters=filters,
        cancel=call.cancel,
    )
    writer = call.begin()
    try:
        for event in found:
            writer.line(event.document())
    except OperationCancelledError:
        return
