"""Verifies many packs in one process: from each line of input, a folder, a tab and a
verifier key (or nothing), a line with the findings as JSON."""

import json
import sys

from fixture import verify

for line in sys.stdin:
    folder, _, vkey = line.rstrip("\n").partition("\t")
    report = verify.verify(folder, verify.parse_vkey(vkey) if vkey else None)
    print(json.dumps({
        "findings": [{"finding": f.finding, "index": f.index, "detail": f.detail} for f in report.ranked()],
        "notices": [n["notice"] for n in report.notices]}))
