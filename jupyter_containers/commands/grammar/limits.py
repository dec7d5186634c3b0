"""Flags of ``run`` and ``create``: limits, devices, health, isolation, logs."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import CONTENT_TRUST
from jupyter_containers.commands.words import Flag

# What `update` may change while the container runs.
UPDATE_FLAGS = (
    Flag("blkio-weight", "Block I/O weight (10 to 1000, 0 for none)", "int"),
    Flag("cpu-period", "Length of a CPU period in microseconds", "int"),
    Flag("cpu-quota", "CPU time in each period in microseconds", "int"),
    Flag("cpu-rt-period", "Length of a real-time CPU period in microseconds", "int"),
    Flag("cpu-rt-runtime", "Real-time CPU time in each period in microseconds", "int"),
    Flag("cpu-shares", "CPU shares (relative weight)", "int", "c"),
    Flag("cpus", "Number of CPUs", metavar="decimal"),
    Flag("cpuset-cpus", "CPUs that may be used (0-3, 0,1)"),
    Flag("cpuset-mems", "Memory nodes that may be used (0-3, 0,1)"),
    Flag("kernel-memory", "Kernel memory limit (given up by kernels since 5.16)", metavar="bytes"),
    Flag("memory", "Memory limit", "text", "m", "bytes"),
    Flag("memory-reservation", "Memory soft limit", metavar="bytes"),
    Flag("memory-swap", "Memory plus swap; -1 for unlimited swap", metavar="bytes"),
    Flag("pids-limit", "Limit of processes (-1 for unlimited)", "int"),
    Flag("restart", "Restart policy: no, on-failure[:n], always, unless-stopped"),
)

LIMIT_FLAGS = (
    *UPDATE_FLAGS,
    Flag("annotation", "Add an annotation to the runtime spec", "list"),
    Flag("blkio-weight-device", "Block I/O weight of a device (/dev/sda:500)", "list"),
    Flag("cgroup-parent", "The cgroup that the container's will be in"),
    Flag("cgroupns", "Cgroup namespace: host or private"),
    Flag("cidfile", "Write the container's ID to a file"),
    Flag("device", "Add a device (/dev/x[:/dev/y][:rwm], or a CDI name)", "list"),
    Flag("device-cgroup-rule", "Allow devices ('c 189:* rmw')", "list"),
    Flag("device-read-bps", "Limit reading from a device (/dev/sda:1mb)", "list"),
    Flag("device-read-iops", "Limit reads from a device (/dev/sda:100)", "list"),
    Flag("device-write-bps", "Limit writing to a device (/dev/sda:1mb)", "list"),
    Flag("device-write-iops", "Limit writes to a device (/dev/sda:100)", "list"),
    CONTENT_TRUST,
    Flag("domainname", "NIS domain name of the container"),
    Flag("gpus", "GPUs to add (all, a number, device=0,1), by CDI"),
    Flag("health-cmd", "Command that checks the health"),
    Flag("health-interval", "Time between two checks", metavar="duration"),
    Flag("health-retries", "Failures in a row that mean unhealthy", "int"),
    Flag("health-start-interval", "Time between checks while it starts", metavar="duration"),
    Flag("health-start-period", "Time in which failures do not count", metavar="duration"),
    Flag("health-timeout", "Time that one check may take", metavar="duration"),
    Flag("ipc", "IPC namespace: private, shareable, none, host, container:NAME"),
    Flag("isolation", "Isolation technology: default"),
    Flag("label-file", "Read labels from a file", "list"),
    Flag("log-driver", "Where output goes: json-file or none"),
    Flag("log-opt", "Log options (max-size=10m, max-file=3)", "list"),
    Flag("memory-swappiness", "How eagerly memory is swapped (0 to 100)", "int"),
    Flag("no-healthcheck", "Do not run the image's health check", "bool"),
    Flag("oom-kill-disable", "Wait instead of killing when memory is used up", "bool"),
    Flag("oom-score-adj", "The host's preference for killing it (-1000 to 1000)", "int"),
    Flag("pid", "PID namespace: host or container:NAME"),
    Flag("runtime", "OCI runtime"),
    Flag("storage-opt", "Storage options (size=10g)", "list"),
    Flag("sysctl", "Kernel settings of the container's own namespaces", "list"),
    Flag("userns", "User namespace: host"),
    Flag("uts", "UTS namespace: host"),
    Flag("volume-driver", "Driver of volumes: local"),
    Flag("volumes-from", "Mount another container's volumes (NAME[:ro])", "list"),
)
