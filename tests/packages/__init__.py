"""The packages: their files, and a trial in a fresh Debian."""
