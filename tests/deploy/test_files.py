"""What deploy/ says agrees with the flows, the tree and itself."""

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

from flows.served import deployments
from tests.deploy.composed import ROOT, compose

NEEDED = re.compile(r"\$\{WINNOW_\w+_SECRET:\?[^}]+\}")


def written() -> list[dict[str, Any]]:
    text = (ROOT / "deploy/prefect.yaml").read_text()
    text = text.replace("{{ $WINNOW_STORE }}", "s3://b/store").replace("{{ $WINNOW_CRAWL }}", "s3://b/crawl")
    found: list[dict[str, Any]] = yaml.safe_load(text)["deployments"]
    return found


def test_prefect_yaml_and_winnow_up_have_the_same_deployments() -> None:
    served = deployments("s3://b/store", "s3://b/crawl")
    assert [
        {
            "name": one["name"],
            "entrypoint": one["entrypoint"],
            "parameters": one["parameters"],
            "tags": one["tags"],
            "limit": (one["concurrency_limit"]["limit"], one["concurrency_limit"]["collision_strategy"]),
            "schedules": [(schedule["cron"], schedule["active"]) for schedule in one.get("schedules", [])],
        }
        for one in written()
    ] == [
        {
            "name": one.name,
            "entrypoint": one.entrypoint,
            "parameters": one.parameters,
            "tags": one.tags,
            "limit": (one.concurrency_limit, one.concurrency_options.collision_strategy if one.concurrency_options else None),
            "schedules": [(getattr(each.schedule, "cron", None), each.active) for each in one.schedules or []],
        }
        for one in served
    ]


@pytest.mark.parametrize("deployment", written(), ids=lambda one: one["name"])
def test_entry_points_are_flows_and_take_their_parameters(deployment: dict[str, Any]) -> None:
    flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    assert ":" not in deployment["entrypoint"]  # Prefect would take it for a file's path
    given = deployment["parameters"]["parameters"]
    if deployment["name"] == "extractor":
        given = given | {"pages": ["pages.jsonl"]}  # which ones is asked in the form
    taken = flow.validate_parameters({"parameters": given})["parameters"]
    assert taken.store == "s3://b/store"


def test_schedules_have_slugs_of_their_own() -> None:
    """By them a schedule is known again, and stays on, when the deployments are registered anew."""
    slugs = [schedule["slug"] for one in written() for schedule in one.get("schedules", [])]
    assert len(slugs) == len(set(slugs)) == 2


def services() -> list[tuple[str, dict[str, Any]]]:
    return list(compose()["services"].items())


@pytest.mark.parametrize(("name", "service"), services())
def test_a_port_is_open_on_loopback_only_and_an_image_has_a_version(name: str, service: dict[str, Any]) -> None:
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), f"{name} opens {port}"
    assert re.fullmatch(r"\w+:\d+\.\d+(\.\d+)?(-\w+)?", service["image"]), f"{name} runs {service['image']}"


def test_the_viewer_sees_store_and_crawl_where_the_worker_does_and_writes_to_neither() -> None:
    viewer, worker = (compose()["services"][name]["volumes"] for name in ("viewer", "worker"))
    assert all(one.endswith(":ro") for one in viewer)
    assert [one.removesuffix(":ro") for one in viewer] == [one.removesuffix(":ro") for one in worker]


def strings(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, key)
    elif isinstance(value, list):
        for before, inner in zip(["", *value], value, strict=False):
            yield from strings(inner, before if isinstance(before, str) and before.startswith("--") else name)
    elif isinstance(value, str):
        yield name, value


@pytest.mark.parametrize(("name", "service"), services())
def test_secrets_come_from_the_environment(name: str, service: dict[str, Any]) -> None:
    found = 0
    for key, value in strings({part: service.get(part) for part in ("environment", "command")}):
        if re.search(r"PASS|SECRET|TOKEN|AUTH", key, re.IGNORECASE) or re.search(r"://[^/]*:.*@", value):
            assert NEEDED.search(value), f"{name}: {key} is {value}"
            assert not re.search(r":\w+@", NEEDED.sub("", value)), f"{name}: {key} is {value}"
            found += 1
    assert found > 0


def test_a_worker_reaches_neither_postgresql_nor_redis() -> None:
    """It reads what strangers wrote."""
    networks = {name: set(service["networks"]) for name, service in services()}
    assert not networks["worker"] & (networks["postgres"] | networks["redis"])


def test_the_image_is_made_of_what_is_there_and_runs_as_nobody_special() -> None:
    lines = re.sub(r"\\\n", "", (ROOT / "deploy/Dockerfile").read_text()).splitlines()
    commands = [line.split() for line in lines if line and not line.startswith("#")]
    allowed = (ROOT / "deploy/Dockerfile.dockerignore").read_text().split()
    for source in [source for verb, *words in commands if verb == "COPY" for source in words[:-1]]:
        assert (ROOT / source).exists(), f"{source} is copied, but not there"
        assert f"!{source}" in allowed, f"{source} is copied, but not let through by Dockerfile.dockerignore"
    assert [words for verb, *words in commands if verb == "USER"] == [["winnow"]]
    [[image]] = [words for verb, *words in commands if verb == "FROM"]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image)


def test_the_extras_that_the_image_installs_exist() -> None:
    [extras] = re.findall(r"^ARG EXTRAS=(\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.MULTILINE)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)


def test_the_image_has_the_version_of_winnow() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert compose()["x-image"]["image"] == f"winnow:{version}"
