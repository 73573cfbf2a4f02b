"""Data sets, one file each; KIND names the kind of data (`data/`), which says what else is in the file.

Any of them may say what is looked for before anything is started, without reading it:

    absent(dataset, root)  -> what is missing under the data root, as one line, or None
    DOWNLOADED             names under the data root; if none of them is there, the set is downloaded
"""
