"""Who sends a token: asked of the store, and remembered for a moment."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.caller import Caller
from app.tokens import hash_of, is_token

#: How long (s) an answer holds: so long may a revoked token go on.
HOLDS_S = 3.0
#: How many answers are remembered: good ones, and others. Who sends many wrong tokens pushes
#: out what is known of wrong ones alone.
MOST_KNOWN = 10_000
MOST_UNKNOWN = 1_000


class Tokens(Protocol):
    """Where tokens are looked up by their hashes."""

    def find(self, token_hash: str) -> Caller | None:
        """Who sends the token with this hash. Raises StoreUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    caller: Caller | None
    until: float


class Verifier:
    """Tells who sends a token. From any thread.

    `clock` is monotonic, in seconds. Hashes are remembered, never tokens.
    """

    def __init__(self, tokens: Tokens, clock: Callable[[], float]) -> None:
        self._tokens = tokens
        self._clock = clock
        self._known: OrderedDict[str, _Answer] = OrderedDict()
        self._unknown: OrderedDict[str, _Answer] = OrderedDict()
        self._lock = threading.Lock()

    def caller_of(self, token: str) -> Caller | None:
        """Who sends this token; None where nobody may. Raises StoreUnavailable."""
        if not is_token(token):
            return None
        token_hash = hash_of(token)
        with self._lock:
            answer = self._known.get(token_hash) or self._unknown.get(token_hash)
        # Counted from before the look: a revocation after that is noticed in time.
        now = self._clock()
        if answer is not None and now < answer.until:
            return answer.caller
        caller = self._tokens.find(token_hash)
        self._remember(token_hash, _Answer(caller, now + HOLDS_S))
        return caller

    def is_new(self, token: str) -> bool:
        """Whether the store would have to be asked, and about a token that was never good here."""
        if not is_token(token):
            return False
        token_hash = hash_of(token)
        with self._lock:
            # Who was let in before is not kept out by what others send from the same address.
            if token_hash in self._known:
                return False
            answer = self._unknown.get(token_hash)
        return answer is None or self._clock() >= answer.until

    def _remember(self, token_hash: str, answer: _Answer) -> None:
        with self._lock:
            self._known.pop(token_hash, None)
            self._unknown.pop(token_hash, None)
            answers, most = self._place_of(answer)
            answers[token_hash] = answer
            if len(answers) > most:
                answers.popitem(last=False)

    def _place_of(self, answer: _Answer) -> tuple[OrderedDict[str, _Answer], int]:
        if answer.caller is None:
            return self._unknown, MOST_UNKNOWN
        return self._known, MOST_KNOWN
