"""The control process: starts, watches, restarts and stops the workers, and reports their status."""
