#!/bin/sh
# Makes or refreshes .venv from the locked requirements, and does nothing when it is up to date.
#
#   tools/make_venv.sh run    what `comity` needs to run
#   tools/make_venv.sh dev    the same, and what tests and lint need
#
# A changed lock starts from an empty .venv: a package left over from an older lock would hide a missing one.
# PYTHON=<interpreter> chooses the Python; otherwise the first of the usual names that is 3.11 or newer.
set -eu
cd "$(dirname "$0")/.."

wanted=${1:-dev}
venv=.venv

. tools/pip_environment.sh

say() { printf 'comity: %s\n' "$*"; }

fail() {
    printf 'comity: %s\n' "$@" >&2
    exit 1
}

is_new_enough() { "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
has_ensurepip() { "$1" -I -c 'import venv, ensurepip' >/dev/null 2>&1; }
has_pip() { "$1" -I -c 'import venv, pip' >/dev/null 2>&1; }
version_of() { "$1" -I -c 'import platform; print(platform.python_version())'; }

choose_python() {
    python='' bare=''
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        is_new_enough "$name" || continue
        if has_ensurepip "$name" || has_pip "$name"; then
            python=$name
            return
        fi
        bare=${bare:-$name}
    done
    [ -z "$bare" ] || fail "$bare ($(version_of "$bare")) has neither venv with ensurepip nor pip." \
        "On Debian and Ubuntu: apt-get install python3-venv (then run this again)."
    fail "no Python 3.11 or newer was found${PYTHON:+ under the name $PYTHON}." \
        "Install one (on Debian 12, Ubuntu 24.04 and newer: apt-get install python3 python3-venv)," \
        "or name one: make setup PYTHON=/path/to/python3.12"
}

locked() { # what an environment of this kind was made from; the folder too, as scripts in it hold its path
    printf '%s\n' "$PWD" "${PYTHON:-}"
    cksum tools/make_venv.sh requirements/build.txt requirements/run.txt
    [ "$1" = run ] || cksum requirements/dev.txt
}

is_made() { [ "$(cat "$venv/.made-$1" 2>/dev/null)" = "$(locked "$1")" ]; }

pip_install() {
    # Wheels only: building one from source would pull in build tools that are not locked.
    $pip install --quiet --require-hashes --only-binary :all: "$@" ||
        fail "the locked requirements could not be installed (Python $(version_of "$venv/bin/python"))."
}

make_run() {
    choose_python
    say "making $venv with Python $(version_of "$python") from the locked requirements ..."
    rm -rf "$venv"
    if has_ensurepip "$python"; then
        "$python" -I -m venv "$venv" || fail "$python could not make a virtual environment."
        pip="$venv/bin/python -I -m pip"
    else
        "$python" -I -m venv --without-pip "$venv"
        pip="$python -I -m pip --python $venv/bin/python"
    fi
    printf '%s\n' "$pip" >"$venv/.pip"
    pip_install -r requirements/build.txt -r requirements/run.txt
    locked run >"$venv/.made-run"
}

make_dev() {
    say "adding what tests and lint need ..."
    pip_install -r requirements/dev.txt
    locked dev >"$venv/.made-dev"
}

install_comity() {
    $pip install --quiet --no-deps --no-index --no-build-isolation --editable . || fail "Comity itself could not be installed."
    cksum pyproject.toml >"$venv/.made-comity"
}

# Two of these at once would spoil each other's work: the second waits, then finds everything done.
if command -v flock >/dev/null 2>&1; then
    exec 9>.venv.lock
    flock 9
fi

if ! is_made run; then
    make_run
elif [ "$wanted" = dev ] && [ -e "$venv/.made-dev" ] && ! is_made dev; then
    make_run
fi
pip=$(cat "$venv/.pip")
if [ "$wanted" = dev ] && ! is_made dev; then make_dev; fi
if [ "$(cat "$venv/.made-comity" 2>/dev/null)" != "$(cksum pyproject.toml)" ]; then install_comity; fi
