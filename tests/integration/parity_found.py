"""Command lines in which a comparison of 2,300 lines with Docker found a difference."""

from __future__ import annotations

import shlex

from tests.integration.parity_lines import BOX

_RUN = "run --rm --network none"
_CREATE = "create --network none"

# Relative to the repository's root, where tests run.
_MARKED = "tests/integration/data/byte_order_mark.env"
# The list of writable mounts.  Docker's order is a map's, so each container has one mount.
_WRITABLE = "inspect -f '{{range .Mounts}}{{.Destination}} {{.RW}}{{end}}'"

FOUND: dict[str, list[str]] = {
    "volumes of a container that cannot write": [
        f"{_CREATE} --name readonly -v parity-given:/data:ro {BOX} true",
        f"{_CREATE} --name writable -v parity-given:/data {BOX} true",
        f"{_CREATE} --name one --volumes-from readonly {BOX} true",
        f"{_CREATE} --name two --volumes-from readonly:rw {BOX} true",
        f"{_CREATE} --name three --volumes-from writable:ro {BOX} true",
        f"{_CREATE} --name four --volumes-from writable:rw {BOX} true",
        *(f"{_WRITABLE} {name}" for name in ("one", "two", "three", "four")),
        f"{_RUN} --volumes-from readonly:rw {BOX} sh -c 'touch /data/x 2>/dev/null; echo $?'",
        "rm one two three four readonly writable",
        "volume rm parity-given",
    ],
    "names below library": [
        f"tag {BOX} docker.io/library/foo/bar:parity",
        "images --format '{{.Repository}}:{{.Tag}}' --filter reference=foo/bar",
        f"tag {BOX} docker.io/foo/bar:parity",
        "images --format '{{.Repository}}:{{.Tag}}' --filter reference=foo/bar",
        "images --format '{{.Repository}}:{{.Tag}}' --filter reference=library/foo/bar",
        "rmi foo/bar:parity",
        "rmi foo/bar:parity",
        "rmi library/foo/bar:parity",
    ],
    "a file of variables with a byte order mark": [
        f"{_RUN} --env-file {_MARKED} {BOX} sh -c 'echo $A $B; env | grep -c A=1'",
        f"{_CREATE} --name marked --label-file {_MARKED} {BOX} true",
        "inspect -f '{{json .Config.Labels}}' marked",
        "rm marked",
    ],
    "working directories": [
        *(
            line
            for path in ("/tmp/", "/tmp//", "/a/../b/", "//", "/tmp/.")
            for line in (
                f"{_CREATE} --name folder -w {path} {BOX} pwd",
                "inspect -f '{{.Config.WorkingDir}}' folder",
                "start -a folder",
                "rm folder",
            )
        ),
        f"{_CREATE} --name slashed {BOX} pwd",
        "commit -c 'WORKDIR /tmp/' slashed parity/slashed:1",
        "inspect -f '{{.Config.WorkingDir}}' parity/slashed:1",
        f"{_CREATE} --name folder parity/slashed:1 pwd",
        "inspect -f '{{.Config.WorkingDir}}' folder",
        "start -a folder",
        "rm folder slashed",
        "rmi parity/slashed:1",
    ],
    "a start that fails": [
        f"run -d --network none --name start {BOX} sleep 600",
        "pause start",
        "start start",
        "unpause start",
        "start start",
        "rm -f start",
        f"{_CREATE} --name start {BOX} nosuchprogram",
        "start start",
        "start -a start",
        "inspect -f '{{.State.Status}} {{.State.ExitCode}}' start",
        "rm start",
        f"{_CREATE} --name start {BOX} /etc",
        "start start",
        "rm start",
    ],
    "values that create cannot use": [
        f"{_CREATE} {flags} {BOX} true"
        for flags in (
            "-m 12q",
            "--cpus many",
            "--cpus 1000",
            "--memory-swappiness 200",
            "--shm-size nothing",
            "--env-file /no/such/file",
            "--label-file /no/such/file",
            "--pid nosuch",
            "--cgroupns nosuch",
            "--userns nosuch",
            "--rm --restart always",
            "-p 99999",
            "-p a:b:c:d",
            "--expose x",
            "--sysctl nosuch",
            "--health-interval x",
            "--health-retries -1",
            "--gpus x",
            "-e =x",
            "-a nosuch",
            "--device-cgroup-rule nosuch",
            "--device-read-bps nosuch",
            "--restart sometimes",
            "--stop-signal NOSUCH",
            "--cap-add NOSUCH",
            "-w relative",
            "--volumes-from nosuch",
            "-v relative/x:/y",
            "-v /a:/b:nosuch",
            "--nosuch",
        )
    ],
    "ports in the long form": [
        *(
            line
            for ports in (
                "published=8089,target=80,protocol=udp",
                "target=80",
                "target=80,published=8089-8090",
                "published=8089,target=80,mode=host",
                "published=8089-8090,target=80-81",
            )
            for line in (
                f"create --name ports -p {ports} {BOX} true",
                "inspect -f '{{json .HostConfig.PortBindings}} {{json .Config.ExposedPorts}}' "
                "ports",
                "rm ports",
            )
        ),
        f"create -p published=8089 {BOX} true",
        f"create -p target {BOX} true",
        f"create -p published=8089,target {BOX} true",
    ],
    "mounts without a target": [
        f"{_CREATE} --mount {mount} {BOX} true"
        for mount in ("type=tmpfs", "type=bind,source=/tmp", "source=parity-none", "type=volume")
    ],
    "containers by their images": [
        f"{_CREATE} --name first {BOX} true",
        "commit -c 'ENV A=1' first parity/child:1",
        "commit -c 'ENV A=2' first parity/sibling:1",
        f"{_CREATE} --name second parity/child:1 true",
        f"ps -a --filter ancestor={BOX} --format '{{{{.Names}}}}'",
        "ps -a --filter ancestor=parity/child:1 --format '{{.Names}}'",
        "ps -a --filter ancestor=parity/sibling:1 --format '{{.Names}}'",
        "ps -a --filter ancestor=nosuch --format '{{.Names}}'",
        f"tag {BOX} parity/alias:1",
        f"{_CREATE} --name third parity/alias:1 true",
        "ps -a --filter name=third --format '{{.Image}}'",
        "rmi parity/alias:1",
        "ps -a --filter name=third --format '{{len .Image}}'",
        "tag parity/child:1 parity/alias:1",
        "ps -a --filter name=third --format '{{len .Image}}'",
        "ps -a --no-trunc --filter name=third --format '{{len .Image}}'",
        "inspect -f '{{.Config.Image}}' third",
        "rm first second third",
        "rmi parity/child:1 parity/sibling:1 parity/alias:1",
    ],
    "templates": [
        f"{_CREATE} --name shown {BOX} sh -c 'a <b>'",
        *(
            f"inspect -f {shlex.quote(template)} shown"
            for template in (
                "{{range.Mounts}}x{{else}}none{{end}}",
                "{{if.State.Running}}a{{else if.State.Dead}}b{{else}}c{{end}}",
                "{{with.State}}{{.Status}}{{end}}",
                "{{.Config.Labels.nosuch}} {{json .Config.Labels.nosuch}}",
                "{{if .Config.Labels.nosuch}}a{{else}}b{{end}}",
                "{{.HostConfig.LogConfig.Config}}",
                "{{range $i, $a := .Args}}{{if eq $i 1}}{{break}}{{end}}{{$a}} {{end}}",
                "{{range $i, $a := .Args}}{{if eq $i 0}}{{continue}}{{end}}{{$a}} {{end}}",
                '{{define "x"}}[{{.}}]{{end}}{{template "x" .Path}}',
                '{{block "x" .Path}}[{{.}}]{{end}}{{template "x" 3}}',
                '{{html "<a&\\"\'>"}} {{js "a\'b<"}} {{urlquery "a b&c/ü"}}',
                "{{index .Args 1 | html}} {{index .Args 1 | js}} {{index .Args 1 | urlquery}}",
                "{{json .HostConfig.Binds}} {{len .HostConfig.Binds}}"
                "{{range .HostConfig.Binds}}a{{else}}b{{end}}",
                '{{printf "%v %v" .HostConfig.Binds .Config.Labels}}',
                "{{.HostConfig.CapAdd}} {{.Config.Entrypoint}} {{.Config.Volumes}} {{.ExecIDs}} "
                "{{.HostConfig.MemorySwappiness}} {{.HostConfig.PidsLimit}}",
            )
        ),
        "rm shown",
    ],
    "mounts that are inspected": [
        line
        for mount in (
            "-v /usr:/x:rslave,ro",
            "-v /usr:/x:ro",
            "-v /usr:/x",
            "-v /anonymous",
            "--mount type=bind,source=/usr,target=/x,bind-propagation=rshared",
            "--mount type=bind,source=/usr,target=/x,readonly",
            "--mount type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700",
            "--mount type=tmpfs,target=/t",
            "--tmpfs /t:size=1m,mode=700,noexec",
            "--tmpfs /t:rw,size=64k",
            "--tmpfs /t",
        )
        for line in (
            f"{_CREATE} --name mounted {mount} {BOX} true",
            "inspect -f '{{json .HostConfig.Binds}} {{json .HostConfig.Tmpfs}}' mounted",
            "inspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}} {{.Propagation}}"
            "{{end}}.' mounted",
            *(
                ["inspect -f '{{json .HostConfig.Mounts}}' mounted"]
                if mount.startswith("--mount")
                else []
            ),
            "rm -v mounted",
        )
    ],
    "commit of nothing": [
        f"{_CREATE} --name idle {BOX} true",
        "commit -c 'ENV ZED=image' idle parity/idle:1",
        "inspect -f '{{len .RootFS.Layers}}' parity/idle:1",
        "history --format '{{.CreatedBy}} {{.Size}}' parity/idle:1",
        "start -a idle",
        "commit idle parity/idle:2",
        "inspect -f '{{len .RootFS.Layers}}' parity/idle:2",
        "rmi parity/idle:1 parity/idle:2",
        "rm idle",
    ],
    "variables that are removed": [
        f"{_CREATE} --name template {BOX} sleep 600",
        "commit -c 'ENV ZED=image' -c 'ENV YES=1' template parity/env:1",
        f"{_RUN} -e ZED parity/env:1 sh -c 'echo ${{ZED-unset}} $YES'",
        f"{_RUN} -e ZED=1 -e ZED parity/env:1 sh -c 'echo ${{ZED-unset}} $YES'",
        f"{_RUN} -e ZED -e ZED=2 parity/env:1 sh -c 'echo ${{ZED-unset}} $YES'",
        f"{_RUN} -e HOSTNAME -e NOPE parity/env:1 sh -c 'env | grep -c HOSTNAME'",
        f"{_CREATE} --name less -e ZED -e NOPE parity/env:1 sleep 600",
        "inspect -f '{{json .Config.Env}}' less",
        "start less",
        "exec less sh -c 'echo ${ZED-unset} $YES'",
        "exec -e YES -e ZED less sh -c 'echo ${ZED-unset} ${YES-unset}'",
        "exec -e YES=3 -e YES less sh -c 'echo ${ZED-unset} ${YES-unset}'",
        "rm -f less template",
        "rmi parity/env:1",
    ],
    "name files": [
        f'{_RUN} {flags} {BOX} sh -c \'echo "# x" >> /etc/{name}; echo $?; '
        f'grep " /etc/{name} " /proc/mounts | cut -d" " -f4 | cut -d, -f1\''
        for flags in ("", "--read-only", "--read-only --add-host there:10.0.0.1")
        for name in ("hosts", "hostname", "resolv.conf")
    ],
}
