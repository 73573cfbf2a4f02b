"""Image data sets, one file each. What the workflow knows of one:

    SHAPE, CLASSES, TRAIN, TEST  shape of an image, number of classes, of training and of test examples
    load(root)                   -> train_images, test_images: [N, C, H, W] uint8; train_labels, test_labels

A set too large for that has STREAMED = True, and in place of `load`

    index(root)                  -> train_files, test_files: paths; train_labels, test_labels

A set whose sizes are its entry's in config/datasets (a folder of images) has none of the constants; it is
given its own folder under the root, and `load` the shape as well.
"""
