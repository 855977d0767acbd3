"""Ed25519 as strict as docs/format/checkpoint.md says, and the encodings."""

import os
import re
import unittest

from fixture import HERE, Signer, b64, secret, verify

# RFC 8032, 7.1: secret key, public key, message, signature.
RFC_8032 = [
    ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
     "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]


def le(n):
    return n.to_bytes(32, "little")


class Ed25519(unittest.TestCase):
    def test_rfc_8032(self):
        for seed, public, message, signature in RFC_8032:
            seed, public, message, signature = map(bytes.fromhex, (seed, public, message, signature))
            self.assertEqual(Signer(seed).public, public)
            self.assertEqual(Signer(seed).sign(message), signature)
            self.assertTrue(verify.ed25519(public, message, signature))

    def test_flipped_bits(self):
        _, public, message, signature = (bytes.fromhex(x) for x in RFC_8032[2])
        for name, value in (("public", public), ("message", message), ("signature", signature)):
            for bit in range(0, len(value) * 8, 11):
                flipped = bytearray(value)
                flipped[bit // 8] ^= 1 << bit % 8
                p, m, s = ((flipped if n == name else v) for n, v in
                           (("public", public), ("message", message), ("signature", signature)))
                verify.NEGATED.clear()
                self.assertFalse(verify.ed25519(bytes(p), bytes(m), bytes(s)), f"bit {bit} of {name}")

    def test_s_not_below_the_order(self):
        _, public, message, signature = (bytes.fromhex(x) for x in RFC_8032[1])
        s = int.from_bytes(signature[32:], "little")
        for n in range(1, 16):
            if s + n * verify.L < 2**256:
                self.assertFalse(verify.ed25519(public, message, signature[:32] + le(s + n * verify.L)))

    def test_small_order_keys(self):
        # With such a key, R = [S]B passes for messages whose k is a multiple of its order.
        small = [le(1), le(verify.P - 1), le(0), le(1 << 255), *(verify.encoding(p) for p in self.order_eight())]
        self.assertEqual(len({bytes(p) for p in small}), 8)
        for public in small:
            forged = verify.encoding(verify.times(verify.BASE, 5)) + le(5)
            for n in range(20):
                self.assertFalse(verify.ed25519(public, b"%d" % n, forged), public.hex())

    def order_eight(self):
        """The four points of order eight: T, 3T, 5T and 7T, T found by [L]P."""
        y = 2
        while True:
            p, q, n = verify.point(le(y)), verify.NEUTRAL, verify.L
            y += 1
            if p is None:
                continue
            while n:
                q, p, n = verify.add(q, p) if n & 1 else q, verify.add(p, p), n >> 1
            four = verify.add(*[verify.add(q, q)] * 2)
            if verify.encoding(four) != verify.encoding(verify.NEUTRAL):
                two = verify.add(q, q)
                three, five = verify.add(two, q), verify.add(verify.add(two, two), q)
                return [q, three, five, verify.add(five, two)]

    def test_not_canonical(self):
        # y not below p, for each y that fits, and x = 0 with the sign set.
        for y in range(verify.P, 2**255):
            self.assertIsNone(verify.point(le(y)))
            self.assertIsNone(verify.point(le(y | 1 << 255)))
        self.assertIsNone(verify.point(le(1 | 1 << 255)))
        self.assertIsNone(verify.point(le(verify.P - 1 | 1 << 255)))

    def test_r_not_canonical(self):
        # R neutral, written as y = p + 1: the equation holds, the encoding is refused.
        signer = Signer(secret("checkpoint"))
        for r, good in ((le(1), True), (le(verify.P + 1), False), (le(1 | 1 << 255), False)):
            k = int.from_bytes(verify.hashlib.sha512(r + signer.public + b"m").digest(), "little") % verify.L
            self.assertEqual(verify.ed25519(signer.public, b"m", r + le(k * signer.a % verify.L)), good)

    def test_mixed_order_key(self):
        # A key with a small part, and a signature that only the equation with the cofactor accepts.
        signer, small = Signer(secret("checkpoint")), self.order_eight()[0]
        public = verify.encoding(verify.add(verify.point(signer.public), small))
        accepted = 0
        for n in range(40):
            r = verify.encoding(verify.times(verify.BASE, 7 + n))
            k = int.from_bytes(verify.hashlib.sha512(r + public + b"m").digest(), "little") % verify.L
            ok = verify.ed25519(public, b"m", r + le((7 + n + k * signer.a) % verify.L))
            self.assertEqual(ok, k % 8 == 0)
            accepted += ok
        self.assertLess(accepted, 40)

    def test_lengths(self):
        _, public, message, signature = (bytes.fromhex(x) for x in RFC_8032[0])
        for p, s in ((public[:31], signature), (public + b"\0", signature), (b"", signature), (public, signature[:63]),
                     (public, signature + b"\0"), (public, b"")):
            self.assertFalse(verify.ed25519(p, message, s))


class Notes(unittest.TestCase):
    def page(self, name):
        with open(os.path.join(HERE, "../../../../../docs/format", name), encoding="utf-8") as f:
            return f.read()

    def test_the_page_by_hand(self):
        printed = re.findall(r"```text\n(.*?)```", self.page("checkpoint.md"), re.S)[-1]
        vkey, note = printed.split("\n", 1)
        name, public = verify.parse_vkey(vkey)
        self.assertEqual((name, public), ("annals.example/by-hand", Signer(secret("checkpoint")).public))
        text, signatures = verify.parse_note(note.encode())
        self.assertEqual(text.split("\n")[1], "3")
        self.assertTrue(verify.ed25519(public, text.encode(), signatures[0][2]))

    def test_c2sp_example(self):
        name, public = verify.parse_vkey("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
        note = ("This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2O"
                "NncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n")
        text, ((signed_by, hashed, signature),) = verify.parse_note(note.encode())
        self.assertEqual((signed_by, hashed), (name, verify.key_hash(name, 1, public)))
        self.assertTrue(verify.ed25519(public, text.encode(), signature))

    def test_refused_notes(self):
        good = "text\n\n\u2014 a AAAAAAA=\n"
        verify.parse_note(good.encode())
        for bad in ("", "\n", "text\n", good[:-1], good + "\n", good + "x\n", good.replace("\n\n", "\n"), good.replace("\u2014", "-"),
                    good.replace(" a ", "  "), good.replace(" a ", " a+b "), good.replace(" a ", " a\u00a0b "), good.replace("=", ""),
                    good.replace("AAAAAAA=", "AAAAAAB="), good.replace("AAAAAAA=", "AAAA"), good.replace("text", "te\rxt"),
                    good.replace("text", "te\x00xt"), good + "\u2014 a AAAAAAA=\n" * 100, "x" * 1000001 + good):
            with self.assertRaises(verify.Form, msg=bad[:60]):
                verify.parse_note(bad.encode())
        with self.assertRaises(verify.Form):
            verify.parse_note(good.encode().replace(b"text", b"te\xff"))

    def test_refused_vkeys(self):
        signer = Signer(secret("checkpoint"))
        good = signer.vkey("a")
        self.assertEqual(verify.parse_vkey(good), ("a", signer.public))
        neutral = bytes([1]) + (1).to_bytes(32, "little")
        for bad in ("", "a", "a+b", good[1:], "b" + good[1:], good + "=", good.upper(), " " + good, good.replace("+", "", 1),
                    "a+" + verify.key_hash("a", 4, signer.public).hex() + "+" + b64(b"\4" + signer.public),
                    "a+" + verify.key_hash("a", 1, neutral[1:]).hex() + "+" + b64(neutral)):
            with self.assertRaises(verify.Form, msg=bad):
                verify.parse_vkey(bad)


class Encodings(unittest.TestCase):
    def test_json(self):
        self.assertEqual(verify.parse_json(b' {"a": [1, "\xc3\xa9"]} ', "it"), {"a": [1, "\u00e9"]})
        for bad in (b"", b"{", b'{"a":1,"a":2}', b"\xff", b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b"1.0", b"1e3", b"-1", b"-0", b"01", b"NaN",
                    b"Infinity", b"18446744073709551616", b"9" * 100000, b"[" * 100000, b'{"a":' * 100000, b"{} {}", b"{}x", b"'a'",
                    b'"\n"', b"[1,]"):
            with self.assertRaises(verify.Form, msg=bad[:20]):
                verify.parse_json(bad, "it")
        with self.assertRaises(verify.Form):
            verify.string(verify.parse_json(b'"\\ud800"', "it"), "it")

    def test_base64(self):
        self.assertEqual(verify.from_base64("AAE=", "it"), b"\0\1")
        for bad in ("AAE", "AAF=", "AA E=", "AAE=\n", "AAE==", "A", "-_==", "AAE=AAE=", "\u00e9", "====", "AAE=="):
            with self.assertRaises(verify.Form, msg=bad):
                verify.from_base64(bad, "it")

    def test_decimal(self):
        self.assertEqual(verify.decimal("18446744073709551615", "it"), 2**64 - 1)
        for bad in ("", "01", "+1", "-1", "1.0", " 1", "1\n", "18446744073709551616", "\u0661", "1" * 5000):
            with self.assertRaises(verify.Form, msg=bad[:9]):
                verify.decimal(bad, "it")


class Trees(unittest.TestCase):
    def test_every_proof_of_small_trees(self):
        from fixture import Tree
        tree = Tree()
        for n in range(1, 34):
            tree.leaves.append(verify.leaf_hash(b"%d" % n))
            root = tree.root(0, n)
            for i in range(n):
                proof = tree.path(i, 0, n)
                self.assertEqual(verify.inclusion_root(tree.leaves[i], i, n, proof), root)
                self.bites(proof, lambda p: verify.inclusion_root(tree.leaves[i], i, n, p) == root)
                self.assertIsNone(verify.inclusion_root(tree.leaves[i], n + i, n, proof))
            for m in range(1, n + 1):
                proof = tree.consistency(m, 0, n)
                old = tree.root(0, m)
                self.assertTrue(verify.consistent(m, old, n, root, proof))
                self.assertFalse(verify.consistent(m, bytes(32), n, root, proof))
                self.assertFalse(verify.consistent(m, old, n, bytes(32), proof))
                self.bites(proof, lambda p: verify.consistent(m, old, n, root, p))
            self.assertFalse(verify.consistent(0, root, n, root, []))

    def bites(self, proof, holds):
        """A proof with a hash flipped, too many or too few does not hold."""
        for at in range(len(proof)):
            self.assertFalse(holds(proof[:at] + [verify.sha256(proof[at])] + proof[at + 1:]))
            self.assertFalse(holds(proof[:at] + proof[at + 1:]))
        self.assertFalse(holds(proof + [bytes(32)]))


if __name__ == "__main__":
    unittest.main()
