"""Sample flows are stored once, and again when their file changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.cli.samples import SampleRefused, load_samples


class FlowsApi(ThreadingHTTPServer):
    """The two calls that the loader makes, over a dictionary; it tidies what it stores."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), FlowsHandler)
        self.flows: dict[str, dict[str, Any]] = {}
        self.posts = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class FlowsHandler(BaseHTTPRequestHandler):
    server: FlowsApi

    def do_GET(self) -> None:
        flow = self.server.flows.get(self.path.rsplit("/", 1)[1])
        self.answer(200 if flow else 404, flow or {"code": "NOT_FOUND"})

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if "metadata" not in document:
            return self.answer(422, {"code": "VALIDATION_ERROR"})
        self.server.posts += 1
        flow = {"id": document.get("id", "V2new"), "document": {**document, "edges": []}}
        self.server.flows[flow["id"]] = flow
        return self.answer(201, flow)

    def answer(self, status: int, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api() -> Iterator[FlowsApi]:
    with FlowsApi() as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    directory = tmp_path / "samples"
    directory.mkdir()
    write(directory, "named", {"id": "V2named", "metadata": {"name": "Named"}})
    write(directory, "unnamed", {"metadata": {"name": "Unnamed"}})
    return directory


def write(directory: Path, name: str, document: dict[str, Any]) -> None:
    (directory / f"{name}.json").write_text(json.dumps(document))


def test_a_repeated_load_stores_nothing_new(api: FlowsApi, samples: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    assert load_samples(api.url, samples, notes) == ["V2named", "V2new"]
    assert load_samples(api.url, samples, notes) == []
    assert api.posts == 2


def test_a_changed_file_and_a_lost_flow_are_stored_again(
    api: FlowsApi, samples: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.json"
    load_samples(api.url, samples, notes)
    write(samples, "unnamed", {"metadata": {"name": "Changed"}})
    assert load_samples(api.url, samples, notes) == ["V2new"]
    api.flows.clear()
    assert load_samples(api.url, samples, notes) == ["V2named"]


def test_without_samples_there_is_nothing_to_do(api: FlowsApi, tmp_path: Path) -> None:
    assert load_samples(api.url, tmp_path / "none", tmp_path / "notes.json") == []


def test_a_sample_that_is_refused_is_named(api: FlowsApi, samples: Path, tmp_path: Path) -> None:
    write(samples, "broken", {"nodes": []})
    with pytest.raises(SampleRefused, match=r"broken\.json was refused with 422"):
        load_samples(api.url, samples, tmp_path / "notes.json")
