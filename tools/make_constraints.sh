#!/usr/bin/env bash
# Resolve all dependencies in an empty environment and pin the result:
#   tools/make_constraints.sh            (keeps the version of torch)
#   TORCH=2.14.0 tools/make_constraints.sh
set -euo pipefail
cd "$(dirname "$0")/.."
torch=${TORCH:-$(sed -n 's/^torch==//p' constraints.txt)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder"
"$folder/bin/pip" install --quiet --upgrade pip
"$folder/bin/pip" install --quiet "torch==$torch"
"$folder/bin/pip" install --quiet "torch==$torch" -e '.[s3,gcs,celery,vad,notebook,bench,dev]'
{
    echo "# Every version that Nightscribe is tested with, on Python 3.11. Made by: make constraints"
    # "+cpu" is a build of torch, not a version: the same pin is for machines with a GPU. The pin of
    # torch determines CUDA's packages.
    "$folder/bin/pip" freeze --exclude-editable | sed 's/+cpu$//' | grep -vE '^(nvidia-|cuda-)'
} >"$folder/constraints.txt"
mv "$folder/constraints.txt" constraints.txt
