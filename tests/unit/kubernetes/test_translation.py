"""A container's options as a pod: pure, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.kubernetes.labels import NAME, OWNER, RECORD, object_name
from jupyter_containers.kubernetes.translation import decoded, encoded, pod_document
from jupyter_containers.kubernetes.unsupported import refuse
from jupyter_containers.oci.image import ExecutionConfig, Healthcheck
from jupyter_containers.options import RunOptions

ID = "ab" * 32


def record(
    command: Any = ("true",), config: ExecutionConfig | None = None, **flags: Any
) -> ContainerRecord:
    flags.setdefault("name", "web")
    options = RunOptions.of("app:1", command, **flags)
    return ContainerRecord(
        id=ID,
        name=options.name,
        options=options,
        manifest_digest="",
        image_id="",
        chain_id="",
        config=config or ExecutionConfig(),
        created=1.0,
        networks=options.networks,
    )


def pod(*args: Any, gate: bool = False, **flags: Any) -> dict[str, Any]:
    document = pod_document(record(*args, **flags), "r/app@sha256:1", owner="ann", gate=gate)
    spec: dict[str, Any] = document["spec"]
    return spec


def main(*args: Any, **flags: Any) -> dict[str, Any]:
    [container] = pod(*args, **flags)["containers"]
    return dict(container)


def test_a_record_survives_its_annotation() -> None:
    one = record(["a b"], env=["A=1"], ulimit=["nofile=10:20"], publish=["80"], restart="always")
    assert decoded(encoded(one)) == one


def test_names_are_those_of_an_owner() -> None:
    assert object_name("web", "ann") != object_name("web", "bob")
    assert object_name("Web_1", "ann") != object_name("web-1", "ann")
    assert len(object_name("x" * 200, "ann")) <= 63
    metadata = pod_document(record(name="Web_1"), "r", owner="ann")["metadata"]
    assert metadata["labels"][OWNER] == "ann"
    assert metadata["labels"][NAME] == "Web_1"
    assert decoded(metadata["annotations"][RECORD]).name == "Web_1"


def test_arguments_keep_their_meaning() -> None:
    config = ExecutionConfig(entrypoint=("python",), cmd=("-V",))
    assert "command" not in main(["-c", "1"], config)
    assert main(["-c", "1"], config)["args"] == ["-c", "1"]
    assert "args" not in main((), config)
    replaced = main(["x"], config, entrypoint="sh")
    assert (replaced["command"], replaced["args"]) == (["sh"], ["x"])
    assert main(["x", "y"], config, entrypoint="")["command"] == ["x", "y"]


def test_no_dollar_is_expanded_by_the_cluster() -> None:
    found = main(["echo", "$(HOME)", "$$"], env=["A=$(B)"])
    assert found["args"] == ["echo", "$$(HOME)", "$$$$"]
    assert found["env"] == [{"name": "A", "value": "$$(B)"}]


def test_a_gate_starts_the_whole_command() -> None:
    config = ExecutionConfig(entrypoint=("python",), cmd=("-V",))
    found = main((), config, gate=True)
    assert found["command"][:2] == ["sh", "-c"]
    assert found["command"][2].endswith("</dev/null")
    assert (found["args"], found["stdin"], found["stdinOnce"]) == (["python", "-V"], True, True)
    assert not main((), config, gate=True, interactive=True)["command"][2].endswith("</dev/null")
    assert "stty" in main((), config, gate=True, tty=True)["command"][2]
    assert "stdin" not in main((), config, gate=True, tty=True)


def test_limits_are_limits_and_requests() -> None:
    found = main(memory="64m", cpus=1.5, memory_reservation="32m", cpu_shares=512)["resources"]
    assert found == {
        "limits": {"memory": "67108864", "cpu": "1500m"},
        "requests": {"memory": "33554432", "cpu": "500m"},
    }
    assert main(gpus="2")["resources"] == {"limits": {"nvidia.com/gpu": "2"}}
    assert "resources" not in main()


@pytest.mark.parametrize(("image", "given"), [("1000", None), ("root", "1000:100"), ("", "7")])
def test_an_ordinary_user_meets_the_restricted_standard(image: str, given: str | None) -> None:
    found = main(("x",), ExecutionConfig(user=image), user=given)["securityContext"]
    assert found["runAsNonRoot"] is True
    assert found["allowPrivilegeEscalation"] is False
    assert found["capabilities"] == {"drop": ["ALL"]}
    assert found["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found.get("runAsUser") == (int(given.partition(":")[0]) if given else None)


def test_root_keeps_its_usual_capabilities() -> None:
    found = main(cap_add=["NET_ADMIN"], cap_drop=["CAP_CHOWN"])["securityContext"]
    assert found["capabilities"] == {"add": ["NET_ADMIN"], "drop": ["CHOWN"]}
    assert "runAsNonRoot" not in found
    assert "allowPrivilegeEscalation" not in found
    assert main(privileged=True)["securityContext"]["privileged"] is True


def test_an_ordinary_user_may_ask_for_sudo() -> None:
    found = main(user="1000", security_opt=["no-new-privileges=false"])["securityContext"]
    assert "allowPrivilegeEscalation" not in found


def test_pods_get_no_token_and_no_variables_of_services() -> None:
    found = pod()
    assert (found["automountServiceAccountToken"], found["enableServiceLinks"]) == (False, False)


def test_mounts() -> None:
    import msgspec

    one = msgspec.structs.replace(
        record(user="1000", shm_size="128m"),
        mounts=(
            MountRecord("volume", "/data", "data", "data", read_only=True, subpath="a"),
            MountRecord("volume", "/new", anonymous=True),
            MountRecord("tmpfs", "/tmp", size=1024),
        ),
    )
    spec = pod_document(one, "r", owner="ann")["spec"]
    claim, empty, memory, shm = spec["volumes"]
    assert claim["persistentVolumeClaim"]["claimName"] == object_name("data", "ann")
    assert empty["emptyDir"] == {}
    assert memory["emptyDir"] == {"medium": "Memory", "sizeLimit": "1024"}
    assert shm["emptyDir"]["sizeLimit"] == str(128 * 2**20)
    mounts = spec["containers"][0]["volumeMounts"]
    assert [mount["mountPath"] for mount in mounts] == ["/data", "/new", "/tmp", "/dev/shm"]
    assert mounts[0]["subPath"] == "a"
    assert spec["securityContext"] == {"fsGroup": 1000}


def test_a_health_check_is_a_readiness_probe() -> None:
    config = ExecutionConfig(healthcheck=Healthcheck(test=("CMD", "ok"), interval=2 * 10**9))
    probe = main(("x",), config)["readinessProbe"]
    assert (probe["exec"], probe["periodSeconds"]) == ({"command": ["ok"]}, 2)
    assert (probe["timeoutSeconds"], probe["failureThreshold"]) == (30, 3)


def test_policies_names_and_hosts() -> None:
    found = pod(
        restart="on-failure:3", hostname="db", add_host=["a:1.2.3.4"], dns=["9.9.9.9"],
        platform="linux/arm64", init=True, stop_timeout=3, workdir="/w", read_only=True,
    )  # fmt: skip
    assert (found["restartPolicy"], found["hostname"]) == ("OnFailure", "db")
    assert found["hostAliases"] == [{"ip": "1.2.3.4", "hostnames": ["a"]}]
    assert found["dnsConfig"] == {"nameservers": ["9.9.9.9"]}
    assert found["nodeSelector"]["kubernetes.io/arch"] == "arm64"
    assert found["shareProcessNamespace"] is True
    assert found["terminationGracePeriodSeconds"] == 3
    container = found["containers"][0]
    assert container["workingDir"] == "/w"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert (pod()["restartPolicy"], pod()["hostname"]) == ("Never", ID[:12])
    assert pod(restart="unless-stopped")["restartPolicy"] == "Always"


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ({"network": "none"}, "--network none"),
        ({"network": "container:x"}, "--network container:NAME"),
        ({"pid": "container:x"}, "--pid container:NAME"),
        ({"device": ["/dev/fuse"]}, "--device"),
        ({"volume": ["/etc:/x"]}, "a mount of /etc"),
        ({"ulimit": ["nofile=1:2"]}, "--ulimit"),
        ({"pids_limit": 10}, "--pids-limit"),
        ({"cpuset_cpus": "0"}, "--cpuset-cpus"),
        ({"log_driver": "none"}, "--log-driver none"),
        ({"security_opt": ["apparmor=x"]}, "--security-opt apparmor"),
    ],
)
def test_what_a_cluster_cannot_give_is_refused_by_name(flags: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        refuse(RunOptions.of("app:1", ["true"], **flags))
    assert caught.value.capability == name
    assert "cluster" in caught.value.message


@pytest.mark.parametrize("flags", [{"user": "alice"}, {"group_add": ["video"]}, {"gpus": "all"}])
def test_names_that_only_the_image_knows_are_refused(flags: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedError):
        pod(**flags)


def test_a_hostname_must_be_one_of_the_cluster() -> None:
    with pytest.raises(InvalidArgumentError, match="hostname"):
        pod(hostname="a_b")


def test_a_command_must_be_known_for_a_gate() -> None:
    with pytest.raises(InvalidArgumentError, match="no command"):
        pod((), gate=True)
