"""Every field of a Compose file, in the order in which Docker Compose shows it.

The only declaration of the Compose Specification here: checks, typed values and hints for misspelt
names are derived from it.
"""

from __future__ import annotations

from jupyter_containers.compose.shapes import (
    Boolean,
    Command,
    Duration,
    Integer,
    ListOf,
    MapOf,
    Number,
    Object,
    Pairs,
    Scalars,
    Shape,
    Size,
    Text,
    Words,
)
from jupyter_containers.compose.special import (
    Count,
    Expose,
    External,
    ExtraHosts,
    FileMode,
    Limit,
    NotShown,
    ProviderOptions,
    Ssh,
    Ulimit,
)

NAMES = r"^[a-zA-Z0-9._-]+$"
CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")
PULL_POLICIES = (
    r"always|never|build|if_not_present|missing|refresh|daily|weekly|every_([0-9]+[wdhms])+"
)

_INTEGER = ("integer", "string")
_NUMBER = ("number", "string")
_LIST = Words(unique=True)
_FILE = {
    "source": Text(),
    "target": Text(),
    "uid": Text(),
    "gid": Text(),
    "mode": FileMode(),
}
_FILES = ListOf(Object(_FILE, short=Text()))
_ULIMITS = MapOf(Ulimit(), pattern=r"^[a-z]+$", closed=False)
_RATE = Object(
    {"path": Text(), "rate": Size("integer", "string")}, names={"path": "Path", "rate": "Rate"}
)
_WEIGHT = Object(
    {"path": Text(), "weight": Integer("integer")}, names={"path": "Path", "weight": "Weight"}
)


def _devices(required: bool) -> dict[str, Shape]:
    del required
    return {
        "capabilities": Words(unique=True),
        "driver": Text(),
        "count": Count(),
        "device_ids": Words(unique=True),
        "options": Pairs(),
    }


HOOK = Object(
    {
        "command": Command(),
        "user": Text(),
        "privileged": Boolean(),
        "working_dir": Text(),
        "environment": Pairs(null=True),
    },
    required=("command",),
)

BUILD = Object(
    {
        "context": Text(),
        "dockerfile": Text(),
        "dockerfile_inline": Text(),
        "entitlements": Words(),
        "args": Pairs(null=True),
        "provenance": Text(),
        "sbom": Text(),
        "ssh": Ssh(),
        "labels": Pairs(),
        "cache_from": Words(),
        "cache_to": Words(),
        "no_cache": Boolean(),
        "no_cache_filter": Words(single=True),
        "additional_contexts": Pairs(),
        "pull": Boolean(),
        "extra_hosts": ExtraHosts(),
        "isolation": Text(),
        "network": Text(),
        "target": Text(),
        "secrets": _FILES,
        "shm_size": Size("integer", "string"),
        "tags": Words(),
        "ulimits": _ULIMITS,
        "platforms": Words(),
        "privileged": Boolean(),
    },
    short=Text(),
)
BUILD.fields["provenance"].types = BUILD.fields["sbom"].types = ("string", "boolean")

HEALTHCHECK = Object(
    {
        "test": Command(health=True, null=False),
        "timeout": Duration(keep=True),
        "interval": Duration(keep=True),
        "retries": Integer(*_NUMBER, keep=True),
        "start_period": Duration(keep=True),
        "start_interval": Duration(keep=True),
        "disable": Boolean(),
    }
)

DEVELOP = Object(
    {
        "watch": ListOf(
            Object(
                {
                    "path": Text(),
                    "action": Text(
                        one_of=("rebuild", "sync", "restart", "sync+restart", "sync+exec")
                    ),
                    "target": Text(),
                    "exec": HOOK,
                    "include": Words(single=True, unique=True),
                    "ignore": Words(single=True, unique=True),
                    "initial_sync": Boolean(text=False),
                },
                required=("path", "action"),
                always={"exec": {"command": None}},
            )
        )
    },
    null=True,
)

_UPDATE = Object(
    {
        "parallelism": Integer(keep=True),
        "delay": Duration(),
        "failure_action": Text(),
        "monitor": Duration(),
        "max_failure_ratio": Number(),
        "order": Text(one_of=("start-first", "stop-first")),
    }
)
_RESOURCE: dict[str, Shape] = {"cpus": Limit(), "memory": Size("string"), "pids": Integer()}
DEPLOY = Object(
    {
        "mode": Text(),
        "replicas": Integer(keep=True),
        "labels": Pairs(),
        "update_config": _UPDATE,
        "rollback_config": _UPDATE,
        "resources": Object(
            {
                "limits": Object(_RESOURCE),
                "reservations": Object(
                    {
                        "cpus": Limit(),
                        "memory": Size("string"),
                        "devices": ListOf(Object(_devices(True), required=("capabilities",))),
                        "generic_resources": ListOf(
                            Object(
                                {
                                    "discrete_resource_spec": Object(
                                        {"kind": Text(), "value": Integer(*_NUMBER, keep=True)}
                                    )
                                }
                            )
                        ),
                    }
                ),
            }
        ),
        "restart_policy": Object(
            {
                "condition": Text(),
                "delay": Duration(keep=True),
                "max_attempts": Integer(keep=True),
                "window": Duration(keep=True),
            }
        ),
        "placement": Object(
            {
                "constraints": Words(),
                "preferences": ListOf(Object({"spread": Text()})),
                "max_replicas_per_node": Integer(),
            }
        ),
        "endpoint_mode": Text(),
    },
    null=True,
    always={"resources": {}, "placement": {}},
)

PORT = Object(
    {
        "name": Text(),
        "mode": Text(),
        "host_ip": Text(),
        "target": Integer(),
        "published": Text(),
        "protocol": Text(),
        "app_protocol": Text(),
    },
    short=Integer("number", "string"),
)
PORT.fields["published"].types = ("string", "integer")

VOLUME = Object(
    {
        "type": Text(one_of=("bind", "volume", "tmpfs", "cluster", "npipe", "image")),
        "source": Text(),
        "target": Text(),
        "read_only": Boolean(),
        "consistency": Text(),
        "bind": Object(
            {
                "selinux": Text(one_of=("z", "Z")),
                "propagation": Text(),
                "create_host_path": Boolean(),
                "recursive": Text(one_of=("enabled", "disabled", "writable", "readonly")),
            }
        ),
        "volume": Object({"labels": Pairs(), "nocopy": Boolean(), "subpath": Text()}),
        "tmpfs": Object({"size": Size("integer", "string"), "mode": FileMode(octal=False)}),
        "image": Object({"subpath": Text()}),
    },
    required=("type",),
    short=Text(),
)

NETWORK_OF_SERVICE = Object(
    {
        "aliases": _LIST,
        "driver_opts": Scalars(),
        "gw_priority": Integer("number"),
        "interface_name": Text(),
        "ipv4_address": Text(),
        "ipv6_address": Text(),
        "link_local_ips": _LIST,
        "mac_address": Text(),
        "priority": Integer("number"),
    },
    null=True,
)

SERVICE_FIELDS: dict[str, Shape] = {
    "profiles": _LIST,
    "annotations": Pairs(),
    "attach": Boolean(keep=True),
    "build": BUILD,
    "develop": DEVELOP,
    "blkio_config": Object(
        {
            "weight": Integer("integer"),
            "weight_device": ListOf(_WEIGHT),
            "device_read_bps": ListOf(_RATE),
            "device_read_iops": ListOf(_RATE),
            "device_write_bps": ListOf(_RATE),
            "device_write_iops": ListOf(_RATE),
        },
        extensions=False,
    ),
    "cap_add": _LIST,
    "cap_drop": _LIST,
    "cgroup_parent": Text(),
    "cgroup": Text(one_of=("host", "private")),
    "cpu_count": Integer(least=0),
    "cpu_percent": Integer(least=0, most=100),
    "cpu_period": Integer(*_NUMBER),
    "cpu_quota": Integer(*_NUMBER),
    "cpu_rt_period": Integer(*_NUMBER),
    "cpu_rt_runtime": Integer(*_NUMBER),
    "cpus": Number(),
    "cpuset": Text(),
    "cpu_shares": Integer(*_NUMBER),
    "command": Command(),
    "configs": _FILES,
    "container_name": Text(pattern=r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"),
    "credential_spec": Object({"config": Text(), "file": Text(), "registry": Text()}),
    "depends_on": MapOf(
        Object(
            {
                "condition": Text(one_of=CONDITIONS),
                "restart": Boolean(),
                "required": Boolean(keep=True, text=False),
            },
            required=("condition",),
        ),
        pattern=NAMES,
        short=_LIST,
    ),
    "deploy": DEPLOY,
    "device_cgroup_rules": _LIST,
    "devices": ListOf(
        Object(
            {"source": Text(), "target": Text(), "permissions": Text()},
            required=("source",),
            short=Text(),
        )
    ),
    "dns": Words(single=True, unique=True),
    "dns_opt": _LIST,
    "dns_search": Words(single=True, unique=True),
    "domainname": Text(),
    "entrypoint": Command(),
    "provider": Object({"type": Text(), "options": ProviderOptions()}, required=("type",)),
    "environment": Pairs(null=True),
    "env_file": ListOf(
        Object(
            {"path": Text(), "required": Boolean(keep=True), "format": Text()},
            required=("path",),
            short=Text(),
            extensions=False,
        ),
        short=Text(),
    ),
    "expose": Expose(),
    "extends": Object(
        {"file": Text(), "service": Text()}, required=("service",), short=Text(), extensions=False
    ),
    "external_links": _LIST,
    "extra_hosts": ExtraHosts(),
    "group_add": Words(numbers=True, unique=True),
    "gpus": ListOf(Object(_devices(False), open_=True), short=Text(one_of=("all",))),
    "hostname": Text(),
    "healthcheck": HEALTHCHECK,
    "image": Text(),
    "init": Boolean(keep=True),
    "ipc": Text(),
    "isolation": Text(),
    "labels": Pairs(),
    "label_file": Words(single=True),
    "links": _LIST,
    "logging": Object({"driver": Text(), "options": Scalars(null=True)}),
    "mem_limit": Size(),
    "mem_reservation": Size("string", "integer"),
    "memswap_limit": Size(),
    "mem_swappiness": Size("integer", "string"),
    "mac_address": Text(),
    "models": MapOf(
        Object({"endpoint_var": Text(), "model_var": Text()}, null=True),
        pattern=NAMES,
        short=_LIST,
        closed=False,
    ),
    "network_mode": Text(),
    "networks": MapOf(NETWORK_OF_SERVICE, pattern=NAMES, short=_LIST),
    "oom_kill_disable": Boolean(),
    "oom_score_adj": Integer(least=-1000, most=1000),
    "pid": Text(null=True),
    "pids_limit": Integer(*_NUMBER),
    "platform": Text(),
    "ports": ListOf(PORT, unique=True),
    "privileged": Boolean(),
    "pull_policy": Text(pattern=PULL_POLICIES),
    "pull_refresh_after": Text(),
    "read_only": Boolean(),
    "restart": Text(),
    "runtime": Text(),
    "scale": Integer(keep=True),
    "secrets": _FILES,
    "security_opt": _LIST,
    "shm_size": Size(),
    "stdin_open": Boolean(),
    "stop_grace_period": Duration(keep=True),
    "stop_signal": Text(),
    "storage_opt": Scalars("string", "number", "boolean", null=True),
    "sysctls": Pairs(),
    "tmpfs": Words(single=True, unique=True),
    "tty": Boolean(),
    "ulimits": _ULIMITS,
    "use_api_socket": Boolean(text=False),
    "user": Text(),
    "userns_mode": Text(),
    "uts": Text(),
    "volumes": ListOf(VOLUME, unique=True),
    "volumes_from": _LIST,
    "working_dir": Text(),
    "post_start": ListOf(HOOK),
    "pre_stop": ListOf(HOOK),
}
SERVICE = Object(SERVICE_FIELDS, always={"command": None, "entrypoint": None})

NETWORK = Object(
    {
        "name": Text(),
        "driver": Text(),
        "driver_opts": Scalars(),
        "ipam": Object(
            {
                "driver": Text(),
                "config": ListOf(
                    Object(
                        {
                            "subnet": Text(),
                            "gateway": Text(),
                            "ip_range": Text(),
                            "aux_addresses": Scalars("string"),
                        }
                    )
                ),
                "options": NotShown("string"),
            }
        ),
        "external": External(),
        "internal": Boolean(),
        "attachable": Boolean(),
        "labels": Pairs(),
        "enable_ipv4": Boolean(keep=True),
        "enable_ipv6": Boolean(keep=True),
    },
    null=True,
    always={"ipam": {}},
)
VOLUMES = Object(
    {
        "name": Text(),
        "driver": Text(),
        "driver_opts": Scalars(),
        "external": External(),
        "labels": Pairs(),
    },
    null=True,
)
_OBJECT: dict[str, Shape] = {
    "name": Text(),
    "file": Text(),
    "environment": Text(),
    "content": Text(),
    "external": External(),
    "labels": Pairs(),
    "driver": Text(),
    "driver_opts": Scalars(),
    "template_driver": Text(),
}
SECRET = Object({key: shape for key, shape in _OBJECT.items() if key != "content"})
CONFIG = Object(
    {key: shape for key, shape in _OBJECT.items() if key not in ("driver", "driver_opts")}
)
MODEL = Object(
    {
        "name": Text(),
        "model": Text(),
        "context_size": Integer("integer"),
        "runtime_flags": Words(),
    },
    required=("model",),
)
INCLUDE = Object(
    {
        "path": Words(single=True, unique=True),
        "env_file": Words(single=True, unique=True),
        "project_directory": Text(),
    },
    short=Text(),
    extensions=False,
)

PROJECT = Object(
    {
        "version": Text(),
        "name": Text(),
        "include": ListOf(INCLUDE),
        "services": MapOf(SERVICE, pattern=NAMES),
        "models": MapOf(MODEL, pattern=NAMES, closed=False),
        "networks": MapOf(NETWORK, pattern=NAMES, closed=False),
        "volumes": MapOf(VOLUMES, pattern=NAMES),
        "secrets": MapOf(SECRET, pattern=NAMES),
        "configs": MapOf(CONFIG, pattern=NAMES),
    }
)
