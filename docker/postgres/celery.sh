#!/bin/bash
# Creates a database and a role for Celery, so that the workers, which run task code, do not
# need a password of Airflow's metadata database.
# The Postgres image runs this once, when the data volume is new.
set -euo pipefail

psql --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  --set ON_ERROR_STOP=1 --set password="$CELERY_DB_PASSWORD" --set metadata="$POSTGRES_DB" <<'SQL'
CREATE ROLE celery LOGIN PASSWORD :'password';
CREATE DATABASE celery OWNER celery;
REVOKE CONNECT ON DATABASE :"metadata" FROM PUBLIC;
SQL
