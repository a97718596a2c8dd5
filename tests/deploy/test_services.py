"""deploy/compose.yaml as processes: Prefect on PostgreSQL and Redis, its services, the setup, a worker of the pool, the viewer."""

import base64
import importlib.util
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest

from stages.corpus.simulate import SIMULATE, SimulateConfig
from storage.artifact import resolve
from storage.runs import records
from storage.shards import read_shard
from storage.store import Store
from tests.deploy.composed import Composed, composed, postgres_program, until

MISSING = [
    what
    for what, there in {
        "PostgreSQL (initdb, postgres, createdb), such as Debian's postgresql": all(
            postgres_program(name) for name in ("initdb", "postgres", "createdb")
        ),
        "redis-server, Debian's redis-server": shutil.which("redis-server"),
        "prefect-redis, of the extra `deploy`": importlib.util.find_spec("prefect_redis"),
    }.items()
    if not there
]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"install first: {'; '.join(MISSING)}")]

SECRETS = {f"WINNOW_{name}_SECRET": f"{name.lower()}Secret1" for name in ("POSTGRES", "REDIS", "PREFECT", "VIEWER")}
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


def basic(name: str) -> str:
    return f"Basic {base64.b64encode(name.encode()).decode()}"


@dataclass(frozen=True)
class Up:
    services: Composed
    headers: dict[str, str]

    def ask(self, path: str, body: object = None, method: str = "POST", headers: dict[str, str] | None = None) -> Any:
        address = f"http://127.0.0.1:{self.services.ports['4200']}/api/{path}"
        data = None if method == "GET" else json.dumps(body or {}).encode()
        given = {"Content-Type": "application/json"} | (self.headers if headers is None else headers)
        with urllib.request.urlopen(urllib.request.Request(address, data, given, method=method), timeout=90) as answer:
            return json.loads(answer.read() or b"null")

    def view(self, path: str, **headers: str) -> str:
        request = urllib.request.Request(f"http://127.0.0.1:{self.services.ports['4280']}/{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=90) as answer:
            return str(answer.read().decode())

    def deployments(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.ask("deployments/filter")}

    def start(self, name: str, **parameters: Any) -> str:
        deployment = self.deployments()[name]
        chosen = deployment["parameters"]["parameters"] | parameters
        run: str = self.ask(f"deployments/{deployment['id']}/create_flow_run", {"parameters": {"parameters": chosen}})["id"]
        return run

    def read(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.ask(f"flow_runs/{run}", method="GET")
        return found

    def end(self, run: str) -> dict[str, Any]:
        until(lambda: self.read(run)["state_type"] in ENDED, 120)
        state: dict[str, Any] = self.read(run)["state"]
        return state

    def logs(self, run: str) -> str:
        return "\n".join(line["message"] for line in self.ask("logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}}))


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with composed(SECRETS) as services:
        crawl = services.folder / "crawl"
        crawl.mkdir()
        SIMULATE.run({}, crawl, SimulateConfig(pages=100, files=1))
        services.start_postgres()
        services.start_redis()
        services.start("server")
        services.healthy("server")
        services.start("services")
        services.run("setup")
        services.start("worker")
        services.start("viewer")
        services.healthy("viewer")
        allowed = {"Authorization": basic(f"winnow:{SECRETS['WINNOW_PREFECT_SECRET']}")}
        token = Up(services, allowed).ask("csrf-token?client=test", method="GET")["token"]
        yield Up(services, allowed | {"Prefect-Csrf-Client": "test", "Prefect-Csrf-Token": token})


@pytest.fixture(scope="module", autouse=True)
def lost(up: Up) -> str:
    """A run whose machine went dark. First of all, since ninety seconds pass before it is missed."""
    store = up.services.folder / "lost"
    run = up.start("demo", store=str(store), until="corpus", simulate={"pages": 6000})
    until(lambda: list(store.glob("*/*/*.parquet")), 60)
    up.services.kill("worker")
    up.services.start("worker")
    up.services.healthy("worker")
    return run


def test_all_flows_are_deployments_of_the_pool_and_schedules_are_paused(up: Up) -> None:
    deployments = up.deployments()
    assert set(deployments) == {
        "corpus",
        "nightly",
        "tokenizer",
        "pretrain",
        "posttrain",
        "align",
        "release",
        "ablate",
        "extractor",
        "demo",
        "weekly",
    }
    for one in deployments.values():
        assert (one["work_pool_name"], one["pull_steps"]) == ("winnow", [])
        assert one["global_concurrency_limit"]["limit"] == 1
        assert one["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert {name: [one["active"] for one in deployments[name]["schedules"]] for name in deployments} == {
        "corpus": [],
        "nightly": [False],
        "tokenizer": [],
        "pretrain": [],
        "posttrain": [],
        "align": [],
        "release": [],
        "ablate": [],
        "extractor": [],
        "demo": [],
        "weekly": [False],
    }


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"Authorization": ""}, 401), ({"Authorization": basic("winnow:guess")}, 401), ({"Prefect-Csrf-Token": "guess"}, 403)],
)
def test_the_api_asks_for_the_auth_string_and_for_the_csrf_token(up: Up, changed: dict[str, str], code: int) -> None:
    with pytest.raises(urllib.error.HTTPError, match=str(code)):
        up.ask("deployments/filter", headers=up.headers | changed)


def test_a_wrong_value_is_refused_with_the_field_named(up: Up) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        up.start("corpus", c4={"min_sentences": "many"})
    assert b"min_sentences" in refused.value.read()


def test_a_worker_of_the_pool_makes_the_corpus_and_the_viewer_shows_it_to_those_with_the_token(up: Up) -> None:
    corpus = up.deployments()["corpus"]
    chosen = {"sources": corpus["parameters"]["parameters"]["sources"]}  # without the store, as a schedule of the UI has it
    run: str = up.ask(f"deployments/{corpus['id']}/create_flow_run", {"parameters": {"parameters": chosen}})["id"]
    assert up.end(run)["type"] == "COMPLETED", up.logs(run)
    store = Store(str(up.services.folder / "store"))
    made = resolve(store, "corpus")
    assert made.rows > 10
    [funnel] = [
        one["data"]
        for one in up.ask("artifacts/filter", {"flow_runs": {"id": {"any_": [run]}}})
        if one["key"] == "funnel" and one["type"] == "markdown"
    ]
    assert f"](http://127.0.0.1:{up.services.ports['4280']}/c4/" in funnel
    token = SECRETS["WINNOW_VIEWER_SECRET"]
    assert made.id in up.view(made.reference, Authorization=f"Bearer {token}")
    for headers in ({}, {"Authorization": "Bearer guess"}):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            up.view(made.reference, **headers)
    page = {"run": next(records(store)).id, "id": read_shard(store, made.folder, made.shards[0], ["id"])["id"][0]}
    assert "&lt;/html&gt;" in up.view(f"original?{urlencode(page)}", Authorization=f"Bearer {token}")


def test_schedules_are_as_they_were_left_when_the_setup_runs_again_and_are_planned(up: Up) -> None:
    nightly, release = (up.deployments()[name] for name in ("nightly", "release"))
    cron = {"schedule": {"cron": "30 3 * * *"}, "active": True}
    up.ask(f"deployments/{nightly['id']}/schedules/{nightly['schedules'][0]['id']}", cron, "PATCH")
    added = {"schedule": {"cron": "0 6 * * 1"}, "active": False, "parameters": {"parameters": {"name": "mine"}}}
    up.ask(f"deployments/{release['id']}/schedules", [added])
    up.services.run("setup")
    found = {
        name: [(one["schedule"]["cron"], one["active"], one["slug"], one["parameters"]) for one in deployment["schedules"]]
        for name, deployment in up.deployments().items()
        if deployment["schedules"]
    }
    assert found == {
        "nightly": [("30 3 * * *", True, "nightly", {})],
        "weekly": [("0 4 * * 0", False, "weekly", {})],
        "release": [("0 6 * * 1", False, None, added["parameters"])],
    }
    mine = {"deployments": {"id": {"any_": [nightly["id"]]}}}
    assert until(lambda: up.ask("flow_runs/filter", mine), 90)[0]["state_type"] == "SCHEDULED"


def test_runs_are_remembered_when_server_and_services_start_again(up: Up, lost: str) -> None:
    before = up.ask("flow_runs/count")
    for service in ("services", "server"):
        up.services.stop(service)
    with pytest.raises(urllib.error.URLError):
        up.read(lost)
    for service in ("server", "services"):
        up.services.start(service)
    up.services.healthy("server")
    assert up.ask("flow_runs/count") >= before > 0
    assert up.read(lost)["name"].startswith("demo of 6,000 pages")


def test_a_run_whose_machine_is_gone_is_crashed(up: Up, lost: str) -> None:
    """Last: by then most of the ninety seconds have passed."""
    state = up.end(lost)
    assert (state["type"], state["message"]) == ("CRASHED", "its process is gone; run it again, it goes on where it stopped")
