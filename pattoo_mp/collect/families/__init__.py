"""One file for each metric family; a file is named as its family is in `families:`."""
