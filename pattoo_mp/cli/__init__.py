"""The command line: what a person may ask of the agent, one module for each verb."""

from pattoo_mp.cli.main import main

__all__ = ["main"]
