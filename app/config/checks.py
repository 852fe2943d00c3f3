"""What must hold between settings."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from app.config.settings import Settings
from app.errors import SettingsError

#: A lease must survive two lost renewals.
HEARTBEATS_PER_CLAIM = 3


def check(settings: Settings) -> None:
    """Raise SettingsError, one line, for the first rule that the settings break."""
    for rule in RULES:
        rule(settings)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to the host."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _lease_outlives_heartbeats(settings: Settings) -> None:
    least = HEARTBEATS_PER_CLAIM * settings.worker_heartbeat_interval_ms
    if settings.worker_claim_timeout_ms < least:
        raise SettingsError(
            f"WORKER_CLAIM_TIMEOUT_MS={settings.worker_claim_timeout_ms} is not allowed:"
            f" at least {least}, {HEARTBEATS_PER_CLAIM} times WORKER_HEARTBEAT_INTERVAL_MS"
        )


def _pool_holds_its_least(settings: Settings) -> None:
    least, most = settings.connection_pool_min, settings.connection_pool_max
    if least > most:
        raise SettingsError(
            f"CONNECTION_POOL_MIN={least} is not allowed: at most CONNECTION_POOL_MAX, {most}"
        )


def _auth_has_its_key(settings: Settings) -> None:
    if settings.auth_enabled and settings.secret_key is None:
        raise SettingsError(
            "AUTH_ENABLED=true is not allowed without SECRET_KEY: set it to 32 characters or more"
        )


def _auth_has_its_tokens(settings: Settings) -> None:
    if settings.auth_enabled and settings.execution_mode == "local":
        raise SettingsError(
            "AUTH_ENABLED=true is not allowed with EXECUTION_MODE=local: it keeps nothing, so it"
            " has no tokens, and serves this machine alone"
        )


def _pages_have_tokens(settings: Settings) -> None:
    if settings.cors_origins and not settings.auth_enabled:
        raise SettingsError(
            f"CORS_ORIGINS={','.join(settings.cors_origins)} is not allowed while"
            " AUTH_ENABLED=false: pages elsewhere may not use an API that asks for no token"
        )


def _old_key_has_its_successor(settings: Settings) -> None:
    if settings.secret_key_old is not None and settings.secret_key is None:
        raise SettingsError(
            "SECRET_KEY_OLD is not allowed without SECRET_KEY: it is the key that SECRET_KEY"
            " replaces"
        )


def _rates_have_redis(settings: Settings) -> None:
    if settings.rate_limit is not None and settings.execution_mode == "local":
        raise SettingsError(
            f"RATE_LIMIT={settings.rate_limit} is not allowed with EXECUTION_MODE=local:"
            " calls are counted in Redis"
        )


def _open_api_stays_on_loopback(settings: Settings) -> None:
    if not settings.auth_enabled and not is_loopback(settings.host):
        raise SettingsError(
            f"HOST={settings.host} is not allowed while AUTH_ENABLED=false: use 127.0.0.1,"
            " ::1 or localhost, or set AUTH_ENABLED=true and SECRET_KEY"
        )


def _open_flower_stays_on_loopback(settings: Settings) -> None:
    if settings.flower_basic_auth is None and not is_loopback(settings.flower_address):
        raise SettingsError(
            f"FLOWER_ADDRESS={settings.flower_address} is not allowed without"
            " FLOWER_BASIC_AUTH=user:password: use 127.0.0.1, or set it"
        )


RULES: tuple[Callable[[Settings], None], ...] = (
    _lease_outlives_heartbeats,
    _pool_holds_its_least,
    _auth_has_its_key,
    _auth_has_its_tokens,
    _pages_have_tokens,
    _rates_have_redis,
    _old_key_has_its_successor,
    _open_api_stays_on_loopback,
    _open_flower_stays_on_loopback,
)
