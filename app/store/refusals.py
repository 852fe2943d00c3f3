"""What a statement raises that PostgreSQL refused although it can be reached."""

from __future__ import annotations

import psycopg
import psycopg2

#: A fault of ours or of the data. A thread that goes on by itself must outlive it, or the process
#: looks healthy and does no more what the thread was for.
REFUSALS = (psycopg.Error, psycopg2.Error)
