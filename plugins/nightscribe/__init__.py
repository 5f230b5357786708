"""Nightscribe: audio archives in, transcript tables out.

The library behind the DAGs. Follow the data: `archive` finds recordings, `audio`
decodes them, `whisper` turns them into segments, `lake` commits the segments.
It imports without Airflow, except for what lies in `nightscribe.airflow`.
"""

__version__ = "0.1.0"
