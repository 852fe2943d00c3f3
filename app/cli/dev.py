"""`chaingraph dev`: everything in one terminal, from an empty directory to an API that serves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.development import Development, Options
from app.cli.extras import require_server
from app.cli.node_modules import require_node_modules
from app.cli.output import AsJson
from app.config import child_environ, load_settings
from app.errors import ChainGraphError
from app.supervisor import Console, supervise
from app.supervisor.lock import exclusive

Workers = Annotated[int, typer.Option(min=1, max=64, help="How many workers.")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Instead of PORT.")]
DataDir = Annotated[Path | None, typer.Option(help="Instead of DATA_DIR.")]
NoFlower = Annotated[bool, typer.Option("--no-flower", help="Start no Flower.")]


def dev(
    *,
    workers: Workers = 2,
    port: Port = None,
    data_dir: DataDir = None,
    no_flower: NoFlower = False,
    as_json: AsJson = False,
) -> None:
    """Run embedded servers, migrations, API, workers, Flower and samples until Ctrl-C.

    With DATABASE_URL or REDIS_URL set, that server is used and none is embedded. With
    EXECUTION_MODE=local the API alone runs everything, and nothing is kept. With --json one
    document says where to look, on standard output; all else goes to standard error. With
    AUTH_ENABLED=true a database without tokens gets one of an admin, which is shown once.
    """
    require_server()
    given = {"PORT": port, "DATA_DIR": data_dir}
    environ = child_environ(**{k: str(v) for k, v in given.items() if v is not None})
    settings = load_settings(environ)
    require_node_modules(settings, environ)
    options = Options(workers=workers, flower=not no_flower, as_json=as_json)
    directory = _data_directory(settings.data_dir)
    with exclusive(directory) as lock:
        development = Development(settings, environ, directory, options)
        development.require_ports()
        out = sys.stderr if as_json else sys.stdout
        try:
            supervise(development.run, Console(out, directory / "logs"), held=[lock])
        finally:
            development.clean_up()


def _data_directory(wanted: Path) -> Path:
    directory = wanted.absolute()
    # Root's PostgreSQL runs as somebody else, who has to get through.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise ChainGraphError(f"DATA_DIR={wanted} can't be made: {error.strerror}") from error
    return directory
