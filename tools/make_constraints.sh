#!/usr/bin/env bash
# Resolve all dependencies in an empty environment and pin what came out of it:
#   tools/make_constraints.sh            (the same torch as before)
#   TORCH=2.14.0 tools/make_constraints.sh
set -euo pipefail
cd "$(dirname "$0")/.."
torch=${TORCH:-$(sed -n 's/^torch==//p' constraints.txt)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder"
"$folder/bin/pip" install --quiet --upgrade pip
"$folder/bin/pip" install --quiet "torch==$torch"
"$folder/bin/pip" install --quiet "torch==$torch" -e '.[s3,gcs,celery,bench,dev]'
{
    echo "# Every version that Nightscribe is tested with, on Python 3.11. Made by: make constraints"
    # "+cpu" marks a build of torch, not a version: the same pin serves machines with a GPU.
    # CUDA's own packages follow from torch's pin.
    "$folder/bin/pip" freeze --exclude-editable | sed 's/+cpu$//' | grep -vE '^(nvidia-|cuda-)'
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
