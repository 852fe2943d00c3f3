"""A client that insists: it asks again until it is answered with something else than "not now"."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from tests.chaos.evidence import Answer, Shown

#: How long (s) a client waits before it asks again, and for an answer.
AGAIN_S, ANSWERED_WITHIN_S = 0.3, 10.0


class Book:
    """What all clients were told, and whether they are to go on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.given_up = threading.Event()
        self.created: list[str] = []
        self.answers: list[Answer] = []
        self.complaints: list[str] = []
        self.counts: Counter[str] = Counter()

    def complain(self, text: str) -> None:
        """Note what nobody should be told."""
        with self._lock:
            self.complaints.append(text)

    def note(self, answer: Answer) -> None:
        """Note a command that was answered with 2xx."""
        with self._lock:
            self.answers.append(answer)

    def add(self, execution_ids: list[str]) -> None:
        """Note executions that were answered with 201."""
        with self._lock:
            self.created += execution_ids

    def count(self, what: str) -> None:
        """Count something for the report."""
        with self._lock:
            self.counts[what] += 1


class Caller:
    """One client of the API. What it is answered goes into the book."""

    def __init__(self, url: str, book: Book) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=ANSWERED_WITHIN_S)
        self.book = book

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def insist(
        self, path: str, body: object, headers: Mapping[str, str] | None = None
    ) -> httpx.Response | None:
        """Post until there is an answer below 500; None if all is given up before."""
        while not self.book.given_up.is_set():
            try:
                answer = self._http.post(path, json=body, headers=headers)
            except httpx.TransportError:
                self.book.count("calls that broke")
            else:
                if answer.status_code < 500:
                    return answer
                self._note_failure(path, answer)
            self.book.given_up.wait(AGAIN_S)
        return None

    def look(self, path: str) -> dict[str, Any]:
        """What is there; nothing if it can't be said now."""
        try:
            answer = self._http.get(path)
        except httpx.TransportError:
            return {}
        if answer.is_success:
            return dict(answer.json())
        self._note_failure(path, answer)
        return {}

    def create(self, path: str, body: object, key: str) -> dict[str, Any] | None:
        """Create under a key; gives what was answered with 201."""
        answer = self.insist(path, body, {"Idempotency-Key": key})
        if answer is None or answer.status_code != 201:
            self.book.complain(f"a create was answered with {answer and answer.text}")
            return None
        return dict(answer.json())

    def command(
        self,
        execution_id: str,
        command: str,
        before: Shown | None = None,
        *,
        is_withdrawn: bool = False,
    ) -> Shown | None:
        """Command an execution; gives what was answered with 2xx."""
        answer = self.insist(f"/executions/{execution_id}/{command}", {})
        if answer is None:
            return None
        self.book.count(f"{command} {answer.status_code}")
        if not answer.is_success:
            return None
        shown = dict(answer.json())
        self.book.note(
            Answer(execution_id, command, time.time(), before, shown, is_withdrawn=is_withdrawn)
        )
        return shown

    def signal(self, execution_id: str, name: str, payload: object, key: str) -> None:
        """Send one signal, once."""
        path = f"/executions/{execution_id}/signals/{name}"
        answer = self.insist(path, payload, {"Idempotency-Key": key})
        if answer is None:
            return
        self.book.count(f"signal {answer.status_code}")
        if answer.is_success:
            self.book.note(
                Answer(execution_id, "signal", time.time(), None, answer.json(), payload)
            )

    def stop_all(self, execution_ids: list[str]) -> None:
        """Stop many in one call."""
        body = {"action": "stop", "filter": {"ids": execution_ids}}
        answer = self.insist("/executions/bulk", body)
        if answer is None:
            return
        self.book.count(f"bulk {answer.status_code}")
        if not answer.is_success:
            self.book.complain(f"a bulk stop was answered with {answer.text}")
            return
        for each in execution_ids:
            self.book.note(Answer(each, "bulk-stop", time.time(), None, answer.json()))

    def _note_failure(self, path: str, answer: httpx.Response) -> None:
        self.book.count(f"calls answered with {answer.status_code}")
        if answer.status_code != 503:
            self.book.complain(f"{path} was answered with {answer.text}")
