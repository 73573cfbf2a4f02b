"""Models, one file each. What the supervised family knows of one:

    build(input_shape, classes, **options)  -> torch module
    depends_on(input_shape)                 what of an image's shape its parameters depend on
    OUTPUT                                  name of its output layer
    OPTIONS                                 option of `build` -> its JSON schema, with the default

and, where a model cannot take every image and batch,

    check(input_shape, batch_size, **options)  raises InputError; of a batch, what one GPU gets

and, for analyses of masks,

    connections(**options)  -> [runs.Connection], from the input to the output

torch is imported inside `build`, so that planning a study does not import it.
"""

from ..errors import InputError


def check_poolings(input_shape: tuple[int, int, int], poolings: int) -> None:
    """Raise InputError for an image that has no pixel left after so many 2x2 maxima."""
    if min(input_shape[1:]) < 2**poolings:
        raise InputError(
            f"model: {poolings} poolings need images of at least {2**poolings} x {2**poolings} pixels, found "
            f"{input_shape[1]} x {input_shape[2]}"
        )


def check_normalised(sides: tuple[int, int], batch_size: int) -> None:
    """Raise InputError for batch normalisation of a single value, which has no variance.

    sides: height and width of the smallest map that is normalised
    """
    if batch_size == 1 and max(sides) == 1:
        raise InputError(
            "batch_size: found 1 for a GPU, allowed: from 2, where the model's batch normalisation sees maps "
            "of 1 x 1 pixels"
        )
