"""Requests that fail, against a real HTTP server that does what it is told."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from beamline_ophyd.serving.errors import ServerError
from beamline_ophyd.serving.link import Link
from beamline_ophyd.serving.transport import (
    ServerAwayError,
    ServerFaultError,
    fail_at_once,
    reason_to_leave,
)


@pytest.fixture
def server():
    """Answers /N with status N, and /hang-up by closing the connection; counts requests."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.server.seen.append((self.path, self.headers))
            if self.path == "/hang-up":
                self.close_connection = True
                return
            body = b'{"detail": "as asked"}'
            self.send_response(int(self.path.strip("/") or self.server.status))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.seen = []
    http.status = 503
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def client(server):
    with httpx.Client(
        base_url=f"http://127.0.0.1:{server.server_port}", trust_env=False, timeout=60
    ) as client:
        fail_at_once(client)
        yield client


@pytest.mark.parametrize("status", [200, 404, 409])
def test_answers_pass(client, status):
    assert client.get(f"/{status}").status_code == status


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_away(client, server, status):
    with pytest.raises(ServerAwayError, match=str(status)):
        client.get(f"/{status}")
    assert len(server.seen) == 1


def test_a_failure_of_the_request_is_not_being_away(client):
    with pytest.raises(ServerFaultError) as caught:
        client.get("/500")
    assert not isinstance(caught.value, ServerAwayError)
    assert client.get("/200").json() == {"detail": "as asked"}


@pytest.mark.parametrize("path", ["/hang-up", "http://127.0.0.1:1/"])
def test_no_answer_is_being_away_and_not_an_error_that_tiled_repeats(client, path):
    with pytest.raises(ServerAwayError) as caught:
        client.get(path)
    assert not isinstance(caught.value, httpx.HTTPError)


def test_no_connection_is_used_twice(client, server):
    client.get("/200")
    ((_, headers),) = server.seen
    assert headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("status", "leave"), [(401, True), (403, True), (404, False), (409, False), (422, False)]
)
def test_what_an_answer_says_about_the_server(client, status, leave):
    response = client.get(f"/{status}")
    error = httpx.HTTPStatusError("?", request=response.request, response=response)
    reason = reason_to_leave(error)
    assert (reason is not None) is leave
    if reason is not None:
        assert "as asked" in reason
        assert "writer's key" in reason


def test_other_errors_say_it_too():
    assert reason_to_leave(ServerAwayError("gone")) == "gone"
    assert reason_to_leave(ServerError("no such server")) == "no such server"
    assert reason_to_leave(httpx.ConnectError("refused")) == "ConnectError: refused"
    assert reason_to_leave(ServerFaultError("HTTP 500")) is None
    assert reason_to_leave(ValueError("bad data")) is None


def test_a_link_tells_once_and_does_not_ask_before_its_time(server):
    told = []
    link = Link(
        f"http://127.0.0.1:{server.server_port}",
        "ab",
        timeout_s=5.0,
        first_pause_s=1000.0,
        longest_pause_s=4000.0,
        on_away=lambda reason: told.append(("away", reason)),
        on_back=lambda uri: told.append(("back", uri)),
    )
    assert not link.open()
    assert link.away
    asked = len(server.seen)
    assert not link.open()
    assert len(server.seen) == asked
    link.hurry()
    assert not link.open()
    assert len(server.seen) > asked
    assert [word for word, _ in told] == ["away"]
    assert "503" in told[0][1]
    link.confirm()  # without a connection there is nothing to confirm
    assert link.away
    with pytest.raises(ServerError, match="no connection"):
        _ = link.root


def test_a_links_pauses_grow_up_to_the_longest(server):
    import time

    link = Link(
        "http://127.0.0.1:1",
        "ab",
        timeout_s=5.0,
        first_pause_s=100.0,
        longest_pause_s=300.0,
        on_away=lambda reason: None,
        on_back=lambda uri: None,
    )
    pauses = []
    for _ in range(4):
        link.hurry()
        link.open()
        pauses.append(link.due - time.monotonic())
    assert pauses == pytest.approx([100, 200, 300, 300], abs=5)
