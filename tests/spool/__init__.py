"""The spool, on real SQLite files."""
