"""One of several processes at work on one file: python -m benchmarks.storage.worker NAME FOLDER."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.storage.contestants import LOOPS


def main() -> None:
    """Say that the loop is ready, wait for the number of seconds, and print what was done."""
    name, folder = sys.argv[1:]
    done, errors, worst = 0, 0, 0.0
    with LOOPS[name](Path(folder), 0) as trial:
        print("ready", flush=True)
        seconds = float(sys.stdin.readline())
        end = time.monotonic() + seconds  # from now on, not from when it was ready
        while (start := time.monotonic()) < end:
            try:
                trial(0)
                done += 1
            except Exception as error:  # noqa: BLE001 - such as "database is locked": it is counted
                errors += 1
                sys.stderr.write(f"{name}: {error}\n")
            worst = max(worst, time.monotonic() - start)
    print(json.dumps({"done": done, "errors": errors, "worst": worst}))


if __name__ == "__main__":
    main()
