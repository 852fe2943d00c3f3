"""HttpRequestNode: what it sends, what it makes of answers, where it may go, how it ends."""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from app.errors import NodeCancelled, NodeError, NonRetryableError
from app.nodes.library.http import http_nodes, joined
from app.nodes.outbound.policy import Address
from app.nodes.retry import RetryAfter
from tests.unit.nodes.context import FakeContext, run
from tests.unit.nodes.web_server import QuietServer, serving

LOOPBACK = "127.0.0.0/8"


@pytest.fixture(scope="module")
def server() -> Iterator[QuietServer]:
    with serving() as running:
        yield running


@pytest.fixture
def base(server: QuietServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def ask(
    base: str, path: str = "/echo", *, context: FakeContext | None = None, **inputs: Any
) -> Any:
    (spec,) = http_nodes([LOOPBACK])
    return run(spec, context, baseUri=base, path=path, **inputs)


def echo(base: str, path: str = "/echo", **inputs: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(ask(base, path, **inputs)["response"])
    return said


@pytest.mark.parametrize(
    ("base_uri", "path", "url"),
    [
        ("https://h", "/a", "https://h/a"),
        ("https://h/", "a/b", "https://h/a/b"),
        ("https://h/api", "/users?x=1", "https://h/api/users?x=1"),
        ("https://h/api/", "users", "https://h/api/users"),
        ("https://h/api?key=1", "/users?x=2", "https://h/api/users?key=1&x=2"),
        ("https://h/api", "", "https://h/api"),
        ("https://h/api", "?q=1", "https://h/api?q=1"),
        ("https://h", "//other/x", "https://h/other/x"),
        ("https://h", "/a#part", "https://h/a"),
        ("https://h/a", "b:c", "https://h/a/b:c"),
    ],
)
def test_a_path_is_joined_onto_the_base(base_uri: str, path: str, url: str) -> None:
    assert joined(base_uri, path) == url


@pytest.mark.parametrize(
    "base_uri", ["", "example.org", "ftp://h", "file:///etc/passwd", "http://"]
)
def test_a_base_that_is_no_web_address(base_uri: str) -> None:
    with pytest.raises(NodeError, match="baseUri must begin with"):
        ask(base_uri)


def test_a_get_sends_neither_body_nor_key(base: str) -> None:
    said = echo(base, body="{}")
    assert (said["method"], said["body"]) == ("GET", "")
    assert "idempotency-key" not in said["headers"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_methods_that_change_things_carry_the_key_of_the_node(base: str, method: str) -> None:
    context = FakeContext(idempotency_key="run-1/node-a")
    said = echo(base, method=method, body="text", context=context)
    assert said["method"] == method
    assert said["body"] == "text"
    assert said["headers"]["idempotency-key"] == "run-1/node-a"


@pytest.mark.parametrize(
    ("body", "headers", "content_type"),
    [
        ('{"a": 1}', "", "application/json"),
        ("hello", "", "text/plain;charset=UTF-8"),
        ('{"a": 1}', "content-type: text/x", "text/x"),
    ],
)
def test_the_content_type_of_a_body(base: str, body: str, headers: str, content_type: str) -> None:
    said = echo(base, method="POST", body=body, headers=headers)
    assert said["headers"]["content-type"] == content_type
    assert said["body"] == body


def test_headers_are_lines_and_framing_is_left_to_the_client(base: str) -> None:
    said = echo(base, headers="X-One: 1\n\n x-two :  a: b \nContent-Length: 7\nUser-Agent: me\n")
    assert said["headers"]["x-one"] == "1"
    assert said["headers"]["x-two"] == "a: b"
    assert said["headers"]["user-agent"] == "me"
    assert "content-length" not in said["headers"]


@pytest.mark.parametrize("line", ["nonsense", "a b: c", ": x", "X: a\x00b"])
def test_a_header_line_that_is_none(base: str, line: str) -> None:
    with pytest.raises(NodeError, match="line 2 of the headers"):
        ask(base, headers=f"A: b\n{line}")


@pytest.mark.parametrize("code", [200, 204, 404, 500])
def test_any_status_is_an_answer(base: str, code: int) -> None:
    assert ask(base, f"/status?code={code}")["statusCode"] == code


def test_head_has_no_body(base: str) -> None:
    assert ask(base, "/json", method="HEAD") == {"statusCode": 200, "response": ""}


@pytest.mark.parametrize(
    ("path", "response_type", "response"),
    [
        ("/json", "json", '{"a":1,"b":[1e+21,"ä"]}'),
        ("/empty", "json", ""),
        ("/status?code=502", "json", "<h1>oops</h1>"),
        ("/latin", "text", "Grüße"),
        ("/gzip", "text", "packed"),
        ("/bytes", "blob", base64.b64encode(bytes(range(256))).decode()),
        ("/html", "html-to-markdown", "# Head\n\nA **bold** [link](/x)"),
    ],
)
def test_answers_become_texts(base: str, path: str, response_type: str, response: str) -> None:
    assert ask(base, path, responseType=response_type)["response"] == response


@pytest.mark.parametrize("path", ["/html", "/nan"])
def test_an_answer_that_is_not_the_json_it_should_be(base: str, path: str) -> None:
    with pytest.raises(NodeError, match=r"\(status 200\) is not JSON"):
        ask(base, path, responseType="json")


@pytest.mark.parametrize("path", ["/large?bytes=1048577", "/bomb"])
def test_an_answer_that_is_too_long(base: str, path: str) -> None:
    with pytest.raises(NodeError, match="longer than 1048576 bytes"):
        ask(base, path)


def test_redirects_are_followed_up_to_five(base: str) -> None:
    assert json.loads(ask(base, "/loop?hops=5")["response"])["path"] == "/echo"
    with pytest.raises(NodeError, match="more than 5 redirects"):
        ask(base, "/loop?hops=6")


def test_a_redirect_to_a_private_address_is_refused(base: str) -> None:
    with pytest.raises(NonRetryableError, match=r"10\.0\.0\.7, which is not a public address"):
        ask(base, "/redirect?to=http://10.0.0.7/secret", retries=3)


def test_a_redirect_to_a_file_is_refused(base: str) -> None:
    with pytest.raises(NodeError, match="can't be sent"):
        ask(base, "/redirect?to=file:///etc/passwd")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_loopback_is_refused_however_it_is_written(server: QuietServer, host: str) -> None:
    (spec,) = http_nodes()
    with pytest.raises(NonRetryableError, match="not a public address"):
        run(spec, baseUri=f"http://{host}:{server.server_port}", path="/echo")


@pytest.mark.parametrize("entry", ["localhost", "localhost:{port}", "127.0.0.1/32:{port}"])
def test_the_operator_may_allow_a_host_or_a_network(server: QuietServer, entry: str) -> None:
    (spec,) = http_nodes([entry.format(port=server.server_port)])
    answer = run(spec, baseUri=f"http://localhost:{server.server_port}", path="/json")
    assert answer["statusCode"] == 200


def test_another_port_than_the_allowed_one_is_refused(server: QuietServer) -> None:
    (spec,) = http_nodes(["127.0.0.1:1"])
    with pytest.raises(NonRetryableError, match="not a public address"):
        run(spec, baseUri=f"http://127.0.0.1:{server.server_port}", path="/echo")


class Turncoat:
    """A name server that gives an allowed address first, and a private one from then on."""

    def __init__(self) -> None:
        self.asked = 0

    async def resolve(self, host: str) -> list[Address]:
        self.asked += 1
        return [ip_address("127.0.0.1" if self.asked == 1 else "10.0.0.1")]


def test_the_connection_goes_to_the_address_that_was_judged(server: QuietServer) -> None:
    names = Turncoat()
    (spec,) = http_nodes([LOOPBACK], resolve=names.resolve)
    url = f"http://rebind.example:{server.server_port}"
    said = json.loads(str(run(spec, baseUri=url, path="/echo")["response"]))
    assert names.asked == 1
    assert said["headers"]["host"] == f"rebind.example:{server.server_port}"
    with pytest.raises(NonRetryableError, match=r"10\.0\.0\.1"):
        run(spec, baseUri=url, path="/echo")


def test_a_redirect_is_judged_anew_even_to_the_same_name(server: QuietServer) -> None:
    names = Turncoat()
    (spec,) = http_nodes([LOOPBACK], resolve=names.resolve)
    url = f"http://rebind.example:{server.server_port}"
    with pytest.raises(NonRetryableError, match=r"10\.0\.0\.1"):
        run(spec, baseUri=url, path=f"/redirect?to={url}/echo")


def test_proxies_of_the_environment_are_ignored(base: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert ask(base)["statusCode"] == 200


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("path", ["/broken", None])
def test_network_errors_are_retried_with_growing_waits(base: str, path: str | None) -> None:
    where = base if path else f"http://127.0.0.1:{unused_port()}"
    delays = []
    for attempt in (1, 2, 3):
        with pytest.raises(RetryAfter) as caught:
            ask(where, path or "/", retries=3, context=FakeContext(attempt=attempt))
        delays.append(caught.value.delay_ms)
    assert delays == [1000, 2000, 4000]
    with pytest.raises(NodeError, match="no answer") as last:
        ask(where, path or "/", retries=3, context=FakeContext(attempt=4))
    assert not isinstance(last.value, RetryAfter)


def test_a_name_that_does_not_resolve_is_a_network_error() -> None:
    async def resolve(host: str) -> list[Address]:
        raise OSError(f"{host} can't be resolved")

    (spec,) = http_nodes(resolve=resolve)
    with pytest.raises(RetryAfter, match=r"nowhere\.example can't be resolved"):
        run(spec, baseUri="http://nowhere.example", path="/", retries=1)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_the_timeout_bounds_the_whole_exchange(base: str, path: str) -> None:
    with pytest.raises(NodeError, match=r"no answer within 0\.1 s"):
        ask(base, path, timeout=100)


@pytest.mark.parametrize("path", ["/slow", "/drip"])
def test_a_stop_ends_the_request_at_once(base: str, server: QuietServer, path: str) -> None:
    context = FakeContext()
    server.asked.clear()

    def stop() -> None:
        server.asked.wait(60)
        context.cancelled.set()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(NodeCancelled):
        ask(base, path, context=context)
    stopper.join()


def test_a_stop_does_not_wait_for_a_name_server(monkeypatch: Any) -> None:
    released = threading.Event()
    answered: list[bool] = []

    def hanging(*args: Any, **kwargs: Any) -> list[Any]:
        answered.append(released.wait(60))
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    context = FakeContext()
    threading.Timer(0.05, context.cancelled.set).start()
    (spec,) = http_nodes()
    with pytest.raises(NodeCancelled):
        run(spec, context, baseUri="http://slow.example", path="/")
    assert answered == []
    released.set()
