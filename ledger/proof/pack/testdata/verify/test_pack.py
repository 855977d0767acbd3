"""Every check of docs/format/pack.md, broken on purpose; and packs broken at random."""

import base64
import copy
import json
import os
import shutil
import tempfile
import unittest

import fixture
from fixture import b64, secret, verify


def unb64(text):
    return bytearray(base64.b64decode(text))


def flip(text, at=-1, bit=1):
    """Base64 with a bit of what is in it flipped."""
    raw = unb64(text)
    raw[at] ^= bit
    return b64(raw)


def set_field(text, at, value):
    raw = unb64(text)
    raw[at:at + len(value)] = value
    return b64(raw)


def renote(note, **change):
    """A note with a line of its text replaced: line0=…, line1=…"""
    lines = note.split("\n")
    for name, value in change.items():
        lines[int(name[4:])] = value
    return "\n".join(lines)


class Packs(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="verify-py-")
        cls.ledger = fixture.sample()
        cls.vkey = verify.parse_vkey(cls.ledger.signers["checkpoint"].vkey(cls.ledger.origin))
        cls.clean = cls.ledger.pack("ws_7", payloads=range(10))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def verify(self, files, vkey=None):
        where = os.path.join(self.folder, "pack")
        shutil.rmtree(where, ignore_errors=True)
        fixture.write(files, where)
        report = verify.verify(where, vkey or self.vkey)
        return report, [f.finding for f in report.ranked()]

    def judge(self, files, want, vkey=None, msg=None):
        """Checks all findings, by rank; want is [] or ["finding", …]."""
        report, found = self.verify(files, vkey)
        self.assertEqual(found, want, f"{msg}: {[f'{f.finding}: {f.detail}' for f in report.ranked()]}")
        return report

    def tampered(self, tamper, files=None):
        files = copy.deepcopy(files or self.clean)
        tamper(files)
        return files


class Clean(Packs):
    def test_ranges(self):
        for workspace, count in (("ws_7", 10), ("ws_8", 3)):
            for first in range(count):
                for last in range(first, count):
                    report = self.judge(self.ledger.pack(workspace, first, last, payloads=[last]), [], msg=(workspace, first, last))
                    self.assertEqual([n["notice"] for n in report.notices], ["goes_on"] if last < count - 1 else [])

    def test_sizes(self):
        for size in range(3, 18):
            self.judge(self.ledger.pack("ws_7", size=size), [], msg=size)

    def test_an_earlier_head(self):
        self.judge(self.ledger.pack("ws_7", last=6, head_size=12), [])
        self.judge(self.ledger.pack("ws_7", last=4, head_size=12), [])

    def test_without_key(self):
        where = os.path.join(self.folder, "keyless")
        fixture.write(self.clean, where)
        report = verify.verify(where, None)
        self.assertEqual(([], ["key_from_ledger"]), (report.faults, [n["notice"] for n in report.notices]))

    def test_json_in_another_dress(self):
        files = self.tampered(lambda f: None)
        files["entries.jsonl"] = "".join(" " + json.dumps(dict(reversed(list(line.items()))), separators=(" ,", " : ")) + "\t\n"
                                         for line in files["entries.jsonl"])
        self.judge(files, [])


def lines(f):
    return f["entries.jsonl"]


def at_entry(n, at, value):
    def tamper(f):
        lines(f)[n]["entry"] = set_field(lines(f)[n]["entry"], at, value)
    return tamper


def member(path, value):
    """Sets a member by its path, or deletes it."""
    def tamper(f):
        at = f
        for name in path[:-1]:
            at = at[name]
        if value is DELETE:
            del at[path[-1]]
        else:
            at[path[-1]] = value(at[path[-1]]) if callable(value) else value
    return tamper


DELETE = object()
JUNK = b64(secret("junk"))

# What is done to a clean pack of ten entries, and the findings.
TAMPERED = [
    ("a flipped bit in an entry", at_entry(4, 180, b"\1"), ["altered_entry"]),
    ("in the first entry", at_entry(0, 180, b"\1"), ["altered_entry"]),
    ("in the last entry", at_entry(9, 180, b"\1"), ["altered_entry"]),
    ("in an entry's magic", at_entry(4, 0, b"b"), ["altered_entry"]),
    ("in an entry's version", at_entry(4, 3, b"\2"), ["altered_entry"]),
    ("in an entry's kind", at_entry(4, 4, b"\7"), ["altered_entry"]),
    ("in an entry's index", at_entry(4, 23, b"\x63"), ["altered_entry"]),
    ("in an entry's position", at_entry(4, 79, b"\x63"), ["altered_entry"]),
    ("in a position, to another's", at_entry(4, 79, b"\2"), ["altered_entry"]),
    ("in a link", at_entry(4, 150, b"\1\2\3"), ["altered_entry"]),
    ("in the first link", at_entry(0, 150, b"\1\2\3"), ["altered_entry"]),
    ("in the previous leaf", at_entry(4, 90, b"\1\2\3"), ["altered_entry"]),
    ("in a tag", at_entry(4, 112, b"\1\2\3"), ["altered_entry"]),
    ("in a time", at_entry(4, 48, b"\1"), ["altered_entry"]),
    ("two entries altered", lambda f: (at_entry(4, 180, b"\1")(f), at_entry(7, 180, b"\1")(f)), ["altered_entry"] * 2),
    ("two neighbours altered", lambda f: (at_entry(4, 180, b"\1")(f), at_entry(5, 180, b"\1")(f)), ["altered_entry", "root_mismatch"]),
    ("an entry cut short", member(["entries.jsonl", 4, "entry"], lambda t: b64(unb64(t)[:200])), ["altered_entry"]),
    ("an entry cut to nothing", member(["entries.jsonl", 4, "entry"], ""), ["altered_entry"]),
    ("a byte behind an entry", member(["entries.jsonl", 4, "entry"], lambda t: b64(unb64(t) + b"\0")), ["altered_entry"]),
    ("an entry taken out", lambda f: (lines(f).pop(4), member(["pack.json", "payloads"], 9)(f)), ["missing_entry"]),
    ("two entries taken out", lambda f: (lines(f).pop(4), lines(f).pop(6), member(["pack.json", "payloads"], 8)(f)),
     ["missing_entry"] * 2 + ["false_duplicate"]),
    ("the first taken out", lambda f: (lines(f).pop(0), member(["pack.json", "payloads"], 9)(f)), ["missing_entry"]),
    ("the last taken out", lambda f: (lines(f).pop(), member(["pack.json", "payloads"], 9)(f)), ["truncated"]),
    ("all taken out", lambda f: (lines(f).clear(), member(["pack.json", "payloads"], 0)(f)), ["truncated"]),
    ("two entries exchanged", lambda f: lines(f).insert(3, lines(f).pop(6)), ["reordered"]),
    ("the entries backwards", lambda f: lines(f).reverse(), ["reordered"]),
    ("an entry twice", lambda f: (lines(f).insert(4, lines(f)[4]), member(["pack.json", "payloads"], 11)(f)), ["reordered"]),
    ("an entry in another's place", lambda f: lines(f).__setitem__(5, lines(f)[4]), ["missing_entry", "reordered"]),
    ("an altered entry inserted", lambda f: (lines(f).insert(4, copy.deepcopy(lines(f)[4])), at_entry(4, 180, b"\1")(f),
                                            member(["pack.json", "payloads"], 11)(f)), ["trailing_bytes"]),
    ("an entry behind the end", lambda f: member(["pack.json", "last"], 8)(f), ["trailing_bytes"]),
    ("an entry before the beginning", lambda f: member(["pack.json", "first"], 1)(f), ["trailing_bytes"]),
    ("last is higher", member(["pack.json", "last"], 10), ["truncated"]),
    ("last is huge", member(["pack.json", "last"], 2**64 - 1), ["truncated"]),
    ("a line says another index", member(["entries.jsonl", 4, "index"], 99), ["reordered"]),
    ("a salt", member(["entries.jsonl", 4, "salt"], flip), ["altered_payload"]),
    ("an envelope", member(["entries.jsonl", 4, "envelope"], flip), ["altered_payload"]),
    ("a body", member(["entries.jsonl", 4, "body"], flip), ["altered_payload"]),
    ("a duplicate's body", member(["entries.jsonl", 1, "body"], flip), ["altered_payload"]),
    ("a body exchanged for another", lambda f: lines(f)[0].update(body=lines(f)[2]["body"]), ["altered_payload"]),
    ("a payload taken out", lambda f: [lines(f)[4].pop(n) for n in ("salt", "envelope", "body", "proof")], ["payload_missing"]),
    ("a payload too many", member(["pack.json", "payloads"], 9), ["trailing_bytes"]),
    ("half a payload", member(["entries.jsonl", 4, "salt"], DELETE), ["inconclusive"]),
    ("a proof taken out", member(["entries.jsonl", 9, "proof"], DELETE), ["inconclusive"]),
    ("a proof's hash", member(["entries.jsonl", 4, "proof", 0], JUNK), ["tree_damaged"]),
    ("a proof too short", lambda f: lines(f)[4]["proof"].pop(), ["tree_damaged"]),
    ("a proof too long", lambda f: lines(f)[4]["proof"].append(JUNK), ["tree_damaged"]),
    ("the first's proof", member(["entries.jsonl", 0, "proof", 0], JUNK), ["tree_damaged"]),
    ("the last's proof", member(["entries.jsonl", 9, "proof", 0], JUNK), ["tree_damaged"]),
    ("the pack's format", member(["pack.json", "format"], "annals/pack/v2"), ["unsupported"]),
    ("the pack's origin", member(["pack.json", "origin"], "example.com"), ["wrong_ledger"]),
    ("the pack's ledger", member(["pack.json", "ledger"], "0" * 64), ["wrong_ledger"]),
    ("the pack's workspace", lambda f: (member(["pack.json", "workspace"], "ws_9")(f), member(["head.json", "workspace"], "ws_9")(f)),
     ["workspace_chain_broken"] * 10),
    ("the pack's tag", member(["pack.json", "tag"], JUNK), None),
    ("the head's workspace", member(["head.json", "workspace"], "ws_9"), ["workspace_chain_broken"]),
    ("the head's tag", member(["head.json", "tag"], JUNK), ["workspace_chain_broken"]),
    ("no head", member(["head.json"], DELETE), ["tail_unproven"]),
    ("no mark", member(["head.json", "mark"], DELETE), []),
    ("the map's proof", member(["head.json", "mark", "map_proof", 0], JUNK), ["root_mismatch"]),
    ("the map's index", member(["head.json", "mark", "map_index"], lambda i: (i + 1) % 3), ["root_mismatch"]),
    ("the map's size", member(["head.json", "mark", "map_size"], 9), ["root_mismatch"]),
    ("the mark's count", member(["head.json", "mark", "count"], 5), ["root_mismatch"]),
    ("the mark's last index", member(["head.json", "mark", "index"], 5), ["root_mismatch"]),
    ("the mark's leaf", member(["head.json", "mark", "leaf"], JUNK), ["root_mismatch"]),
    ("no receipt", member(["head.json", "mark", "receipt"], "c2sp.org/tlog-proof@v1\n"), ["inconclusive"]),
    ("the receipt's index", member(["head.json", "mark", "receipt"], lambda t: t.replace("index 7", "index 8")), ["root_mismatch"]),
    ("the receipt's checkpoint", member(["head.json", "mark", "receipt"], lambda t: t[:-9] + "AAAAAAA=\n"), ["inconclusive"]),
    ("the genesis's proof", member(["keys.json", "genesis", "proof", 0], JUNK), ["root_mismatch"]),
    ("a genesis field", member(["keys.json", "genesis", "entry"], lambda t: set_field(t, 190, b"\1")), ["root_mismatch"]),
    ("a genesis link", member(["keys.json", "genesis", "entry"], lambda t: set_field(t, 85, b"\1")), ["wrong_ledger"]),
    ("the genesis's signature", member(["keys.json", "genesis", "entry"], lambda t: flip(t, -1)), ["bad_signature"]),
    ("the genesis's signer", member(["keys.json", "genesis", "entry"], lambda t: flip(t, -80)), ["unknown_key"]),
    ("the keys' ledger", member(["keys.json", "ledger"], "0" * 64), ["wrong_ledger"]),
    ("the keys' origin", member(["keys.json", "origin"], "example.com"), ["wrong_ledger"]),
    ("a key's range", member(["keys.json", "keys", 3, "from"], 2), ["inconclusive"]),
    ("a key's roles", member(["keys.json", "keys", 3, "roles"], ["root"]), ["inconclusive"]),
    ("a key's vkey", member(["keys.json", "keys", 3, "vkey"], DELETE), ["inconclusive"]),
    ("a key left out", lambda f: f["keys.json"]["keys"].pop(), ["inconclusive"]),
    ("a checkpoint's signature", member(["checkpoint"], lambda t: renote(t, line4=t.split("\n")[4][:-9] + "AAAAAAA=")), None),
    ("a checkpoint that is none", member(["checkpoint"], "no\n"), None),
    ("a byte behind the checkpoint", member(["checkpoint"], lambda t: t + "\n"), None),
    ("another genesis's kind", member(["keys.json", "genesis", "entry"], lambda t: set_field(t, 4, b"\1")), ["malformed_entry"]),
]

# What is done to every note and to the JSON: the verdict.
FORMS = [
    ("not JSON", b"{", "inconclusive"), ("not UTF-8", b'"\xff"', "inconclusive"), ("nothing", b"", "inconclusive"),
    ("deep", b"[" * 200000, "inconclusive"), ("huge", b'{"first":' + b"9" * 1000000 + b"}", "inconclusive"),
    ("twice", b'{"format":"x","format":"x"}', "inconclusive"), ("an array", b"[]", "inconclusive"), ("null", b"null\n", "inconclusive"),
]


class Tampered(Packs):
    def test_table(self):
        for name, tamper, want in TAMPERED:
            if want is not None:
                with self.subTest(name):
                    self.judge(self.tampered(tamper), want, msg=name)

    def test_checkpoint(self):
        # The checkpoint in three places, changed alike: what is not opened says nothing.
        def everywhere(change):
            files = self.tampered(lambda f: None)
            text = json.dumps(self.clean["checkpoint"])[1:-1]
            changed = change(self.clean["checkpoint"])
            out = json.loads(json.dumps(files).replace(text, json.dumps(changed)[1:-1]))
            return out
        sign = self.ledger.signers["checkpoint"].line
        text = self.clean["checkpoint"].split("\n\n")[0] + "\n"
        four = text + "extension\n"
        zero = text.replace("\n17\n", "\n017\n")
        other = text.replace(self.ledger.origin, "example.com")
        cases = [
            ("signature", lambda t: t[:-9] + ("B" if t[-9] == "A" else "A") + t[-8:], "bad_signature"),
            ("size", lambda t: t.replace("\n17\n", "\n16\n"), "bad_signature"),
            ("root", lambda t: renote(t, line2=JUNK), "bad_signature"),
            ("no note", lambda t: "hello\n", "inconclusive"),
            ("a web page", lambda t: "<html>\n\n<body>\n", "inconclusive"),
            ("half a note", lambda t: t[:40], "inconclusive"),
            ("a line behind it", lambda t: t + "x\n", "inconclusive"),
            ("another statement's note", lambda t: self.clean["head.json"]["head"], "wrong_ledger"),
            ("origin", lambda t: renote(t, line0="example.com"), "wrong_ledger"),
            ("signed by the heads key", lambda t: text + "\n" + self.ledger.signers["heads"].line(self.ledger.origin, text), "unknown_key"),
            ("signed by nobody known", lambda t: text + "\n" + self.ledger.signers["third"].line(self.ledger.origin, text), "unknown_key"),
            ("another name", lambda t: text + "\n" + sign("example.com", text), "unknown_key"),
            ("an extension", lambda t: four + "\n" + sign(self.ledger.origin, four), "bad_signature"),
            ("a leading zero", lambda t: zero + "\n" + sign(self.ledger.origin, zero), "bad_signature"),
            ("signed for another origin", lambda t: other + "\n" + sign(self.ledger.origin, other), "wrong_ledger"),
        ]
        for name, change, want in cases:
            with self.subTest(name):
                _, found = self.verify(everywhere(change))
                self.assertEqual(found[0], want, found)
        # A witness's line and one of an unknown kind are passed over.
        self.judge(everywhere(lambda t: t + "\u2014 witness.example AAAAAAAA\n"), [])
        self.judge(everywhere(lambda t: t.replace("\u2014", "\u2014 witness.example AAAAAAAA\n\u2014")), [])

    def test_checkpoints_differ(self):
        forged = self.ledger.checkpoint(17, root=secret("junk"))
        self.judge(self.tampered(member(["keys.json", "checkpoint"], forged)), ["forked"])
        report = self.judge(self.tampered(member(["head.json", "checkpoint"], forged)), ["forked", "inconclusive"])
        self.assertIn(secret("junk").hex(), report.ranked()[0].detail)
        self.judge(self.tampered(member(["keys.json", "checkpoint"], self.ledger.checkpoint(16))), ["inconclusive"])
        self.judge(self.tampered(member(["keys.json", "checkpoint"], lambda t: t[:-9] + "AAAAAAA=\n")), ["bad_signature"])
        self.judge(self.tampered(member(["checkpoint"], self.ledger.checkpoint(17, root=secret("junk")))),
                   ["forked"] * 2 + ["root_mismatch"] * 2 + ["tree_damaged"] * 10)

    def test_heads(self):
        def head(**change):
            return member(["head.json", "head"], self.ledger.head("ws_7", 17, **change))

        def older(size, **change):
            return member(["head.json", "head"], self.ledger.head("ws_7", size, **change))
        leaf = b64(self.ledger.tree.leaves[2])
        cases = [
            ("counts less", head(count=9, index=13, leaf=b64(self.ledger.tree.leaves[13])), ["forked"]),
            ("counts more", head(count=11), ["forked"]),
            ("another last leaf", head(leaf=leaf), ["forked"]),
            ("another last index", head(index=14), ["forked"]),
            ("no entries", head(count=0), ["bad_signature"]),
            ("index at the size", head(index=17), ["bad_signature"]),
            ("another first line", head(first="annals/workspace-head/v2"), ["bad_signature"]),
            ("another workspace", head(tag=b64(self.ledger.tag("ws_8"))), ["workspace_chain_broken"]),
            ("another ledger", head(origin="example.com"), ["wrong_ledger"]),
            ("newer than the checkpoint", older(18), ["inconclusive"]),
            ("a line too many", head(more="x"), ["bad_signature"]),
            ("signed by the checkpoint key", head(by="checkpoint"), ["unknown_key"]),
            ("a signature", member(["head.json", "head"], lambda t: t[:-9] + "AAAAAAA=\n"), ["bad_signature"]),
            ("no note", member(["head.json", "head"], "x"), ["inconclusive"]),
            ("an older one", older(14), ["tail_unproven"]),
            ("an older one that lies", older(14, count=10), ["forked"]),
        ]
        for name, tamper, want in cases:
            with self.subTest(name):
                self.judge(self.tampered(tamper), want, msg=name)

    def test_forms(self):
        for name in self.clean:
            for what, data, want in FORMS:
                with self.subTest(f"{name}: {what}"):
                    _, found = self.verify(dict(self.clean, **{name: data}))
                    self.assertTrue(found, name)
                    if name.endswith("json"):
                        self.assertEqual(found[-1], want)
            _, found = self.verify({n: v for n, v in self.clean.items() if n != name})
            self.assertEqual(found[-1], "tail_unproven" if name == "head.json" else "inconclusive")

    def test_members(self):
        """Each member taken out, null, of another type, or beside one too many."""
        def paths(value, path):
            if isinstance(value, dict):
                for name in value:
                    yield path + [name]
                    yield from paths(value[name], path + [name])
            elif isinstance(value, list) and value:
                yield from paths(value[0], path + [0])
        for name in ("pack.json", "keys.json", "head.json", "entries.jsonl"):
            for path in paths(self.clean[name], [name]):
                for value in (DELETE, None, 1.5, 10**30, "\ud800", [[]], "A" * 9):
                    files = self.tampered(member(path, value))
                    if files == self.clean:
                        continue
                    _, found = self.verify(files)
                    if path in (["pack.json", "selection"], ["pack.json", "created"]) and isinstance(value, str) and value != "\ud800":
                        continue
                    if path == ["head.json", "mark"] and value is DELETE:
                        continue
                    self.assertTrue(found, f"{path}: {value}")
                _, found = self.verify(self.tampered(member(path[:-1] + ["more"], "x") if isinstance(path[-1], str) and len(path) > 1
                                                     else lambda f: f.update(checkpoint="")))
                self.assertTrue(found, path)


if __name__ == "__main__":
    unittest.main()
