"""Rule data: see lottery.stages.prepare_data."""

import os

from lottery.logs import run_logged
from lottery.stages import prepare_data

run_logged(
    snakemake.log[0],
    prepare_data,
    settings=snakemake.params.settings,
    root=os.environ.get("LOTTERY_DATA", "data"),
    outputs=dict(snakemake.output.items()),
)
