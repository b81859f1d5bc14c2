# Read by the other scripts: forgets settings of the caller that would send packages elsewhere, leave some out or let
# others in. How to reach an index (address, certificate, proxy, folders of wheels) stays as it is on the machine.
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_ROOT PIP_NO_DEPS PIP_DRY_RUN PIP_PYTHON PIP_PRE PIP_ONLY_DEPS
unset PIP_CONSTRAINT PIP_BUILD_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_NO_BINARY PIP_ONLY_BINARY PIP_ABI PIP_PLATFORM
export PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1
