"""W5 on DBOS: what its processes run, in a virtual environment of its own.

    python peer_dbos.py worker URL NAME         one worker process, until its input ends
    python peer_dbos.py enqueue URL NAME        for each number on its input, until that ends,
                                                enqueues so many and prints when it began

It imports nothing of ours, and nothing of ours imports it.
"""

from __future__ import annotations

import sys
import time

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions

QUEUE = "w5"
WORKFLOW = "w5"
APPLICATION = "benchmark"
VERSION = "1"

#: Workflows that one process runs at once; the pool has a connection for each, and some for the
#: queue's own work.
WORKER_CONCURRENCY = 32
POOL_SIZE = 40
#: The default (1 s) leaves a process idle between two helpings of WORKER_CONCURRENCY.
POLLING_INTERVAL_S = 0.02
#: How many are enqueued in one transaction.
BATCH = 250


@DBOS.step()
def step(message: str) -> str:
    """As little as a DebugLogNode does."""
    return message


@DBOS.workflow(name=WORKFLOW)
def w5() -> None:
    """Five steps in a row, each recorded before the next begins."""
    for number in range(5):
        step(str(number))


def work(url: str, name: str) -> None:
    """Run workflows of the queue until standard input ends."""
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_url": url,
        "executor_id": name,
        "application_version": VERSION,
        "sys_db_pool_size": POOL_SIZE,
        "log_level": "WARNING",
    }
    DBOS(config=config)
    DBOS.launch()
    DBOS.register_queue(
        QUEUE,
        worker_concurrency=WORKER_CONCURRENCY,
        polling_interval_sec=POLLING_INTERVAL_S,
    )
    print("ready", flush=True)
    sys.stdin.read()
    DBOS.destroy()


def enqueue(url: str) -> None:
    """Enqueue as many as each line says; answer with the time (s since 1970) of the first."""
    client = DBOSClient(system_database_url=url)
    engine = sa.create_engine(url)
    print("ready", flush=True)
    for line in sys.stdin:
        began = time.time()
        enqueue_many(client, engine, int(line))
        print(began, flush=True)
    client.destroy()


def enqueue_many(client: DBOSClient, engine: sa.Engine, count: int) -> None:
    """Enqueue workflows, many in a transaction."""
    options: EnqueueOptions = {
        "queue_name": QUEUE,
        "workflow_name": WORKFLOW,
        "app_version": VERSION,
    }
    for first in range(0, count, BATCH):
        with engine.begin() as transaction:
            for _ in range(min(BATCH, count - first)):
                client.enqueue_in_transaction(transaction, options)


if __name__ == "__main__":
    role, database_url, process_name = sys.argv[1:]
    if role == "worker":
        work(database_url, process_name)
    else:
        enqueue(database_url)
