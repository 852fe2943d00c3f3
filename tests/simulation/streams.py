"""The streams of the simulated Redis, and bare connections to it, as the relay uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from tests.simulation.scheduler import TIMEOUT, Host, Scheduler, Task

if TYPE_CHECKING:
    from tests.simulation.redis import SimRedis

#: What is published comes so late (s), where it does.
LATE_S = (0.05, 0.6, 3.0)

#: An entry: its id, and its fields as names and values in turn.
Entry = tuple[bytes, list[bytes]]
#: What becomes of events that are published.
Passage = Literal["comes", "is lost", "comes late", "comes twice"]


class Streams:
    """What XADD, XRANGE and XREAD work on."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._streams: dict[bytes, deque[tuple[int, Entry]]] = {}
        #: The last id that a stream was given: trimming doesn't take it back.
        self._tops: dict[bytes, int] = {}
        self._ends: dict[bytes, float] = {}
        self._readers: dict[Task, int] = {}

    def clear(self) -> None:
        """Lose everything."""
        self._streams.clear()
        self._tops.clear()
        self._ends.clear()

    def add(self, key: bytes, entry_id: bytes | None, fields: list[bytes], maxlen: int) -> bytes:
        """Add an entry, by default under a new id. Raises ResponseError for an old one."""
        self._forget_old(key)
        top = self._tops.get(key, 0)
        clock = int(self._scheduler.now * 1000)
        number = max(top + 1, clock) if entry_id is None else _number(entry_id)
        if number <= top:
            raise ResponseError("The ID is equal or smaller than the target stream top item")
        self._tops[key] = number
        stream = self._streams.setdefault(key, deque())
        stream.append((number, (b"%d-0" % number, fields)))
        while len(stream) > maxlen:
            stream.popleft()
        for task, ticket in list(self._readers.items()):
            if task.ticket == ticket:
                self._scheduler.wake(task, key)
        return b"%d-0" % number

    def expire(self, key: bytes, seconds: float) -> None:
        self._ends[key] = self._scheduler.now + seconds

    def range(self, key: bytes, first: int, count: int) -> list[Entry]:
        """The first entries from an id on."""
        self._forget_old(key)
        stream = self._streams.get(key, ())
        return [entry for number, entry in stream if number >= first][:count]

    def read(self, after: dict[bytes, int], count: int) -> list[tuple[bytes, list[Entry]]]:
        """The first entries of each stream that come after an id."""
        found = [(key, self.range(key, number + 1, count)) for key, number in after.items()]
        return [(key, entries) for key, entries in found if entries]

    def await_entry(self, timeout_s: float) -> object:
        """Wait until something is added anywhere: None if the connection broke meanwhile."""
        task = self._scheduler.current
        self._readers[task] = task.ticket + 1
        came = self._scheduler.block(timeout_s)
        self._readers.pop(task, None)
        return came

    def hang_up(self) -> None:
        """Whoever waits finds the connection broken."""
        for task, ticket in self._readers.items():
            if task.ticket == ticket:
                self._scheduler.wake(task, None)
        self._readers.clear()

    def _forget_old(self, key: bytes) -> None:
        if self._ends.get(key, self._scheduler.now + 1) <= self._scheduler.now:
            self._streams.pop(key, None)
            self._tops.pop(key, None)
            self._ends.pop(key, None)


class SimConnection:
    """A bare connection (redis.connection.Connection) of the process whose task uses it.

    What is sent without waiting for replies arrives some time later, in its order; `fate`
    says what becomes of it.
    """

    def __init__(
        self,
        redis: SimRedis,
        server: Host,
        scheduler: Scheduler,
        fate: Callable[[], Passage],
    ) -> None:
        self.is_connected = False
        self._redis = redis
        self._server = server
        self._scheduler = scheduler
        self._fate = fate
        self._life = 0
        self._asked: tuple[Any, ...] = ()
        self._sent: deque[list[bytes]] = deque()
        self._replies: deque[Any] = deque()
        self._replies_on = True

    def connect(self) -> None:
        self._redis.arrive()
        self.is_connected = True
        self._life = self._redis.life
        self._replies_on = True

    def disconnect(self) -> None:
        self.is_connected = False
        self._replies.clear()

    @property
    def is_broken(self) -> bool:
        """Whether the other side is gone, known or not."""
        return self._life != self._redis.life

    # -- commands that are answered

    def send_command(self, *words: Any) -> None:
        if not self.is_connected:
            self.connect()
        self._asked = words

    def read_response(self, *, disconnect_on_error: bool = True) -> Any:
        if self._replies:
            reply = self._replies.popleft()
            if isinstance(reply, ResponseError):
                raise reply
            return reply
        self._arrive()
        reply = self._answer(*self._asked)
        self._arrive()
        return reply

    def _arrive(self) -> None:
        self._scheduler.point()
        if self.is_broken:
            raise RedisConnectionError("reset by peer")

    def _answer(self, name: str, *words: Any) -> Any:
        match name:
            case "XRANGE":
                key, first, _, _, count = words
                return self._redis.streams.range(_bytes(key), _number(_bytes(first)), count)
            case "XREAD":
                _, count, _, block_ms, _, *rest = words
                half = len(rest) // 2
                after = {
                    _bytes(key): _number(_bytes(each))
                    for key, each in zip(rest[:half], rest[half:], strict=True)
                }
                return self._read(after, count, block_ms / 1000)
        raise NotImplementedError(name)

    def _read(self, after: dict[bytes, int], count: int, block_s: float) -> Any:
        until = self._scheduler.now + block_s
        while not (found := self._redis.streams.read(after, count)):
            came = self._redis.streams.await_entry(until - self._scheduler.now)
            if came is None or self.is_broken:
                raise RedisConnectionError("reset by peer")
            if came is TIMEOUT:
                return None
        return found

    # -- commands whose replies nobody waits for

    def send_packed_command(self, pieces: Iterable[bytes]) -> None:
        self._scheduler.point()
        if self.is_broken:
            # The first write after the end is lost, the next one fails.
            if self._scheduler.random.random() < 0.5:
                raise RedisConnectionError("broken pipe")
            return
        self._sent.append(list(pieces))
        passage = self._fate()
        self._scheduler.spawn(self._server, f"published, {passage}", lambda: self._come(passage))

    def can_read(self, timeout: float = 0) -> bool:
        return self.is_broken or bool(self._replies)

    def _come(self, passage: Passage) -> None:
        if passage == "comes late":
            self._scheduler.sleep(self._scheduler.random.choice(LATE_S))
        commands = _commands(b"".join(self._sent.popleft()))
        if self.is_broken or passage == "is lost":
            return
        self._take(commands)
        if passage == "comes twice":
            self._scheduler.sleep(self._scheduler.random.choice(LATE_S))
            self._take(commands)

    def _take(self, commands: Sequence[Sequence[bytes]]) -> None:
        """Do commands; while replies are off nobody hears of it."""
        if not self._redis.is_up:
            return
        for name, *words in commands:
            if name == b"CLIENT":
                self._replies_on = words[-1] == b"ON"
                continue
            reply = self._do(name, words)
            if self._replies_on:
                self._replies.append(reply)

    def _do(self, name: bytes, words: Sequence[bytes]) -> Any:
        key = words[0]
        if name == b"EXPIRE":
            self._redis.streams.expire(key, int(words[1]))
            return 1
        assert name == b"XADD"
        _, _, _, maxlen, entry_id, *fields = words
        try:
            return self._redis.streams.add(key, entry_id, fields, int(maxlen))
        except ResponseError as refusal:
            return refusal


def _commands(packed: bytes) -> list[list[bytes]]:
    """Take packed commands apart: each is an array of strings with their lengths."""
    commands, at = [], 0
    while at < len(packed):
        count, at = _length(packed, at)
        words = []
        for _ in range(count):
            size, at = _length(packed, at)
            words.append(packed[at : at + size])
            at += size + 2
        commands.append(words)
    return commands


def _length(packed: bytes, at: int) -> tuple[int, int]:
    """The number that stands after a type's mark, and where it ends."""
    end = packed.index(b"\r\n", at)
    return int(packed[at + 1 : end]), end + 2


def _number(entry_id: bytes) -> int:
    return int(entry_id.removesuffix(b"-0"))


def _bytes(word: str | bytes) -> bytes:
    return word.encode() if isinstance(word, str) else word
