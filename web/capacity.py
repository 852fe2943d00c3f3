"""How much one API process takes on at once."""

from __future__ import annotations

#: Threads that requests run in, made as they are needed. A socket keeps none once it is open.
THREADS = 64
#: Sockets open at once.
MAX_SOCKETS = 1024
#: Connections open at once beside the sockets; idle ones hold no thread.
MAX_CONNECTIONS = THREADS + 1024
#: Descriptors of a process with all of these, and what else it has open.
MAX_FILES = MAX_SOCKETS + MAX_CONNECTIONS + 256
