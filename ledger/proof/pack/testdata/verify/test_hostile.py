"""Ledgers that recorded what they must not, packs broken at random, and the command."""

import ast
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import time
import unittest

import fixture
import test_pack
from fixture import HERE, NONE, START, Ledger, secret, verify
from test_keys import grown

SCRIPT = os.path.join(HERE, "..", "..", "verify.py")


class Recorded(test_pack.Packs):
    """Faults under a good signature: the ledger itself is at fault."""

    def lying(self, workspace="ws_7", kind=1, grade=2, flags=1, code=0, body=b"{}", after=1, ref=NONE, subject=None, **change):
        ledger = grown(Ledger(), 3)
        ledger.append(kind, grade, flags, code, workspace, subject or f"activity.{workspace}.t", body, ref=ref, change=change)
        return grown(ledger, after)

    def test_entries(self):
        ms = (START // 10**6 + 5).to_bytes(6, "big")
        other = ms[:5] + bytes([ms[5] + 9])
        at = (5).to_bytes(8, "big")
        cases = [
            (dict(position=7), ["workspace_chain_broken"]),
            (dict(index=3), ["reordered", "workspace_chain_broken"]),
            (dict(tag=secret("junk")), ["workspace_chain_broken"]),
            (dict(previous=secret("junk")), ["altered_entry"]),
            (dict(ulid=ms + b"\0\1" + at), ["malformed_entry"]),
            (dict(ulid=ms + bytes(2) + bytes(8)), ["malformed_entry"]),
            (dict(ulid=other + bytes(2) + at), ["clock"]),
            (dict(ulid=bytes(6) + bytes(2) + at, flags=3), ["clock"]),
            (dict(flags=3), ["clock"]),
            (dict(sequence=9), ["hole"]),
            (dict(sequence=4), ["reordered", "hole"]),
            (dict(place=1, count=2), ["hole"]),
            (dict(epoch=1), ["hole"]),
            (dict(seed=2**32 - 1), ["malformed_entry"]),
            (dict(kind=7), ["unsupported"]),
            (dict(flags=16), ["unsupported"]),
            (dict(kind=4, grade=0, code=100, flags=9), ["malformed_entry"]),
            (dict(grade=5), ["unsupported"]),
            (dict(grade=0), ["malformed_entry"]),
            (dict(flags=0), ["malformed_entry"]),
            (dict(code=3), ["malformed_entry"]),
            (dict(ref=5), ["malformed_entry"]),
            (dict(place=1), ["malformed_entry"]),
            (dict(tail=b"\x80\x04\0\0"), ["unsupported"]),
            (dict(tail=b"\0\x04\0\0"), []),
            (dict(tail=b"\0\x04\0\0\0\x04\0\0"), ["malformed_entry"]),
            (dict(tail=b"\0\x04\0\1"), ["malformed_entry"]),
            (dict(tail=b"\x80\3\0\0"), ["malformed_entry"]),
            (dict(kind=2, flags=0, code=1), ["malformed_entry"]),
            (dict(kind=6, flags=0, grade=0), ["malformed_entry"]),
            (dict(kind=4, grade=0), ["malformed_entry"]),
            (dict(kind=4, grade=0, code=9), []),
        ]
        for change, want in cases:
            for after in (0, 1):
                with self.subTest(change, after=after):
                    ledger = self.lying(after=after, **change)
                    pack = ledger.pack("ws_7")
                    _, found = self.verify(pack)
                    # What follows on a wrong one may be wrong too.
                    self.assertLessEqual(set(want), set(found), found)
                    self.assertEqual(bool(want), bool(found), found)

    def test_first_link(self):
        ledger = Ledger()
        ledger.record("ws_7", "{}", change={"here": secret("junk")})
        self.judge(grown(ledger).pack("ws_7"), ["workspace_chain_broken"])

    def test_broken_link(self):
        ledger = self.lying(here=secret("junk"))
        self.judge(ledger.pack("ws_7"), ["altered_entry"])  # not proven: who says which one it is?
        self.judge(ledger.pack("ws_7", payloads=[2]), ["workspace_chain_broken"])

    def test_duplicates(self):
        record = b"{}"
        cases = [
            (2, 1, record, 2, []), (2, 1, b"{ }", 2, ["false_duplicate"]), (2, 2, b"{ }", 2, []),
            (3, 0, b"{ }", 2, []), (3, 0, record, 2, ["false_duplicate"]),
            (2, 1, record, 1, []),  # before the pack: nobody here can tell
            (2, 1, record, 5, ["false_duplicate"]), (2, 1, record, 6, ["false_duplicate"]),
        ]
        for kind, code, body, ref, want in cases:
            with self.subTest(kind=kind, code=code, body=body, ref=ref):
                ledger = grown(Ledger(), 3)  # entries 2 to 4
                ledger.record("ws_8", "{}")  # 5: another workspace's
                ledger.append(4, 0, 1, 9, "ws_7", "activity.ws_7.t", b"")  # 6: no record
                ledger.append(kind, 2, kind == 3, code, "ws_7", "activity.ws_7.t", body, ref=ref)
                self.judge(grown(ledger).pack("ws_7", payloads=range(5)), want)

    def test_vouched_frames(self):
        original = '{"record":{"id":"v"},"door":{}}'
        for body, want in (('{"door":{"a":[1,{}]},"record":{"id":"v"}}', []), (' {"door" : {} , "record" : {"id":"v"} } ', []),
                           ('{"door":{},"record":{"id": "v"}}', ["false_duplicate"]), ("{", ["false_duplicate"]),
                           ('{"door":{},"door":{}}', ["false_duplicate"]), ('{"door":{},"record":{"id":"v"}}x', ["false_duplicate"]),
                           ('{"record":{"id":"v"}}', ["false_duplicate"]), ('{"door":' + "[" * 9999, ["false_duplicate"])):
            with self.subTest(body[:40]):
                ledger = Ledger()
                ledger.append(1, 4, 1, 0, "ws_7", "vouched.ws_7.t", original.encode())
                ledger.append(2, 4, 0, 1, "ws_7", "vouched.ws_7.t", body.encode(), ref=2)
                self.judge(ledger.pack("ws_7", payloads=[0, 1]), want)

    def test_subjects(self):
        for subject, want in (("activity.ws_8.t", ["workspace_chain_broken"]), ("", ["workspace_chain_broken"]),
                              ("\u00e9\x1b[2J", ["workspace_chain_broken"]), ("vouched.ws_7.a.b", [])):
            report = self.judge(self.lying(subject=subject or "x", after=0).pack("ws_7", payloads=[3]), want)
            self.assertTrue(all(f.detail.isascii() and f.detail.isprintable() for f in report.faults))

    def test_marks(self):
        cases = [(dict(by="operator"), ["unauthorised_control"]), (dict(spoil="ledger"), ["bad_signature"]),
                 (dict(by="third"), ["unknown_key"]), (dict(ledger=secret("junk")), ["unauthorised_control"]),
                 (dict(change={"code": 2}), ["unauthorised_control"]),
                 (dict(change={"tail": b"\x80\1\0\0\x80\2\0\0"}), ["unauthorised_control"]),
                 (dict(change={"code": 99}), ["unauthorised_control"])]
        for more, want in cases:
            with self.subTest(more):
                ledger = grown(Ledger())
                ledger.mark(**more)
                grown(ledger)
                self.judge(ledger.pack("ws_7"), want)

    def test_the_system(self):
        report, found = self.verify(grown(Ledger()).pack("_system"))
        self.assertEqual(found, ["unsupported"] * 2)

    def test_a_mark_that_lies(self):
        # The ledger leaves out of a mark's map the last entry of ws_7.
        ledger = grown(Ledger(), 3)
        tag = ledger.tag("ws_7")
        true, ledger.heads[tag] = ledger.heads[tag], (2, 3, ledger.tree.leaves[3])
        ledger.mark()
        ledger.heads[tag] = true
        self.judge(grown(ledger).pack("ws_7"), ["forked"])


class Random(test_pack.Packs):
    def test_mutations(self):
        """No mutation of a file ends in a traceback; none of what is covered goes unseen."""
        files = {}
        where = os.path.join(self.folder, "clean")
        fixture.write(self.clean, where)
        for name in self.clean:
            with open(os.path.join(where, name), "rb") as f:
                files[name] = f.read()
        r = random.Random(4)
        seen = set()
        for n in range(120):
            name = r.choice(sorted(files))
            data = bytearray(files[name])
            for _ in range(r.choice((1, 1, 1, 2, 5))):
                self.mutate(r, data)
            report, found = self.verify(dict(files, **{name: bytes(data)}))
            seen.update(found)
            self.assertFalse(any("defect of verify.py" in f.detail for f in report.faults), (n, name, report.faults))
            if not found:
                self.assertTrue(self.says_the_same(name, files[name], bytes(data)), f"{n}: {name} changed unseen:\n{bytes(data)}")
        self.assertGreater(len(seen), 6, seen)

    def mutate(self, r, data):
        at = r.randrange(len(data))
        what, some = r.randrange(6), r.choice((1, 4, 44, 300))
        if what == 0:
            data[at] ^= 1 << r.randrange(8)
        elif what == 1:
            data[at] = r.choice(b'"{}[]:,0919AZaz+/=\n\\ ')
        elif what == 2:
            del data[at:at + some]
        elif what == 3:
            data[at:at] = data[at:at + some]
        elif what == 4:
            data[at:at] = bytes(r.randrange(256) for _ in range(3))
        else:
            del data[at:]
        if not data:
            data += b"\0"

    def says_the_same(self, name, before, after):
        """What a clean verdict after a mutation allows: white space, what nobody signs, and lines of other signers."""
        if name == "checkpoint":
            return after == before
        def value(data):
            lines = data.decode().splitlines() if name == "entries.jsonl" else [data.decode()]
            out = [json.loads(line) for line in lines]
            if name == "pack.json":
                del out[0]["selection"], out[0]["created"]
            return out
        if name == "head.json" and "mark" not in json.loads(after):
            return True
        return value(before) == value(after)


class Command(test_pack.Packs):
    def run_it(self, *args, **more):
        done = subprocess.run([sys.executable, "-I", "-B", SCRIPT, *args], capture_output=True, timeout=60, **more)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def pack_of(self, files, name):
        where = os.path.join(self.folder, name)
        fixture.write(files, where)
        return where

    def test_exit_codes(self):
        key = self.ledger.signers["checkpoint"].vkey(self.ledger.origin)
        where = self.pack_of(self.clean, "clean")
        code, out, err = self.run_it("--key", key, where)
        self.assertEqual((code, err), (0, ""), out)
        self.assertTrue(out.startswith("clean: 10 entries and 10 payloads"), out)
        self.assertNotIn("notice", out)
        code, out, _ = self.run_it(where)
        self.assertEqual(code, 0)
        self.assertIn("notice: no --key was given: the key came from the pack", out)
        for name, tamper, want in test_pack.TAMPERED[::17]:
            if want:
                where = self.pack_of(self.tampered(tamper), "tampered")
                code, out, err = self.run_it(f"--key={key}", "-o", "json", where)
                report = json.loads(out)
                self.assertEqual((report["verdict"], code, err), (want[0], verify.CODE[want[0]], ""), name)
                self.assertEqual([f["finding"] for f in report["findings"]], want)
        where = self.pack_of(self.clean, "clean")
        report = json.loads(self.run_it("--key", key, "-o=json", where)[1])
        self.assertEqual({k: report[k] for k in ("verdict", "findings", "total", "notices", "first_bad_index", "ledger", "root", "size",
                                                 "entries", "payloads")},
                         {"verdict": "clean", "findings": [], "total": 0, "notices": [], "first_bad_index": None,
                          "ledger": self.ledger.ledger.hex(), "root": self.ledger.tree.root(0, 17).hex(), "size": 17,
                          "entries": 10, "payloads": 10})

    def test_usage(self):
        for args in (["--key"], ["--key", "x", "."], ["-o", "xml"], ["--what"], ["a", "b"], ["-o"], ["--key="], ["--remember", "x"],
                     ["--key", os.fsdecode(b"a\xff+00000000+AQ==")]):
            said = io.StringIO()
            with contextlib.redirect_stderr(said), self.assertRaises(SystemExit) as end:
                verify.main(args)
            self.assertEqual(end.exception.code, 2, args)
            self.assertIn("usage: python3 verify.py", said.getvalue())
        code, out, err = self.run_it("--key", b"a\xff+00000000+AQ==")
        self.assertEqual((code, out), (2, ""))
        self.assertNotIn("Traceback", err)

    def test_python_3_8(self):
        with open(SCRIPT, encoding="utf-8") as f:
            ast.parse(f.read(), feature_version=(3, 8))

    def test_its_own_folder(self):
        where = self.pack_of(self.clean, "own")
        with open(SCRIPT, "rb") as src, open(os.path.join(where, "verify.py"), "wb") as dst:
            dst.write(src.read())
        done = subprocess.run([sys.executable, "-I", "-B", os.path.join(where, "verify.py"), "-o", "json"], capture_output=True,
                              cwd="/", timeout=60)
        self.assertEqual((done.returncode, json.loads(done.stdout)["verdict"]), (0, "clean"), done.stderr)

    def test_odd_folders(self):
        self.assertEqual(self.run_it(os.path.join(self.folder, "nowhere"))[0], 1)
        where = self.pack_of(self.clean, "odd")
        os.mkdir(os.path.join(where, "a\x1b[2J"))
        code, out, err = self.run_it(where, env={"LC_ALL": "C", "PYTHONIOENCODING": "ascii"})
        self.assertEqual((code, err), (0, ""), out)
        self.assertNotIn("\x1b", out)
        for name in self.clean:
            at, kept = os.path.join(where, name), os.path.join(where, "kept")
            os.rename(at, kept)
            for make, remove in ((os.mkdir, os.rmdir), (os.mkfifo, os.remove)):
                make(at)
                self.assertEqual([f.finding for f in verify.verify(where, None).ranked()],
                                 ["tail_unproven"] * (name == "head.json") + ["inconclusive"], name)
                remove(at)
            os.rename(kept, at)

    def test_ten_thousand(self):
        ledger = Ledger()
        for n in range(10000):
            ledger.record("ws_7", '{"n":%d}' % n)
        where = self.pack_of(ledger.pack("ws_7", payloads=range(0, 10000, 10)), "long")
        start = time.monotonic()
        code, out, _ = self.run_it(where)
        print(f"10,000 entries, 1,000 payloads: {time.monotonic() - start:.1f} s", file=sys.stderr)
        self.assertEqual(code, 0, out)


if __name__ == "__main__":
    unittest.main()
