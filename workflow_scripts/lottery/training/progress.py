"""Progress lines of a training, in its job's log."""

import sys
import time


class Progress:
    """Prints how far a training is, its metric and the time left, every ten seconds and at the end."""

    def __init__(self, name: str, unit: str, done: int, total: int) -> None:
        self.name, self.unit, self.first, self.total = name, unit, done, total
        self.started = self.printed = time.monotonic()

    def __call__(self, done: int, metric: str, value: float) -> None:
        now = time.monotonic()
        if now - self.printed < 10 and done < self.total:
            return
        self.printed = now
        left = (now - self.started) / max(1, done - self.first) * (self.total - done)
        text = f"{self.name}  {self.unit} {done}/{self.total}  {metric.replace('_', ' ')} {value:.4f}"
        print(f"{text}  {left:.0f} s left", file=sys.stderr, flush=True)
