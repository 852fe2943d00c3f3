from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from werkzeug.serving import make_server

from app.config import Settings, load_settings
from web import create_app
from web.composition import end, relay_of


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The API with its relay, served by a thread; gives its URL."""
    app = create_app(settings)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    relay_of(app).drain()
    server.shutdown()
    thread.join()
    server.server_close()
    end(app)


@pytest.fixture
def api_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An API where CHAINGRAPH_URL says.

    It is in local mode: what is created is run, and needs no other process.
    """
    monkeypatch.setenv("CHAINGRAPH_TOKEN", "")
    with served(load_settings({"EXECUTION_MODE": "local", "SECRET_KEY": "k" * 32})) as url:
        monkeypatch.setenv("CHAINGRAPH_URL", url)
        yield url
