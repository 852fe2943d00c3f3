"""What all tables share: the metadata that knows them, and words of their columns."""

from __future__ import annotations

from sqlalchemy import DateTime, MetaData, text

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Of columns: a time, which is aware; the time of the insert, by the clock of the database; none.
AT = DateTime(timezone=True)
NOW = text("clock_timestamp()")
ZERO = text("0")
