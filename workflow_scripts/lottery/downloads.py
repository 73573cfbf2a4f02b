"""Official files of data sets: whole, verified, downloaded where that is allowed, or refused in one line."""

from collections.abc import Iterable
from pathlib import Path
from urllib.error import URLError

from .errors import DamagedFile, InputError


def verify(path: Path, md5: str) -> None:
    """Raises DamagedFile unless the file is the official one, InputError if it cannot be read."""
    from torchvision.datasets.utils import calculate_md5

    try:
        found = calculate_md5(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    if found != md5:
        raise DamagedFile(path, f"has MD5 {found}, the official file has {md5}")


def download(urls: Iterable[str], path: Path, md5: str) -> None:
    """Get a file from the first address that has it. Raises InputError if none does."""
    from torchvision.datasets.utils import download_url

    reason: Exception | None = None
    for url in urls:
        try:
            download_url(url, str(path.parent), path.name, md5)
            return
        except (RuntimeError, URLError, OSError) as error:
            reason = error
    raise InputError(f"{path}: is missing and could not be downloaded ({reason})")


def archive_member(path: Path, root: Path, url: str, archive: str, md5: str) -> None:
    """Make sure of a file out of an archive in `root`, which is downloaded if it is not there.

    Raises DamagedFile for an archive cut short, InputError for one that is missing or has no such file.
    """
    from torchvision.datasets.utils import extract_archive

    if not (root / archive).exists():
        try:
            download([url], root / archive, md5)
        except InputError as error:
            raise InputError(f"{path}: is missing, and {error}") from None
    verify(root / archive, md5)
    try:
        extract_archive(str(root / archive), str(root))
    except OSError as error:
        raise InputError(f"{root / archive}: cannot be unpacked ({error})") from None
    if not path.exists():
        raise InputError(f"{path}: is missing, also from {root / archive}")
