from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.errors import StoreUnavailable
from app.events.types import Event, EventType
from app.executions.writer import (
    BACKOFF_LAST_S,
    GATHER_FIRST_S,
    GATHER_LIVE_S,
    Outcome,
    Writer,
)
from app.store.records import (
    Boundary,
    CheckpointRow,
    Ending,
    Fence,
    Progress,
    Recalled,
    Request,
    Void,
    Written,
)

FENCE = Fence("EX1", 3)
AT = datetime(2026, 1, 2, tzinfo=UTC)
LOG = Event(EventType.NODE_DEBUG_LOG, {"nodeId": "a", "log": "x"})
CHECKPOINT = CheckpointRow("a", 0, "completed", 1, 5, "{}", "[]", None)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Store:
    """Answers as it is told to: an outcome, or StoreUnavailable for None. Each takes 1 s."""

    clock: Clock
    answers: list[Written | Void | Recalled | None]
    asked: list[tuple[str, int, Boundary]] = field(default_factory=list)

    def write(self, fence: Fence, writes: int, boundary: Boundary) -> Written | Void | Recalled:
        return self._answer("write", writes, boundary)

    def settle_unknown(
        self, fence: Fence, writes: int, boundary: Boundary
    ) -> Written | Void | Recalled:
        return self._answer("settle", writes, boundary)

    def _answer(self, what: str, writes: int, boundary: Boundary) -> Written | Void | Recalled:
        self.asked.append((what, writes, boundary))
        self.clock.now += 1
        answer = self.answers.pop(0)
        if answer is None:
            raise StoreUnavailable
        return answer


@dataclass
class Setting:
    answers: list[Written | Void | Recalled | None]
    clock: Clock = field(default_factory=Clock)
    published: list[tuple[int, list[bytes]]] = field(default_factory=list)
    only_watched: bool = False

    def __post_init__(self) -> None:
        self.store = Store(self.clock, self.answers)
        self.writer = Writer(
            self.store,  # type: ignore[arg-type]
            self._publish,
            FENCE,
            7,
            clock=self.clock,
            pause=self.clock.pause,
            only_watched=self.only_watched,
        )

    def _publish(self, execution_id: str, first: int, lines: Sequence[bytes]) -> None:
        assert execution_id == "EX1"
        self.published.append((first, list(lines)))

    def commit(self, mark: int | None = None) -> Outcome:
        return self.writer.commit("{}", Progress(), mark=mark)


def test_what_is_gathered_is_written_at_once_and_then_told() -> None:
    setting = Setting([Written(4, AT)])
    setting.writer.gather([LOG, LOG], GATHER_LIVE_S)
    setting.writer.add(CHECKPOINT)

    assert setting.commit() is Outcome.HELD

    [(what, writes, boundary)] = setting.store.asked
    assert (what, writes) == ("write", 7)
    assert [type_ for type_, _ in boundary.events] == [str(LOG.type)] * 2
    assert list(boundary.checkpoints) == [CHECKPOINT]
    [(first, lines)] = setting.published
    assert (first, len(lines)) == (4, 2)
    assert b'"index":5' in lines[1]
    assert setting.writer.is_empty
    assert (setting.writer.writes, setting.writer.written_at) == (8, AT)


def test_what_was_written_is_not_written_again() -> None:
    setting = Setting([Written(4, AT), Written(6, AT)])
    setting.writer.gather([LOG], 0)
    setting.writer.add(CHECKPOINT)
    setting.commit()

    setting.commit()

    _, writes, boundary = setting.store.asked[1]
    assert (writes, list(boundary.events), list(boundary.checkpoints)) == (8, [], [])


def test_a_zombie_tells_nothing() -> None:
    setting = Setting([Void()])
    setting.writer.gather([LOG], 0)

    assert setting.commit() is Outcome.LOST

    assert setting.published == []


def test_what_is_sure_is_written_under_the_command_that_came() -> None:
    setting = Setting([Recalled(Request("pause", "why")), Written(4, AT)])
    setting.writer.gather([LOG], 0)

    assert setting.commit(setting.writer.mark) is Outcome.HELD

    assert [boundary.known for _, _, boundary in setting.store.asked] == [None, "pause"]
    assert setting.writer.request == Request("pause", "why")
    assert len(setting.published) == 1


def test_what_is_tentative_is_dropped_when_a_command_comes() -> None:
    setting = Setting([Recalled(Request("pause", "why")), Written(4, AT)])
    setting.writer.gather([LOG], 0)
    mark = setting.writer.mark
    setting.writer.gather([LOG, LOG], 0)

    assert setting.commit(mark) is Outcome.AGAIN
    assert setting.published == []
    assert setting.commit() is Outcome.HELD

    [(_, lines)] = setting.published
    assert len(lines) == 1


def test_of_a_lost_reply_the_store_is_asked_until_it_answers() -> None:
    setting = Setting([None, None, None, Written(4, AT)])
    setting.writer.gather([LOG], 0)

    assert setting.commit() is Outcome.HELD

    assert [what for what, _, _ in setting.store.asked] == ["write", "settle", "settle", "settle"]
    assert {writes for _, writes, _ in setting.store.asked} == {7}
    assert len({id(boundary) for _, _, boundary in setting.store.asked}) == 1
    assert len(setting.published) == 1
    assert setting.writer.writes == 8


def test_a_store_that_is_away_for_long_is_asked_ever_more_seldom() -> None:
    setting = Setting([*[None] * 10, Void()])
    waits: list[float] = []
    setting.writer._pause = waits.append

    assert setting.commit() is Outcome.LOST

    assert waits == sorted(waits)
    assert waits[0] < 0.1
    assert waits[-1] == BACKOFF_LAST_S
    assert len(waits) == 9


def test_the_fence_is_confirmed_as_of_when_the_question_was_sent() -> None:
    setting = Setting([Written(4, AT)])
    sent_at = setting.clock.now

    setting.commit()

    assert setting.writer.confirmed_at == sent_at
    assert setting.clock.now == sent_at + 1


def test_after_a_lost_reply_the_question_that_was_answered_counts() -> None:
    setting = Setting([None, Written(4, AT)])
    sent_at = setting.clock.now

    setting.commit()

    assert setting.writer.confirmed_at == sent_at + 1
    assert setting.clock.now == sent_at + 2


def test_the_sooner_of_two_dates_counts() -> None:
    setting = Setting([Written(4, AT)])
    now = setting.clock.now
    assert setting.writer.due_at is None
    setting.writer.add(CHECKPOINT)
    later = setting.writer.due_at
    setting.writer.gather([LOG], 0.005)
    assert later is not None
    assert setting.writer.due_at == now + 0.005 < later
    setting.writer.gather([LOG], 60)
    assert setting.writer.due_at == now + 0.005

    setting.commit()

    assert setting.writer.due_at is None


def test_the_end_is_part_of_the_statement() -> None:
    setting = Setting([Written(4, AT)])

    setting.writer.commit('{"a":1}', Progress(1, 2, 3), Ending("failed", "why", "a"))

    [(_, _, boundary)] = setting.store.asked
    assert boundary == Boundary([], [], '{"a":1}', Progress(1, 2, 3), Ending("failed", "why", "a"))


def test_what_nobody_watches_is_told_to_nobody_where_that_is_wanted() -> None:
    answers: list[Written | Void | Recalled | None] = [
        Written(4, AT, is_watched=False),
        Written(5, AT, is_watched=True),
    ]
    setting = Setting(answers, only_watched=True)
    for _ in range(2):
        setting.writer.gather([LOG], 0)
        setting.commit()

    assert [first for first, _ in setting.published] == [5]


def test_without_that_wish_everything_is_told() -> None:
    setting = Setting([Written(4, AT, is_watched=False)])
    setting.writer.gather([LOG], 0)
    setting.commit()

    assert [first for first, _ in setting.published] == [4]


def test_what_is_said_after_a_silence_goes_out_sooner() -> None:
    setting = Setting([Written(4, AT), Written(5, AT)])
    setting.writer.gather_live([LOG])
    assert setting.writer.due_at == setting.clock.now + GATHER_LIVE_S
    setting.commit()
    setting.clock.now += 2 * GATHER_LIVE_S
    setting.writer.gather_live([LOG])
    assert setting.writer.due_at == setting.clock.now + GATHER_FIRST_S
    setting.commit()
    setting.writer.gather_live([LOG])
    assert setting.writer.due_at == setting.clock.now + GATHER_LIVE_S
