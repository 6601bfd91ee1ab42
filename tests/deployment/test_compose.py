"""What can be known of compose.yaml and the Dockerfile without Docker: they fit the product and each other."""

import re
import tomllib
from typing import Any

import pytest

from tests.deployment import compose
from tests.deployment.compose import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMPOSE = compose.document(dict.fromkeys(compose.variables(), "something"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
OPERATIONS = (ROOT / "docs/operations.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
SECRET = re.compile(r"SECRET|PASSWORD|PASS$|KEY|_URL$")
EXTRAS = re.compile(r'"\.\[([\w,]+)\]"')
WITHOUT_DEPENDENCIES = re.compile(r"--no-deps (.+)")


def test_every_process_of_the_procfile_has_its_service() -> None:
    processes = compose.processes()
    assert processes.keys() <= OURS.keys()
    for name in processes.keys() - {"web"}:  # which listens elsewhere and in several processes
        assert OURS[name]["command"] == processes[name]
    assert OURS["web"]["command"].split()[:2] == processes["web"].split()[:2]


def test_the_image_alone_is_the_web_service() -> None:
    words = re.findall(r'"([^"]+)"', DOCKERFILE.splitlines()[-1])
    assert words == OURS["web"]["command"].split()


@pytest.mark.parametrize("name", sorted({name for service in OURS.values() for name in service["environment"]}))
def test_every_variable_that_is_set_is_documented(name: str) -> None:
    assert f"`{name}`" in CONFIGURATION


@pytest.mark.parametrize("name", sorted(compose.variables()))
def test_operations_say_how_every_variable_of_the_env_file_is_made(name: str) -> None:
    assert re.search(rf"^    {name}=", OPERATIONS, re.MULTILINE)


def test_no_secret_stands_in_the_file() -> None:
    given = compose.services({name: f"<{name}>" for name in compose.variables()})
    values = [(name, str(value)) for each in given.values() for name, value in each.get("environment", {}).items()]
    secrets = [(name, value) for name, value in values if SECRET.search(name)]
    assert len(secrets) > 5
    assert [name for name, value in secrets if "<" not in value] == []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_has_a_version(name: str) -> None:
    assert re.search(r":v?\d+\.\d+[\w.-]*$", SERVICES[name]["image"])


def test_our_image_has_the_version_of_the_product() -> None:
    assert {service["image"] for service in OURS.values()} == {f"latentmas:{PROJECT['version']}"}


@pytest.mark.parametrize("base", re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
def test_every_base_image_has_a_version_and_a_python_that_the_product_takes(base: str) -> None:
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)


@pytest.mark.parametrize("service", OURS.values(), ids=list(OURS))
def test_nothing_of_ours_is_root_or_can_become_it(service: dict[str, Any]) -> None:
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == [service["user"]] == ["10001:10001"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_only_the_proxy_is_reached_from_outside() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]


def test_the_image_installs_what_make_setup_does_without_what_tests_and_clients_need() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (wanted,), (installed,) = EXTRAS.findall(makefile), EXTRAS.findall(DOCKERFILE)
    assert installed.split(",") == [extra for extra in wanted.split(",") if extra not in ("dev", "paying")]
    without = [" ".join(WITHOUT_DEPENDENCIES.findall(text)).split() for text in (makefile, DOCKERFILE)]
    assert without[0] == without[1] != []


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    mounts = [mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])]
    assert all((ROOT / each).is_file() if each.startswith("./") else each in COMPOSE["volumes"] for each in mounts)


def test_every_service_that_is_waited_for_can_be_waited_for() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name]
            else:
                assert SERVICES[name]["restart"] == "no"  # else it never has completed
