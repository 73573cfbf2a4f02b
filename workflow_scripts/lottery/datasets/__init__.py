"""Data sets, one file each; KIND names the kind of data (`data/`), which says what else is in the file."""
