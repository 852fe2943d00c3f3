"""The databases of a worker process: that of executions, and that of flows and secrets."""

from __future__ import annotations

import logging
from collections.abc import Callable

from app.config import Settings
from app.errors import SettingsError, StoreUnavailable
from app.store.database import Database
from app.store.flow_lookup import CopyingLookup
from app.store.readiness import present_revision, wanted_revision

_log = logging.getLogger(__name__)


class Databases:
    """Both are one unless DATABASE_URL_EXECUTIONS is set. Each is opened once a run needs it."""

    def __init__(
        self, settings: Settings, name: str, on_locked_out: Callable[[], object] | None
    ) -> None:
        made = [
            Database(url, pool_size=2, application_name=name, on_locked_out=on_locked_out)
            for url in settings.database_urls
        ]
        self.flows, self.executions = made[0], made[-1]
        #: Finds flows where they are not beside the executions.
        self.lookup = CopyingLookup(self.flows, self.executions) if len(made) > 1 else None

    def check_schema(self) -> None:
        """Raise SettingsError where one has a schema that this code doesn't run on."""
        wanted = wanted_revision()
        try:
            present = {present_revision(each, wanted) for each in {self.flows, self.executions}}
        except StoreUnavailable as error:
            _log.warning("could not look at the schema: %s", error)
            return
        for other in present - {wanted}:
            raise SettingsError(
                f"the database's schema is {other or 'not there'}, and this code runs on {wanted}:"
                " run `chaingraph migrate`, or newer code"
            )
