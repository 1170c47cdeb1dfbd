"""Runs the programs of the setting `commands`, in a process of its own, and keeps the newest answers."""
