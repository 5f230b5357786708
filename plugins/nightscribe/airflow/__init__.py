"""What only makes sense inside Airflow; the rest of the library imports without it."""
