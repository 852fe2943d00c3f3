"""Keeps a few processes running in one terminal, and ends them in order.

Why not a library: honcho ends everything when one process exits and restarts nothing;
supervisor (supervisord) restarts, but starts by priority without asking whether the one
before is ready, and its children survive it when it is killed; circus needs two more
libraries and has neither of the two. What is needed is here, on asyncio.
"""

from __future__ import annotations

from app.supervisor.output import Console
from app.supervisor.program import Program, StartFailed
from app.supervisor.supervisor import Supervisor, supervise, together

__all__ = ["Console", "Program", "StartFailed", "Supervisor", "supervise", "together"]
