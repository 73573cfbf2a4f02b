"""Models, one file each. What the supervised family knows of one:

    build(input_shape, classes, **options)  -> torch module
    depends_on(input_shape)                 what of an image's shape its parameters depend on
    OUTPUT                                  name of its output layer
    OPTIONS                                 option of `build` -> its JSON schema, with the default

torch is imported inside `build`, so that planning a study does not import it.
"""
