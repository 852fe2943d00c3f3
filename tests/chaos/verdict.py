"""What must hold of everything that was created, whatever was lost.

One function for each promise, under its number (docs/reliability.md, Promises): evidence in,
sentences about what was broken out. Nothing is asked for here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.chaos.evidence import FINAL, TERMINAL, Answer, Evidence, Story, Watch
from tests.chaos.flows import ITEMS
from tests.chaos.verdict_on_commands import of_answers, of_stops

#: A process that was frozen may go on with what it had begun so long (s) after it was thawed.
THAWS_FOR_S = 2.0


@dataclass(frozen=True)
class Fault:
    """A promise that was broken, by its number."""

    promise: int
    text: str


Judge = Callable[[Evidence], Iterator[str]]


def faults(evidence: Evidence) -> list[Fault]:
    """Each time that a promise was broken."""
    found = [
        Fault(number, text) for number, judge in sorted(JUDGES.items()) for text in judge(evidence)
    ]
    return found + [Fault(_promise_of(text), text) for text in evidence.complaints]


def _promise_of(complaint: str) -> int:
    number, colon, _ = complaint.partition(": ")
    return int(number) if colon and number.isdigit() else 0


def all_end(evidence: Evidence) -> Iterator[str]:
    """1: what was answered with 201 reaches a final status."""
    for execution_id in evidence.created:
        if execution_id not in evidence.stories:
            yield f"{execution_id} was answered with 201 and is not there"
    for story in evidence.stories.values():
        if story.row.status not in FINAL:
            yield f"{story.id} is {story.row.status}, and waits for {story.shown['waiting']}"


def no_second_start(evidence: Evidence) -> Iterator[str]:
    """2: a node whose checkpoint is committed never starts again."""
    for story in evidence.stories.values():
        ended: set[str] = set(story.taken_over)
        for each in story.events:
            node = each["data"].get("nodeId")
            if each["type"] == "node:started" and node in ended:
                yield f"{story.id}: node {node} started again after its checkpoint"
            if each["type"] == "node:completed" or (
                each["type"] == "node:failed" and not each["data"]["willRetry"]
            ):
                ended.add(node)


def one_owner(evidence: Evidence) -> Iterator[str]:
    """3: one owner at a time, and a zombie changes nothing."""
    seen = evidence.sightings
    for (id_, node, _, epoch), workers in seen.owners.items():
        if len(workers) > 1:
            yield f"{id_} {node}: epoch {epoch} was held by {sorted(workers)}"
    yield from seen.retreats
    for (id_, node), checkpoint in seen.checkpoints.items():
        if evidence.checkpoints.get((id_, node)) != checkpoint:
            yield f"{id_}: the checkpoint of {node} has changed"
    if evidence.limit and seen.most_claimed > evidence.limit:
        yield f"{seen.most_claimed} were claimed at once, {evidence.limit} may be"
    for story in evidence.stories.values():
        yield from _of_attempts(story)


def _of_attempts(story: Story) -> Iterator[str]:
    attempts = story.attempts()
    for node, started in attempts.items():
        # A fork goes on counting where the other execution was.
        first = started[0] if story.shown.get("forkedFrom") else 1
        if started != list(range(first, first + len(started))):
            yield f"{story.id}: node {node} started as {started}"
    told = Counter(each["data"]["nodeId"] for each in story.of_type("node:completed"))
    for node, times in told.items():
        if times > 1:
            yield f"{story.id}: node {node} completed {times} times"
        if story.nodes[node]["attempt"] != attempts.get(node, [0])[-1]:
            yield f"{story.id}: node {node} has the checkpoint of another attempt than its last"


def whole_logs(evidence: Evidence) -> Iterator[str]:
    """4: indexes have no gap and no duplicate, and read the same for everybody."""
    for story in evidence.stories.values():
        indexes = [each["index"] for each in story.events]
        if indexes != list(range(-1, len(indexes) - 1)):
            yield f"{story.id}: REST has the indexes {indexes}"
        if indexes and indexes[-1] != story.shown["lastEventIndex"]:
            yield f"{story.id}: ends at {indexes[-1]}, not {story.shown['lastEventIndex']}"
        if story.log != [(each["index"], each["type"], each["data"]) for each in story.events]:
            yield f"{story.id}: REST tells other events than PostgreSQL holds"
    for watch in evidence.watches:
        if story_ := evidence.stories.get(watch.execution_id):
            yield from _of_watch(watch, story_)


def _of_watch(watch: Watch, story: Story) -> Iterator[str]:
    there = {each["index"]: each for each in story.events}
    if any(there.get(index) != each for index, each in watch.events.items()):
        yield f"{watch.execution_id}: somebody read other events than there are"
    if watch.is_whole and watch.events.keys() != there.keys():
        yield f"{watch.execution_id}: a watcher read {len(watch.events)} of {len(there)} events"


def one_end(evidence: Evidence) -> Iterator[str]:
    """5: a final status never changes; the terminal event is the last, exactly once."""
    for story in evidence.stories.values():
        status = story.row.status
        terminal = [each["type"] for each in story.events if each["type"] in TERMINAL]
        if status in FINAL and (
            terminal != [f"execution:{status}"] or story.events[-1]["type"] != terminal[0]
        ):
            yield f"{story.id} is {status}; its log tells {terminal}"
        if story.shown["status"] != status:
            yield f"{story.id} is {status}; REST tells {story.shown['status']}"
    for id_, final in evidence.sightings.finals.items():
        if evidence.finals.get(id_) != final:
            yield f"{id_} was {final}, and then {evidence.finals.get(id_)}"
    for watch in evidence.watches:
        found = evidence.stories.get(watch.execution_id)
        if watch.is_whole and found and watch.ends != [found.row.status]:
            yield f"{watch.execution_id}: a watcher was told the ends {watch.ends}"


def effects(evidence: Evidence) -> Iterator[str]:
    """8: an effect happens at least once, always under the same key."""
    for id_ in evidence.effects.keys() - evidence.stories.keys():
        yield f"there were effects under {id_}, which nobody created"
    for story in evidence.stories.values():
        had = evidence.effects.get(story.id, {})
        starts = story.attempts()
        for node, times in had.items():
            if len(times) > len(starts.get(node, ())):
                yield f"{story.id}: {node} had {len(times)} effects, attempts: {starts.get(node)}"
        types = {
            each["data"]["nodeId"]: each["data"]["nodeType"]
            for each in story.of_type("node:started")
        }
        for each in story.of_type("node:completed"):
            node = each["data"]["nodeId"]
            if types.get(node) == "HttpRequestNode" and not had.get(node):
                yield f"{story.id}: {node} completed without an effect"


def waiting_holds_nothing(evidence: Evidence) -> Iterator[str]:
    """9: who waits holds no slot, no claim and no connection."""
    for id_ in evidence.sightings.idle_owners:
        yield f"{id_} waited and was claimed"
    if evidence.claims_left:
        yield f"{evidence.claims_left} claims are held by what has ended"
    quiet = evidence.quiet
    if quiet is None:
        return
    if quiet.claims or quiet.slots or quiet.active:
        yield f"while nothing ran but what waits: {quiet}"
    if quiet.connections >= quiet.waiting:
        yield f"{quiet.waiting} waited, with {quiet.connections} connections"


def same_results(evidence: Evidence) -> Iterator[str]:
    """10: messages dropped or doubled change no result."""
    for story in evidence.stories.values():
        if story.row.status == "failed":
            yield f"{story.id} failed: {story.shown['errorMessage']}"
        if story.row.status == "completed":
            yield from _of_result(story, evidence)
        if not story.recoveries:
            yield from _of_the_unhindered(story, evidence)


def _of_result(story: Story, evidence: Evidence) -> Iterator[str]:
    kind = evidence.kind_of(story)
    wanted = kind.ends[story.event]
    for node_id, node in story.nodes.items():
        if node["status"] != wanted.get(node_id, "idle"):
            yield f"{story.id} ({kind.name}): {node_id} is {node['status']}"
    values = [each for each in kind.values if each[0] in wanted]
    for node_id, port, value in values:
        given = (story.nodes[node_id]["outputs"] or {}).get(port)
        if given != value:
            yield f"{story.id} ({kind.name}): {node_id}.{port} is {given}, not {value}"
    if kind.name == "each":
        results = story.nodes["each"]["outputs"]["results"]
        if [each["number"]["num"] for each in results] != list(range(ITEMS)):
            yield f"{story.id}: results {results}"


def _of_the_unhindered(story: Story, evidence: Evidence) -> Iterator[str]:
    """What nobody was lost for starts each node once, and has each effect once."""
    retried = evidence.kind_of(story).retried
    for node, attempts in story.attempts().items():
        if len(attempts) > 1 and node not in retried:
            yield f"{story.id}: {node} started {len(attempts)} times, and no worker was lost"
    for node, times in evidence.effects.get(story.id, {}).items():
        if len(times) > 1:
            yield f"{story.id}: {node} had {len(times)} effects, and no worker was lost"


def one_child_each(evidence: Evidence) -> Iterator[str]:
    """11: one child for each event that was emitted, told once."""
    for story in evidence.stories.values():
        children = {each.id for each in evidence.children_of(story.id)}
        told = [each["data"]["childExecutionId"] for each in story.of_type("child:spawned")]
        if Counter(told) != Counter(children):
            yield f"{story.id} has the children {sorted(children)} and tells of {sorted(told)}"
        if story.row.status != "completed":
            continue
        wanted = evidence.kind_of(story).children.get(story.event, 0)
        if len(children) != wanted:
            yield f"{story.id} made {len(children)} children, not {wanted}"
        ends = story.of_type("child:completed", "child:failed", "child:stopped")
        ended = [(each["data"]["childExecutionId"], each["type"]) for each in ends]
        statuses = [(each, f"child:{evidence.stories[each].row.status}") for each in children]
        if Counter(ended) != Counter(statuses):
            yield f"{story.id} tells {ended} of children that are {statuses}"


def commands_take_effect(evidence: Evidence) -> Iterator[str]:
    """6: a command answered with 2xx takes effect, and what was created once is there once."""
    roots = {each.id for each in evidence.stories.values() if each.row.parent is None}
    if strangers := roots - set(evidence.created):
        yield f"nobody was answered with {sorted(strangers)}: created twice under one key"
    yield from of_answers(evidence)


def stops_stop(evidence: Evidence) -> Iterator[str]:
    """7: after the answer of a stop nothing is granted in the tree."""
    answers: list[Answer] = [each for each in evidence.answers if each.command == "stop"]
    for answer in answers:
        yield from of_stops(answer, evidence, thaws_for_s=THAWS_FOR_S)


JUDGES: dict[int, Judge] = {
    1: all_end,
    2: no_second_start,
    3: one_owner,
    4: whole_logs,
    5: one_end,
    6: commands_take_effect,
    7: stops_stop,
    8: effects,
    9: waiting_holds_nothing,
    10: same_results,
    11: one_child_each,
}
