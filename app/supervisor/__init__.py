"""Keeps a few processes running in one terminal, and ends them in order.

Why not a library: honcho ends everything when one process exits, and restarts nothing;
supervisor (supervisord) and circus restart, but don't ask whether one program is ready before
they start the next, pause no longer after each failure, and bring a control socket that a
terminal doesn't need; the children of all three live on when they are killed. What is needed
is here, on asyncio.
"""

from __future__ import annotations

from app.supervisor.output import Console
from app.supervisor.program import Program, StartFailed
from app.supervisor.supervisor import Supervisor, supervise, together

__all__ = ["Console", "Program", "StartFailed", "Supervisor", "supervise", "together"]
