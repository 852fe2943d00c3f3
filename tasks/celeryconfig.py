"""Celery's settings, each with its reason. Read once, when `tasks` is imported."""

from __future__ import annotations

import sys

from app.config import load_settings
from app.errors import SettingsError
from app.nodes.queues import DEFAULT_QUEUE

try:
    _settings = load_settings()
except SettingsError as error:
    sys.exit(error.message)
if _settings.execution_mode == "local":
    sys.exit("EXECUTION_MODE=local has neither broker nor workers: leave it unset")

# -- where messages go

broker_url = _settings.broker_url
#: No results: PostgreSQL is the state, and a backend would cost two round trips a task.
result_backend = None
task_ignore_result = True
task_store_errors_even_if_ignored = False

#: A node's `queue` is a Celery queue of the same name; this is the one for all others.
task_default_queue = DEFAULT_QUEUE
#: A queue that nobody declared would swallow messages unseen.
task_create_missing_queues = True

broker_transport_options = {
    # All of Celery's keys under one prefix, beside ours.
    "global_keyprefix": "cg:celery:",
    # Messages are acknowledged early, so nothing is restored by time.
    "visibility_timeout": 3600,
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    # A half-open connection is noticed in about twice this time (s).
    "health_check_interval": 10,
    "retry_on_timeout": True,
}
broker_connection_retry_on_startup = True
#: The default gives up after 100 tries, and a worker that gave up is no worker.
broker_connection_max_retries = None
#: Threads of the API that publish at once share these.
broker_pool_limit = 10
#: Redis being away is no reason to refuse or delay a request: the sweep finds the work.
task_publish_retry = False

# -- what a message is

#: JSON, never pickle: whoever reaches Redis must not run code here. Bodies carry ids only.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]

# -- when it counts as done

#: Acknowledged early: a message is a hint, and a lost one is found by the sweep.
task_acks_late = False
task_reject_on_worker_lost = False
#: One message reserved per slot. What lies reserved behind a long run is found by others in
#: the backlog.
worker_prefetch_multiplier = 1
worker_disable_prefetch = True

# -- the worker

worker_concurrency = _settings.worker_concurrency
worker_pool = _settings.worker_pool
#: Bounds leaks of users' nodes: a child is replaced after so many messages.
worker_max_tasks_per_child = 10_000 if _settings.worker_pool == "prefork" else None
#: Imports of users' nodes may take long at the start of a child (s).
worker_proc_alive_timeout = 30
#: A lost broker is no reason to kill nodes: ownership lies in PostgreSQL.
worker_cancel_long_running_tasks_on_connection_loss = False
#: The log is ours: see `app.logs`.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# -- Flower

worker_send_task_events = True
#: task-sent would cost every publisher a second message.
task_send_sent_event = False
event_queue_expires = 60
event_queue_ttl = 5
worker_enable_remote_control = True
control_queue_expires = 10
