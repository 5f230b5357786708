# One image for all processes of Nightscribe: Airflow's components and the workers that run Whisper.
#
#   docker build --build-arg WHISPER_MODELS="turbo" -t nightscribe:local .
#
# The base is Python's image and not apache/airflow: constraints.txt pins all packages
# together (Airflow, torch, Whisper, DuckDB). Airflow's image would add about eighty packages in
# versions that are not tested with these.

FROM python:3.11-slim-bookworm AS requirements
COPY pyproject.toml docker/requirements.py /build/
RUN python /build/requirements.py /build/pyproject.toml s3 gcs celery vad > /build/requirements.txt


FROM python:3.11-slim-bookworm

# PyAV's wheels contain FFmpeg and torch's contain CUDA, so no system package is needed. On a
# GPU host, the NVIDIA container toolkit provides the driver.
ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1

# 50000 is also the user of Airflow's image, so both images can use the same volumes.
RUN groupadd --gid 50000 airflow \
    && useradd --uid 50000 --gid airflow --create-home --home-dir /opt/airflow airflow

# Dependencies first. This layer is rebuilt when a requirement or a pin changes, but not when
# anything else in pyproject.toml does.
# The torch pin installs the CUDA build on Linux (several GB). For a CPU-only image, pass
# PyTorch's index of CPU builds: they satisfy the same pin and are preferred.
# Build arguments stay in the image's history: do not pass an address that contains a password.
ARG PIP_EXTRA_INDEX_URL=""
COPY constraints.txt /opt/nightscribe/
COPY --from=requirements /build/requirements.txt /opt/nightscribe/
RUN pip install --requirement /opt/nightscribe/requirements.txt \
    --constraint /opt/nightscribe/constraints.txt

# Then the sources, owned by root, so that a task cannot change the code of the next task.
# They are installed in place: Airflow's plugins folder, the DAGs and the `nightscribe` command
# use the same copy.
WORKDIR /opt/nightscribe
COPY pyproject.toml README.md LICENSE ./
COPY plugins plugins
COPY evaluation evaluation
COPY dags dags
COPY models models
COPY samples samples
RUN pip install --no-deps --editable . && rm -r nightscribe.egg-info

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/nightscribe/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/nightscribe/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    NIGHTSCRIBE_LAKE=/data/lake \
    NIGHTSCRIBE_UPLOADS=/data/uploads \
    NIGHTSCRIBE_MODEL_DIR=/data/models

# A new named volume copies the owner and contents of the folder on which it is mounted.
RUN install --directory --owner airflow --group airflow \
    /opt/airflow/logs /opt/airflow/auth /data/lake /data/models /data/uploads

USER airflow

# Checkpoints: official Whisper names, separated by spaces; empty for none. The image always
# contains the demo checkpoint, models/demo.pt.
ARG WHISPER_MODELS="turbo"
RUN for model in $WHISPER_MODELS; do nightscribe models fetch "$model" || exit 1; done \
    && chmod -R a+rX "$NIGHTSCRIBE_MODEL_DIR"

CMD ["nightscribe", "--help"]
