"""Every parser at the border, where foreign text and bytes become values: one row each.

A row names the parser and some inputs that it takes.  The test bends and breaks those inputs, and
expects a value or a :class:`~jupyter_containers.errors.ContainersError`, soon and in little memory.
Whoever writes a parser of foreign input adds a row.
"""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers.build import arguments, interpret, parser, plan, remote, sharing
from jupyter_containers.build.expand import Lexer
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.linting import static_findings
from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.mounts import parse_run_mount
from jupyter_containers.build.patterns import glob, tree_pattern
from jupyter_containers.commands.parser import parse as parse_command
from jupyter_containers.commands.render.template import Template
from jupyter_containers.commands.verbs.looking import tail_of
from jupyter_containers.engine.filters import Lookups, container_filter
from jupyter_containers.engine.images.image import parse_time
from jupyter_containers.engine.images.places.archive import ArchiveReader
from jupyter_containers.engine.images.selection import Selection
from jupyter_containers.engine.quotas import LabFile, quotas_of, read_quotas
from jupyter_containers.engine.records import ContainerRecord, VolumeRecord
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken
from jupyter_containers.magics.line import words_of
from jupyter_containers.oci.decoding import convert_message
from jupyter_containers.oci.descriptor import (
    DOCKER_MANIFEST,
    Platform,
    RawDocument,
    validate_digest,
)
from jupyter_containers.oci.image import (
    ExecutionConfig,
    Index,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options import context, limits, mounts, network, network_options, values
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.buildcache import CachePlace
from jupyter_containers.options.health import parse_health
from jupyter_containers.options.moments import parse_moment
from jupyter_containers.options.names import AddedHost
from jupyter_containers.options.output import Annotations, BuildOutput
from jupyter_containers.options.restart import RestartPolicy
from jupyter_containers.options.run import ExecOptions, RunOptions, updated
from jupyter_containers.options.security import SecurityOption
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.options.volumes import parse_driver_options
from jupyter_containers.panel.messages import FromPage, Hello
from jupyter_containers.registry.auth import parse_challenges, parse_token
from jupyter_containers.registry.configuration import read_registry_files, route
from jupyter_containers.registry.credentials import CredentialStore
from jupyter_containers.registry.documents import list_page, media_type_of, names_of, next_page
from jupyter_containers.registry.endpoint import Endpoint, TrustPolicy, origin, split_host
from jupyter_containers.registry.problems import parse_complaint
from jupyter_containers.registry.transport import Request
from jupyter_containers.runtime.cdi import edits_of
from jupyter_containers.settings import load_settings
from jupyter_containers.store.collection import Collection, encoded
from jupyter_containers.store.compression import Limits
from jupyter_containers.store.tarfiles import open_files

DIGEST = "sha256:" + "ab" * 32
_SETTING = "JUPYTER_CONTAINERS_"
HOST = Platform("amd64", "linux")
_REQUEST = Request("GET", "https://localhost/v2/")


@dataclass(frozen=True)
class Parser:
    """One parser; ``seeds`` are inputs that it takes, text or bytes as ``parse`` wants them."""

    name: str
    parse: Callable[[Any], object]
    seeds: tuple[Any, ...]

    def __str__(self) -> str:
        return self.name


def _record(options: RunOptions) -> bytes:
    """Flags become a record, which must be able to hold them."""
    return encoded(options)


def _run(**flags: Any) -> bytes:
    return _record(RunOptions.of("image", **flags))


def _flag(name: str) -> Callable[[str], object]:
    return lambda text: _run(**{name: text})


def _flags(name: str, *seeds: str) -> Parser:
    return Parser(f"run --{name.replace('_', '-')}", _flag(name), seeds)


def _dockerfile(text: str) -> object:
    parsed = parser.parse(text)
    instructions = interpret.typed(parsed)
    static_findings(parsed, instructions)
    return plan.make_plan(instructions, parsed.escape, build_args={}, platform=HOST)


def _expanded(word: str) -> object:
    environment = {"X": "aXbXc" * 10, "Y": "", "path": "/a/b/c.tar.gz"}
    Lexer(raw_quotes=True, raw_escapes=True, keep_unset=True).expand(word, environment)
    Lexer(plain_quotes=True).expand(word, environment)
    return Lexer().expand(word, environment)


def _ignored(text: str) -> object:
    rules = IgnoreRules.parse(text)
    state = rules.step(rules.start(), "a/b")
    return rules.ignores("a/b/c.txt"), rules.may_return("a/b", state)


def _glob(text: str) -> object:
    return glob(text).fullmatch("abc.txt"), tree_pattern(text).fullmatch("a/b/abc.txt")


_ROW = {
    "ID": "4f5e",
    "Names": "web",
    "Labels": "a=1,b=2",
    "Ports": [{"HostPort": "80", "List": [1, 2]}],
    "State": {"ExitCode": 0, "Health": None},
    "Size": 12,
    "None": None,
}


def _template(text: str) -> object:
    form = Template(text)
    Template("{{json .}}").render({**_ROW, "Labels": {"a": "1"}})
    return form.render(_ROW)


_CONTAINER = ContainerRecord(
    id="ab" * 32,
    name="web",
    options=RunOptions("busybox"),
    manifest_digest=DIGEST,
    image_id=DIGEST,
    chain_id=DIGEST,
    config=ExecutionConfig(env=("A=b",), labels={"a": "b"}),
    created=1.0,
)


def _filter(key: str) -> Callable[[str], object]:
    look = Lookups(lambda _: _CONTAINER, lambda _: frozenset(), lambda _: "none")
    return lambda text: container_filter({key: [text]}, look)(_CONTAINER)


def _no_image(_: str) -> Any:
    raise InvalidArgumentError("no such image")


def _decoded(kind: type[Any]) -> Callable[[bytes], object]:
    nothing: Any = None
    return lambda data: Collection(nothing, "records", kind)._decode(data, "id")


def _images_filter(key: str) -> Callable[[str], object]:
    return lambda text: Selection({key: [text]}, _no_image)._matches("busybox:latest")


def _file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """Return a parser of bytes that writes them to a file, for functions that read files."""

    def parse(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(data)
            return read(path)

    return parse


def _credentials(path: Path) -> object:
    store = CredentialStore({"REGISTRY_AUTH_FILE": str(path), "HOME": str(path.parent), "PATH": ""})
    return [store.get(registry, "team/app") for registry in ("docker.io", "quay.io")], (
        store.registries()
    )


def _registries(path: Path) -> object:
    files = read_registry_files([path])
    found = route("docker.io", "library/busybox", files=files)
    return TrustPolicy(found.insecure).allows_plain("example.org:5000")


def _settings(path: Path) -> object:
    return load_settings({"JUPYTER_CONTAINERS_CONFIG": str(path), "HOME": "/root"})


def _lab(path: Path) -> object:
    path.chmod(0o644)
    read_quotas(path)
    from jupyter_containers.settings import read_lab

    try:
        lab = msgspec.convert(read_lab(path), LabFile)
    except msgspec.ValidationError:
        return None
    return quotas_of("ann", {"class"}, lab, path)


def _archive(data: bytes) -> object:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_files(
            BytesIO(data), Path(folder, "scratch"), cancel=CancelToken(), limits=Limits()
        ) as files,
    ):
        return ArchiveReader(files, CancelToken()).targets(HOST)


def packed(**members: bytes) -> bytes:
    """Return a tar of files; underscores in names stand for dots."""
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(data)
            archive.addfile(entry, BytesIO(data))
    return stream.getvalue()


def _document(name: str) -> Callable[[bytes], object]:
    return lambda data: _archive(packed(**{name: data}))


def _parsed_manifest(data: bytes) -> object:
    media_type_of(data, "", "image:tag")
    parsed = parse_manifest(RawDocument(data, DOCKER_MANIFEST))
    return parsed.select(Platform("arm", "linux", "v7")) if isinstance(parsed, Index) else parsed


def _listed(data: bytes) -> object:
    return names_of(list_page(data, _REQUEST), "tags", lambda text: text.isalnum())


def _page(data: bytes) -> object:
    """Decode a browser's JSON as it is done for the panel."""
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError):
        return None
    for kind in (Hello, FromPage):
        try:
            convert_message(value, kind)
        except InvalidArgumentError as error:
            error.message.encode()
    return None


def _address(text: str) -> object:
    context.is_url(text), context.is_git_address(text)
    remote.shown(text), remote.url_name(text)
    return remote.GitAddress.parse(text)


def _built(name: str) -> Callable[[str], object]:
    return lambda text: BuildOptions.of(".", **{name: text})


def _command(text: str) -> object:
    return parse_command(words_of(text, {}))


def _with_arguments(text: str) -> object:
    try:
        arguments.json_array(text)
        arguments.words(text, "\\")
    except ValueError as error:  # interpret.make names the lines
        raise InvalidArgumentError(str(error)) from error
    return None


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_DESCRIPTOR = {
    "mediaType": "application/vnd.oci.image.layer.v1.tar",
    "digest": DIGEST,
    "size": 3,
    "platform": {"architecture": "arm", "os": "linux", "variant": "v7"},
    "annotations": {"a": "b"},
}
_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": _DESCRIPTOR,
    "layers": [_DESCRIPTOR],
}
_INDEX = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.index.v1+json",
    "manifests": [_DESCRIPTOR],
}
_CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "Env": ["A=b"],
        "Cmd": ["sh"],
        "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 10},
    },
    "rootfs": {"type": "layers", "diff_ids": [DIGEST]},
    "history": [{"created": "2020-01-01T00:00:00Z", "created_by": "x", "empty_layer": True}],
}
_CREDENTIALS = {
    "auths": {"https://index.docker.io/v1/": {"auth": "YTpi"}, "quay.io/team": {"auth": "YTpi"}},
    "credHelpers": {"quay.io": "none"},
    "credsStore": "none",
}
_REGISTRIES = b"""
[[registry]]
prefix = "docker.io/library"
location = "mirror.example.org/a"
insecure = true
[[registry.mirror]]
location = "localhost:5000"
pull-from-mirror = "digest-only"
"""
_LAB = b"""
for_root = true
[settings]
root = "/tmp/{user}"
[limits]
memory = "2g"
cpus = 1.5
disk = 3
[groups.class]
containers = 3
[users.ann]
memory = 1
"""
_SETTINGS = (
    b'root = "/x"\nstop_timeout = 3\nregistry_mirrors = ["https://m"]\ntrust_host_ca = "auto"\n'
)
_DOCKERFILE = """# syntax=docker/dockerfile:1
ARG A=1
FROM --platform=linux/amd64 busybox:$A AS base
RUN --mount=type=cache,target=/x,mode=0755 echo "a" \\
  && true
COPY --chown=1:2 --chmod=u+x ["a b", "/c/"]
ENV A=b C="d e"
EXPOSE 80/tcp 90-95
HEALTHCHECK --interval=5s --retries=3 CMD ["x"]
ONBUILD RUN x
RUN <<EOF
x
EOF
FROM base
LABEL a=b
STOPSIGNAL SIGTERM
"""

TEXT_PARSERS = (
    Parser("reference", Reference.parse, ("localhost:5000/a/b:tag", f"a@{DIGEST}", "quay.io/x")),
    Parser("digest", validate_digest, (DIGEST,)),
    Parser("platform", Platform.parse, ("linux/arm64/v8", "amd64")),
    Parser("RFC 3339", parse_time, ("2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00+01:00")),
    Parser("size", values.parse_size, ("512m", "1.5g", "12")),
    Parser("duration", values.parse_duration, ("1h30m", "500ms", "12.5")),
    Parser("cpus", values.parse_cpus, ("1.5", "2")),
    Parser("env", lambda text: values.parse_env([text], {"HOME": "/"}), ("A=b", "HOME")),
    Parser("labels", lambda text: values.parse_labels([text]), ("a=b", "a")),
    Parser("publish", values.parse_publish, ("127.0.0.1:80-81:90-91/udp", "[::1]:1:2", "80")),
    Parser("expose", values.parse_exposed, ("80-90", "53/udp")),
    Parser("restart", RestartPolicy, ("on-failure:3", "always")),
    Parser("name", lambda text: values.check_name(text, "container"), ("web-1",)),
    Parser("signal", values.parse_signal, ("SIGTERM", "RTMIN+3", "9")),
    Parser("command", values.as_command, ("sh -c 'echo \"x\"'",)),
    Parser("local path", values.local_path, ("~/x", "~root/x", "/a/b")),
    Parser("moment", lambda text: parse_moment(text, "since"), ("2020-01-01", "12.5", "1h", "12")),
    Parser("device", limits.parse_device, ("/dev/x:/dev/y:rwm", "vendor.com/gpu=0")),
    Parser("gpus", limits.parse_gpus, ("all", "2", "device=0,1", "count=2")),
    Parser("device rule", limits.parse_device_rule, ("c 189:* rmw",)),
    Parser("rate", lambda text: limits.parse_rate(text, "x", in_bytes=True), ("/dev/x:1mb",)),
    Parser("iops", lambda text: limits.parse_rate(text, "x", in_bytes=False), ("/dev/x:100",)),
    Parser("weight", limits.parse_weight, ("/dev/x:500",)),
    Parser("microseconds", lambda text: limits.microseconds(text, "x"), ("10ms", "100")),
    Parser("cpuset", lambda text: limits.parse_cpuset(text, "x"), ("0-3,5",)),
    Parser("volume", mounts.parse_volume, ("./a:/b:ro", "name:/x", "/x")),
    Parser(
        "mount",
        mounts.parse_mount,
        ("type=bind,source=/a,target=/b,readonly", "type=tmpfs,dst=/x,tmpfs-size=1m"),
    ),
    Parser("tmpfs", mounts.parse_tmpfs, ("/x:size=64m,mode=1777,ro",)),
    Parser("volumes from", mounts.VolumesFrom, ("a:ro",)),
    Parser("network", network.parse_network, ("bridge", "name=a,ip=10.0.0.1,gw-priority=3")),
    Parser("link", network.parse_link, ("a:b",)),
    Parser(
        "network create --opt",
        lambda text: network_options.NetworkOptions.of(opt=[text]),
        ("com.docker.network.driver.mtu=1400", "mtu=99", "com.docker.network.bridge.name=a"),
    ),
    Parser(
        "network create --subnet",
        lambda text: network_options.NetworkOptions.of(subnet=[text]),
        ("10.0.0.0/24", "fd00::/64"),
    ),
    Parser("volume create --opt", lambda t: parse_driver_options([t]), ("type=tmpfs", "o=size=1")),
    Parser("health", lambda t: parse_health({"health_retries": t}), ("3",)),
    Parser("health time", lambda t: parse_health({"health_interval": t}), ("3s",)),
    Parser("security-opt", SecurityOption, ("seccomp=unconfined", "label:type:x_t")),
    Parser("ulimit", Ulimit, ("nofile=1024:2048", "core=-1")),
    Parser("add host", AddedHost, ("a:1.2.3.4", "a=::1")),
    Parser(
        "output",
        lambda text: BuildOutput.parse(text).path,
        ("type=oci,dest=a,compression-level=3", "-", "out"),
    ),
    Parser("cache from", CachePlace.source, ("type=local,src=~/x", "a:b")),
    Parser("cache to", CachePlace.target, ("type=registry,ref=a,mode=max",)),
    Parser("annotation", lambda t: Annotations.parse((t,)), ("manifest,index:a=b", "a=b")),
    Parser(
        "context", context.ContextSource.named, ("https://x/y.git#a:b", "dir", "oci-layout://x")
    ),
    Parser("build context", lambda t: context.named_contexts([t]), ("a=docker-image://b",)),
    Parser("git address", _address, ("https://h/x.git?ref=a#b:c", "git@h:x", "https://h/a//]")),
    Parser(
        "build --secret", _built("secret"), ("id=a,src=/x", "id=a,env=B", "id=a,src=~nobody-here/x")
    ),
    Parser("build --ssh", _built("ssh"), ("default=/x,~/y", "a=~nobody-here/x")),
    Parser("build --platform", _built("platform"), ("linux/amd64,arm64",)),
    Parser("build --ulimit", _built("ulimit"), ("nofile=3",)),
    Parser("build --file", _built("file"), ("Dockerfile", "~/x")),
    Parser("RUN --mount", lambda t: parse_run_mount(t, str, "/"), ("type=cache,target=/x,uid=3",)),
    Parser("mode change", ModeChange.parse, ("u+rwx,go-w", "0755")),
    Parser("Dockerfile", _dockerfile, (_DOCKERFILE,)),
    Parser("Dockerfile arguments", _with_arguments, ('["a", "b"]', "a 'b c' \\d")),
    Parser("substitution", _expanded, ("${X##*a}${path%%.*}", "${X//X/y}", "\"$X\" '$Y' ${Z:-a}")),
    Parser("ignore file", _ignored, ("**/*.txt\n!a/**/c.txt\n[a-z]*\n", "a/**")),
    Parser("pattern", _glob, ("*.t?t", "a**/[^a-b]*.txt")),
    Parser(
        "template",
        _template,
        (
            '{{range $k, $v := .Ports}}{{$v.HostPort | printf "%5s"}}{{end}}',
            '{{if eq .ID "x"}}{{json .State}}{{else}}{{index .Ports 0}}{{end}}',
            '{{.Label "a"}}{{pad .ID 1 2}}{{len .Names}}{{slice .ID 1 2}}{{truncate .ID 2}}',
        ),
    ),
    Parser("filter exited", _filter("exited"), ("0", "-1")),
    Parser("filter name", _filter("name"), ("^we.b$", "a{2}")),
    Parser("filter publish", _filter("publish"), ("80-90/tcp",)),
    Parser("filter label", _filter("label"), ("a=b",)),
    Parser("filter reference", _images_filter("reference"), ("bus*:[a-z]*",)),
    Parser("images --filter until", lambda t: Selection({"until": [t]}, _no_image), ("1h",)),
    Parser("logs --tail", tail_of, ("10", "all", "-1")),
    Parser("command line", _command, ("run -it --rm -p 80:80 -m 1g a b 'c d'", "ps -a --format x")),
    Parser("registry mirror", Endpoint.of_mirror, ("https://m.org/v2", "http://[::1]:5000")),
    Parser("registry host", split_host, ("[::1]:5000", "a.org:1")),
    Parser("origin", origin, ("https://a.org:1/x",)),
    Parser("Link header", next_page, ('</v2/_catalog?n=3>; rel="next"',)),
    Parser(
        "WWW-Authenticate",
        parse_challenges,
        ('Bearer realm="https://a/b",service="c",scope="d"', "Basic realm=x"),
    ),
    Parser("setting", lambda t: load_settings({"HOME": "/", _SETTING + "ROOT": t}), ("/x",)),
    Parser("number", lambda t: load_settings({"HOME": "/", _SETTING + "STOP_TIMEOUT": t}), ("10",)),
    Parser("update --memory", lambda t: updated(RunOptions("a"), memory=t), ("1g",)),
    Parser("exec", lambda t: ExecOptions.of(t, env=[t]), ("a b",)),
    _flags("memory", "1g"),
    _flags("memory_swap", "1g", "-1"),
    _flags("cpus", "0.5"),
    _flags("cpuset_cpus", "0-1"),
    _flags("shm_size", "64m"),
    _flags("cpu_period", "100ms"),
    _flags("cpu_quota", "50000"),
    _flags("pids_limit", "10"),
    _flags("stop_timeout", "10"),
    _flags("oom_score_adj", "-10"),
    _flags("blkio_weight", "100"),
    _flags("health_interval", "5s"),
    _flags("env_file", "/dev/null", "/x"),
    _flags("log_opt", "max-size=1m", "max-file=3"),
    _flags("sysctl", "net.a=1"),
    _flags("device", "/dev/null"),
    _flags("gpus", "all"),
    _flags("label", "a=b"),
    _flags("mac_address", "92:d0:c6:0a:29:33"),
    _flags("ip", "10.0.0.1"),
    _flags("hostname", "web"),
    _flags("user", "1000:1000"),
    _flags("restart", "on-failure:3"),
    _flags("stop_signal", "SIGTERM"),
)

BYTES_PARSERS = (
    Parser("manifest", _parsed_manifest, (_json(_MANIFEST), _json(_INDEX))),
    Parser("image configuration", parse_image_config, (_json(_CONFIG),)),
    Parser("registry list", _listed, (b'{"name":"a","tags":["b"]}',)),
    Parser("registry refusal", parse_complaint, (b'{"errors":[{"code":"A","message":"b"}]}',)),
    Parser("token", parse_token, (b'{"token":"a","expires_in":300}',)),
    Parser("credential file", _file("auth.json", _credentials), (_json(_CREDENTIALS),)),
    Parser(
        "daemon.json", _file("daemon.json", _registries), (b'{"registry-mirrors":["http://a"]}',)
    ),
    Parser("registries.conf", _file("registries.conf", _registries), (_REGISTRIES,)),
    Parser("config.toml", _file("config.toml", _settings), (_SETTINGS,)),
    Parser("lab.toml", _file("lab.toml", _lab), (_LAB,)),
    Parser(
        "CDI file",
        _file("a.json", lambda path: edits_of(["a.com/b=c"], [path.parent])),
        (
            b'{"kind":"a.com/b","devices":[{"name":"c","containerEdits":{"env":["A=b"]}}]}',
            b'{"kind":"a.com/b","devices":["c"]}',
            b'{"kind":"a.com/b","devices":true}',
        ),
    ),
    Parser("build cache", sharing.decode, (b'{"version":1,"steps":[]}',)),
    Parser("inline build cache", sharing.inline_steps, (_json({sharing.INLINE_MEMBER: {}}),)),
    Parser("archive's index.json", _document("index_json"), (_json(_INDEX),)),
    Parser(
        "archive's manifest.json",
        _document("manifest_json"),
        (_json([{"Config": "a", "Layers": ["b"], "RepoTags": ["a:b"]}]),),
    ),
    Parser(
        "archive",
        _archive,
        (packed(manifest_json=b"[]"), packed(index_json=_json(_INDEX)), packed(repositories=b"{}")),
    ),
    Parser("container's record", _decoded(ContainerRecord), (encoded(_CONTAINER),)),
    Parser("volume's record", _decoded(VolumeRecord), (b'{"name":"a","created":1.5}',)),
    Parser(
        "panel message",
        _page,
        (_json({"id": 1, "call": {"do": "watch", "visible": True}}), b'{"versions":[1]}'),
    ),
)
