"""Looking up where logs end: callers that ask at once share one query.

When an API process ends, all its clients come to another one in the same second. A connection
to PostgreSQL for each of them would be more than there are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from app.errors import StoreUnavailable
from app.events.log import EventSource, Head
from app.streams.threads import Flag


class HeadLookup:
    """Answers one caller's question together with those that came while the last were asked.

    `mark`, where events are published only for who watches, is called with the executions
    before they are looked at: what is committed in between is seen by the look.
    """

    def __init__(
        self,
        log: EventSource,
        flag: Callable[[], Flag] = threading.Event,
        mark: Callable[[Sequence[str]], object] | None = None,
    ) -> None:
        self._log = log
        self._mark = mark
        self._flag = flag
        self._lock = threading.Lock()
        self._waiting: list[_Question] = []
        self._is_led = False

    def head(self, execution_id: str) -> Head | None:
        """Where the log of an execution ends; None if there is none. Raises StoreUnavailable."""
        question = _Question(execution_id, self._flag())
        with self._lock:
            self._waiting.append(question)
            leads = not self._is_led
            self._is_led = True
        if not leads:
            question.ready.wait()
        if not question.is_settled:
            self._ask_for_all()
        if question.failure is not None:
            raise StoreUnavailable(question.failure)
        return question.head

    def _ask_for_all(self) -> None:
        with self._lock:
            questions, self._waiting = self._waiting, []
        try:
            self._settle(questions)
        finally:
            for question in questions:
                question.give_up()
            self._pass_the_lead_on()

    def _settle(self, questions: Sequence[_Question]) -> None:
        # Each once, and in order: the same questions are the same statements.
        ids = list(dict.fromkeys(each.execution_id for each in questions))
        try:
            if self._mark is not None:
                self._mark(ids)
            heads = self._log.heads(ids)
        except StoreUnavailable as error:
            for question in questions:
                question.fail(error.message)
        else:
            for question in questions:
                question.answer(heads.get(question.execution_id))

    def _pass_the_lead_on(self) -> None:
        """The first of those that came meanwhile asks next."""
        with self._lock:
            if self._waiting:
                self._waiting[0].ready.set()
            else:
                self._is_led = False


class _Question:
    """One caller's. `ready` says that it is settled, or that its caller is to ask for all."""

    def __init__(self, execution_id: str, ready: Flag) -> None:
        self.execution_id = execution_id
        self.ready = ready
        self.is_settled = False
        self.head: Head | None = None
        self.failure: str | None = None

    def answer(self, head: Head | None) -> None:
        self.head = head
        self._settle()

    def fail(self, message: str) -> None:
        self.failure = message
        self._settle()

    def give_up(self) -> None:
        """Nobody waits for ever because the one who asked for all broke off."""
        if not self.is_settled:
            self.fail("the look-up broke off")

    def _settle(self) -> None:
        self.is_settled = True
        self.ready.set()
