#!/bin/sh
# Runs the agent that this file belongs to, for supervisord's sections beside it: the one of its
# checkout or of its installation, and no other. PATH stays as it is: a directory that is found
# relative to this file could be another user's.

set -eu
conf=$(CDPATH='' cd -- "${0%/*}" && pwd -P)
name=pattoo_agent_os_autonomousd
# Another program of the family is named before the options.
case ${1-} in
pattoo_agent_os_*)
    name=$1
    shift
    ;;
esac
if [ -f "${conf%/conf}/pattoo_mp/__init__.py" ]; then
    program=${conf%/conf}/bin/$name.py
else
    program=${conf%/share/pattoo_mp/conf}/bin/$name
fi
if [ "$program" = "$conf/bin/$name" ] || [ ! -x "$program" ]; then
    echo "$name: error: $0: no agent belongs to it; expected it in conf of a checkout or in" \
        "share/pattoo_mp/conf of an installation" >&2
    exit 1
fi
exec "$program" "$@"
