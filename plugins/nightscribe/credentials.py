"""Credentials from Airflow connections, as the storage options of delta-rs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nightscribe.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Connection


def connection_of(conn_id: str, named_in: str, alternative: str) -> Connection:
    """The Airflow connection `conn_id`.

    Args:
        named_in: the setting or URI that names it, for the message
        alternative: what to do instead of adding it, for the message

    Raises:
        ConfigurationError: there is no such connection.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowException

    try:
        return BaseHook.get_connection(conn_id)
    except AirflowException as error:
        raise ConfigurationError(
            f"{named_in}: there is no Airflow connection {conn_id!r}: add it "
            f"(airflow connections add {conn_id} …) or {alternative}"
        ) from error


def storage_options(conn_id: str | None) -> dict[str, str]:
    """Storage options of `deltalake` from a connection of type `aws`.

    Empty without a connection: then the cloud's own chain applies. Google's credentials always come
    from the environment (`GOOGLE_APPLICATION_CREDENTIALS`), where delta-rs reads them.

    Raises:
        ConfigurationError: there is no such connection, or it has another type.
    """
    if not conn_id:
        return {}
    connection = connection_of(conn_id, "NIGHTSCRIBE_LAKE_CONN_ID", "leave the setting empty")
    if connection.conn_type != "aws":
        raise ConfigurationError(
            f"connection {conn_id!r} has type {connection.conn_type!r}: a lake on an object store "
            "needs a connection of type aws"
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
