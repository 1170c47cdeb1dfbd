"""`--status`: what the agent does, for a person, for a monitoring system, and for scripts."""

from pattoo_mp.cli.status.verb import run

__all__ = ["run"]
