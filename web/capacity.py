"""How much one API process takes on at once."""

from __future__ import annotations

#: Threads that requests run in, made as they are needed. A socket keeps one while it is open.
THREADS = 1088
#: Sockets open at once: the rest of the threads is for requests that end.
MAX_SOCKETS = THREADS - 64
#: Connections open at once; idle ones hold no thread.
MAX_CONNECTIONS = THREADS + 1024
