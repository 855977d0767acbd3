"""docs/format/keys.md: changes of keys, ranges, and who trusts which key."""

import copy
import struct
import unittest

import test_pack
from fixture import Ledger, b64, secret, verify
from test_pack import DELETE, JUNK, flip, member


def grown(ledger, n=2):
    for _ in range(n):
        ledger.record("ws_7", "{}")
    return ledger


def retire(ledger, by):
    """The last checkpoint that a key signed, before it goes."""
    ledger.retired.append((len(ledger.entries), ledger.checkpoint(len(ledger.entries), by)))


def rotated():
    """checkpoint → next → third, both signed by the key that goes."""
    ledger = grown(Ledger())
    ledger.mark()
    retire(ledger, "checkpoint")
    ledger.change_keys(0, ["checkpoint"], [("next", 16)], ["root", "checkpoint"])
    grown(ledger)
    retire(ledger, "next")
    ledger.change_keys(0, ["next"], [("third", 16)], ["root", "next"])
    return grown(ledger)


def revoked():
    ledger = grown(Ledger())
    retire(ledger, "checkpoint")
    ledger.change_keys(1, ["checkpoint"], [("next", 16)], ["root"])
    return grown(ledger)


class Keys(test_pack.Packs):
    def of(self, ledger, name="checkpoint"):
        return verify.parse_vkey(ledger.signers[name].vkey(ledger.origin))

    def test_rotated(self):
        ledger = rotated()
        pack = ledger.pack("ws_7", by="third")
        for name in ("checkpoint", "next", "third"):
            self.judge(pack, [], vkey=self.of(ledger, name))
        for name in ("root", "heads", "operator"):
            self.judge(pack, ["unknown_key"], vkey=self.of(ledger, name))
        other = verify.parse_vkey(ledger.signers["third"].vkey("annals.example/other"))
        self.judge(pack, ["wrong_ledger"], vkey=other)

    def test_ranges(self):
        # Each key signs the sizes of its range, and no other.
        ledger = rotated()
        retired, turns = ledger.retired, [size for size, _ in ledger.retired]
        self.assertEqual(turns, [5, 8])
        for size in range(4, len(ledger.entries) + 1):
            right = "checkpoint" if size <= 6 - 1 else "next" if size <= 9 - 1 else "third"
            for name in ("checkpoint", "next", "third"):
                ledger.retired = [r for r in retired if r[0] < size]
                _, found = self.verify(ledger.pack("ws_7", size=size, by=name), self.of(ledger, right))
                self.assertEqual(found[:1], [] if name == right else ["unknown_key"], f"{size} by {name}")

    def test_revoked(self):
        ledger = revoked()
        pack = ledger.pack("ws_7", by="next")
        self.judge(pack, [], vkey=self.of(ledger, "next"))
        self.judge(pack, [], vkey=self.of(ledger))
        # Without a checkpoint of the time when it was good, a revoked key says nothing.
        without = copy.deepcopy(pack)
        without["keys.json"].update(retired=[], consistency=[])
        self.judge(without, ["unknown_key"], vkey=self.of(ledger))
        self.judge(without, [], vkey=self.of(ledger, "next"))
        # Nor has it a successor by rotation: what it signs now is nobody's.
        _, found = self.verify(ledger.pack("ws_7", by="checkpoint"), self.of(ledger))
        self.assertEqual(found[0], "unknown_key")

    def test_a_thief_revives_a_revoked_key(self):
        # Whoever stole the key shows a tree of their own, without the revocation.
        ledger, theirs = revoked(), grown(Ledger(), 5)
        self.assertEqual(ledger.ledger, theirs.ledger)
        pack = theirs.pack("ws_7")
        self.judge(pack, [], vkey=self.of(theirs))  # nothing in it tells: a remembered head does
        pack["keys.json"]["retired"] = [ledger.retired[0][1]]
        pack["keys.json"]["consistency"] = [[b64(h) for h in theirs.tree.consistency(4, 0, len(theirs.entries))]]
        self.judge(pack, [], vkey=self.of(theirs))
        fork = Ledger()
        fork.record("ws_7", '{"other":1}')
        grown(fork, 4)
        pack = fork.pack("ws_7")
        pack["keys.json"]["retired"] = [ledger.retired[0][1]]
        pack["keys.json"]["consistency"] = [[b64(h) for h in fork.tree.consistency(4, 0, len(fork.entries))]]
        self.judge(pack, ["forked"], vkey=self.of(fork))

    def test_rotated_without_successor(self):
        ledger = Ledger()
        grown(ledger)
        ledger.change_keys(0, [], [("next", 16)], ["root"])
        retire(ledger, "checkpoint")
        ledger.change_keys(0, ["checkpoint"], [], ["root", "checkpoint"])
        grown(ledger)
        pack = ledger.pack("ws_7", by="next")
        self.judge(pack, [], vkey=self.of(ledger))
        pack["keys.json"].update(retired=[], consistency=[])
        self.judge(pack, ["unknown_key"], vkey=self.of(ledger))

    def test_two_keys_in_force(self):
        # The reader's key is in force and did not sign: another's signature is not enough for them.
        ledger = Ledger()
        ledger.change_keys(0, [], [("next", 16)], ["root"])
        grown(ledger)
        self.judge(ledger.pack("ws_7", by="next"), ["unknown_key"], vkey=self.of(ledger))
        self.judge(ledger.pack("ws_7", by="next"), [], vkey=self.of(ledger, "next"))

    def test_heads_key_rotates(self):
        ledger = grown(Ledger())
        ledger.change_keys(0, ["heads"], [("third", 32)], ["root", "heads"])
        grown(ledger)
        self.judge(ledger.pack("ws_7", heads_by="third"), [], vkey=self.of(ledger))
        _, found = self.verify(ledger.pack("ws_7", heads_by="heads"), self.of(ledger))
        self.assertEqual(found, ["unknown_key"])

    def test_changes_that_do_not_hold(self):
        two_roots = b"\1" + struct.pack(">HB", 1, 2)
        cases = [
            ("without root", dict(reason=0, removed=["checkpoint"], added=[("next", 16)], by=["checkpoint"]), "unauthorised_control"),
            ("rotation without the old key", dict(reason=0, removed=["checkpoint"], added=[("next", 16)], by=["root"]), "unauthorised_control"),
            ("signature", dict(reason=1, removed=["checkpoint"], added=[("next", 16)], by=["root"], spoil="root"), "bad_signature"),
            ("unknown signer", dict(reason=1, removed=["checkpoint"], added=[("next", 16)], by=["root", "third"]), "unknown_key"),
            ("no key left", dict(reason=1, removed=["checkpoint"], added=[], by=["root"]), "unauthorised_control"),
            ("unknown reason", dict(reason=2, removed=["checkpoint"], added=[("next", 16)], by=["root"]), "unsupported"),
            ("removed twice", dict(reason=1, removed=["checkpoint"] * 2, added=[("next", 16)], by=["root"]), "malformed_entry"),
            ("named before", dict(reason=0, removed=[], added=[("heads", 16)], by=["root"]), "unauthorised_control"),
            ("named twice", dict(reason=0, removed=[], added=[("next", 16), ("next", 16)], by=["root"]), "unauthorised_control"),
            ("no roles", dict(reason=0, removed=[], added=[("next", 0)], by=["root"]), "malformed_entry"),
            ("no change", dict(reason=0, removed=[], added=[], by=["root"]), "malformed_entry"),
            ("nothing revoked", dict(reason=1, removed=[], added=[("next", 16)], by=["root"]), "malformed_entry"),
            ("a threshold too high", dict(reason=0, removed=[], added=[], by=["root"], thresholds=two_roots), "unauthorised_control"),
            ("a threshold of none", dict(reason=0, removed=[], added=[], by=["root"], thresholds=b"\1\0\1\0"), "malformed_entry"),
            ("a threshold of two roles", dict(reason=0, removed=[], added=[], by=["root"], thresholds=b"\1\0\3\1"), "malformed_entry"),
            ("a byte too many", dict(reason=0, removed=[], added=[("next", 16)], by=["root"], thresholds=b"\0\0"), "malformed_entry"),
            ("an old number", dict(reason=0, removed=[], added=[("next", 16)], by=["root"], number=0), "malformed_entry"),
            ("another ledger", dict(reason=0, removed=[], added=[("next", 16)], by=["root"], ledger=secret("junk")), "wrong_ledger"),
        ]
        for name, more, want in cases:
            with self.subTest(name):
                ledger = grown(Ledger())
                ledger.change_keys(**more)
                grown(ledger)
                _, found = self.verify(ledger.pack("ws_7"), self.of(ledger))
                self.assertEqual(found, [want])

    def test_weak_keys(self):
        # Whoever sees one of these in force can sign in its name: y not below p, no point, small order.
        le = [n.to_bytes(32, "little") for n in (0, 1, verify.P - 1, 1 | 1 << 255, verify.P, verify.P + 1, verify.P + 3, 2, 2**256 - 1)]
        for public in le + [bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")]:
            for roles in (1, 16, 64):
                ledger = grown(Ledger())
                ledger.control(4, b"\0\0\1\1" + struct.pack(">H", 32) + public + struct.pack(">H", roles) + b"\0", ["root"])
                grown(ledger)
                _, found = self.verify(ledger.pack("ws_7"), self.of(ledger))
                self.assertEqual(found, ["malformed_entry"], public.hex())

    def test_thresholds(self):
        # Two root keys from the first change on: one is no longer enough.
        ledger = grown(Ledger())
        ledger.change_keys(0, [], [("third", 1)], ["root"], thresholds=b"\1" + struct.pack(">HB", 1, 2))
        ledger.change_keys(0, ["checkpoint"], [("next", 16)], ["root", "third", "checkpoint"])
        grown(ledger)
        self.judge(ledger.pack("ws_7", by="next"), [], vkey=self.of(ledger))
        ledger = grown(Ledger())
        ledger.change_keys(0, [], [("third", 1)], ["root"], thresholds=b"\1" + struct.pack(">HB", 1, 2))
        ledger.change_keys(0, ["checkpoint"], [("next", 16)], ["root", "root", "checkpoint"])
        grown(ledger)
        _, found = self.verify(ledger.pack("ws_7", by="next"), self.of(ledger))
        self.assertIn("unauthorised_control", found)

    def test_tampered(self):
        ledger = rotated()
        clean = ledger.pack("ws_7", by="third")
        cases = [
            ("a change left out", lambda f: f["keys.json"]["changes"].pop(0), "unknown_key"),
            ("changes exchanged", lambda f: f["keys.json"]["changes"].reverse(), "unknown_key"),
            ("a change's signature", member(["keys.json", "changes", 0, "entry"], flip), "bad_signature"),
            ("a change's header", member(["keys.json", "changes", 0, "entry"], lambda t: flip(t, 190)), "root_mismatch"),
            ("a change's index", member(["keys.json", "changes", 0, "index"], 4), "malformed_entry"),
            ("a change's proof", member(["keys.json", "changes", 0, "proof", 0], JUNK), "root_mismatch"),
            ("a change cut short", member(["keys.json", "changes", 0, "entry"], "AAAA"), "malformed_entry"),
            ("a change of a newer version", member(["keys.json", "changes", 0, "entry"], lambda t: flip(t, 3, 3)), "unsupported"),
            ("a retired signature", member(["keys.json", "retired", 0], lambda t: t[:-9] + "AAAAAAA=\n"), "bad_signature"),
            ("a retired note that is none", member(["keys.json", "retired", 0], "x"), "inconclusive"),
            ("a retired note by another", member(["keys.json", "retired", 0], ledger.checkpoint(5, "next")), "unknown_key"),
            ("a retired note of another tree", member(["keys.json", "retired", 0], ledger.checkpoint(5, root=secret("junk"))), "forked"),
            ("a consistency proof", member(["keys.json", "consistency", 0, 0], JUNK), "forked"),
            ("a consistency proof too few", lambda f: f["keys.json"]["consistency"].pop(), "inconclusive"),
            ("retired notes exchanged", lambda f: f["keys.json"]["retired"].reverse(), "forked"),
            ("no end of a range", member(["keys.json", "keys", 3, "to"], DELETE), "inconclusive"),
        ]
        for name, tamper, want in cases:
            with self.subTest(name):
                _, found = self.verify(self.tampered(tamper, clean), self.of(ledger))
                self.assertIn(want, found)
                self.assertNotIn("altered_entry", found)

    def test_genesis(self):
        """A genesis that is no genesis, though all that follows is right."""
        def change(at, value):
            return member(["keys.json", "genesis", "entry"], lambda t: b64(t2) if (t2 := self.put(t, at, value)) else t)
        body = 208 + 4 + 18 + 32 + 8 + 2 + 8 + 32 + 4
        cases = [("number", 208 + 4 + 18 + 32 + 7, b"\1"), ("ledger id", 208 + 4 + 18, b"\1"), ("type", 208 + 4 + 18 + 41, b"\2"),
                 ("origin", body + 2, b"x"), ("partition", body + 46, b"\1\1"), ("code", 9, b"\2"), ("index", 23, b"\1"),
                 ("version of the statement", 208 + 4 + 16, b"2")]
        for name, at, value in cases:
            with self.subTest(name):
                _, found = self.verify(self.tampered(change(at, value)))
                self.assertTrue({"unsupported", "bad_signature", "malformed_entry"} & set(found), found)

    def put(self, text, at, value):
        import base64
        raw = bytearray(base64.b64decode(text))
        raw[at:at + len(value)] = value
        return raw

    def test_mldsa(self):
        # A second key under checkpoints: its line is noticed, and not checked.
        ledger = Ledger()
        public = bytes(range(256)) * 5 + bytes(32)
        added = b"\1\2" + struct.pack(">H", len(public)) + public + struct.pack(">H", 16) + b"\0"
        index = ledger.control(4, b"\0\0" + added, ["root"])
        grown(ledger)
        pack = ledger.pack("ws_7")
        hashed = verify.key_hash(ledger.origin, 6, public)
        pack["keys.json"]["keys"].append({
            "vkey": f"{ledger.origin}+{hashed.hex()}+{b64(bytes([6]) + public)}", "algorithm": 2, "public": b64(public),
            "id": verify.sha256(b"annals/key/v1\0\2" + public).hex(), "roles": ["checkpoint"], "from": index + 1})
        self.judge(pack, [], vkey=self.of(ledger))
        line = f"\u2014 {ledger.origin} {b64(hashed + bytes(2428))}\n"
        for name in ("keys.json", "head.json"):
            pack[name]["checkpoint"] += line
        pack["checkpoint"] += line
        report = self.judge(pack, [], vkey=self.of(ledger))
        self.assertIn("mldsa_unchecked", [n["notice"] for n in report.notices])
        # It signs no control statement, and has no other role.
        for roles in (1, 32, 17):
            ledger = Ledger()
            ledger.control(4, b"\0\0" + added[:-3] + struct.pack(">H", roles) + b"\0", ["root"])
            grown(ledger)
            _, found = self.verify(ledger.pack("ws_7"), self.of(ledger))
            self.assertEqual(found, ["malformed_entry"])


if __name__ == "__main__":
    unittest.main()
