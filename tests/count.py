#!/usr/bin/env python3
"""Prints «PASSED FAILED» of a meson test log (one JSON object a line). Skipped tests count as neither."""
import json
import sys

results = [json.loads(line)["result"] for line in open(sys.argv[1], encoding="utf-8")]
passed = sum(result in ("OK", "EXPECTEDFAIL") for result in results)
skipped = sum(result == "SKIP" for result in results)
print(passed, len(results) - passed - skipped)
