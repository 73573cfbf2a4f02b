"""What a user can put right. Each is shown as one line, without a traceback."""


class InputError(Exception):
    """A config entry or an argument that cannot be used: names it, what was found, what is allowed.

    One line, whatever line breaks there are in what was found.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(" ".join(str(message).splitlines()))


class DamagedFile(InputError):  # noqa: N818
    """A mask, weight or data file whose content is not what its checksum promises.

    delete: what to delete so that it is made anew, if that is not the file alone
    """

    def __init__(self, path: object, reason: str, delete: object = "it") -> None:
        super().__init__(f"{path}: {reason}; delete {delete} and run again")
