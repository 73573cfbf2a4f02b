"""Image data sets, one file each: `SHAPE`, `CLASSES`, `TRAIN` and `TEST` (sizes), `load(root)`."""
