"""Polls the host with psutil, tick by tick. What imports it gets psutil without waiting for a hang."""

from pattoo_mp.collect.lean_psutil import import_psutil

import_psutil()
