"""The pack in docs/format/vectors is the one that the pages say, and is clean."""

import os
import tempfile
import unittest

import fixture
from fixture import HERE, verify

VECTORS = os.path.join(HERE, "..", "..", "..", "..", "..", "docs", "format", "vectors")


def read_folder(folder):
    out = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as f:
            out[name] = f.read()
    return out


class Vectors(unittest.TestCase):
    def test_as_made(self):
        pack, beside = fixture.vectors()
        with tempfile.TemporaryDirectory() as made:
            fixture.write(pack, made)
            if os.environ.get("UPDATE"):
                fixture.write(pack, os.path.join(VECTORS, "pack"))
                fixture.write(beside, VECTORS)
            self.assertEqual(read_folder(made), read_folder(os.path.join(VECTORS, "pack")), "UPDATE=1 writes them anew")
        for name, text in beside.items():
            with open(os.path.join(VECTORS, name), encoding="utf-8") as f:
                self.assertEqual(f.read(), text, name)

    def test_clean(self):
        with open(os.path.join(VECTORS, "pack.vkey"), encoding="utf-8") as f:
            report = verify.verify(os.path.join(VECTORS, "pack"), verify.parse_vkey(f.read().strip()))
        self.assertEqual(([], ["keys_changed"]), (report.faults, [n["notice"] for n in report.notices]))

    def test_receipt(self):
        # verify.py reads receipts without a payload only; the page says what else is in this one.
        with open(os.path.join(VECTORS, "pack.tlog-proof"), "rb") as f:
            top, _, note = f.read().partition(b"\n\n")
        rows = top.decode().split("\n")
        r = verify.Reader(verify.from_base64(rows[1][6:], "extra"))
        self.assertEqual(r.take(18), b"annals/receipt/v1\0")
        ledger, parts, entry = r.take(32), r.number(1), verify.Entry(raw := r.sized(4))
        salt, envelope, body = r.take(32), r.sized(4), r.sized(4)
        r.end()
        self.assertEqual((parts, rows[2]), (3, f"index {entry.index}"))
        self.assertEqual(entry.commitment_of(ledger, salt, envelope, body), entry.commitment)
        lines = note.decode().split("\n")
        proof = [verify.from_base64(h, "proof", 32) for h in rows[3:]]
        root = verify.inclusion_root(verify.leaf_hash(raw), entry.index, int(lines[1]), proof)
        self.assertEqual(fixture.b64(root), lines[2])


if __name__ == "__main__":
    unittest.main()
