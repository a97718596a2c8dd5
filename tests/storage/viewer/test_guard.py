"""Who is let in, and what every answer forbids."""

from pathlib import Path

import pytest
from starlette.routing import Route

from storage.problem import Problem
from storage.snapshot import Snapshot
from storage.viewer.app import create_app
from storage.viewer.guard import HEADERS

from .conftest import client
from .test_pages import raw


@pytest.mark.parametrize("path", ["/", "/runs", "/nosuch", "/static/style.css", "/?unknown=1"])
def test_every_answer_carries_the_policy(root: Path, made: dict[str, Snapshot], path: str) -> None:
    answer = client(str(root)).get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "LOCALHOST:4300", "[::1]:4300"])
def test_loopback_names_are_answered(root: Path, made: dict[str, Snapshot], host: str) -> None:
    assert client(str(root)).get("/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4300", "127.0.0.1.evil.example", "localhost.evil", "", "192.168.1.5", "[::2]"]
)
def test_other_names_are_refused_without_a_token(root: Path, made: dict[str, Snapshot], host: str) -> None:
    answer = client(str(root)).get("/", headers={"host": host})
    assert answer.status_code == 403
    assert "start it with a token" in answer.text
    assert str(root) not in answer.text


def test_a_token_is_asked_for_and_remembered(root: Path, made: dict[str, Snapshot]) -> None:
    browser = client(str(root), "viewer.example", token="secret")
    assert browser.get("/").status_code == 401
    assert str(root) not in browser.get("/").text
    assert browser.get("/static/style.css").status_code == 401
    assert browser.get("/?token=wrong").status_code == 401
    assert browser.get("/", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert browser.get("/", headers={"cookie": "winnow-00000000=secret"}).status_code == 401
    assert browser.get("/", headers={"authorization": "Bearer secret"}).status_code == 200
    entered = browser.get("/runs?page=1&token=secret", follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, "/runs?page=1")
    assert "HttpOnly" in entered.headers["set-cookie"]
    assert "secret" not in entered.headers["set-cookie"]
    assert browser.get("/").status_code == 200


def test_health_says_ok_without_a_token_and_nothing_else_does(root: Path, made: dict[str, Snapshot]) -> None:
    stranger = client(str(root), "viewer.example", token="secret")
    answer = stranger.get("/health")
    assert (answer.status_code, answer.text) == (200, "ok\n")
    assert "set-cookie" not in stranger.get("/health?token=secret").headers
    assert stranger.post("/health").status_code == 405
    for path in ("/health/", "/health/.", "//health", "/health%2f..%2f", "/HEALTH", "/healthy", "/health/../"):
        assert raw(stranger.app, path)[0] == 401, path
    assert client(str(root), "evil.example").get("/health").status_code == 403, "without a token, loopback names alone"


def test_the_way_in_leads_nowhere_else(root: Path, made: dict[str, Snapshot]) -> None:
    browser = client(str(root), "viewer.example", token="secret")
    answer = browser.get("//evil.example/?token=secret", follow_redirects=False)
    assert not answer.headers.get("location", "").startswith(("//", "http", "/\\"))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(root: Path, made: dict[str, Snapshot], method: str) -> None:
    assert client(str(root)).request(method, "/").status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_no_page_that_loads_from_elsewhere(root: Path, made: dict[str, Snapshot], path: str) -> None:
    assert client(str(root)).get(path).status_code == 404


def test_settings_that_cannot_be_are_refused(root: Path) -> None:
    with pytest.raises(Problem, match="no address"):
        create_app(str(root), prefect="javascript:alert(1)")
    with pytest.raises(Problem, match="token is empty"):
        create_app(str(root), token="")
    with pytest.raises(Problem, match="nosuchprotocol"):
        create_app("nosuchprotocol://x")


def test_a_fault_of_ours_tells_nothing_and_keeps_the_policy(root: Path, made: dict[str, Snapshot]) -> None:
    browser = client(str(root))

    def fault(request: object) -> None:
        raise RuntimeError("inner <b>detail</b>")

    browser.app.router.routes.insert(0, Route("/fault", fault))  # type: ignore[attr-defined]
    answer = browser.get("/fault")
    assert answer.status_code == 500
    assert "inner" not in answer.text
    assert answer.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]
