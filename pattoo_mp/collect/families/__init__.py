"""The metric families, one file each. A file has the family's name in the `families:` setting."""
