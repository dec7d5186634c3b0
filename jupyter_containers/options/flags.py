"""The options of ``run``, ``create``, ``update``, ``exec``: one declaration each.

Names, letters and meanings are Docker's.  ``update`` can change the options in
:class:`UpdateFlags`.  A new option is declared here, gets a field in :class:`~.run.RunOptions` (or
:class:`~.run.ExecOptions`), and is used in the package that implements it.
"""

# Annotations are values here: the grammar reads them.
from typing import Annotated, TypedDict

from jupyter_containers.options.flag import Flag, Shown
from jupyter_containers.options.given import (
    Decimal,
    Devices,
    Folder,
    Limits,
    Mounts,
    Networks,
    Number,
    Pairs,
    Ports,
    Switch,
    Text,
    Texts,
)
from jupyter_containers.options.groupflags import HealthFlags, NetworkFlags

_SIGNALS = ("SIGTERM", "SIGINT", "SIGQUIT", "SIGKILL", "SIGHUP")
CONTENT_TRUST = Flag(
    "disable-content-trust", "Skip image verification (there is none here)", "bool"
)
PLATFORM = Flag("platform", "Platform: os[/arch[/variant]]")


class ProcessFlags(TypedDict, total=False):
    """Options of every process in a container."""

    env: Annotated[
        Pairs, Flag(help="Set an environment variable", kind="list", short="e", metavar="list")
    ]
    env_file: Annotated[Texts, Flag(help="Read environment variables from a file", kind="list")]
    interactive: Annotated[Switch, Flag(help="Keep standard input open", kind="bool", short="i")]
    tty: Annotated[Switch, Flag(help="Give the process a terminal", kind="bool", short="t")]
    user: Annotated[
        str | int | None, Flag(help="User name or UID (user[:group])", short="u", reads="text")
    ]
    workdir: Annotated[
        Text, Flag(help="Working directory in the container", short="w", reads="folder")
    ]


class ExecFlags(ProcessFlags, total=False):
    """Options of ``exec``."""

    detach: Annotated[Switch, Flag(help="Run in the background", kind="bool", short="d")]
    privileged: Annotated[Switch, Flag(help="Give the process all capabilities", kind="bool")]


class UpdateFlags(TypedDict, total=False):
    """Options that ``update`` can change while the container runs."""

    blkio_weight: Annotated[
        Number,
        Flag(
            help="Block I/O weight (10 to 1000, 0 for none)",
            kind="int",
            reads="weight",
            shown=Shown("BlkioWeight", "resources"),
        ),
    ]
    cpu_period: Annotated[
        Number,
        Flag(
            help="Length of a CPU period in microseconds",
            kind="int",
            reads="microseconds",
            shown=Shown("CpuPeriod", "resources"),
        ),
    ]
    cpu_quota: Annotated[
        Number,
        Flag(
            help="CPU time in each period in microseconds",
            kind="int",
            reads="microseconds",
            shown=Shown("CpuQuota", "resources"),
        ),
    ]
    cpu_rt_period: Annotated[
        Number,
        Flag(
            help="Length of a real-time CPU period in microseconds",
            kind="int",
            reads="microseconds",
            shown=Shown("CpuRealtimePeriod", "resources"),
        ),
    ]
    cpu_rt_runtime: Annotated[
        Number,
        Flag(
            help="Real-time CPU time in each period in microseconds",
            kind="int",
            reads="microseconds",
            shown=Shown("CpuRealtimeRuntime", "resources"),
        ),
    ]
    cpu_shares: Annotated[
        Number,
        Flag(
            help="CPU shares (relative weight)",
            kind="int",
            short="c",
            shown=Shown("CpuShares", "resources"),
        ),
    ]
    cpus: Annotated[Decimal, Flag(help="Number of CPUs", metavar="decimal", reads="cpus")]
    cpuset_cpus: Annotated[
        Number,
        Flag(
            help="CPUs to use (0-3, 0,1)",
            reads="cpuset",
            shown=Shown("CpusetCpus", "resources"),
        ),
    ]
    cpuset_mems: Annotated[
        Number,
        Flag(
            help="Memory nodes to use (0-3, 0,1)",
            reads="cpuset",
            shown=Shown("CpusetMems", "resources"),
        ),
    ]
    kernel_memory: Annotated[
        Number,
        Flag(
            help="Kernel memory limit (not supported since Linux 5.16)",
            metavar="bytes",
            reads="size",
            by_client=True,
            shown=Shown("KernelMemory", "resources"),
        ),
    ]
    memory: Annotated[
        Number,
        Flag(
            help="Memory limit",
            short="m",
            metavar="bytes",
            reads="size",
            by_client=True,
            shown=Shown("Memory", "resources"),
        ),
    ]
    memory_reservation: Annotated[
        Number,
        Flag(
            help="Memory soft limit",
            metavar="bytes",
            reads="size",
            by_client=True,
            shown=Shown("MemoryReservation", "resources"),
        ),
    ]
    memory_swap: Annotated[
        Number,
        Flag(
            help="Memory plus swap; -1 for unlimited swap",
            metavar="bytes",
            reads="size or -1",
            by_client=True,
        ),
    ]
    pids_limit: Annotated[
        Number,
        Flag(
            help="Limit of processes (-1 for unlimited)",
            kind="int",
            shown=Shown("PidsLimit", "resources", empty=None),
        ),
    ]
    restart: Annotated[
        Text,
        Flag(
            help="Restart policy: no, on-failure[:n], always, unless-stopped",
            values=("no", "on-failure", "always", "unless-stopped"),
            reads="restart policy",
        ),
    ]


class CreateFlags(ProcessFlags, UpdateFlags, NetworkFlags, HealthFlags, total=False):
    """Options of ``create``, and of ``run``."""

    add_host: Annotated[
        Texts,
        Flag(
            help="Add a host-to-IP line (host:ip)",
            kind="list",
            reads="hosts",
            shown=Shown("ExtraHosts", empty=None),
        ),
    ]
    annotation: Annotated[
        Pairs,
        Flag(
            help="Add an annotation to the runtime spec",
            kind="list",
            reads="pairs",
            shown=Shown("Annotations", "isolation", empty=None),
        ),
    ]
    attach: Annotated[
        Texts,
        Flag(
            help="Attach to stdin, stdout or stderr only",
            kind="list",
            short="a",
            reads="streams",
            by_client=True,
        ),
    ]
    blkio_weight_device: Annotated[
        Limits,
        Flag(
            help="Block I/O weight of a device (/dev/sda:500)",
            kind="list",
            reads="weights",
            shown=Shown("BlkioWeightDevice", "resources", empty=None, number="Weight"),
        ),
    ]
    cap_add: Annotated[
        Texts,
        Flag(
            help="Add a Linux capability",
            kind="list",
            reads="words",
            shown=Shown("CapAdd", empty=None),
        ),
    ]
    cap_drop: Annotated[
        Texts,
        Flag(
            help="Drop a Linux capability",
            kind="list",
            reads="words",
            shown=Shown("CapDrop", empty=None),
        ),
    ]
    cgroup_parent: Annotated[
        Text,
        Flag(
            help="Parent cgroup of the container",
            shown=Shown("CgroupParent", "resources"),
        ),
    ]
    cgroupns: Annotated[
        Text,
        Flag(
            help="Cgroup namespace: host or private",
            shown=Shown("CgroupnsMode", "isolation", empty="private"),
        ),
    ]
    cidfile: Annotated[
        Text, Flag(help="Write the container's ID to a file", shown=Shown("ContainerIDFile"))
    ]
    device: Annotated[
        Devices,
        Flag(
            help="Add a device (/dev/x[:/dev/y][:rwm], or a CDI name)", kind="list", reads="devices"
        ),
    ]
    device_cgroup_rule: Annotated[
        Texts,
        Flag(
            help="Allow devices ('c 189:* rmw')",
            kind="list",
            reads="device rules",
            by_client=True,
            shown=Shown("DeviceCgroupRules", "resources", empty=None),
        ),
    ]
    device_read_bps: Annotated[
        Limits,
        Flag(
            help="Limit reading from a device (/dev/sda:1mb)",
            kind="list",
            reads="byte rates",
            by_client=True,
            shown=Shown("BlkioDeviceReadBps", "resources", empty=None, number="Rate"),
        ),
    ]
    device_read_iops: Annotated[
        Limits,
        Flag(
            help="Limit reads from a device (/dev/sda:100)",
            kind="list",
            reads="rates",
            by_client=True,
            shown=Shown("BlkioDeviceReadIOps", "resources", empty=None, number="Rate"),
        ),
    ]
    device_write_bps: Annotated[
        Limits,
        Flag(
            help="Limit writing to a device (/dev/sda:1mb)",
            kind="list",
            reads="byte rates",
            by_client=True,
            shown=Shown("BlkioDeviceWriteBps", "resources", empty=None, number="Rate"),
        ),
    ]
    device_write_iops: Annotated[
        Limits,
        Flag(
            help="Limit writes to a device (/dev/sda:100)",
            kind="list",
            reads="rates",
            by_client=True,
            shown=Shown("BlkioDeviceWriteIOps", "resources", empty=None, number="Rate"),
        ),
    ]
    disable_content_trust: Annotated[Switch, CONTENT_TRUST]
    dns: Annotated[
        Texts, Flag(help="Set a DNS server", kind="list", reads="addresses", shown=Shown("Dns"))
    ]
    dns_option: Annotated[
        Texts,
        Flag(
            help="Set a DNS option",
            kind="list",
            aliases=("dns-opt",),
            reads="resolver words",
            shown=Shown("DnsOptions"),
        ),
    ]
    dns_search: Annotated[
        Texts,
        Flag(
            help="Set a DNS search domain",
            kind="list",
            reads="resolver words",
            shown=Shown("DnsSearch"),
        ),
    ]
    domainname: Annotated[Text, Flag(help="NIS domain name of the container")]
    entrypoint: Annotated[
        Texts, Flag(help="Replace the image's entrypoint", reads="argument vector")
    ]
    expose: Annotated[
        Ports, Flag(help="Expose a port", kind="list", reads="ports to expose", by_client=True)
    ]
    gpus: Annotated[Number, Flag(help="GPUs to add (all, a number, device=0,1), by CDI")]
    group_add: Annotated[
        Texts,
        Flag(
            help="Add the process to another group",
            kind="list",
            reads="words",
            shown=Shown("GroupAdd", empty=None),
        ),
    ]
    here: Annotated[
        bool | Folder,
        Flag(help="Mount the current folder at /work and work in it as its owner", kind="bool"),
    ]
    hostname: Annotated[Text, Flag(help="Host name in the container", short="h")]
    init: Annotated[
        Switch,
        Flag(
            help="Run a small init that forwards signals and reaps processes",
            kind="bool",
            shown=Shown("Init", empty=None),
        ),
    ]
    ipc: Annotated[
        Text,
        Flag(
            help="IPC namespace: private, shareable, none, host, container:NAME",
            shown=Shown("IpcMode", "isolation", empty="private"),
        ),
    ]
    isolation: Annotated[Text, Flag(help="Isolation technology: default")]
    label: Annotated[Pairs, Flag(help="Set a label", kind="list", short="l", metavar="list")]
    label_file: Annotated[Texts, Flag(help="Read labels from a file", kind="list")]
    log_driver: Annotated[Text, Flag(help="Log driver: json-file or none")]
    log_opt: Annotated[
        Pairs, Flag(help="Log options (max-size=10m, max-file=3)", kind="list", reads="log options")
    ]
    memory_swappiness: Annotated[
        Number,
        Flag(
            help="Memory swappiness (0 to 100)",
            kind="int",
            reads="whole number",
            by_client=True,
        ),
    ]
    mount: Annotated[
        Texts,
        Flag(help="Attach a mount (type=bind,source=…,target=…)", kind="list", metavar="mount"),
    ]
    name: Annotated[Text, Flag(help="Name of the container")]
    oom_kill_disable: Annotated[
        Switch,
        Flag(
            help="Do not kill processes when memory is used up",
            kind="bool",
            shown=Shown("OomKillDisable", "resources"),
        ),
    ]
    oom_score_adj: Annotated[
        Number,
        Flag(
            help="OOM preference of the host (-1000 to 1000)",
            kind="int",
            reads="whole number",
            shown=Shown("OomScoreAdj", "resources"),
        ),
    ]
    pid: Annotated[
        Text,
        Flag(help="PID namespace: host or container:NAME", shown=Shown("PidMode", "isolation")),
    ]
    platform: Annotated[Text, PLATFORM]
    privileged: Annotated[
        Switch,
        Flag(
            help="Give the container all capabilities and devices",
            kind="bool",
            shown=Shown("Privileged", "isolation"),
        ),
    ]
    publish: Annotated[
        Ports,
        Flag(
            help="Publish a port ([ip:]host:container)",
            kind="list",
            short="p",
            reads="ports",
            by_client=True,
        ),
    ]
    publish_all: Annotated[
        Switch,
        Flag(
            help="Publish all exposed ports", kind="bool", short="P", shown=Shown("PublishAllPorts")
        ),
    ]
    pull: Annotated[
        Text,
        Flag(
            help="Pull the image first: always, missing, never",
            values=("always", "missing", "never"),
        ),
    ]
    read_only: Annotated[
        Switch,
        Flag(
            help="Mount the root file system read-only", kind="bool", shown=Shown("ReadonlyRootfs")
        ),
    ]
    rm: Annotated[
        Switch,
        Flag(help="Remove the container when it exits", kind="bool", shown=Shown("AutoRemove")),
    ]
    runtime: Annotated[Text, Flag(help="OCI runtime")]
    security_opt: Annotated[
        Texts,
        Flag(
            help="Security options",
            kind="list",
            reads="security options",
            shown=Shown("SecurityOpt", "isolation", empty=None),
        ),
    ]
    shm_size: Annotated[
        Number,
        Flag(
            help="Size of /dev/shm",
            metavar="bytes",
            reads="size",
            by_client=True,
            shown=Shown("ShmSize"),
        ),
    ]
    stop_signal: Annotated[
        Text, Flag(help="Signal that stops the container", values=_SIGNALS, reads="signal")
    ]
    stop_timeout: Annotated[Number, Flag(help="Seconds from stop to kill", kind="int")]
    storage_opt: Annotated[
        Pairs,
        Flag(
            help="Storage options (size=10g)",
            kind="list",
            reads="pairs",
            shown=Shown("StorageOpt", empty=None),
        ),
    ]
    sysctl: Annotated[
        Pairs,
        Flag(
            help="Kernel settings of the container's own namespaces",
            kind="list",
            reads="pairs",
            by_client=True,
            shown=Shown("Sysctls", "isolation", empty=None),
        ),
    ]
    tmpfs: Annotated[Texts, Flag(help="Mount a tmpfs", kind="list")]
    trust_host_ca: Annotated[
        Switch, Flag(help="Give the container the host's CA bundle", kind="bool")
    ]
    ulimit: Annotated[
        Texts,
        Flag(
            help="Resource limit (nofile=1024:2048)", kind="list", metavar="ulimit", reads="ulimits"
        ),
    ]
    userns: Annotated[
        Text, Flag(help="User namespace: host", shown=Shown("UsernsMode", "isolation"))
    ]
    uts: Annotated[Text, Flag(help="UTS namespace: host", shown=Shown("UTSMode", "isolation"))]
    volume: Annotated[
        Texts,
        Flag(
            help="Bind a folder or mount a volume (source:target[:ro])",
            kind="list",
            short="v",
            names="volume",
        ),
    ]
    volume_driver: Annotated[
        Text, Flag(help="Driver of volumes: local", shown=Shown("VolumeDriver"))
    ]
    volumes_from: Annotated[
        Texts,
        Flag(
            help="Mount another container's volumes (NAME[:ro])",
            kind="list",
            names="container",
            reads="volumes from",
            shown=Shown("VolumesFrom", empty=None),
        ),
    ]

    # Keywords of Python only.
    labels: Pairs
    mounts: Mounts
    net: Networks


class RunFlags(CreateFlags, total=False):
    """Options of ``run``."""

    detach: Annotated[Switch, Flag(help="Run in the background", kind="bool", short="d")]
