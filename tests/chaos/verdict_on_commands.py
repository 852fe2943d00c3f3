"""What must have come of each command that was answered with 2xx."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tests.chaos.evidence import TERMINAL, Answer, Evidence, Story

#: A node that had begun reaches the receiver of its effect so long (s) after that at most, on a
#: machine that is busy.
ARRIVES_WITHIN_S = 2.0


def of_answers(evidence: Evidence) -> Iterator[str]:
    """Each command that came to nothing, in a sentence."""
    for answer in evidence.answers:
        story = evidence.stories.get(answer.execution_id)
        if story is None:
            yield f"{answer.execution_id} was told to {answer.command}, and is not there"
        elif not _took_effect(answer, story):
            yield (
                f"{story.id}: {answer.command} was answered with 2xx at"
                f" {answer.shown.get('lastEventIndex')}; it is {story.row.status}"
            )


def _took_effect(answer: Answer, story: Story) -> bool:
    match answer.command:
        case "start":
            return story.shown["startedAt"] is not None or story.row.status == "stopped"
        case "pause":
            return _paused(answer, story)
        case "resume" | "step":
            return _went_on(answer, story)
        case "stop" | "bulk-stop":
            return story.row.status == "stopped"
        case "recover":
            return "requested" in story.recoveries
        case "signal":
            return _was_delivered(answer, story)
        case _:
            raise AssertionError(answer.command)


def _paused(answer: Answer, story: Story) -> bool:
    if answer.is_withdrawn or answer.shown["status"] == "paused":
        return True
    return story.row.status != "completed" or _tells(answer, story, "flow:paused")


def _went_on(answer: Answer, story: Story) -> bool:
    if answer.before is None:
        return True
    after = answer.before["lastEventIndex"]
    resumed = [each["index"] for each in story.of_type("flow:resumed") if each["index"] > after]
    if not resumed:
        return False
    ends = [
        each["index"]
        for each in story.events
        if each["type"] in TERMINAL or each["type"] == "flow:paused"
    ]
    return any(index > resumed[0] for index in ends)


def _was_delivered(answer: Answer, story: Story) -> bool:
    if story.row.status != "completed":
        return True
    given = [
        each["data"]["outputs"].get("payload")
        for each in story.of_type("node:completed")
        if each["data"]["outputs"].get("timedOut") is False
    ]
    return given.count(answer.payload) == 1


def _tells(answer: Answer, story: Story, event_type: str) -> bool:
    after = answer.shown["lastEventIndex"]
    return any(each["index"] > after for each in story.of_type(event_type))


def of_stops(answer: Answer, evidence: Evidence, *, thaws_for_s: float) -> Iterator[str]:
    """What went on below an execution after its stop was answered."""
    family = list(evidence.family_of(answer.execution_id))
    for story in family:
        if story.row.created_at > answer.at:
            yield f"{story.id} was made after the stop of {answer.execution_id}"
        if story.row.completed_at is None or story.row.completed_at > answer.at:
            yield f"{story.id} ended after the stop of {answer.execution_id}"
        for each in story.of_type("node:started"):
            if datetime.fromisoformat(each["timestamp"]).timestamp() > answer.at:
                node = each["data"]["nodeId"]
                yield f"{story.id}: {node} was granted after the stop of {answer.execution_id}"
        for node, times in evidence.effects.get(story.id, {}).items():
            late = max(times) - answer.at
            if late > ARRIVES_WITHIN_S and not _was_frozen(max(times), evidence, thaws_for_s):
                yield f"{story.id}: {node} had its effect {late:.1f} s after a stop's answer"


def _was_frozen(at: float, evidence: Evidence, thaws_for_s: float) -> bool:
    return any(begun <= at <= ended + thaws_for_s for begun, ended in evidence.frozen)
