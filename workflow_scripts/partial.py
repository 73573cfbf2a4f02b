"""Tables and figures of the runs there are, while others run or have failed: `make partial STUDY=mine`."""

import sys
from pathlib import Path

from lottery.errors import InputError
from lottery.partial import write_partial
from lottery.schemas import read_yaml
from lottery.study import read_study


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "config/config.yaml")
    named = Path("config/studies") / f"{path}.yaml"
    try:
        print(write_partial(read_study(read_yaml(path if path.exists() else named), Path("config"))))
    except (InputError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")


main()
