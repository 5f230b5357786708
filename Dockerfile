# One image for every Nightscribe process: Airflow's, and the workers that run Whisper.
#
#   docker build --build-arg WHISPER_MODELS="turbo" -t nightscribe:local .
#
# The base is Python's own image and not apache/airflow: constraints.txt pins every
# package together (Airflow, torch, Whisper, DuckDB), and Airflow's image would bring some
# eighty more packages at versions that nobody tested with these.

FROM python:3.11-slim-bookworm AS requirements
COPY pyproject.toml docker/requirements.py /build/
RUN python /build/requirements.py /build/pyproject.toml s3 gcs celery > /build/requirements.txt


FROM python:3.11-slim-bookworm

# PyAV's wheels carry FFmpeg and torch's carry CUDA, so no system package is needed; on a
# GPU host the driver comes in from outside, through the NVIDIA container toolkit.
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# 50000 is the user of Airflow's own image: volumes can be passed between the two.
RUN groupadd --gid 50000 airflow \
    && useradd --uid 50000 --gid airflow --create-home --home-dir /opt/airflow airflow

# Dependencies first. This layer is copied by content, so it is rebuilt when a requirement
# or a pin changes, not when anything else in pyproject.toml does.
# The torch pin gives the CUDA build on Linux (several GB). For a CPU-only image, pass the
# index that holds torch's CPU builds: they satisfy the same pin and are preferred.
# Build arguments stay in the image's history: give no index address with a password.
ARG PIP_EXTRA_INDEX_URL=""
COPY constraints.txt /opt/nightscribe/
COPY --from=requirements /build/requirements.txt /opt/nightscribe/
RUN pip install --requirement /opt/nightscribe/requirements.txt \
    --constraint /opt/nightscribe/constraints.txt

# Then the sources, owned by root: a task cannot change the code that the next one runs.
# Installed in place, so that what Airflow finds in the plugins folder, what the DAGs import
# and what the `nightscribe` command runs is one copy.
WORKDIR /opt/nightscribe
COPY pyproject.toml README.md LICENSE ./
COPY plugins plugins
COPY evaluation evaluation
COPY dags dags
COPY models models
COPY samples samples
RUN pip install --no-deps --editable .

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nightscribe/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nightscribe/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    NIGHTSCRIBE_LAKE=/data/lake \
    NIGHTSCRIBE_MODEL_DIR=/data/models

# A named volume takes the owner and the contents of the folder that it is first mounted on.
RUN install --directory --owner airflow --group airflow \
    /opt/airflow/logs /opt/airflow/auth /data/lake /data/models

USER airflow

# Weights: official Whisper names, separated by spaces; empty for none. The demo checkpoint
# is in the image in any case, as models/demo.pt.
ARG WHISPER_MODELS="turbo"
RUN for model in $WHISPER_MODELS; do nightscribe models fetch "$model" || exit 1; done \
    && chmod -R a+rX "$NIGHTSCRIBE_MODEL_DIR"

CMD ["nightscribe", "--help"]
