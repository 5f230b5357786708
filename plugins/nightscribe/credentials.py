"""Credentials from an Airflow connection, in the words of delta-rs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightscribe.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def connection_of(conn_id: str, named_by: str, otherwise: str) -> Connection:
    """Airflow's connection. Raises `ConfigurationError` that says who named it, and what to do."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowException as error:
        raise ConfigurationError(
            f"{named_by}: there is no Airflow connection {conn_id!r}: add it "
            f"(airflow connections add {conn_id} …) or {otherwise}"
        ) from error


def storage_options(conn_id: str | None) -> dict[str, str]:
    """Options for `deltalake` from an `aws` connection; empty without one: the cloud's own chain.

    Raises `ConfigurationError` for one that is not there, or of another type. Google's
    credentials come from the environment (`GOOGLE_APPLICATION_CREDENTIALS`), as delta-rs reads
    them.
    """
    if not conn_id:
        return {}
    connection = connection_of(conn_id, "NIGHTSCRIBE_LAKE_CONN_ID", "leave the setting empty")
    if connection.conn_type != "aws":
        raise ConfigurationError(
            f"connection {conn_id!r} is of type {connection.conn_type!r}: a lake on an object "
            "store takes a connection of type aws"
        )
    extra = connection.extra_dejson
    options = {
        "aws_access_key_id": connection.login,
        "aws_secret_access_key": connection.password,
        "aws_session_token": extra.get("aws_session_token"),
        "aws_region": extra.get("region_name"),
        "aws_endpoint_url": extra.get("endpoint_url"),
    }
    if (extra.get("endpoint_url") or "").startswith("http://"):
        options["aws_allow_http"] = "true"
    return {name: value for name, value in options.items() if value}
