"""The configuration: declared once, read and checked, with the files that it names."""
