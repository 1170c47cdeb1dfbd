"""The control process, part by part."""
