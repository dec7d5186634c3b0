"""Compose files for which `config` is compared with Docker Compose; see regenerate_compose.py.

A case has files, and arguments beside them.  ``FIELDS`` are fragments of one service in a small file.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    files: dict[str, str]
    given: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    whole: bool = False  # its YAML and hashes are compared too


FRAME = """\
services:
  a:
    image: img
    {}
  b: {{image: img}}
  c: {{build: ., profiles: [debug]}}
volumes: {{v1: , v2: {{driver: local}}}}
networks: {{n1: , n2: {{internal: true}}}}
secrets: {{s: {{file: x}}, t: {{environment: HOME}}}}
configs: {{c1: {{file: ./c}}, c2: {{content: "a\\nb"}}}}
"""

FIELDS = r"""
command: null
command: echo hello
command: echo "hi there" 'and $$HOME' it\'s
command: [echo, "a b", $$X]
command: ""
command: []
command: "a ' b"
command: 'a "b c" \\d #e'
command: "sh -c 'while :; do sleep 1; done'"
command: [a, 1]
command: 5
command: "a\nb"
command: >- folded
entrypoint: ""
entrypoint: [/bin/sh, -c]
entrypoint: /bin/sh -c "x y"
environment: {1: a}
environment: {A: 1, B: true, C: , D: 1.5, E: "x", F: "", G: 1e3, H: 0x1F, I: 0o17, J: 017, K: 1.10, L: 1_000, M: .5, N: 1e30, O: ~, P: .inf, Q: 12345678901234567890, R: 1.0}
environment: [A=1, B=, C, D=a=b, E="q"]
environment: [A=1, A=2]
environment: {A: [1]}
environment: {A: 2001-01-01}
environment: {HOME: , ZZ: }
environment: [HOME, ZZ]
environment: [" A=b", "C = d"]
environment: text
environment: {B: 1, A: 2, a: 3}
env_file: nope
env_file: one.env
env_file: [one.env, two.env]
env_file: [{path: no.env, required: false}, one.env]
env_file: {path: one.env}
env_file: [{path: one.env, format: raw}]
env_file: [{required: true}]
image: 5
image: ${A
image: ${A:?err}
image: ${A?}
image: ${}
image: $
image: !foo bar
image: *c
image: ${HOME:-{x}}
privileged: "yes"
privileged: true
privileged: "maybe"
privileged: 1
read_only: "true"
tty: ON
tty: on
stdin_open: true
init: true
init: false
init: maybe
attach: false
oom_kill_disable: true
use_api_socket: true
mem_limit: "x"
mem_limit: 1.5g
mem_limit: 100
mem_limit: 1kb
mem_limit: 1GiB
mem_limit: 0.5
mem_limit: -1
mem_limit: 50MB
mem_limit: ""
mem_reservation: 20m
memswap_limit: -1
mem_swappiness: 10
mem_swappiness: "60"
shm_size: 64M
shm_size: 0x10
shm_size: "1gb"
cpus: "a"
cpus: 0.1
cpus: "1.5"
cpus: 1_000
cpus: 2
cpu_percent: 50.5
cpu_percent: 50
cpu_percent: 101
cpu_count: 2
cpu_count: -1
cpu_shares: 512
cpu_quota: 50000
cpu_period: "100000"
cpu_rt_period: 1000
cpuset: 0,1
cpuset: 0
stop_grace_period: 5
stop_grace_period: 1m30s
stop_grace_period: "10"
stop_grace_period: 0s
stop_grace_period: 1.5h
stop_signal: SIGINT
foo: 1
imge: x
x-foo: {a: 1}
x-foo: [1, 2.50, 2001-01-01, null]
ports: ["x"]
ports: ["70000"]
ports: [1, 1]
ports: [22:22]
ports: ["80-81:90-91"]
ports: ["80-81:90"]
ports: ["80-82:90-91"]
ports: ["90-91"]
ports: ["::1:80:80"]
ports: ["[::1]:80:80"]
ports: [":80:80"]
ports: ["1.2.3.4::80"]
ports: ["127.0.0.1:80-81:80-81/udp"]
ports: ["80:80/foo"]
ports: ["80:80/UDP"]
ports: ["10-9:1-2"]
ports: ["99-101"]
ports: ["a:1:1"]
ports: ["80:"]
ports: [""]
ports: ["/tcp"]
ports: [{target: 80}]
ports: [{target: "80", published: 8000-8010}]
ports: [{target: 80, published: 8080, protocol: udp, mode: host, host_ip: 127.0.0.1, name: web, app_protocol: http}]
ports: [{published: 80}]
ports: [{target: 80, x-a: 1}]
ports: [{target: 80, foo: 1}]
ports: [1.5]
ports: ["0:80"]
ports: ["80", 80]
ports: ["80:80", "80:80/tcp"]
ports: ["80:80", "81:80", "80:80/udp"]
ports: 80
ports: 
ports: []
expose: [x]
expose: ["80/tcp", 90, 90-95]
expose: [1, 1]
volumes: ["v1:/a"]
volumes: ["v1:/a:ro,nocopy,z"]
volumes: ["./a:/a:cached"]
volumes: ["/a:/b:foo"]
volumes: ["/a:/b:rw,rshared,Z"]
volumes: ["a"]
volumes: ["/anon"]
volumes: ["v:/x"]
volumes: ["a:b:c:d"]
volumes: ["aa:bb:cc:dd"]
volumes: ['C:\x:/y']
volumes: [""]
volumes: ["a::b"]
volumes: ["nodef:/x"]
volumes: ["v1:/a", "v2:/a"]
volumes: [{type: volume, source: v1, target: /a}, "v2:/a/"]
volumes: [{type: bind, source: ../q, target: /a/}]
volumes: [{type: bind, source: ./q, target: /a, bind: {create_host_path: false}}]
volumes: [{type: bind, source: ./q, target: /a, bind: {create_host_path: true, propagation: rslave}}]
volumes: [{type: bind, source: ./q, target: /a, bind: {}}]
volumes: [{type: bind, target: /a}]
volumes: [{type: volume, source: v1}]
volumes: [{type: tmpfs, target: /a, tmpfs: {size: 10m, mode: 0755}}]
volumes: [{type: tmpfs, target: /a, tmpfs: {size: 10}}]
volumes: [{type: image, source: x, target: /i, image: {subpath: a}}]
volumes: [{type: volume, source: v1, target: /v, volume: {nocopy: true, subpath: q, labels: {a: b}}}]
volumes: [{type: foo, target: /a}]
volumes: [{source: v1, target: /a}]
volumes: [{type: volume, target: /a}]
volumes: ["~/x:/a", "~:/b"]
volumes: ["/:/a", "..:/b", ".:/c"]
volumes: ["./a:/a", "./a:/a"]
volumes: {a: b}
volumes_from: [b]
volumes_from: [b:ro, "container:x"]
tmpfs: /t
tmpfs: ["/a:mode=755,uid=1", /b]
tmpfs: [/a:size=1, /a]
networks: [n]
networks: [n1, n2]
networks: {n1: , n2: {aliases: [x, y], priority: 3, ipv4_address: 10.0.0.2}}
networks: {n1: {driver_opts: {a: 1}, gw_priority: 1, interface_name: e, link_local_ips: [1.1.1.1], mac_address: x}}
networks: {n1: {foo: 1}}
networks: [default, n1]
networks: n1
networks: []
network_mode: host
network_mode: none
network_mode: service:b
network_mode: "container:x"
network_mode: service:zz
depends_on: [z]
depends_on: [a]
depends_on: [b, b]
depends_on: [b]
depends_on: {b: {condition: service_started}}
depends_on: {b: {condition: service_healthy, restart: true, required: false}}
depends_on: {b: {}}
depends_on: {b: {condition: foo}}
depends_on: {zz: {condition: service_started, required: false}}
depends_on: [c]
depends_on: b
links: [b]
links: ["b:c"]
links: [a]
external_links: [x, "y:z"]
restart: maybe
restart: no
restart: "no"
restart: on-failure:3
restart: true
pull_policy: foo
pull_policy: if_not_present
pull_policy: every_12h
pull_policy: build
ulimits: {nofile: {soft: 1}}
ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}
ulimits: {nofile: 0}
ulimits: {nofile: {soft: 0, hard: 0}}
ulimits: {nofile: "12"}
ulimits: {NOFILE: 3}
ulimits: {nofile: x}
healthcheck: {interval: 5}
healthcheck: {test: [NONE]}
healthcheck: {test: [a]}
healthcheck: {test: curl -f http://localhost || exit 1, interval: 1m30s, timeout: 10s, retries: 3, start_period: 40s}
healthcheck: {test: [CMD, curl, -f, x], start_interval: 5s}
healthcheck: {interval: 0s}
healthcheck: {interval: 1h2m3.5s, timeout: 100ms, start_period: 1d, start_interval: 1us}
healthcheck: {retries: "3"}
healthcheck: {disable: true}
healthcheck: {disable: "false"}
healthcheck: {test: []}
healthcheck: {}
healthcheck: {intervall: 5s}
deploy: {replicas: 0o7}
deploy: {replicas: 3}
deploy: {replicas: "2"}
deploy: 
deploy: {}
deploy: {mode: global, endpoint_mode: vip, labels: [a=b]}
deploy: {resources: {limits: {cpus: "0.50", memory: 50M, pids: 1}, reservations: {cpus: 0.25, memory: 20M}}}
deploy: {resources: {reservations: {devices: [{capabilities: [gpu], count: 1}]}}}
deploy: {resources: {reservations: {devices: [{capabilities: [gpu], device_ids: ["0"], driver: nvidia, options: {a: b}}]}}}
deploy: {resources: {reservations: {devices: [{driver: nvidia}]}}}
deploy: {resources: {reservations: {generic_resources: [{discrete_resource_spec: {kind: gpu, value: 2}}]}}}
deploy: {resources: {limits: {memory: 50}}}
deploy: {restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 2m}}
deploy: {placement: {constraints: [a==b], preferences: [{spread: x}], max_replicas_per_node: 2}}
deploy: {update_config: {parallelism: 2, delay: 10s, order: stop-first, failure_action: pause, monitor: 60s, max_failure_ratio: 0.3}, rollback_config: {parallelism: 0}}
deploy: {update_config: {order: foo}}
deploy: {foo: 1}
scale: 0
scale: -1
scale: 3
scale: "2"
profiles: [p]
profiles: []
profiles: p
extra_hosts: {a: [1.1.1.1, 2.2.2.2]}
extra_hosts: {b: 1.1.1.1, a: "::1"}
extra_hosts: ["a:1.1.1.1", "b=2.2.2.2", "a:3.3.3.3"]
extra_hosts: ["a 1"]
extra_hosts: ["a=[::1]", "b:::1"]
extra_hosts: ["host.docker.internal:host-gateway"]
labels: {a: null, b: 1.0, c: 1e3}
labels: [a=b, c, d=e=f]
labels: {"$HOME": "$HOME", x: $$y}
labels: {}
labels: []
annotations: [a=b]
dns: 8.8.8.8
dns: [1.1.1.1, 1.1.1.1]
dns: [1.1.1.1, 8.8.8.8]
dns_opt: [a]
dns_search: a
dns_search: [a, b]
cap_add: [A, A]
cap_add: [NET_ADMIN]
cap_drop: [ALL]
security_opt: [no-new-privileges:true]
devices: [/dev/a, "/dev/b:/dev/c", "/dev/d:/dev/e:r"]
devices: [{source: /dev/b, target: /dev/c, permissions: r}]
devices: ["a:b:c:d"]
devices: [{target: /dev/c}]
device_cgroup_rules: ["c 1:3 mr"]
group_add: [1, a]
gpus: all
gpus: some
gpus: [{driver: x}]
gpus: [{count: 2, capabilities: [gpu]}]
sysctls: [net.core.somaxconn=1]
sysctls: {net.core.somaxconn: 1024}
storage_opt: {size: 1}
logging: {options: {a: 1, b: , c: 1.5}}
logging: {driver: json-file, options: {max-size: 10m, max-file: "3"}}
logging: {driver: none}
logging: json-file
user: "1000:1000"
user: 1000
user: root
userns_mode: host
uts: host
ipc: host
ipc: "service:b"
pid: host
pid: "service:b"
pid: null
cgroup: foo
cgroup: private
cgroup_parent: x
hostname: yes
hostname: ""
hostname: 2001-01-01
hostname: "2001-01-01"
domainname: x.y
container_name: a b
container_name: web_1
container_name: "-"
working_dir: /x
platform: linux/amd64
runtime: runc
isolation: x
mac_address: "02:42:ac:11:00:02"
mac_address: zz
oom_score_adj: 2000
oom_score_adj: -500
pids_limit: 100
pids_limit: -1
secrets: [q]
secrets: [s]
secrets: [{source: s, target: x, uid: "1", gid: "2", mode: 0440}]
secrets: [{source: s, mode: "0400"}]
secrets: [{source: s, mode: 256}]
secrets: [s, t]
secrets: [s, s]
secrets: [{target: x}]
configs: [c1, c2]
configs: [{source: c1, target: /c, mode: 0444}]
configs: [zz]
credential_spec: {file: x}
provider: {type: x, options: {a: b, c: [1, 2]}}
provider: {options: {}}
blkio_config: {weight: 300, weight_device: [{path: /dev/a, weight: 3}], device_read_bps: [{path: /dev/sdb, rate: 12mb}], device_write_iops: [{path: /dev/sdb, rate: 30}]}
blkio_config: {weight: "12"}
blkio_config: {foo: 1}
develop: {watch: [{path: ., action: sync+exec, target: /x, exec: {command: "a b"}, ignore: x, include: [y]}]}
develop: {watch: [{path: ./a, action: rebuild}]}
develop: {watch: [{path: ./a, action: sync}]}
develop: {watch: [{path: ./a, action: foo, target: /a}]}
develop: {watch: [{path: [a, b], action: sync, target: /}]}
develop: {watch: [{path: ./a}]}
develop: {}
post_start: [{command: echo hi, user: root}]
post_start: [{user: root}]
pre_stop: [{command: [a], environment: [A=b], privileged: true, working_dir: /}]
label_file: l
label_file: one.env
build: {}
build: .
build: ./dir
build: https://github.com/a/b.git#main:dir
build: git@github.com:a/b.git
build: {context: ., args: [A, B=1, HOME], target: t}
build: {context: ., args: {A: , B: 1, C: true}}
build: {context: .., dockerfile: D}
build: {context: ., dockerfile: D, dockerfile_inline: FROM x}
build: {context: ., dockerfile_inline: "FROM x\nRUN y"}
build: {context: ., cache_from: [x], cache_to: [y], no_cache: true, pull: "true", labels: [a], platforms: [x], tags: [x, x], network: host, shm_size: 1g, isolation: x, privileged: true, entitlements: [x]}
build: {context: ., additional_contexts: {a: ../b, s: "service:c", d: "docker-image://x"}}
build: {context: ., additional_contexts: [a=../b, b=https://x/y]}
build: {context: ., additional_contexts: {s: "service:b"}}
build: {context: ., secrets: [s, {source: t, target: q}]}
build: {context: ., secrets: [zz]}
build: {context: ., ssh: [default]}
build: {context: ., ssh: default}
build: {context: ., extra_hosts: ["a:1.1.1.1"], ulimits: {nofile: 1}}
build: {context: ., provenance: true, sbom: "false"}
build: {contxt: .}
build: {context: ~/x}
build: {context: a, x-bake: {y: 1}}
build: 5
build: 
extends: zz
extends: b
extends: {service: b}
extends: a
extends: {file: none.yaml, service: b}
extends: {fil: x}
models: [m]
cpus: 1, deploy: 2
pids_limit: 5, x
"""

ENV_FILES = {
    "one.env": "ONE=1\nQ='single $HOME'\nD=\"double $HOME\\n\"\n# c\nexport E=e # comment\nHOME\nX: y\n",
    "two.env": "ONE=2\nTWO=${ONE}\nTHREE=${NONE:-3}\n",
}


def _fields() -> dict[str, Case]:
    found = {}
    for number, line in enumerate(FIELDS.strip("\n").split("\n")):
        frame = FRAME if not line.startswith("image") else FRAME.replace("    image: img\n", "", 1)
        files = {"compose.yaml": frame.format(line), **ENV_FILES}
        found[f"field-{number:03}-{line.split(':')[0]}"] = Case(files)
    return found


def _two(name: str, base: str, over: str) -> tuple[str, Case]:
    files = {"a.yaml": _service(base), "b.yaml": _service(over), **ENV_FILES}
    return f"merge-{name}", Case(files, ("a.yaml", "b.yaml"))


def _service(text: str) -> str:
    if text.startswith("TOP"):
        return textwrap.dedent(text[3:])
    return f"services:\n  a:\n    image: img\n    {text}\n  b: {{image: img}}\n"


MERGES = """
command: a b | command: c
command: [a] | command: !reset null
command: [a] | command: null
entrypoint: a | entrypoint: []
environment: {A: 1, B: 2} | environment: [B=3, C=4]
environment: [A=1, B] | environment: {B: 3, C: }
environment: {A: 1, B: 2} | environment: {A: !reset null}
environment: {A: 1, B: 2} | environment: !override {C: 3}
environment: {A: 1, B: 2} | environment: !reset null
environment: {A: 1} | environment: !reset []
env_file: one.env | env_file: two.env
env_file: [one.env] | env_file: [two.env, one.env]
labels: {a: 1, b: 2} | labels: [b=3, c]
ports: ["80:80"] | ports: ["81:80"]
ports: ["80:80"] | ports: ["80:80"]
ports: ["80:80", "1:1"] | ports: !override ["81:80"]
ports: ["80:80"] | ports: !reset []
ports: ["80:80"] | ports: [{target: 80, published: "80", app_protocol: http}]
ports: ["8000-8002:80-82"] | ports: ["8001:81"]
expose: [1, 2] | expose: ["2", 3]
volumes: ["./a:/a"] | volumes: ["./b:/a"]
volumes: ["./a:/a"] | volumes: [{type: tmpfs, target: /a}]
volumes: ["./a:/a", "/anon"] | volumes: ["./c:/c"]
tmpfs: /a | tmpfs: [/b]
tmpfs: [/a:size=1] | tmpfs: [/a]
dns: 1.1.1.1 | dns: [2.2.2.2]
dns_search: [a] | dns_search: b
cap_add: [A, B] | cap_add: [B, C]
security_opt: [a] | security_opt: [a]
devices: ["/dev/a:/dev/x"] | devices: ["/dev/b:/dev/x", "/dev/c"]
depends_on: [b] | depends_on: {b: {condition: service_healthy}}
depends_on: {b: {condition: service_healthy}} | depends_on: [b]
networks: [default] | networks: {default: {aliases: [x]}}
networks: {default: {aliases: [x]}} | networks: {default: {aliases: [y, x]}}
logging: {driver: x, options: {a: b}} | logging: {options: {c: d}}
logging: {driver: x, options: {a: b}} | logging: {driver: y, options: {c: d}}
logging: {driver: x, options: {a: b}} | logging: {driver: x, options: {a: c}}
ulimits: {nofile: 1} | ulimits: {nofile: {soft: 2, hard: 3}}
ulimits: {nofile: {soft: 2, hard: 3}} | ulimits: {nofile: 1, nproc: 2}
ulimits: {nofile: {soft: 2, hard: 3}} | ulimits: {nofile: {soft: 1, hard: 3}}
healthcheck: {test: a, retries: 3} | healthcheck: {test: [CMD, b], interval: 1s}
healthcheck: {test: a} | healthcheck: {disable: true}
deploy: {replicas: 2, labels: {a: 1}} | deploy: {replicas: 3, labels: [b=2]}
deploy: {resources: {limits: {cpus: "1"}}} | deploy: {resources: {limits: {memory: 1g}}}
deploy: {replicas: 2} | deploy: !reset {}
build: ./a | build: {target: x}
build: {context: a, args: [A=1]} | build: {args: {A: 2, B: 3}}
build: {context: a, args: {A: 1}} | build: ./b
build: {context: a, tags: [x]} | build: {tags: [x, y]}
extra_hosts: ["a:1.1.1.1"] | extra_hosts: {a: 1.1.1.1, b: 2.2.2.2}
extra_hosts: ["a:1.1.1.1"] | extra_hosts: ["a:1.1.1.1", "a:2.2.2.2"]
sysctls: {a: 1} | sysctls: [a=2, b=3]
annotations: {a: 1} | annotations: {b: 2}
profiles: [] | profiles: [x]
restart: always | restart: "no"
links: [b] | links: ["b:x", b]
group_add: [1] | group_add: [1, 2]
x-a: {b: 1} | x-a: {c: 2}
image: x1 | image: !reset null
hostname: x | hostname: !reset null
hostname: x | hostname: null
command: a | ports: 5
ports: ["1:1"] | ports: {a: b}
environment: [A] | environment: 5
configs: [c] | configs: [c]
read_only: true | read_only: false
stop_grace_period: 1s | stop_grace_period: 2s
blkio_config: {weight: 10} | blkio_config: {weight: 20}
post_start: [{command: a}] | post_start: [{command: b}]
gpus: all | gpus: [{count: 1}]
storage_opt: {size: 1} | storage_opt: {size: 2, x: y}
"""


def _merges() -> dict[str, Case]:
    lines = [line.split(" | ") for line in MERGES.strip("\n").split("\n")]
    found = dict(_two(f"{n:02}-{a.split(':')[0]}", a, b) for n, (a, b) in enumerate(lines))
    found["merge-new-service"] = Case(
        {"a.yaml": "services: {a: {image: x}}\n", "b.yaml": "services: {b: {image: y}}\n"},
        ("a.yaml", "b.yaml"),
    )
    found["merge-reset-service"] = Case(
        {
            "a.yaml": "services: {a: {image: x}, b: {image: y}}\n",
            "b.yaml": "services: {b: !reset null}\n",
        },
        ("a.yaml", "b.yaml"),
    )
    found["merge-ipam"] = Case(
        {
            "a.yaml": "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {ipam: {config: [{subnet: 1.0.0.0/8}]}, labels: {a: 1}}}\n",
            "b.yaml": "networks: {n: {ipam: {config: [{subnet: 1.0.0.0/8, gateway: 1.0.0.1}, {subnet: 2.0.0.0/8}]}, labels: [a=2]}}\n",
        },
        ("a.yaml", "b.yaml"),
    )
    found["merge-name"] = Case(
        {"a.yaml": "name: one\nservices: {a: {image: x}}\n", "b.yaml": "name: two\n"},
        ("a.yaml", "b.yaml"),
    )
    found["merge-three"] = Case(
        {
            "a.yaml": "services: {a: {image: x, environment: {A: 1, B: 1}}}\n",
            "b.yaml": "services: {a: {environment: {A: !reset null, C: 2}}}\n",
            "c.yaml": "services: {a: {environment: {A: 3}}}\n",
        },
        ("a.yaml", "b.yaml", "c.yaml"),
    )
    found["merge-override-file"] = Case(
        {
            "compose.yaml": "services: {a: {image: x}}\n",
            "compose.override.yaml": "services: {a: {command: y}}\n",
        }
    )
    found["merge-documents"] = Case(
        {
            "compose.yaml": "services: {a: {image: x}}\n---\nservices: {a: {command: y}, b: {image: z}}\n"
        }
    )
    found["merge-reset-path"] = Case(
        {
            "a.yaml": "services: {a: {image: x, deploy: {resources: {limits: {cpus: '1', memory: 1g}}}}}\n",
            "b.yaml": "services: {a: {deploy: {resources: {limits: {cpus: !reset null}}}}}\n",
        },
        ("a.yaml", "b.yaml"),
    )
    return found


TEMPLATES = r"""
$A
${A}
${A:-b}
${A-b}
${A:?e}
${A?e}
${A:+b}
${A+b}
$NONE
${NONE}
${NONE:-b}
${NONE-b}
${NONE:+b}
${NONE+b}x
${EMPTY:-b}
${EMPTY-b}x
${EMPTY:+b}x
${EMPTY+b}
${EMPTY:?e}
${EMPTY?e}x
${NONE:-${A}}
${NONE:-${NONE2:-c}}x
${NONE:-$A}
${NONE:-a}b}
$$A
$$$A
$${A}
$1
a$
$ a
${NONE:-$$x}
${NONE:-{x}}
${A:-{x}}
${A b}
${NONE:-a:b}
${NONE-}x
${A!x}
$_A-b
${NONE?}
${NONE:?}
${NONE:-{{json .}}}
${NONE:=x}
${NONE:-b$}
${NONE:-b}-${NONE:-d}
${NONE:-${A}
${NONE:?need $A}
${A:-${NONE:?x}}
${NONE:+${NONE:?x}}y
${a-b-c}
${A:-}
${NONE:-"q"}
${A}${A}
$A$A
${A:+${A:+${A}}}
x${NONE:- }y
${NONE:-http://x:80/?a=b}
${A.b}
${-A}
$-A
${A:}
${A:-b${EMPTY:-}c}
"""


def _templates() -> dict[str, Case]:
    environment = {"A": "va", "EMPTY": ""}
    found = {}
    for number, text in enumerate(TEMPLATES.strip("\n").split("\n")):
        quoted = text.replace("'", "''")
        files = {"compose.yaml": f"services:\n  a:\n    image: img\n    hostname: '{quoted}'\n"}
        found[f"template-{number:02}"] = Case(files, environment=environment)
    return found


DOTENV = r"""
X=plain
X="double"
X='single'
X="a\nb"
X='a\nb'
X=$A
X="$A"
X='$A'
X=${A:-b}
X=a # comment
X=a#nocomment
X="a # b" # c
export X=1
X: yaml
X =1
X= 1
 X=1
X
X=
X=""
Y=1\nX=${Y}2
X="multi\nline"
A=changed\nX=$A
X="un
X=a b c
X="q\"q"
X='it'
1X=2
X-Y=1
X=a\r
#X=1
X="$$A"
X=\$A
X="\$A"
"""


def _dotenv() -> dict[str, Case]:
    text = 'services:\n  a:\n    image: img\n    hostname: "[${X-unset}]"\n'
    found = {}
    for number, line in enumerate(DOTENV.strip("\n").split("\n")):
        content = line.replace("\\n", "\n") if number in (20, 21, 22) else line
        files = {"compose.yaml": text, ".env": content + "\n"}
        found[f"dotenv-{number:02}"] = Case(files, environment={"A": "va"})
    return found


def _whole() -> dict[str, Case]:
    from tests.unit.compose import applications

    return {f"whole-{name}": case for name, case in applications.cases().items()}


def cases() -> dict[str, Case]:
    return {**_fields(), **_merges(), **_templates(), **_dotenv(), **_whole()}
