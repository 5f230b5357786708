"""The container files are checked for everything that can be checked without an engine.

`docker-compose.yaml` is interpolated as Compose does it, held against the Compose
Specification's JSON schema (the copy that the package check-jsonschema ships), and then
against the things it names: Airflow's own command line, configuration and routes,
Nightscribe's settings, the files of this repository. What no test here shows is that the
image builds and the containers start; `docs/deployment.md` says so too.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for

from tests.compose_file import (
    REPOSITORY,
    SECRETS,
    VARIABLE,
    example_variables,
    interpolated,
    raw_compose,
)
from tests.image import copied, dockerfile_text, instructions
from tests.known_names import (
    airflow_environment,
    airflow_options,
    nightscribe_settings,
    parse_airflow_commands,
    queues_and_pools,
)

DEPLOYMENT = REPOSITORY / "docs" / "deployment.md"


@pytest.fixture(scope="module")
def raw() -> dict[str, Any]:
    """The compose file with its anchors resolved and its variables left as written."""
    return raw_compose()


@pytest.fixture(scope="module")
def compose(raw: dict[str, Any]) -> dict[str, Any]:
    """The compose file as the engine sees it, with `.env.example` filled in."""
    return interpolated(raw, example_variables() | {name: f"{name}-value" for name in SECRETS})


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return compose["services"]


def words_of(command: list[str] | str) -> list[list[str]]:
    """Split a Compose command or health check into simple commands, each a list of words."""
    if isinstance(command, str):
        command = ["CMD-SHELL", command]
    if command[0] == "CMD":
        return [command[1:]]
    if command[0] in {"CMD-SHELL", "bash", "sh"}:
        lines = command[-1].split("<<")[0] if command[0] == "sh" else command[-1]
        return [shlex.split(part) for part in re.split(r"&&|\||\n", lines) if part.strip()]
    return [command]


def commands(services: dict[str, dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    for name, service in services.items():
        for command in (service.get("command"), service.get("healthcheck", {}).get("test")):
            for words in words_of(command) if command else []:
                yield name, words[1:] if words[0] == "exec" else words


def ours(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: s for name, s in services.items() if s["image"] == "nightscribe:local"}


# The compose file


@pytest.fixture(scope="module")
def specification() -> Validator:
    """The Compose Specification's schema."""
    package = pytest.importorskip("check_jsonschema", reason="needs check-jsonschema")
    schema = Path(package.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
    content = json.loads(schema.read_text(encoding="utf-8"))
    validator: Validator = validator_for(content)(content)
    return validator


def test_compose_file_follows_the_specification(
    compose: dict[str, Any], specification: Validator
) -> None:
    errors = list(specification.iter_errors(compose))
    assert not errors, "\n".join(f"{list(e.absolute_path)}: {e.message}" for e in errors)


def test_the_schema_would_notice_a_mistake(
    compose: dict[str, Any], specification: Validator
) -> None:
    broken = json.loads(json.dumps(compose))
    broken["services"]["redis"]["helthcheck"] = broken["services"]["redis"].pop("healthcheck")
    assert not specification.is_valid(broken)


def test_every_component_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {
        "postgres",
        "redis",
        "airflow-init",
        "api-server",
        "scheduler",
        "dag-processor",
        "triggerer",
        "cpu-worker",
        "gpu-worker",
    }


def test_every_service_is_checked_or_ends(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        one_shot = service["restart"] == "no"
        assert one_shot != ("healthcheck" in service), name


def test_services_wait_for_what_they_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for needed, dependency in service.get("depends_on", {}).items():
            ends = services[needed]["restart"] == "no"
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert dependency["condition"] == expected, (name, needed)


def test_every_variable_is_in_the_example(raw: dict[str, Any]) -> None:
    named = {match["name"] for match in VARIABLE.finditer(json.dumps(raw)) if match["name"]}
    compose_own = {"COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES"}
    assert named | compose_own == set(example_variables())


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_nothing_starts_without_a_secret(raw: dict[str, Any], secret: str) -> None:
    filled = example_variables() | {name: f"{name}-value" for name in SECRETS - {secret}}
    with pytest.raises(LookupError, match=rf"{secret}: see \.env\.example"):
        interpolated(raw, filled)


def test_example_and_compose_file_hold_no_secret_value(raw: dict[str, Any]) -> None:
    example = example_variables()
    assert all(example[name] == "" for name in SECRETS)
    secret_name = re.compile(r"PASSWORD$|SECRET|FERNET|JWT|AUTH$|CONN$|BROKER_URL|RESULT_BACKEND")
    for name, service in raw["services"].items():
        for key, value in service.get("environment", {}).items():
            if secret_name.search(key) and not key.endswith("_FILE"):
                references = {match["name"] for match in VARIABLE.finditer(value)}
                assert references & SECRETS, f"{name}: {key} is not taken from a secret variable"


def test_git_never_takes_the_file_with_the_secrets() -> None:
    assert ".env" in (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_only_loopback_is_published(services: dict[str, dict[str, Any]]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}
    assert not any("network_mode" in service for service in services.values())


def test_workers_hold_no_key_to_airflows_database(services: dict[str, dict[str, Any]]) -> None:
    for name in ("cpu-worker", "gpu-worker"):
        values = " ".join(map(str, services[name]["environment"].values()))
        for secret in ("POSTGRES_PASSWORD", "FERNET_KEY", "JWT_SECRET"):
            assert f"{secret}-value" not in values, (name, secret)


def test_nothing_runs_as_root_or_can_become_it(services: dict[str, dict[str, Any]]) -> None:
    assert services["postgres"]["user"] == "postgres"
    assert services["redis"]["user"] == "redis"
    assert not any("user" in service for service in ours(services).values())
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name


def test_archives_are_mounted_read_only(services: dict[str, dict[str, Any]]) -> None:
    for name in ("cpu-worker", "gpu-worker"):
        binds = [v for v in services[name]["volumes"] if isinstance(v, dict)]
        assert [(b["target"], b["read_only"]) for b in binds] == [("/archives", True)]
        assert not binds[0]["bind"]["create_host_path"], "a typing error would be made a folder"


def test_host_paths_and_volumes_exist(compose: dict[str, Any]) -> None:
    used = set()
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            if source.startswith("."):
                assert (REPOSITORY / source).exists(), f"{name}: {source}"
            else:
                used.add(source)
    assert used == set(compose["volumes"])


def test_gpu_worker_reserves_a_gpu_and_serves_its_queue(
    services: dict[str, dict[str, Any]],
) -> None:
    worker = services["gpu-worker"]
    assert worker["profiles"] == ["gpu"]
    (device,) = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert worker["command"][-4:] == ["--queues", "gpu", "--concurrency", "1"]


def test_without_a_gpu_worker_the_cpu_worker_serves_both_queues(
    services: dict[str, dict[str, Any]],
) -> None:
    assert example_variables()["COMPOSE_PROFILES"] == ""
    command = services["cpu-worker"]["command"]
    assert command[command.index("--queues") + 1] == "default,gpu"


def test_every_queue_and_pool_of_the_dags_is_served(
    services: dict[str, dict[str, Any]], environment: dict[str, str]
) -> None:
    queues, pools = queues_and_pools(environment)
    command = services["cpu-worker"]["command"]
    served = command[command.index("--queues") + 1].split(",")
    made = {words[3] for _, words in commands(services) if words[:3] == ["airflow", "pools", "set"]}
    assert queues <= set(served)
    assert pools <= made | {"default_pool"}


# What the compose file names


def test_every_command_is_known(services: dict[str, dict[str, Any]]) -> None:
    elsewhere = {
        "postgres": {"pg_isready"},
        "redis": {"redis-server", "redis-cli", "grep"},
    }
    for name, words in commands(services):
        allowed = elsewhere.get(name, {"airflow", "celery", "python", "nightscribe"})
        assert words[0] in allowed, f"{name}: {words}"


def test_airflow_takes_every_airflow_command(
    services: dict[str, dict[str, Any]], environment: dict[str, str]
) -> None:
    lines = [words[1:] for _, words in commands(services) if words[0] == "airflow"]
    assert len(lines) >= 11
    parse_airflow_commands(lines, environment)


def test_celery_finds_the_app_and_the_command(
    services: dict[str, dict[str, Any]], environment: dict[str, str]
) -> None:
    lines = {tuple(words) for _, words in commands(services) if words[0] == "celery"}
    (line,) = lines
    assert line[3:5] == ("inspect", "ping")
    answer = subprocess.run(
        [sys.executable, "-m", *line[:-2], "--help"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert answer.returncode == 0, answer.stderr
    assert line[-2] in answer.stdout
    assert "Unable to load celery application" not in answer.stderr


def test_the_health_route_is_one_of_airflows(services: dict[str, dict[str, Any]]) -> None:
    (path,) = {
        match[1]
        for _, words in commands(services)
        if words[0] == "python" and (match := re.search(r"127\.0\.0\.1:8080(/[^\"]*)\"", words[2]))
    }
    from airflow.api_fastapi.core_api.routes.public.monitor import monitor_router

    assert path in {f"/api/v2{route.path}" for route in monitor_router.routes}
    for _, words in commands(services):
        if words[0] == "python":
            compile(words[2], "health check", "exec")


def test_airflow_has_every_option_that_is_set(services: dict[str, dict[str, Any]]) -> None:
    known = airflow_options()
    image = dict(re.findall(r"\b(AIRFLOW__\w+)=(\S+)", dockerfile_text()))
    for name, service in ours(services).items():
        for key in {*service["environment"], *image}:
            assert not key.startswith("AIRFLOW__") or key in known, f"{name}: {key}"


def test_nightscribe_has_every_setting_that_is_set(services: dict[str, dict[str, Any]]) -> None:
    named = set(re.findall(r"\bNIGHTSCRIBE_[A-Z_]+", dockerfile_text() + DEPLOYMENT.read_text()))
    for service in services.values():
        named |= {key for key in service.get("environment", {}) if key.startswith("NIGHTSCRIBE_")}
    assert named
    assert named <= nightscribe_settings()


def test_folders_of_the_settings_are_mounted(services: dict[str, dict[str, Any]]) -> None:
    for name in ("cpu-worker", "gpu-worker"):
        service = services[name]
        targets = {
            v["target"] if isinstance(v, dict) else v.split(":")[1] for v in service["volumes"]
        }
        for key in ("LAKE", "MODEL_DIR", "ARCHIVES"):
            assert service["environment"][f"NIGHTSCRIBE_{key}"] in targets, (name, key)


@pytest.fixture(scope="module")
def environment(
    services: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """A worker's environment, in a home folder of its own."""
    home = tmp_path_factory.mktemp("airflow")
    return airflow_environment(services["cpu-worker"]["environment"], home)


# The image


def test_image_runs_as_a_user_and_never_goes_back_to_root() -> None:
    users = [rest for word, rest in instructions() if word == "USER"]
    assert users == ["airflow"]
    assert (
        f"useradd --uid 50000 --gid airflow --create-home --home-dir /opt/airflow {users[0]}"
        in (" ".join(rest for word, rest in instructions() if word == "RUN"))
    )


def test_base_image_is_pinned_to_a_release() -> None:
    bases = {rest.split()[0] for word, rest in instructions() if word == "FROM"}
    assert bases == {"python:3.11-slim-bookworm"}


def test_everything_copied_exists_and_reaches_the_builder() -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored, "what is not named must stay outside the image"
    for source in copied():
        assert (REPOSITORY / source).exists(), f"Dockerfile copies {source}, which is not there"
        assert source in let_through, f".dockerignore keeps {source} from the builder"
    assert let_through == set(copied()), "the builder gets what the image takes, no more"


def test_dependencies_are_installed_before_the_sources_are_copied() -> None:
    steps = [f"{word} {rest}" for word, rest in instructions()]
    install = next(i for i, s in enumerate(steps) if "pip install --requirement" in s)
    assert "--constraint /opt/nightscribe/constraints.txt" in steps[install]
    assert install < steps.index("COPY plugins plugins")
    assert all("--no-deps" in s for s in steps[install + 1 :] if "pip install" in s)


def test_layers_keep_no_cache_and_no_secret() -> None:
    text = dockerfile_text()
    assert "PIP_NO_CACHE_DIR=1" in text
    assert "apt-get" not in text
    assert not any(word == "ADD" for word, _ in instructions())
    names = {
        name
        for word, rest in instructions()
        if word in {"ARG", "ENV"}
        for name in re.findall(r"([A-Z][A-Z_]+)=", rest)
    }
    assert not {n for n in names if re.search("PASSWORD|SECRET|TOKEN|FERNET", n)}


def test_requirements_are_those_of_the_project(tmp_path: Path) -> None:
    import tomllib

    (step,) = [rest for word, rest in instructions() if word == "RUN" and "/build/" in rest]
    extras = step.split(">")[0].split()[3:]
    printed = subprocess.run(
        [sys.executable, REPOSITORY / "docker/requirements.py", "pyproject.toml", *extras],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert extras == ["s3", "gcs", "celery", "vad"]
    assert set(project["dependencies"]) < set(printed)
    assert set(project["optional-dependencies"]["celery"]) < set(printed)
    assert not set(project["optional-dependencies"]["dev"]) & set(printed)


def test_every_requirement_is_pinned() -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {
        canonicalize_name(line.split("==")[0].strip()): line.split("==")[1]
        for line in lines
        if "==" in line and not line.startswith("#")
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = list(project["dependencies"])
    for extra in ("s3", "gcs", "celery"):
        asked += project["optional-dependencies"][extra]
    missing = {r.name for r in map(Requirement, asked) if canonicalize_name(r.name) not in pins}
    assert not missing
    assert "+" not in pins["torch"], "a local version such as +cpu is on no index: CUDA hosts fail"


def test_weights_are_fetched_by_a_command_that_exists() -> None:
    (step,) = [rest for word, rest in instructions() if "$WHISPER_MODELS" in rest]
    command = re.search(r"nightscribe (models fetch) \"\$model\"", step)
    assert command
    program = "import sys; from nightscribe.cli import main; sys.exit(main())"
    answer = subprocess.run(
        [sys.executable, "-c", program, *command[1].split(), "--help"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{REPOSITORY / 'plugins'}{os.pathsep}{REPOSITORY}"},
    )
    assert answer.returncode == 0, answer.stderr


def test_folders_of_volumes_belong_to_the_user(services: dict[str, dict[str, Any]]) -> None:
    (step,) = [rest for word, rest in instructions() if "install --directory" in rest]
    for service in ours(services).values():
        for volume in service.get("volumes", []):
            if isinstance(volume, str):
                assert volume.split(":")[1] in step.split(), volume


# The instructions


def bash_blocks() -> list[str]:
    return re.findall(r"```bash\n(.*?)```", DEPLOYMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documented_commands_make_every_secret(tmp_path: Path, raw: dict[str, Any]) -> None:
    (block,) = [block for block in bash_blocks() if "openssl" in block]
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    shutil.copy(REPOSITORY / ".env.example", tmp_path)
    subprocess.run(["bash", "-euc", block], cwd=tmp_path, check=True)

    written = (tmp_path / ".env").read_text(encoding="utf-8").splitlines()
    variables = dict(line.split("=", 1) for line in written if line and line[0] != "#")
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    interpolated(raw, variables)
    assert len(base64.urlsafe_b64decode(variables["FERNET_KEY"])) == 32
    others = [variables[name] for name in SECRETS - {"FERNET_KEY"}]
    assert len(set(others)) == len(others)
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in others)


def test_the_guide_speaks_of_services_that_exist(services: dict[str, dict[str, Any]]) -> None:
    text = "\n".join(bash_blocks())
    pattern = r"docker compose (?:exec|logs|restart|run)(?: -[-\w]+)* (\w[-\w]*)"
    named = re.findall(pattern, text)
    assert named
    assert set(named) <= set(services)


def test_an_engine_accepts_the_file(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "info"], capture_output=True, timeout=30).returncode:
        pytest.skip("no Docker engine answers here")
    (tmp_path / ".env").write_text(
        "\n".join(
            f"{name}={value or name}"
            for name, value in example_variables().items()
            if value or name in SECRETS
        )
    )
    subprocess.run(
        [docker, "compose", "--env-file", tmp_path / ".env", "config", "--quiet"],
        cwd=REPOSITORY,
        check=True,
        timeout=60,
    )
