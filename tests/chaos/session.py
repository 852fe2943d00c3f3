"""A time of chaos from its begin to its verdict."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.chaos import collecting, logs
from tests.chaos.evidence import Evidence, Quiet
from tests.chaos.flows import Kind, store_kinds
from tests.chaos.load import Load
from tests.chaos.losses import OfServers, OfWorkers, Strand, Tally
from tests.chaos.place import Place, Plan, place
from tests.chaos.report import Report, report
from tests.chaos.verdict import faults
from tests.chaos.witness import Witness
from tests.proxy import Proxy

#: Once all is healed, everything ends within so long (s), on a machine that is busy.
HEALS_WITHIN_S = 180.0
LOOKS_EVERY_S = 0.2

Tell = Callable[[str], object]


def run(plan: Plan, tell: Tell, keep: Path | None = None) -> Report:
    """Start everything, lose whatever can be lost, heal it, and judge what is left.

    If a promise was broken, the logs are kept in `keep`.
    """
    tally = Tally()
    with place(plan) as here:
        here.fleet.await_manned()
        kinds = store_kinds(here.ledger.url, here.stack.store)
        to_api = Proxy(("127.0.0.1", here.stack.port))
        load = Load(f"http://127.0.0.1:{to_api.port}", kinds, plan.seed, plan.alive)
        witness = Witness(here.postgres.url)
        try:
            with witness.looking():
                load.hold()
                load.begin()
                _lose(plan, here, tally, tell, to_api)
                quiet = _heal(here, load, tell)
                _end(here, load)
            evidence = _evidence(plan, here, kinds, load, witness, tally, quiet)
        finally:
            load.give_up()
            to_api.close()
        found = faults(evidence)
        if found and keep is not None:
            shutil.copytree(here.stack.directory, keep, ignore=_all_but_logs, dirs_exist_ok=True)
    return report(plan, tally, evidence, found)


def _all_but_logs(directory: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".log")]


def _lose(plan: Plan, here: Place, tally: Tally, tell: Tell, to_api: Proxy) -> None:
    strands: Sequence[Strand] = (
        OfWorkers(plan.seed, tally, tell, here.fleet),
        OfServers(
            plan.seed,
            tally,
            tell,
            stack=here.stack,
            postgres=here.postgres,
            valkey=here.valkey,
            cables=[*here.cables, to_api],
        ),
    )
    with ExitStack() as ending:
        for strand in strands:
            strand.begin()
            ending.callback(strand.end)
        _await(plan.seconds, lambda: any(strand.is_broken for strand in strands))


def _heal(here: Place, load: Load, tell: Tell) -> Quiet | None:
    """Have everything be there again, and all but what is held end; gives what that holds."""
    load.stop()
    here.fleet.await_manned()
    tell("healed")
    begun = time.monotonic()
    if not load.join(HEALS_WITHIN_S):
        load.book.complain(f"1: a client waits {HEALS_WITHIN_S} s after all was healed")
    url = here.postgres.url
    _await(HEALS_WITHIN_S, lambda: not collecting.unfinished(url, load.held))
    tell(f"all but those that are held have ended {time.monotonic() - begun:.1f} s later")
    if collecting.unfinished(url, load.held):
        return None
    # A claim of one that was stopped is let go by its owner.
    _await(HEALS_WITHIN_S, lambda: not collecting.claims(url))
    return collecting.quiet(here.stack, url, len(load.held))


def _end(here: Place, load: Load) -> None:
    """Let those go that are held, and see them end."""
    load.let_go()
    _await(HEALS_WITHIN_S, lambda: not collecting.unfinished(here.postgres.url, ()))
    _await(HEALS_WITHIN_S, lambda: not collecting.claims(here.postgres.url))


def _evidence(
    plan: Plan,
    here: Place,
    kinds: dict[str, Kind],
    load: Load,
    witness: Witness,
    tally: Tally,
    quiet: Quiet | None,
) -> Evidence:
    url = here.postgres.url
    return Evidence(
        kinds=kinds,
        created=load.book.created,
        stories=collecting.stories(here.stack, url),
        answers=load.book.answers,
        watches=load.watches,
        effects=here.ledger.arrivals(),
        sightings=witness.sightings,
        finals=collecting.finals(url),
        checkpoints=collecting.checkpoints(url),
        frozen=tally.frozen,
        quiet=quiet,
        claims_left=collecting.claims(url),
        limit=plan.limit,
        complaints=load.book.complaints,
        counts=load.book.counts,
        log_errors=logs.errors(here.stack.directory),
    )


def _await(within_s: float, holds: Callable[[], bool]) -> None:
    """Wait until it holds, so long at most; what is then is judged, not here."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and not holds():
        time.sleep(LOOKS_EVERY_S)
