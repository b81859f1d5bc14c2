#!/bin/sh
# Writes requirements/*.txt anew from pyproject.toml and requirements/*.in: exact versions, a hash for each file, no address.
#
#   tools/lock.sh              keeps the versions that still fit
#   tools/lock.sh --upgrade    takes the newest that fit
#
# Runs on the oldest supported Python, so that what only old Pythons need is in the lock.
# The tool has an environment of its own (.venv-lock), locked like the others.
set -eu
cd "$(dirname "$0")/.."

. tools/pip_environment.sh
unset PIP_FIND_LINKS # a wheel that lies only here must not get into the lock
export CUSTOM_COMPILE_COMMAND="make lock"

python=${PYTHON:-python3.11}
"$python" -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || {
    echo "comity: locking needs Python 3.11, the oldest supported: make lock PYTHON=/path/to/python3.11" >&2
    exit 1
}
if ! [ -e .venv-lock/.made ] || [ requirements/lock.txt -nt .venv-lock/.made ]; then
    rm -rf .venv-lock
    "$python" -I -m venv .venv-lock
    .venv-lock/bin/python -I -m pip install --quiet --require-hashes --only-binary :all: -r requirements/lock.txt
    touch .venv-lock/.made
fi

compile() {
    .venv-lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options "$@"
}

compile "$@" --output-file requirements/build.txt requirements/build.in
compile "$@" --constraint requirements/build.txt --output-file requirements/run.txt pyproject.toml
compile "$@" --extra dev --constraint requirements/build.txt --constraint requirements/run.txt --output-file requirements/dev.txt pyproject.toml
compile "$@" --output-file requirements/lock.txt requirements/lock.in
