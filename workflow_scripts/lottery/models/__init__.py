"""Models, one file each: `build(input_shape, classes, **options)`, `depends_on(input_shape)`, `OUTPUT`.

torch is imported inside `build`, so that planning a study does not import it.
"""
