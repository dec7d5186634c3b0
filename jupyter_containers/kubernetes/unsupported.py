"""The options that a cluster cannot give, each with the reason."""

from __future__ import annotations

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.options import RunOptions

_NODE = "only the administrator of a node sets this"
_SCHEDULER = "the cluster's scheduler decides this"
# By the field of RunOptions.
REASONS = {
    "blkio_weight": _NODE,
    "blkio_weight_device": _NODE,
    "cgroup_parent": _NODE,
    "cgroupns": _NODE,
    "cpu_rt_period": _NODE,
    "cpu_rt_runtime": _NODE,
    "cpuset_cpus": _SCHEDULER,
    "cpuset_mems": _SCHEDULER,
    "device_cgroup_rule": _NODE,
    "device_read_bps": _NODE,
    "device_read_iops": _NODE,
    "device_write_bps": _NODE,
    "device_write_iops": _NODE,
    "domainname": "the domain of a pod is the cluster's",
    "kernel_memory": _NODE,
    "memory_swap": "pods have no swap",
    "memory_swappiness": "pods have no swap",
    "oom_kill_disable": _NODE,
    "oom_score_adj": "the cluster sets it from requests and limits",
    "pids_limit": _NODE,
    "storage_opt": _NODE,
    "ulimit": "limits of processes are those of the node's container runtime",
    "userns": _NODE,
    "uts": _NODE,
    "volumes_from": "name the volumes again (-v NAME:PATH)",
}
_DEFAULTS = RunOptions("image")


def refuse(options: RunOptions) -> None:
    """Raise :class:`UnsupportedError` for an option that a cluster cannot give."""
    for field, reason in REASONS.items():
        if getattr(options, field) != getattr(_DEFAULTS, field):
            raise missing(f"--{field.replace('_', '-')}", reason)
    _refuse_namespaces(options)
    _refuse_mounts(options)
    for option in options.security_opt:
        if option.name in ("apparmor", "label", "systempaths"):
            raise missing(f"--security-opt {option.name}", _NODE)
        if option.name == "seccomp" and option.argument not in ("unconfined", "default", "builtin"):
            raise missing("--security-opt seccomp=FILE", "profiles are files of the nodes")


def _refuse_namespaces(options: RunOptions) -> None:
    for mode in ("pid", "ipc"):
        if getattr(options, mode).startswith("container:"):
            raise missing(f"--{mode} container:NAME", "pods do not share namespaces")
        if getattr(options, mode) in ("none", "shareable"):
            raise missing(f"--{mode} {getattr(options, mode)}", "pods have a private one")
    if options.network == "none":
        raise missing("--network none", "a pod always has a network; ask for a NetworkPolicy")
    if options.network.startswith("container:"):
        raise missing("--network container:NAME", "pods do not share namespaces")
    if options.log_driver not in ("", "json-file"):
        raise missing(f"--log-driver {options.log_driver}", "the node keeps the logs of pods")
    if options.device and not all(device.cdi for device in options.device):
        raise missing("--device", f"{_NODE}; --gpus asks for GPUs")


def _refuse_mounts(options: RunOptions) -> None:
    for request in options.mounts:
        if request.type == "bind":
            raise missing(
                f"a mount of {request.source}",
                "the folders of this machine are not on the cluster's nodes; use a volume "
                f"(-v NAME:{request.target}) and cp",
            )
        if request.subpath.startswith(("/", "..")):
            raise missing("a subpath above the volume", "it must be below it")


def missing(name: str, reason: str) -> UnsupportedError:
    """Return the error of something that a cluster does not have."""
    return UnsupportedError(
        f"{name} is not possible in a cluster: {reason}",
        capability=name,
        hint="context use default, or --context default, runs it on this machine",
    )
