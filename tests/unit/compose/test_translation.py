"""Every field of a service becomes an option of the engine, or is refused by name and line."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.compose import LoadOptions, Project, load
from jupyter_containers.compose.schema import SERVICE_FIELDS
from jupyter_containers.engine.applications.builds import build_flags
from jupyter_containers.engine.applications.changes import Trigger, changed, look, triggers_of
from jupyter_containers.engine.applications.images import ImageWish, build_order, way_of
from jupyter_containers.engine.applications.translation import (
    Surroundings,
    container_flags,
    network_flags,
)
from jupyter_containers.engine.applications.unsupported import check, ignored
from jupyter_containers.errors import ComposeFileError, InvalidArgumentError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.build import BuildOptions

# A field, and options of ``run`` that mean the same (words of the field's value in their text).
FIELDS: dict[str, tuple[str, dict[str, Any]]] = {
    "annotations": ("{a: b}", {"annotation": ["a=b"]}),
    "blkio_config": (
        "{weight: 100, device_read_bps: [{path: /dev/sda, rate: 1m}]}",
        {"blkio_weight": 100, "device_read_bps": ["/dev/sda:1m"]},
    ),
    "cap_add": ("[NET_ADMIN]", {"cap_add": ["NET_ADMIN"]}),
    "cap_drop": ("[CHOWN]", {"cap_drop": ["CHOWN"]}),
    "cgroup": ("host", {"cgroupns": "host"}),
    "cgroup_parent": ("/x", {"cgroup_parent": "/x"}),
    "cpu_period": ("10000", {"cpu_period": 10000}),
    "cpu_quota": ("20000", {"cpu_quota": 20000}),
    "cpu_shares": ("5", {"cpu_shares": 5}),
    "cpus": ("0.5", {"cpus": 0.5}),
    "cpuset": ("'0'", {"cpuset_cpus": "0"}),
    "deploy": (
        "{resources: {limits: {cpus: '0.5', memory: 20m, pids: 7}, reservations: {memory: 10m}},"
        " restart_policy: {condition: on-failure, max_attempts: 3}}",
        {
            "cpus": 0.5,
            "memory": "20m",
            "pids_limit": 7,
            "memory_reservation": "10m",
            "restart": "on-failure:3",
        },
    ),
    "device_cgroup_rules": ("['c 1:3 mr']", {"device_cgroup_rule": ["c 1:3 mr"]}),
    "devices": ("[/dev/null:/dev/x:r]", {"device": ["/dev/null:/dev/x:r"]}),
    "dns": ("10.0.0.1", {"dns": ["10.0.0.1"]}),
    "dns_opt": ("[use-vc]", {"dns_option": ["use-vc"]}),
    "dns_search": ("[x.y]", {"dns_search": ["x.y"]}),
    "domainname": ("d", {"domainname": "d"}),
    "entrypoint": ("[a, b]", {"entrypoint": ["a", "b"]}),
    "environment": ("{A: b}", {"env": ["A=b"]}),
    "expose": ("['80']", {"expose": ["80"]}),
    "extra_hosts": ("['h:10.0.0.1']", {"add_host": ["h:10.0.0.1"]}),
    "group_add": ("[g]", {"group_add": ["g"]}),
    "healthcheck": (
        "{test: [CMD, a, 'b c'], interval: 1m, retries: 2, start_period: 5s}",
        {
            "health_cmd": "a 'b c'",
            "health_interval": "1m",
            "health_retries": 2,
            "health_start_period": "5s",
        },
    ),
    "hostname": ("h", {"hostname": "h"}),
    "init": ("true", {"init": True}),
    "ipc": ("shareable", {"ipc": "shareable"}),
    "labels": ("{a: b}", {"labels": {"a": "b"}}),
    "logging": (
        "{driver: json-file, options: {max-size: 1m}}",
        {"log_driver": "json-file", "log_opt": ["max-size=1m"]},
    ),
    "mem_limit": ("20m", {"memory": "20m"}),
    "mem_reservation": ("20m", {"memory_reservation": "20m"}),
    "memswap_limit": ("-1", {"memory_swap": -1}),
    "mem_swappiness": ("10", {"memory_swappiness": 10}),
    "oom_kill_disable": ("true", {"oom_kill_disable": True}),
    "oom_score_adj": ("5", {"oom_score_adj": 5}),
    "pid": ("host", {"pid": "host"}),
    "pids_limit": ("5", {"pids_limit": 5}),
    "platform": ("linux/arm64", {"platform": "linux/arm64"}),
    "ports": (
        "['8000:80', '[::1]:81:81/udp', '82']",
        {"publish": ["8000:80", "[::1]:81:81/udp", "82"]},
    ),
    "privileged": ("true", {"privileged": True}),
    "read_only": ("true", {"read_only": True}),
    "restart": ("on-failure:2", {"restart": "on-failure:2"}),
    "runtime": ("runc", {"runtime": "runc"}),
    "security_opt": ("['no-new-privileges']", {"security_opt": ["no-new-privileges"]}),
    "shm_size": ("1m", {"shm_size": "1m"}),
    "stdin_open": ("true", {"interactive": True}),
    "stop_grace_period": ("90s", {"stop_timeout": 90}),
    "stop_signal": ("SIGHUP", {"stop_signal": "SIGHUP"}),
    "storage_opt": ("{size: 1g}", {"storage_opt": ["size=1g"]}),
    "sysctls": ("{net.core.somaxconn: 9}", {"sysctl": ["net.core.somaxconn=9"]}),
    "tmpfs": ("['/t:size=1m']", {"tmpfs": ["/t:size=1m"]}),
    "tty": ("true", {"tty": True}),
    "ulimits": (
        "{nofile: {soft: 1, hard: 2}, nproc: 3}",
        {"ulimit": ["nofile=1:2", "nproc=3:3"]},
    ),
    "user": ("u", {"user": "u"}),
    "userns_mode": ("host", {"userns": "host"}),
    "uts": ("host", {"uts": "host"}),
    "volumes": (
        "[data:/data:ro, /srv:/srv, /cache]",
        {"volume": ["p_data:/data:ro", "/srv:/srv:rw", "/cache"]},
    ),
    "working_dir": ("/w", {"workdir": "/w"}),
}
# Read elsewhere: by the planner, the builder, the loader, or as part of the fields above.
ELSEWHERE = {
    "attach", "build", "command", "configs", "container_name", "cpu_rt_period", "cpu_rt_runtime",
    "depends_on", "develop", "env_file", "extends", "external_links", "gpus", "image", "label_file",
    "links", "mac_address", "network_mode", "networks", "post_start", "pre_stop", "profiles",
    "pull_policy", "pull_refresh_after", "scale", "secrets", "volumes_from",
}  # fmt: skip
REFUSED = {
    "cpu_count": "3",
    "cpu_percent": "5",
    "credential_spec": "{file: x}",
    "isolation": "hyperv",
    "models": "[m]",
    "provider": "{type: x}",
    "use_api_socket": "true",
}


def project(service: str, more: str = "") -> Project:
    text = f"services:\n  web:\n    image: x\n    {service}\n{more}\n"
    options = LoadOptions(text=text, name="p", environment={}, folder="/srv")
    return load(options, check)


def test_every_field_of_a_service_is_honoured_or_refused() -> None:
    assert {*SERVICE_FIELDS} == {*FIELDS, *ELSEWHERE, *REFUSED}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_an_option(name: str) -> None:
    value, flags = FIELDS[name]
    extra = "volumes: {data: }" if name == "volumes" else ""
    more = "\n    mem_limit: 20m" if name == "memswap_limit" else ""
    of = project(f"{name}: {value}{more}", extra)
    around = Surroundings(name="p-web-1", labels=of.services["web"].get("labels", {}))
    given = container_flags(of, "web", around)
    if name == "memswap_limit":
        flags = {**flags, "memory": "20m"}
    made = RunOptions.of("x", **given)
    wanted = RunOptions.of("x", name="p-web-1", network=given["network"], **flags)
    for field in RunOptions.__struct_fields__:
        if field == "mounts":
            assert [_mount(one) for one in made.mounts] == [_mount(one) for one in wanted.mounts]
        else:
            assert getattr(made, field) == getattr(wanted, field) or field == "labels", field


def _mount(request: Any) -> tuple[Any, ...]:
    return request.type, request.source, request.target, request.read_only, request.size


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_here_is_refused_by_name_and_line(name: str) -> None:
    models = "models: {m: {model: x}}" if name == "models" else ""
    with pytest.raises(ComposeFileError, match=rf":4: services.web.{name} is not supported here"):
        project(f"{name}: {REFUSED[name]}", models)


@pytest.mark.parametrize(
    ("service", "more"),
    [
        ("volumes: [{type: npipe, source: a, target: /a}]", ""),
        ("volumes: [{type: image, source: a, target: /a}]", ""),
        ("networks: {n: {interface_name: x}}", "networks: {n: }"),
        ("secrets: [s]", "secrets: {s: {external: true}}"),
        ("deploy: {resources: {reservations: {devices: [{capabilities: [tpu]}]}}}", ""),
    ],
)
def test_parts_of_fields_are_refused(service: str, more: str) -> None:
    with pytest.raises(ComposeFileError, match="is not supported here"):
        project(service, more)


def test_what_only_a_swarm_has_is_told() -> None:
    [text] = ignored(project("deploy: {placement: {constraints: [a==b]}, endpoint_mode: vip}"))
    assert text.startswith("services.web: deploy.placement, deploy.endpoint_mode: only a swarm")


def test_networks_are_joined_by_priority_under_the_services_name() -> None:
    of = project(
        "networks: {low: , high: {priority: 9, aliases: [w], ipv4_address: 10.1.1.5}}",
        "networks: {low: , high: }",
    )
    first, second = container_flags(of, "web", Surroundings(name="p-web-1"))["network"]
    assert (first.name, first.aliases, first.ip) == (
        "p_high", ("p-web-1", "web", "w"), "10.1.1.5"
    )  # fmt: skip
    assert second.name == "p_low"


def test_a_service_in_anothers_network_names_its_container() -> None:
    of = project("network_mode: 'service:b'", "  b: {image: x}")
    [request] = container_flags(of, "web", Surroundings(name="n", ids={"b": "abc"}))["network"]
    assert request.name == "container:abc"


def test_a_volumes_name_is_checked_again() -> None:
    """A name that climbs would be a folder above the volumes'."""
    with pytest.raises(ComposeFileError, match=r":5: invalid volume name"):
        project("volumes: [data:/data]", "volumes: {data: {name: '..'}}")
    text = "services: {web: {image: x, volumes: ['data:/data']}}\nvolumes: {data: {name: '..'}}"
    of = load(LoadOptions(text=text, environment={}, name="p"))
    with pytest.raises(InvalidArgumentError, match="volume"):
        container_flags(of, "web", Surroundings(name="n"))


def test_a_network_has_its_flags() -> None:
    of = project(
        "networks: [n]",
        "networks: {n: {internal: true, driver_opts: {com.docker.network.driver.mtu: 1400},"
        " ipam: {config: [{subnet: 10.9.0.0/24, gateway: 10.9.0.1}]}, enable_ipv6: true}}",
    )
    assert network_flags(of.model["networks"]["n"]) == {
        "opt": {"com.docker.network.driver.mtu": "1400"},
        "internal": True,
        "ipv6": True,
        "subnet": ["10.9.0.0/24"],
        "gateway": ["10.9.0.1"],
    }


def test_a_build_section_is_a_build() -> None:
    of = project(
        "build: {context: ., dockerfile: D, args: {A: b}, target: t, network: none, shm_size: 1m,"
        " ulimits: {nofile: 5}, labels: {l: m}, tags: [other], extra_hosts: ['h:1.2.3.4'],"
        " additional_contexts: {base: /base}, secrets: [s], no_cache: true, pull: true,"
        " cache_from: [c], platforms: [linux/amd64], privileged: true}",
        "secrets: {s: {file: /secret}}",
    )
    context, flags = build_flags(of, "web")
    options = BuildOptions.of(context, **flags)
    assert context == "/srv"
    assert options.tags == ("x", "other")
    assert str(options.file) == "/srv/D"
    assert options.build_args == {"A": "b"}
    assert (options.target, options.network, options.shm_size) == ("t", "none", 1 << 20)
    assert options.labels["l"] == "m"
    assert options.labels["com.docker.compose.service"] == "web"
    assert [*options.secrets] == ["s"]
    assert (options.no_cache, options.pull) == (True, True)
    assert [*options.build_contexts] == ["base"]
    assert options.allow == {"security.insecure"}


def test_an_image_that_is_a_context_is_built_first() -> None:
    text = """\
services:
  a: {build: {context: ., additional_contexts: {base: "service:b"}}}
  b: {build: .}
"""
    of = load(LoadOptions(text=text, name="p", environment={}, folder="/srv"))
    assert build_order(of, ["a", "b"]) == ["b", "a"]
    contexts = BuildOptions.of(*(), **build_flags(of, "a")[1]).build_contexts
    assert [*contexts] == ["base"]


@pytest.mark.parametrize(
    ("model", "wish", "here", "way"),
    [
        ({}, {}, True, "use"),
        ({}, {}, False, "pull"),
        ({"build": 1}, {}, True, "use"),
        ({"build": 1}, {}, False, "build"),
        ({"build": 1}, {"build": True}, True, "build"),
        ({"build": 1}, {"no_build": True}, False, "pull"),
        ({"build": 1, "pull_policy": "build"}, {}, True, "build"),
        ({"image": "x", "pull_policy": "always"}, {}, True, "pull"),
        ({"image": "x", "build": 1, "pull_policy": "always"}, {}, True, "pull or build"),
        ({"pull_policy": "never"}, {}, False, "use"),
        ({"image": "x"}, {"pull": "always"}, True, "pull"),
        ({"pull_policy": "daily"}, {}, True, "pull"),
    ],
)
def test_how_an_image_is_come_by(
    model: dict[str, Any], wish: dict[str, Any], here: bool, way: str
) -> None:
    assert way_of(model, ImageWish(**wish), here) == way


def test_changes_of_watched_files(tmp_path: Any) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("1")
    (tmp_path / "src" / "b.py~").write_text("1")
    (tmp_path / "src" / "left.log").write_text("1")
    (tmp_path / "src" / "sub").mkdir()
    watch = "watch: [{path: src, action: sync, target: /app, ignore: ['*.log']}]"
    text = f"services: {{web: {{image: x, develop: {{{watch}}}}}}}"
    of = load(LoadOptions(text=text, folder=str(tmp_path), environment={}))
    [trigger] = triggers_of(of)
    before = look(trigger)
    assert [*before] == [str(tmp_path / "src" / "a.py")]
    (tmp_path / "src" / "a.py").unlink()
    (tmp_path / "src" / "sub" / "c.py").write_text("2")
    (tmp_path / "src" / "sub" / "link").symlink_to("/etc")
    paths = changed(before, look(trigger))
    names = ("a.py", "sub/c.py", "sub/link")
    assert paths == [str(tmp_path / "src" / name) for name in names]
    assert trigger.target_of(paths[1]) == "/app/sub/c.py"
    assert Trigger("web", "/x/f", "sync", "/t").target_of("/x/f") == "/t"
