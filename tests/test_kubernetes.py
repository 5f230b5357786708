"""The files for Kubernetes are checked for everything that can be checked without a cluster.

A pod is built from the values of each component, as the chart does it, and held against
Kubernetes' own schema; what it names is asked of Airflow, of Nightscribe and of the Dockerfile.
With the chart and `helm` (see deploy/kubernetes/README.md), the chart's own output is checked too.
What no test here shows is that a cluster runs it; the README says so.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.compose_file import REPOSITORY, SECRETS, example_variables, interpolated, raw_compose
from tests.image import dockerfile_text, has_path
from tests.known_names import (
    airflow_environment,
    airflow_options,
    nightscribe_settings,
    parse_airflow_commands,
    parse_nightscribe_command,
    queues_and_pools,
)

kubernetes_validate = pytest.importorskip(
    "kubernetes_validate", reason="needs kubernetes-validate, with Kubernetes' schemas"
)

FOLDER = REPOSITORY / "deploy" / "kubernetes"
README = FOLDER / "README.md"
SERVERS = {
    "apiServer": "api-server",
    "dagProcessor": "dag-processor",
    "scheduler": "scheduler",
    "triggerer": "triggerer",
}
"""Section of the values → service of Docker Compose."""
WORKERS = {"default": "cpu-worker", "gpu": "gpu-worker"}
"""Name of a worker set → service of Docker Compose."""
BY_THE_CHART = {
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CORE__EXECUTOR",
}
"""What Docker Compose sets and here the chart, from other values."""
OF_THE_PLACE = {"NIGHTSCRIBE_ARCHIVES", "NIGHTSCRIBE_LAKE"}
"""What differs: folders there, object stores here."""
Manifest = dict[str, Any]


def documents(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def values() -> Manifest:
    (content,) = documents("values.yaml")
    return content


@pytest.fixture(scope="module")
def job() -> Manifest:
    (content,) = documents("models.yaml")
    return content


@pytest.fixture(scope="module")
def claims() -> list[Manifest]:
    return documents("storage.yaml")


@pytest.fixture(scope="module")
def compose() -> dict[str, Manifest]:
    variables = example_variables() | {name: f"{name}-value" for name in SECRETS}
    services: dict[str, Manifest] = interpolated(raw_compose(), variables)["services"]
    return services


def worker_sets(values: Manifest) -> dict[str, Manifest]:
    """The worker sets with what they take over from `workers.celery`."""
    common = {name: value for name, value in values["workers"]["celery"].items() if name != "sets"}
    return {one["name"]: common | one for one in values["workers"]["celery"]["sets"]}


def sections(values: Manifest) -> dict[str, Manifest]:
    """What has pods of our image: components and worker sets."""
    servers = {name: values[name] for name in (*SERVERS, "migrateDatabaseJob")}
    return servers | worker_sets(values)


def pod_of(values: Manifest, name: str) -> Manifest:
    """The pod of a component, as far as the values determine it."""
    section = sections(values)[name]
    image = f"{values['images']['airflow']['repository']}:{values['images']['airflow']['tag']}"
    container = {
        "name": "main",
        "image": image,
        "env": [*values["env"], *section["env"]],
        "resources": section["resources"],
        "volumeMounts": section.get("extraVolumeMounts", []),
        "securityContext": values["securityContexts"]["containers"],
    }
    if "args" in section:
        container["args"] = section["args"]
    for probe in ("startupProbe", "livenessProbe"):
        if command := section.get(probe, {}).get("command"):
            rest = {key: value for key, value in section[probe].items() if key != "command"}
            container[probe] = {"exec": {"command": command}, **rest}
    template = "{{ .Values.images.airflow.repository }}:{{ .Values.images.airflow.tag }}"
    waiting = json.loads(json.dumps(section.get("extraInitContainers", [])))
    for one in waiting:
        assert one["image"] == template
        one["image"] = image
    specification = {
        "containers": [container],
        "initContainers": waiting,
        "volumes": section.get("extraVolumes", []),
        "nodeSelector": section.get("nodeSelector", {}),
        "tolerations": section.get("tolerations", []),
        "securityContext": values["securityContexts"]["pod"],
    }
    if "terminationGracePeriodSeconds" in section:
        specification["terminationGracePeriodSeconds"] = section["terminationGracePeriodSeconds"]
    metadata = {"name": name.lower()}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": specification}


@pytest.fixture(scope="module")
def pods(values: Manifest, job: Manifest) -> dict[str, Manifest]:
    """Name of a component, worker set or job → specification of its pod."""
    found: dict[str, Manifest] = {name: pod_of(values, name)["spec"] for name in sections(values)}
    return found | {"models": job["spec"]["template"]["spec"]}


def containers_of(specification: Manifest) -> list[Manifest]:
    return [*(specification.get("initContainers") or []), *specification["containers"]]


def environment_of(specification: Manifest) -> dict[str, Any]:
    """The main container's variables: their values, or the (Secret, key) that they are from."""
    return {
        one["name"]: one["value"] if "value" in one else secret_of(one)
        for one in specification["containers"][0].get("env", [])
    }


def secret_of(variable: Manifest) -> tuple[str, str]:
    reference = variable["valueFrom"]["secretKeyRef"]
    return reference["name"], reference["key"]


def simple_commands(container: Manifest) -> Iterator[list[str]]:
    """The commands of a container and of its probes, each a list of words."""
    probes = [container.get(name, {}).get("exec", {}) for name in ("startupProbe", "livenessProbe")]
    lines = [container.get("command"), container.get("args")]
    for words in (*lines, *(probe.get("command") for probe in probes)):
        if not words:
            continue
        if words[0] not in {"bash", "sh"}:
            yield words
            continue
        for line in words[-1].splitlines():
            found = shlex.split(line)
            yield found[1:] if found[0] == "exec" else found


def commands(pods: dict[str, Manifest]) -> list[list[str]]:
    return [
        words
        for specification in pods.values()
        for container in containers_of(specification)
        for words in simple_commands(container)
    ]


# Kubernetes' schema


def check(manifest: Manifest) -> None:
    latest = kubernetes_validate.latest_version()
    kubernetes_validate.validate(manifest, latest, strict=True)


def test_manifests_follow_kubernetes_schema(job: Manifest, claims: list[Manifest]) -> None:
    for manifest in (job, *claims):
        check(manifest)


def test_pods_of_the_values_follow_kubernetes_schema(values: Manifest) -> None:
    for name in sections(values):
        check(pod_of(values, name))


def test_the_schema_would_notice_a_mistake(values: Manifest) -> None:
    broken = pod_of(values, "gpu")
    (toleration,) = broken["spec"]["tolerations"]
    broken["spec"]["tolerations"] = [{**toleration, "efect": toleration["effect"]}]
    with pytest.raises(kubernetes_validate.ValidationError):
        check(broken)


def test_claims_are_those_that_pods_mount(
    pods: dict[str, Manifest], claims: list[Manifest]
) -> None:
    mounted = set()
    for name, specification in pods.items():
        volumes = {volume["name"]: volume for volume in specification["volumes"]}
        for container in containers_of(specification):
            for mount in container.get("volumeMounts", []):
                assert mount["name"] in volumes, f"{name}: {mount['name']}"
        for volume in volumes.values():
            if claim := volume.get("persistentVolumeClaim"):
                mounted.add(claim["claimName"])
    assert mounted == {claim["metadata"]["name"] for claim in claims}


# Commands, paths, options and settings


@pytest.fixture(scope="module")
def environment(
    values: Manifest, pods: dict[str, Manifest], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """The environment of a worker, in a home folder of its own."""
    named = {
        name: value for name, value in environment_of(pods["gpu"]).items() if type(value) is str
    }
    named["AIRFLOW__CORE__EXECUTOR"] = values["executor"]
    return airflow_environment(named, tmp_path_factory.mktemp("airflow"))


def test_every_command_is_known(pods: dict[str, Manifest]) -> None:
    """The chart's own probes and sidecars call scripts that only Airflow's image has."""
    assert {words[0] for words in commands(pods)} <= {"airflow", "celery", "nightscribe", "cp"}


def test_airflow_takes_every_airflow_command(
    pods: dict[str, Manifest], environment: dict[str, str]
) -> None:
    lines = [words[1:] for words in commands(pods) if words[0] == "airflow"]
    assert len(lines) >= 12
    parse_airflow_commands(lines, environment)


def test_nightscribe_takes_every_nightscribe_command(
    pods: dict[str, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [words[1:] for words in commands(pods) if words[0] == "nightscribe"]
    lines += [
        shlex.split(line)[1:]
        for line in re.findall(r"^nightscribe .*$", README.read_text(encoding="utf-8"), re.M)
    ]
    assert lines
    for words in lines:
        assert parse_nightscribe_command(words, monkeypatch), words


def test_commands_and_probes_are_those_of_docker_compose(
    values: Manifest, compose: dict[str, Manifest]
) -> None:
    """Those run on every change, in tests/cluster."""
    (_, _, script) = values["migrateDatabaseJob"]["args"]
    assert script == compose["airflow-init"]["command"][-1]
    for name in ("scheduler", "dagProcessor", "triggerer"):
        check_of_compose = compose[SERVERS[name]]["healthcheck"]["test"]
        assert ["CMD", *values[name]["livenessProbe"]["command"]] == check_of_compose
    assert (
        values["scheduler"]["startupProbe"]["command"]
        == (values["scheduler"]["livenessProbe"]["command"])
    )
    for name, one in worker_sets(values).items():
        check_of_compose = compose[WORKERS[name]]["healthcheck"]["test"]
        assert one["livenessProbe"]["command"][-1] == check_of_compose[-1]
    command = " ".join(compose["gpu-worker"]["command"])
    assert worker_sets(values)["gpu"]["args"][-1] == f"exec {command}"


def test_every_path_is_in_the_image_or_mounted(values: Manifest, pods: dict[str, Manifest]) -> None:
    assert has_path(values["config"]["core"]["dags_folder"])
    mounts = {
        name: {
            mount["mountPath"]
            for container in containers_of(specification)
            for mount in container.get("volumeMounts", [])
        }
        for name, specification in pods.items()
    }
    everywhere = set().union(*mounts.values())
    found = 0
    for name, specification in pods.items():
        for path in (text for text in environment_of(specification).values() if path_like(text)):
            # A setting is the same for all pods; not all need its folder.
            assert has_path(path) or below(path, everywhere), f"{name}: {path}"
            found += 1
        for container in containers_of(specification):
            for words in simple_commands(container):
                for path in (word for word in words[1:] if path_like(word)):
                    assert has_path(path) or below(path, mounts[name]), f"{name}: {path}"
                    found += 1
    assert found >= 10


def path_like(text: object) -> bool:
    return isinstance(text, str) and text.startswith("/")


def below(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def test_workers_and_pages_mount_the_folders_of_their_settings(pods: dict[str, Manifest]) -> None:
    for name, folders in {
        "default": {"MODEL_DIR": True, "UPLOADS": True, "INDEX": False},
        "gpu": {"MODEL_DIR": True, "UPLOADS": True, "INDEX": False},
        "apiServer": {"UPLOADS": False, "INDEX": True},
        "models": {"MODEL_DIR": False},
    }.items():
        container = pods[name]["containers"][0]
        read_only = {
            mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]
        }
        for setting, expected in folders.items():
            path = environment_of(pods[name])[f"NIGHTSCRIBE_{setting}"]
            assert read_only[path] is expected, (name, setting)


def test_airflow_has_every_option_that_is_set(values: Manifest, pods: dict[str, Manifest]) -> None:
    named = {name for one in pods.values() for name in environment_of(one)}
    named |= {
        f"AIRFLOW__{section}__{key}".upper()
        for section, content in values["config"].items()
        for key in content
    }
    named |= set(values["enableBuiltInSecretEnvVars"]) - {"AIRFLOW_CONN_AIRFLOW_DB"}
    assert {name for name in named if name.startswith("AIRFLOW__")} <= airflow_options()


def test_nightscribe_has_every_setting_that_is_set(pods: dict[str, Manifest]) -> None:
    named = {name for one in pods.values() for name in environment_of(one)}
    named |= set(re.findall(r"\bNIGHTSCRIBE_[A-Z_]*[A-Z]\b", README.read_text(encoding="utf-8")))
    named |= set(
        re.findall(
            r"\bNIGHTSCRIBE_[A-Z_]*[A-Z]\b", (FOLDER / "values.yaml").read_text(encoding="utf-8")
        )
    )
    named -= {"NIGHTSCRIBE_TEST_CHART"}  # of these tests
    found = {name for name in named if name.startswith("NIGHTSCRIBE_")}
    assert found
    assert found <= nightscribe_settings()


def test_settings_are_those_of_docker_compose(
    pods: dict[str, Manifest], compose: dict[str, Manifest]
) -> None:
    for name, service in (SERVERS | WORKERS).items():
        here = environment_of(pods[name])
        there = {key: str(value) for key, value in compose[service]["environment"].items()}
        assert set(there) - BY_THE_CHART <= set(here), name
        compared = 0
        for key in there.keys() & here.keys() - OF_THE_PLACE:
            secret = any(f"{one}-value" in there[key] for one in SECRETS)
            assert (type(here[key]) is tuple) is secret, f"{name}: {key}"
            if not secret:
                assert here[key] == there[key], f"{name}: {key}"
                compared += 1
        assert compared >= 7, name


def test_the_lake_and_the_archives_are_on_an_object_store(pods: dict[str, Manifest]) -> None:
    for name in (*SERVERS, *WORKERS):
        for setting in OF_THE_PLACE:
            assert environment_of(pods[name])[setting].startswith("s3://"), name


def test_versions_are_those_of_the_image(values: Manifest) -> None:
    pins = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"apache-airflow=={values['airflowVersion']}" in pins
    # What the chart would look for and the image does not have.
    assert values["createUserJob"]["enabled"] is False
    for section in (values[name] for name in ("scheduler", "dagProcessor", "triggerer")):
        assert section["logGroomerSidecar"]["enabled"] is False
        assert section["waitForMigrations"]["enabled"] is False
    assert "FROM apache/airflow" not in dockerfile_text()


# Secrets and rights


def test_no_variable_is_set_twice(pods: dict[str, Manifest]) -> None:
    """Server-side apply, which Helm 4 uses, refuses it."""
    for name, specification in pods.items():
        for container in containers_of(specification):
            names = [one["name"] for one in container.get("env", [])]
            assert len(names) == len(set(names)), name


def test_workers_hold_no_key_to_airflows_own_role_in_its_database(
    values: Manifest, pods: dict[str, Manifest]
) -> None:
    switched_off = {name for name, on in values["enableBuiltInSecretEnvVars"].items() if not on}
    assert {"AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"} <= switched_off
    for name in WORKERS:
        assert {one for one in environment_of(pods[name]).values() if type(one) is tuple} == {
            ("nightscribe-queue", "connection"),
            ("nightscribe-queue", "results"),
            ("nightscribe-counter", "connection"),
            ("nightscribe-s3", "AWS_ACCESS_KEY_ID"),
            ("nightscribe-s3", "AWS_SECRET_ACCESS_KEY"),
        }


def test_only_workers_can_write_the_lake(pods: dict[str, Manifest]) -> None:
    for name in ("triggerer", "apiServer"):
        held = {one for one in environment_of(pods[name]).values() if type(one) is tuple}
        assert {secret for secret, _ in held if "s3" in secret} == {"nightscribe-s3-read"}, name


def test_every_secret_is_made_by_the_documented_commands(
    values: Manifest, pods: dict[str, Manifest]
) -> None:
    text = README.read_text(encoding="utf-8").replace("\\\n", " ")
    made = {
        (name, key)
        for name, rest in re.findall(r"create secret generic (\S+)(.*)", text)
        for key in re.findall(r"--from-(?:literal|file)=([\w.-]+)=", rest)
    }
    used = {
        secret_of(one)
        for specification in pods.values()
        for container in containers_of(specification)
        for one in container.get("env", [])
        if "valueFrom" in one
    }
    # The chart's own keys in the Secrets whose names it is given.
    used |= {(values["fernetKeySecretName"], "fernet-key")}
    used |= {(values["apiSecretKeySecretName"], "api-secret-key")}
    used |= {(values["jwtSecretName"], "jwt-secret")}
    used |= {(values["data"]["metadataSecretName"], "connection")}
    used |= {(values["data"]["brokerUrlSecretName"], "connection")}
    used |= {(values["redis"]["passwordSecretName"], "password")}
    logins = {
        volume["secret"]["secretName"]
        for specification in pods.values()
        for volume in specification["volumes"]
        if "secret" in volume
    }
    used |= {(name, "passwords.json") for name in logins}
    assert used == made


def test_nothing_runs_as_root_or_can_become_it(values: Manifest, job: Manifest) -> None:
    redis = values["redis"]["securityContexts"]
    pod = job["spec"]["template"]["spec"]
    for context in (values["securityContexts"]["pod"], redis["pod"], pod["securityContext"]):
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
    for context in (
        values["securityContexts"]["containers"],
        redis["container"],
        *(one["securityContext"] for one in containers_of(pod)),
        *(
            one["securityContext"]
            for section in sections(values).values()
            for one in section.get("extraInitContainers", [])
        ),
    ):
        assert context == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    user = re.search(r"useradd --uid (\d+)", dockerfile_text())
    assert user
    assert values["securityContexts"]["pod"]["runAsUser"] == int(user[1])


# The GPU workers


def test_every_queue_and_pool_of_the_dags_is_served(
    values: Manifest, pods: dict[str, Manifest], environment: dict[str, str]
) -> None:
    queues, pools = queues_and_pools(environment)
    served = {words[words.index("--queues") + 1] for words in commands(pods) if "--queues" in words}
    assert served == {one["queue"] for one in worker_sets(values).values()}
    made = {words[3] for words in commands(pods) if words[:3] == ["airflow", "pools", "set"]}
    assert queues <= served
    assert pools <= made | {"default_pool"}


def test_a_gpu_worker_runs_one_batch_on_one_gpu(values: Manifest) -> None:
    from nightscribe.settings import Settings

    gpu = worker_sets(values)["gpu"]
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert gpu["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert gpu["args"][-1].endswith("--queues gpu --concurrency 1")
    minutes = Settings.model_fields["batch_minutes"].default
    assert gpu["terminationGracePeriodSeconds"] >= 2 * 60 * minutes


def test_workers_are_as_many_as_tasks_of_their_queue(values: Manifest) -> None:
    """KEDA's query runs on a table with the columns that the counting role may read."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import TaskInstanceState

    keda = worker_sets(values)["gpu"]["keda"]
    (granted,) = re.findall(r"GRANT SELECT \((.*)\) ON task_instance", README.read_text("utf-8"))
    columns = granted.split(", ")
    assert set(columns) <= {column.name for column in TaskInstance.__table__.columns}
    with sqlite3.connect(":memory:") as database:
        database.execute(f"CREATE TABLE task_instance ({granted})")
        assert database.execute(keda["query"]).fetchone() == (0,)
        for queue in ("gpu", "default"):
            for state in (None, *TaskInstanceState):
                row = {"state": state and state.value, "queue": queue}
                database.execute(
                    "INSERT INTO task_instance VALUES (?, ?)", [row[name] for name in columns]
                )
        assert database.execute(keda["query"]).fetchone() == (2,)
    assert keda["minReplicaCount"] == 0
    pools = values["migrateDatabaseJob"]["args"][-1]
    assert f"airflow pools set gpu {keda['maxReplicaCount']} " in pools


# With the chart


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    """What the chart makes of the values. `helm` holds them against the chart's schema first."""
    helm, chart = shutil.which("helm"), os.environ.get("NIGHTSCRIBE_TEST_CHART")
    if not helm or not chart:
        pytest.skip("needs helm, and the chart in NIGHTSCRIBE_TEST_CHART")
    answer = subprocess.run(
        [helm, "template", "airflow", chart, "--values", FOLDER / "values.yaml"],
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    return [manifest for manifest in yaml.safe_load_all(answer.stdout) if manifest]


def test_the_chart_is_the_one_that_the_values_are_for(rendered: list[Manifest]) -> None:
    first = (FOLDER / "values.yaml").read_text(encoding="utf-8").splitlines()[0]
    version = re.search(r"version (\S+)\.$", first)
    assert version
    labels = {one["metadata"]["labels"].get("chart") for one in rendered}
    assert f"airflow-{version[1]}" in labels


def test_the_charts_manifests_follow_kubernetes_schema(rendered: list[Manifest]) -> None:
    for manifest in rendered:
        if manifest["kind"] != "ScaledObject":  # of KEDA
            check(manifest)


def test_the_charts_pods_have_what_the_values_say(
    rendered: list[Manifest], pods: dict[str, Manifest]
) -> None:
    names = {
        "airflow-api-server": "apiServer",
        "airflow-dag-processor": "dagProcessor",
        "airflow-scheduler": "scheduler",
        "airflow-triggerer": "triggerer",
        "airflow-run-airflow-migrations": "migrateDatabaseJob",
        "airflow-worker": "default",
        "airflow-worker-gpu": "gpu",
    }
    found = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in rendered
        if "template" in one.get("spec", {})
    }
    assert set(found) == {*names, "airflow-redis"}
    allowed = {"airflow", "celery", "cp"}
    for name, ours in names.items():
        specification = found[name]
        assert len(specification["containers"]) == 1, f"{name}: a sidecar"
        assert environment_of(pods[ours]).items() <= environment_of(specification).items(), name
        for container in containers_of(specification):
            given = [one["name"] for one in container.get("env", [])]
            assert len(given) == len(set(given)), name
            assert {words[0] for words in simple_commands(container)} <= allowed, name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name
        assert specification["securityContext"] == pods[ours]["securityContext"], name
    for name in ("airflow-worker", "airflow-worker-gpu"):
        secrets = {one for one in environment_of(found[name]).values() if type(one) is tuple}
        assert secrets - {
            one for one in environment_of(pods[names[name]]).values() if type(one) is tuple
        } == {("nightscribe-keys", "api-secret-key")}
    assert found["airflow-worker-gpu"]["terminationGracePeriodSeconds"] == 3600


def test_the_chart_makes_no_secret_and_keeps_no_password(rendered: list[Manifest]) -> None:
    assert not [one["metadata"]["name"] for one in rendered if one["kind"] == "Secret"]
    (scaled,) = [one for one in rendered if one["kind"] == "ScaledObject"]
    (trigger,) = scaled["spec"]["triggers"]
    assert trigger["metadata"]["connectionFromEnv"] == "AIRFLOW_CONN_AIRFLOW_DB"
    assert scaled["spec"]["scaleTargetRef"]["name"] == "airflow-worker-gpu"
