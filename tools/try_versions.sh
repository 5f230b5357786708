#!/bin/sh
# Tries other versions of Python and of the dependencies than constraints.txt has.
#
#   tools/try_versions.sh python3.13 highest         the newest that pyproject.toml allows
#   tools/try_versions.sh python3.11 lowest-direct   the oldest
#
# Installs into build/versions/ with uv, then runs tests that use most of every dependency. TORCH
# chooses the version of torch, which pip installs first, so that it takes the build that suits the
# machine: TORCH=2.13.0 tools/try_versions.sh …
set -eu
python=$1
resolution=$2
venv=build/versions/$(basename "$python")-$resolution
mkdir -p build/versions
"$python" -m venv --clear "$venv"
bin=$PWD/$venv/bin
"$bin/pip" install --quiet uv "torch${TORCH:+==$TORCH}"
torch=$("$bin/python" -c 'from importlib.metadata import version; print(version("torch"))')
echo "torch==$torch" > "$venv/torch.txt"
"$bin/uv" pip install --quiet --python "$bin/python" --resolution "$resolution" --override "$venv/torch.txt" .
# What Nightscribe itself names stays as it is now; tools for tests may move what others need.
"$bin/python" - > "$venv/versions.txt" <<'PROGRAM'
import re
from importlib.metadata import requires, version
for text in requires("nightscribe"):
    name = re.match(r"[\w.-]+", text)[0]
    if "extra ==" not in text and name != "torch":
        print(f"{name}=={version(name)}")
PROGRAM
"$bin/uv" pip install --quiet --python "$bin/python" --constraint "$venv/versions.txt" --override "$venv/torch.txt" \
  '.[dev,s3]'
rm -rf build/lib build/bdist.* nightscribe.egg-info plugins/nightscribe.egg-info
cat "$venv/versions.txt"
OMP_NUM_THREADS=1 PYTHONPATH=plugins:. "$bin/python" -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder \
  ${TESTS:-tests/lake tests/evaluation tests/export tests/stages tests/search tests/web tests/audio tests/archives \
  tests/whisper/batched tests/cli/test_transcribe_command.py tests/airflow/test_dag_files.py \
  tests/airflow/test_scheduler.py tests/test_transcribing.py}
