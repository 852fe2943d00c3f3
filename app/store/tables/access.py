"""Who may call, what owners keep secret, and who did what."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text, UniqueConstraint

from app.store.tables.schema import AT, NOW, metadata

#: Who may call: of a token its hash alone is kept (app/tokens.py).
tokens = Table(
    "chaingraph_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_at", AT, nullable=False, server_default=NOW),
    Column("revoked_at", AT),
    CheckConstraint("role IN ('admin', 'user')", name="role"),
)
#: A name is free again once its token is revoked.
Index(
    "uq_chaingraph_tokens_name",
    tokens.c.name,
    unique=True,
    postgresql_where=tokens.c.revoked_at.is_(None),
)

#: What owners keep for their nodes; `sealed` is encrypted under SECRET_KEY (app/vault.py).
secrets = Table(
    "chaingraph_secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("secret_type", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("updated_at", AT, nullable=False),
    UniqueConstraint("owner_id", "name"),
)
Index(
    "ix_chaingraph_secrets_listed",
    secrets.c.owner_id,
    secrets.c.created_at.desc(),
    secrets.c.id.desc(),
)

#: Who did what to which execution, flow, secret or token: written by the statement that did it. One
#: that came from the executions' own database has its id there in `source_id` (app/store/notes.py).
audit = Table(
    "chaingraph_audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("at", AT, nullable=False, server_default=NOW),
    Column("owner_id", Text, nullable=False),
    Column("token_id", Text),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("source_id", BigInteger),
    CheckConstraint(
        "subject_kind IN ('execution', 'flow', 'secret', 'token')", name="subject_kind"
    ),
)
Index("ix_chaingraph_audit_subject", audit.c.subject_id, audit.c.id)
#: Once, however often it is moved. The time is in it since the ids of a database that was made
#: anew begin anew.
Index(
    "uq_chaingraph_audit_source",
    audit.c.source_id,
    audit.c.at,
    unique=True,
    postgresql_where=audit.c.source_id.is_not(None),
)
