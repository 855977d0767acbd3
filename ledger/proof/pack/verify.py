#!/usr/bin/env python3
"""Verify an unpacked evidence pack of an Annals ledger.

    python3 verify.py [--key VKEY] [--policy FILE] [-o json] [DIR]

DIR is the unpacked pack; without it, the folder in which this script lies.
VKEY is the ledger's verifier key, from anywhere but this pack. Without it the
pack is checked against the keys that it brings along, which proves no more
than that it agrees with itself. FILE says which witnesses must have cosigned
the checkpoint (c2sp.org/tlog-policy).

Written from the pages of docs/format alone (pack.md, keys.md, checkpoint.md,
workspace-head.md, receipt.md, entry.md, control.md, hashes.md), and not from
the program that writes packs: that the two agree is the point. It needs
Python 3.8 and its standard library, and touches no network. Read it from top
to bottom: signatures, encodings, the tree, notes, entries, keys, heads, the
pack.
"""

import argparse
import base64
import binascii
import collections
import hashlib
import json
import os
import re
import struct
import sys

# The findings by rank, the gravest first, with their exit codes (verify.md).
FINDINGS = [
    ("wrong_ledger", 10), ("truncated", 11), ("missing_entry", 12),
    ("reordered", 13), ("altered_entry", 14), ("malformed_entry", 15),
    ("trailing_bytes", 16), ("workspace_chain_broken", 17), ("hole", 18),
    ("bad_signature", 19), ("unknown_key", 20), ("unauthorised_control", 21),
    ("clock", 22), ("false_duplicate", 23), ("forked", 24),
    ("root_mismatch", 25), ("tail_unproven", 31), ("witness_quorum_not_met", 36),
    ("hold_violated", 35), ("expired_early", 34), ("altered_payload", 26),
    ("payload_missing", 27), ("erasure_incomplete", 33), ("tree_damaged", 28), ("unsupported", 29),
    ("inconclusive", 1),
]
RANK = {name: i for i, (name, _) in enumerate(FINDINGS)}
CODE = dict(FINDINGS)

NONE = 2**64 - 1  # no ref
ZEROS = bytes(32)  # the system's tag; no root; no ledger id yet
MIB = 1 << 20


class Fault(Exception):
    """What a check found: the finding, the entry at fault, and why."""

    def __init__(self, finding, detail, index=None):
        super().__init__(detail)
        self.finding, self.detail, self.index = finding, detail, index


class Report:
    """All findings and notices of one pack."""

    def __init__(self):
        self.faults, self.notices = [], []
        self.ledger = self.root = self.size = None
        self.entries = self.payloads = 0

    def add(self, finding, detail, index=None):
        self.faults.append(Fault(finding, detail, index))

    def notice(self, name, detail, index=None):
        note = {"notice": name, "detail": detail}
        if index is not None:
            note["index"] = index
        if note not in self.notices:
            self.notices.append(note)

    def attempt(self, check, *args):
        """Runs a check that ends at its first fault; what it returns, or None."""
        try:
            return check(*args)
        except Fault as f:
            self.faults.append(f)
            return None

    def ranked(self):
        return sorted(self.faults, key=lambda f: (RANK[f.finding], NONE if f.index is None else f.index))


def shown(text):
    """Text of a stranger's, fit for a terminal."""
    text = ascii(text)
    return text if len(text) <= 100 else text[:97] + "..."


def sha256(*parts):
    h = hashlib.sha256()
    for part in parts:
        h.update(part)
    return h.digest()


# --- Ed25519 (RFC 8032; checkpoint.md says how strictly) -------------------
#
# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, xy = T/Z, on -x^2+y^2 = 1+dx^2y^2.

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point(encoded):
    """The point with this encoding, or None where RFC 8032 or canonical form forbids it."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * SQRT_M1 % P
    if v * x * x % P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


def encoding(p):
    z = pow(p[2], P - 2, P)
    return (p[1] * z % P | (p[0] * z % P & 1) << 255).to_bytes(32, "little")


def multiples(p):
    """For each of 64 hexadecimal digits i, the points j * 16^i * p, j from 0 to 15."""
    table = []
    for _ in range(64):
        row = [NEUTRAL]
        for _ in range(15):
            row.append(add(row[-1], p))
        table.append(row)
        p = add(row[15], p)
    return table


def times(table, n):
    p = NEUTRAL
    for row in table:
        p = add(p, row[n & 15])
        n >>= 4
    return p


BASE = multiples(point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")))
NEGATED = {}  # public key: the multiples of -A, or None where the key is refused


def key_point(public):
    """The point of a public key, or None where it is no key: of small order it verifies what nobody signed."""
    a = point(public) if len(public) == 32 else None
    if a is not None:
        eight = a
        for _ in range(3):
            eight = add(eight, eight)
        if encoding(eight) == encoding(NEUTRAL):
            return None
    return a


def negated(public):
    if public not in NEGATED:
        a = key_point(public)
        NEGATED[public] = multiples((P - a[0], a[1], 1, P - a[3])) if a else None
    return NEGATED[public]


def ed25519(public, message, signature):
    """Whether the signature holds. Never raises."""
    table = negated(public)
    if table is None or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    # R is compared as encoded, so that one which is not canonical is never equal.
    return encoding(add(times(BASE, s), times(table, k))) == signature[:32]


# --- Encodings (pack.md, JSON) ---------------------------------------------


class Form(Exception):
    """What was read is not in the form that the pages give it."""


def decimal(text, what):
    if not re.fullmatch("0|[1-9][0-9]{0,19}", text) or int(text) > NONE:
        raise Form(f"{what} is no decimal number: {shown(text)}")
    return int(text)


def from_base64(text, what, size=None):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise Form(f"{what} is not in base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Form(f"{what} is not in canonical base64")
    if size is not None and len(raw) != size:
        raise Form(f"{what} has {len(raw)} bytes, not {size}")
    return raw


def unique(pairs):
    names = dict(pairs)
    if len(names) != len(pairs):
        raise Form("a name stands twice in an object")
    return names


def whole(digits):
    if len(digits) > 20 or not digits.isdigit() or int(digits) > NONE:
        raise Form("a number is negative or too large")
    return int(digits)


def refuse(text):
    raise Form(f"{shown(text)} is no whole number")


def parse_json(data, what):
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_int=whole,
                          parse_float=refuse, parse_constant=refuse)
    except Form as e:
        raise Form(f"{what}: {e}") from None
    except UnicodeDecodeError:
        raise Form(f"{what} is not UTF-8") from None
    except RecursionError:
        raise Form(f"{what}: too many levels") from None
    except ValueError as e:
        raise Form(f"{what} is not JSON: {e}") from None


def members(value, what, required, optional=()):
    """Checks an object's members: name = a type, or a function of (value, name)."""
    if type(value) is not dict:
        raise Form(f"{what} is no object")
    for name in value:
        if name not in required and name not in optional:
            raise Form(f"{what} has a member {shown(name)}")
    out = {}
    for table in (required, optional):
        for name in table:
            if name in value:
                out[name] = table[name](value[name], f"{what}: {name}")
            elif table is required:
                raise Form(f"{what} has no {name}")
    return out


def string(value, what):
    if type(value) is not str:
        raise Form(f"{what} is no string")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise Form(f"{what} holds half of a surrogate pair") from None
    return value


def number(value, what):
    if type(value) is not int:
        raise Form(f"{what} is no number")
    return value


def blob(value, what):
    return from_base64(string(value, what), what)


def digest(value, what):
    return from_base64(string(value, what), what, 32)


def hexadecimal(value, what):
    if not re.fullmatch("[0-9a-f]{64}", string(value, what)):
        raise Form(f"{what} is not 64 hexadecimal digits")
    return bytes.fromhex(value)


def note_text(value, what):
    return string(value, what).encode("utf-8")


def array(item):
    def check(value, what):
        if type(value) is not list:
            raise Form(f"{what} is no array")
        return [item(v, f"{what}[{i}]") for i, v in enumerate(value)]
    return check


class Reader:
    """Takes binary fields one after the other; the last must end where the bytes do."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Form("it ends early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def sized(self, size):
        return self.take(self.number(size))

    def end(self):
        if self.at != len(self.data):
            raise Form(f"{len(self.data) - self.at} bytes too many")


# --- The tree (RFC 6962, 2.1) ----------------------------------------------


def leaf_hash(entry):
    return sha256(b"\0", entry)


def node_hash(left, right):
    return sha256(b"\1", left, right)


def inclusion_root(leaf, index, size, proof):
    """The root to which an inclusion proof leads, or None (RFC 9162, 2.1.3.2)."""
    if index >= size or any(len(h) != 32 for h in proof):
        return None
    fn, sn = index, size - 1
    for h in proof:
        if sn == 0:
            return None
        if fn & 1 or fn == sn:
            leaf = node_hash(h, leaf)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            leaf = node_hash(leaf, h)
        fn, sn = fn >> 1, sn >> 1
    return leaf if sn == 0 else None


def consistent(first, first_root, second, second_root, proof):
    """Whether the tree of the first size begins that of the second (RFC 9162, 2.1.4.2)."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second or any(len(h) != 32 for h in proof):
        return False
    if first & (first - 1) == 0:
        proof = [first_root] + proof
    if not proof:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for h in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(h, fr), node_hash(h, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, h)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


# --- Notes and checkpoints (checkpoint.md) ---------------------------------

ED25519_NOTE, COSIGNATURE_NOTE, MLDSA_NOTE = 1, 4, 6
SPACES = re.compile(r"[\s+]")


def key_hash(name, kind, public):
    return sha256(name.encode("utf-8"), b"\n", bytes([kind]), public)[:4]


def parse_vkey(text):
    """Name and public key of an Ed25519 verifier key."""
    parts = string(text, "it").split("+", 2)
    if len(parts) != 3 or not parts[0] or SPACES.search(parts[0]):
        raise Form("it is not name+hash+base64")
    key = from_base64(parts[2], "its last part")
    if not key or parts[1] != key_hash(parts[0], key[0], key[1:]).hex():
        raise Form("its hash is not the key's")
    if key[0] != ED25519_NOTE or len(key) != 33:
        raise Form("it is no Ed25519 key of a log, the only kind that this script checks")
    if key_point(key[1:]) is None:
        raise Form("its key is no point, or of small order")
    return parts[0], key[1:]


def read_note(note, what):
    """(text, signatures) of a signed note; what is none says nothing about a ledger."""
    try:
        return parse_note(note)
    except Form as e:
        raise Fault("inconclusive", f"{what} is no signed note: {e}") from None


def parse_note(note):
    """(text, [(name, key hash, signature)]) of a signed note."""
    if len(note) > 1000000:
        raise Form("it is too long for a note")
    try:
        whole_text = note.decode("utf-8")
    except UnicodeDecodeError:
        raise Form("it is not UTF-8") from None
    if re.search("[\x00-\x09\x0b-\x1f]", whole_text):
        raise Form("it holds a control character")
    text, empty, rest = whole_text.rpartition("\n\n")
    if not empty or not rest.endswith("\n"):
        raise Form("it has no signatures")
    lines = rest[:-1].split("\n")
    if len(lines) > 100:
        raise Form("it has more than 100 signatures")
    signatures = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014" or not parts[1] or SPACES.search(parts[1]):
            raise Form("a line below the text is no signature")
        raw = from_base64(parts[2], "a signature")
        if len(raw) < 5:
            raise Form("a signature is too short")
        signatures.append((parts[1], raw[:4], raw[4:]))
    return text + "\n", signatures


def signers(text, signatures, keys, origin, what):
    """Those of the keys that signed the text; a line of theirs must be valid."""
    good = []
    for key in keys:
        label = key_hash(origin, ED25519_NOTE, key.public)
        for name, hashed, signature in signatures:
            if name == origin and hashed == label:
                if not ed25519(key.public, text.encode("utf-8"), signature):
                    raise Fault("bad_signature", f"{what}: the signature by key {label.hex()} is not valid")
                good.append(key)
                break
    if not good:
        raise Fault("unknown_key", f"{what}: no key that is in force there signed it")
    return good


Checkpoint = collections.namedtuple("Checkpoint", "size root signed_by note")


def open_checkpoint(note, history, report, what):
    text, signatures = read_note(note, what)
    try:
        lines = text.split("\n")
        if lines[0] != history.origin:
            raise Fault("wrong_ledger", f"{what} is of {shown(lines[0])}, not of {shown(history.origin)}")
        if len(lines) != 4:
            raise Form(f"its text has {len(lines) - 1} lines, not 3")
        size, root = decimal(lines[1], "its size"), from_base64(lines[2], "its root", 32)
    except Form as e:
        raise Fault("bad_signature", f"{what} is none: {e}") from None
    keys = history.at(size, CHECKPOINT)
    for key in keys:
        if key.algorithm == MLDSA and any(name == history.origin and hashed == key_hash(name, MLDSA_NOTE, key.public)
                                          for name, hashed, _ in signatures):
            report.notice("mldsa_unchecked", "the ML-DSA-44 signature was not checked: this script checks Ed25519 only")
    return Checkpoint(size, root, signers(text, signatures, [k for k in keys if k.algorithm == ED25519], history.origin, what), note)


def same_checkpoint(note, checkpoint, history, report, what):
    """Checks that a file's checkpoint is the pack's, byte for byte."""
    if checkpoint is None or note == checkpoint.note:
        return
    other = open_checkpoint(note, history, report, what)
    if other.size == checkpoint.size and other.root != checkpoint.root:
        raise Fault("forked", f"{what} and the pack's give different roots for {other.size} entries: "
                    f"{other.root.hex()} and {checkpoint.root.hex()}, both signed")
    raise Fault("inconclusive", f"{what} is not the pack's checkpoint")


# --- Witnesses (c2sp.org/tlog-policy, c2sp.org/tlog-cosignature) -----------


class Policy:
    """Which logs are known, and which witnesses must have cosigned."""

    def __init__(self, data):
        if len(data) > MIB:
            raise Form("it is too long")
        self.logs, self.witnesses = [], []  # (name, type, public key)
        self.names, self.grouped, self.given = {}, set(), set()
        self.decided, self.quorum = False, None
        for n, line in enumerate(data.split(b"\n"), 1):
            try:
                self.line(line)
            except Form as e:
                raise Form(f"line {n}: {e}") from None
        if not self.decided:
            raise Form("it has no quorum line")

    def line(self, line):
        if re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line):
            raise Form("a control character")
        items = line.replace(b"\t", b" ").split(b" ")
        items = [item for item in items if item]
        if not items or items[0].startswith(b"#"):
            return
        read = {b"log": self.log, b"witness": self.witness, b"group": self.group, b"quorum": self.settle}.get(items[0])
        if read is None:
            raise Form(f"{shown(items[0].decode('utf-8', 'replace'))} is none of log, witness, group and quorum")
        read(items[1:])

    def key(self, text, kinds, line):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise Form("the key is not UTF-8") from None
        parts = text.split("+", 2)
        if len(parts) != 3 or not parts[0] or SPACES.search(parts[0]):
            raise Form("the key is not name+hash+base64")
        raw = from_base64(parts[2], "the key")
        if len(raw) < 2 or parts[1] != key_hash(parts[0], raw[0], raw[1:]).hex():
            raise Form("the key's hash is another's")
        if raw[0] not in kinds or len(raw) != (1313 if raw[0] == MLDSA_NOTE else 33):
            raise Form("the key is of no type for this line")
        if raw[0] != MLDSA_NOTE and negated(raw[1:]) is None:
            raise Form("the key is no point, or of small order")
        if (line, raw[1:]) in self.given:
            raise Form("an earlier line has the same public key")
        self.given.add((line, raw[1:]))
        return parts[0], raw[0], raw[1:]

    def log(self, items):
        if len(items) not in (1, 2):
            raise Form("log takes a key and perhaps a URL")
        self.logs.append(self.key(items[0], (ED25519_NOTE, MLDSA_NOTE), "log"))

    def witness(self, items):
        if len(items) not in (2, 3):
            raise Form("witness takes a name, a key and perhaps a URL")
        self.witnesses.append(self.key(items[1], (COSIGNATURE_NOTE, MLDSA_NOTE), "witness"))
        self.name(items[0], len(self.witnesses) - 1)

    def name(self, name, node):
        if name == b"none" or name in self.names:
            raise Form("the name is taken")
        self.names[name] = node

    def group(self, items):
        if len(items) < 3:
            raise Form("group takes a name, how many, and at least one member")
        members = []
        for name in items[2:]:
            if name not in self.names or name in self.grouped:
                raise Form("a member is not defined before, or is a group's already")
            self.grouped.add(name)
            members.append(self.names[name])
        need = {b"all": len(members), b"any": 1}.get(items[1])
        if need is None:
            need = decimal(items[1].decode("ascii", "replace"), "how many")
        if not 1 <= need <= len(members):
            raise Form("as many members as it needs don't stand there")
        self.name(items[0], (need, members))

    def settle(self, items):
        if len(items) != 1 or self.decided or items[0] != b"none" and items[0] not in self.names:
            raise Form("quorum takes one name that was defined, once")
        self.decided, self.quorum = True, self.names.get(items[0])

    def judge(self, note, report):
        """Checks a checkpoint's lines by known keys, its log and its quorum."""
        text, signatures = parse_note(note)
        origin = text.split("\n", 1)[0]

        def signed(key):
            name, kind, public = key
            for by, hashed, signature in signatures:
                if by != name or hashed != key_hash(name, kind, public):
                    continue
                if kind == MLDSA_NOTE:
                    report.notice("mldsa_unchecked", "an ML-DSA-44 signature was not checked, and does not count: this script checks Ed25519 only")
                    return False
                message = text.encode("utf-8")
                if kind == COSIGNATURE_NOTE:  # time (8 bytes) || signature
                    message = b"cosignature/v1\ntime %d\n" % int.from_bytes(signature[:8], "big") + message
                    signature = signature[8:]
                if not ed25519(public, message, signature):
                    raise Fault("bad_signature", f"by the policy: the signature by key {hashed.hex()} is not valid")
                return True
            return False

        logs = [signed(key) for key in self.logs if key[0] == origin]
        cosigned = [signed(key) for key in self.witnesses]
        if self.logs and not any(logs):
            raise Fault("unknown_key", f"none of the policy's logs signed the checkpoint of {shown(origin)}")

        def met(node):
            if isinstance(node, int):
                return cosigned[node]
            need, members = node
            return sum(map(met, members)) >= need

        if self.quorum is not None and not met(self.quorum):
            raise Fault("witness_quorum_not_met", "too few of the policy's witnesses cosigned the checkpoint")


# --- Entries (entry.md) ----------------------------------------------------

RECORD, DUPLICATE, CONFLICT, REJECTION, CONTROL, GAP = range(1, 7)
KINDS = ("", "record", "duplicate", "conflict", "rejection", "control", "gap")
STATEMENT, SIGNATURES, MISSING = 0x8001, 0x8002, 0x8003
HEADER = struct.Struct(">4sBBHHHHHQQ16sqIIQQ32s32s32s32s")
EVENT = 8  # the flag of an entry whose record a CloudEvent tells


class Entry:
    def __init__(self, raw):
        """Parses strictly, in the page's order."""
        if len(raw) < HEADER.size or raw[:3] != b"anl":
            raise Fault("malformed_entry", "it is no entry")
        if raw[3] != 1:
            raise Fault("unsupported", f"entry version {raw[3]}")
        (_, self.kind, self.grade, self.flags, self.code, self.place, self.count, tail, self.index,
         self.sequence, self.ulid, self.time, self.epoch, self.seed, self.ref, self.position, self.previous,
         self.tag, self.previous_here, self.commitment) = HEADER.unpack_from(raw)
        if tail != len(raw) - HEADER.size or len(raw) > 65535:
            raise Fault("malformed_entry", "the tail is not as long as the header says")
        if not RECORD <= self.kind <= GAP or self.flags & ~11 or self.grade > 4:
            raise Fault("unsupported", f"kind {self.kind}, grade {self.grade}, flags {self.flags:#x}")
        if self.place >= self.count:
            raise Fault("malformed_entry", f"place {self.place} of {self.count}")
        if self.ref != NONE and self.ref >= self.index:
            raise Fault("malformed_entry", "it refers to an entry that comes later")
        self.by_kind()
        self.tail = self.tlvs(raw[HEADER.size:])

    def by_kind(self):
        """The table of entry.md: what a kind asks for."""
        kept, ref = self.flags & 1, self.ref != NONE
        published = self.kind in (RECORD, DUPLICATE, CONFLICT)
        alone = self.kind in (CONTROL, GAP)
        rules = [
            (1 <= self.grade if published else self.grade == 0, "grade"),
            (self.kind == REJECTION or kept == (self.kind in (RECORD, CONFLICT, CONTROL)), "flag of a retained payload"),
            (self.code in (1, 2) if self.kind == DUPLICATE
             else self.code != 0 if self.kind in (REJECTION, CONTROL) else self.code == 0, "code"),
            (self.kind == RECORD or ref == (self.kind in (DUPLICATE, CONFLICT)), "ref"),
            (not alone or (self.place == 0 and self.count == 1), "place"),
            (not alone or self.tag == ZEROS, "workspace"),
            (self.kind != GAP or self.commitment == ZEROS, "commitment"),
            (published or not self.flags & EVENT, "flag of an event"),
        ]
        for holds, what in rules:
            if not holds:
                raise Fault("malformed_entry", f"a {KINDS[self.kind]} with this {what} cannot be")

    def tlvs(self, data):
        tail, reader, last = {}, Reader(data), -1
        try:
            while reader.at < len(data):
                kind, value = reader.number(2), reader.sized(2)
                if kind <= last:
                    raise Form("types do not ascend")
                last = kind
                tail[kind] = value
        except Form as e:
            raise Fault("malformed_entry", f"the tail: {e}") from None
        due = {CONTROL: [STATEMENT, SIGNATURES], GAP: [MISSING]}.get(self.kind, [])
        if [t for t in tail if t in (STATEMENT, SIGNATURES, MISSING)] != due:
            raise Fault("malformed_entry", f"the tail is not a {KINDS[self.kind]}'s")
        unknown = [t for t in tail if t & 0x8000 and t not in due]
        if unknown:
            raise Fault("unsupported", f"critical part {unknown[0]:#x} in the tail")
        return tail

    @property
    def ms(self):
        return int.from_bytes(self.ulid[:6], "big")

    def commitment_of(self, ledger, salt, envelope, body):
        return sha256(b"annals/payload/v1\0", salt, ledger, struct.pack(">IQH", self.epoch, self.sequence, self.place),
                      struct.pack(">I", len(envelope)), envelope, struct.pack(">I", len(body)), body)


class Statement:
    """A control entry's statement and its signatures (control.md)."""

    def __init__(self, entry):
        self.raw, domain = entry.tail[STATEMENT], b"annals/control/v1\0"
        try:
            r = Reader(self.raw)
            if not self.raw.startswith(domain):
                raise Fault("unsupported", "a control statement of another version", entry.index)
            r.take(len(domain))
            self.ledger, self.number, self.type = r.take(32), r.number(8), r.number(2)
            self.size, self.root, self.body = r.number(8), r.take(32), r.sized(4)
            r.end()
            r = Reader(entry.tail[SIGNATURES])
            self.signatures = [(r.take(32), r.sized(2)) for _ in range(r.number(1))]
            r.end()
            if self.type != entry.code:
                raise Form(f"it is of type {self.type}, and the entry has code {entry.code}")
        except Form as e:
            raise Fault("malformed_entry", f"the control statement: {e}", entry.index) from None


# --- Keys (keys.md) --------------------------------------------------------

ED25519, MLDSA = 1, 2
ROOT, LEDGER, OPERATOR, ERASER, CHECKPOINT, HEADS = 1, 2, 4, 8, 16, 32
ROLES = {ROOT: "root", LEDGER: "ledger", OPERATOR: "operator", ERASER: "eraser", CHECKPOINT: "checkpoint", HEADS: "heads"}
GENESIS_TYPE, MARK_TYPE, KEY_TYPE, ERASE_TYPE = 1, 3, 4, 7
EXPIRE_TYPE, RETENTION_TYPE, HOLD_TYPE, RELEASE_TYPE = 8, 9, 10, 11
PROOF = array(digest)


class Key:
    def __init__(self, algorithm, public, roles):
        self.algorithm, self.public, self.roles = algorithm, public, roles
        self.first, self.to = None, None  # valid for sizes from first to below to
        self.id = sha256(b"annals/key/v1\0", bytes([algorithm]), public)

    def valid_at(self, size):
        return self.first <= size and (self.to is None or size < self.to)

    def check(self):
        if self.algorithm not in (ED25519, MLDSA):
            raise Fault("unsupported", f"a key of algorithm {self.algorithm}")
        if len(self.public) != (32 if self.algorithm == ED25519 else 1312) or self.algorithm == MLDSA and self.roles != CHECKPOINT:
            raise Form("a key's length or roles are not its algorithm's")
        if self.algorithm == ED25519 and key_point(self.public) is None:
            raise Form(f"{self.public.hex()} is no Ed25519 key: no point, not its one encoding, or of small order")

    def listed(self, origin):
        """What `keys` must say of the key."""
        out = {"id": self.id, "algorithm": self.algorithm, "public": self.public,
               "roles": [ROLES.get(1 << i, f"role {1 << i}") for i in range(16) if self.roles >> i & 1], "from": self.first}
        if self.roles & (CHECKPOINT | HEADS):
            kind = ED25519_NOTE if self.algorithm == ED25519 else MLDSA_NOTE
            out["vkey"] = (f"{origin}+{key_hash(origin, kind, self.public).hex()}+"
                           + base64.b64encode(bytes([kind]) + self.public).decode())
        if self.to is not None:
            out["to"] = self.to
        return out


def read_keys(r):
    keys = [Key(r.number(1), r.sized(2), r.number(2)) for _ in range(r.number(1))]
    for key in keys:
        key.check()
    return keys


def read_thresholds(r):
    return [(r.number(2), r.number(1)) for _ in range(r.number(1))]


class Change:
    """The body of a change of keys."""

    def __init__(self, body):
        r = Reader(body)
        self.reason = r.number(1)
        self.removed = [r.take(32) for _ in range(r.number(1))]
        self.added, thresholds = read_keys(r), read_thresholds(r)
        r.end()
        roles, self.thresholds = [role for role, _ in thresholds], dict(thresholds)
        if self.removed != sorted(set(self.removed)) or roles != sorted(set(roles)):
            raise Form("rows do not ascend")
        if any(role == 0 or role & (role - 1) or needed == 0 for role, needed in thresholds):
            raise Form("a threshold is none")
        if not self.removed and (self.reason == 1 or not self.added and not thresholds):
            raise Form("it changes nothing, or revokes nothing")
        if any(key.roles == 0 for key in self.added):
            raise Form("an added key has no role")
        if self.reason > 1:
            raise Fault("unsupported", f"a change of keys for reason {self.reason}")


def first_link(ledger, tag):
    return sha256(b"annals/wschain/v1\0", ledger, tag)


class History:
    """The ledger's keys, from its genesis and every change of keys."""

    def __init__(self, entry):
        """Reads the genesis; it must be signed by its own root keys."""
        if entry.kind != CONTROL or entry.index != 0 or entry.code != GENESIS_TYPE:
            raise Fault("malformed_entry", "it is no genesis")
        st = Statement(entry)
        try:
            if (st.ledger, st.number, st.size, st.root) != (ZEROS, 0, 0, ZEROS):
                raise Form("its statement is not a first one")
            r = Reader(st.body)
            self.origin = r.sized(2).decode("utf-8")
            r.sized(2)
            created = r.number(8)
            r.number(8)  # first sequence
            self.partition, partitions = r.number(2), r.number(2)
            mapping = r.number(1)
            r.take(32 + 32)  # nonce, key commitment
            self.keys, thresholds = read_keys(r), read_thresholds(r)
            r.end()
            if self.partition >= partitions or created >> 63:
                raise Form("its partition or creation time cannot be")
            if mapping:
                raise Fault("unsupported", f"mapping rule {mapping} in the genesis")
        except (Form, UnicodeDecodeError) as e:
            raise Fault("malformed_entry", f"the genesis: {e}") from None
        self.ledger = sha256(b"annals/ledger/v1\0", st.body)
        self.thresholds = [(0, dict(reversed(thresholds)))]
        self.changes = []  # (change, keys removed, keys added), in order
        self.noted = []  # (index, change)
        self.number = 0
        for key in self.keys:
            key.first = 0  # for its own signatures; then from 1
        self.signed(st, 0, ROOT, "the genesis")
        for key in self.keys:
            key.first = 1
        if entry.previous != sha256(b"annals/chain/v1\0", self.ledger) or entry.previous_here != first_link(self.ledger, ZEROS):
            raise Fault("wrong_ledger", "the genesis does not begin this ledger's chain")

    def at(self, size, role):
        return [key for key in self.keys if key.roles & role and key.valid_at(size)]

    def needed(self, role, index):
        """How many keys of the role a control statement at this index needs."""
        return next((set_[role] for at, set_ in reversed(self.thresholds) if at <= index and role in set_), 1)

    def signed(self, statement, index, role, what):
        """Checks a control statement's signatures: who signed it."""
        known = {key.id: key for key in self.keys if key.valid_at(index)}
        by = set()
        for key_id, signature in statement.signatures:
            if key_id not in known:
                raise Fault("unknown_key", f"{what} is signed by {key_id.hex()}, a key that is not in force there", index)
            if known[key_id].algorithm != ED25519 or not ed25519(known[key_id].public, statement.raw, signature):
                raise Fault("bad_signature", f"{what}: the signature by {key_id.hex()} is not valid", index)
            by.add(key_id)
        count = sum(1 for key_id in by if known[key_id].roles & role)
        if count < self.needed(role, index):
            raise Fault("unauthorised_control", f"{what}: {count} keys of the role {ROLES[role]} signed it, "
                        f"{self.needed(role, index)} are needed", index)
        return by

    def change(self, entry):
        """Takes a change of keys into account, if it holds."""
        if entry.kind != CONTROL or entry.code != KEY_TYPE:
            raise Fault("malformed_entry", "it is no change of keys")
        st = Statement(entry)
        if st.number <= self.number:
            raise Fault("malformed_entry", "the numbers of changes do not ascend")
        if st.ledger != self.ledger:
            raise Fault("wrong_ledger", "it is of another ledger")
        by = self.signed(st, entry.index, ROOT, "a change of keys")
        standing = {key.id: key for key in self.keys if key.to is None}
        try:
            c = Change(st.body)
        except Form as e:
            raise Fault("malformed_entry", f"a change of keys: {e}") from None
        try:
            if not set(c.removed) <= set(standing):
                raise Form("it removes keys that are not in force")
            if c.reason == 0 and not {i for i in c.removed if standing[i].algorithm == ED25519} <= by:
                raise Form("it is a rotation, and a key that goes has not signed it")
            if len({key.id for key in self.keys + c.added}) != len(self.keys) + len(c.added):
                raise Form("it adds a key that was named before")
            thresholds = self.thresholds + [(entry.index + 1, c.thresholds)]
            left = [key for i, key in standing.items() if i not in c.removed] + c.added
            for role in (1 << i for i in range(16)):
                had, has = (sum(1 for k in some if k.roles & role and k.algorithm == ED25519) for some in (standing.values(), left))
                if (had or has) and has < next((t[role] for _, t in reversed(thresholds) if role in t), 1):
                    raise Form(f"it leaves too few keys of the role {ROLES.get(role, role)}")
        except Form as e:
            raise Fault("unauthorised_control", f"a change of keys: {e}") from None
        self.number, self.thresholds = st.number, thresholds
        for key_id in c.removed:
            standing[key_id].to = entry.index + 1
        for key in c.added:
            key.first = entry.index + 1
        self.keys += c.added
        self.changes.append((c, [standing[i] for i in c.removed], c.added))
        self.noted.append((entry.index, c))


def numbers_and_entry(value, what):
    return members(value, what, {"index": number, "entry": blob, "proof": array(blob)})


def key_object(value, what):
    return members(value, what, {"id": hexadecimal, "algorithm": number, "public": blob, "roles": array(string), "from": number},
                   {"vkey": string, "to": number})


def read_key_file(data):
    return members(parse_json(data, "keys.json"), "keys.json", {
        "origin": string, "ledger": hexadecimal, "keys": array(key_object), "genesis": numbers_and_entry,
        "changes": array(numbers_and_entry), "retired": array(note_text),
        "consistency": array(array(blob)), "checkpoint": note_text})


def fold_keys(m, report):
    """Checks 1 to 5 of keys.md: the history that genesis and changes make."""
    row = m["genesis"]
    try:
        history, last = History(Entry(row["entry"])), 0
        if row["index"] != 0:
            raise Fault("malformed_entry", "it is not at index 0")
        if (history.ledger, history.origin) != (m["ledger"], m["origin"]):
            raise Fault("wrong_ledger", f"it is not of the ledger {m['ledger'].hex()} with the origin {shown(m['origin'])}")
        for row in m["changes"]:
            entry = Entry(row["entry"])
            if entry.index != row["index"] or entry.index <= last:
                raise Fault("malformed_entry", "changes do not ascend")
            history.change(entry)
            last = entry.index
    except Fault as f:  # of the history as a whole, and so at no index
        raise Fault(f.finding, f"keys.json, entry {row['index']}: {f.detail}") from None
    if m["keys"] != [key.listed(history.origin) for key in history.keys]:
        report.add("inconclusive", "keys.json lists other keys than its genesis and changes name")
    return history


def check_key_proofs(m, history, checkpoint, report):
    """Check 7 of keys.md."""
    for row in [m["genesis"]] + m["changes"]:
        if inclusion_root(leaf_hash(row["entry"]), row["index"], checkpoint.size, row["proof"]) != checkpoint.root:
            report.add("root_mismatch", "keys.json: this entry and its proof do not lead to the checkpoint's root", row["index"])


def open_retired(m, history, checkpoint, report):
    """Check 8 of keys.md; the retired checkpoints, which the first that does not hold spoils."""
    if len(m["retired"]) != len(m["consistency"]):
        raise Fault("inconclusive", "keys.json: retired and consistency are not of one length")
    retired = []
    for i, (note, proof) in enumerate(zip(m["retired"], m["consistency"])):
        old = open_checkpoint(note, history, report, f"keys.json: retired[{i}]")
        retired.append(old)
        if not consistent(old.size, old.root, checkpoint.size, checkpoint.root, proof):
            raise Fault("forked", f"keys.json: the retired checkpoint of {old.size} entries, root {old.root.hex()}, is signed "
                        f"and was not shown to be the beginning of the tree with root {checkpoint.root.hex()}")
    return retired


def trust(vkey, history, checkpoint, retired):
    """Whether the reader's key speaks for this history (keys.md)."""
    name, public = vkey
    if name != history.origin:
        raise Fault("wrong_ledger", f"the key given is of {shown(name)}, the pack of {shown(history.origin)}")
    if checkpoint is None:
        return
    mine = next((k for k in history.keys if k.algorithm == ED25519 and k.public == public and k.roles & CHECKPOINT), None)
    if mine is None:
        raise Fault("unknown_key", "the key given was never a checkpoint key of this ledger")
    trusted = {mine.id}
    for change, removed, added in history.changes:
        gone = {key.id for key in removed}
        if trusted & gone and change.reason == 0:
            trusted |= {key.id for key in added if key.roles & CHECKPOINT and key.algorithm == ED25519}
        trusted -= gone
    if trusted & {key.id for key in checkpoint.signed_by}:
        return
    if not trusted and any(mine.id == key.id for old in retired for key in old.signed_by):
        return
    raise Fault("unknown_key", "the checkpoint is signed neither by the key given nor by one that it handed over to")


# --- Workspace head and mark (workspace-head.md, receipt.md) ---------------


# The end of a workspace's chain at one size of the tree, as a head or a mark says.
Head = collections.namedtuple("Head", "what count index leaf size")


def read_head_file(data):
    def mark(value, what):
        return members(value, what, {"receipt": note_text, "map_size": number, "map_index": number, "map_proof": PROOF,
                                     "count": number, "index": number, "leaf": digest})
    return members(parse_json(data, "head.json"), "head.json", {
        "workspace": string, "tag": digest, "head": note_text, "checkpoint": note_text}, {"mark": mark})


def open_head(note, history, tag, checkpoint):
    what = "the workspace head"
    text, signatures = read_note(note, what)
    try:
        lines = text.split("\n")
        if len(lines) != 8 or lines[0] != "annals/workspace-head/v1":
            raise Form("its text is not the seven lines of a head")
        its_tag, leaf = from_base64(lines[2], "its tag", 32), from_base64(lines[5], "its leaf", 32)
        count, index, size = (decimal(lines[i], "a number") for i in (3, 4, 6))
        if count == 0 or index >= size:
            raise Form("count or index cannot be")
    except Form as e:
        raise Fault("bad_signature", f"{what} is none: {e}") from None
    if lines[1] != history.origin:
        raise Fault("wrong_ledger", f"{what} is of {shown(lines[1])}, not of {shown(history.origin)}")
    signers(text, signatures, history.at(size, HEADS), history.origin, what)
    if its_tag != tag:
        raise Fault("workspace_chain_broken", f"{what} is another workspace's")
    if checkpoint is not None and size > checkpoint.size:
        raise Fault("inconclusive", f"{what} is of {size} entries, the checkpoint of {checkpoint.size}")
    return Head(what, count, index, leaf, size)


def read_receipt(data):
    """A receipt without payload: ledger id, entry, index, proof, checkpoint."""
    top, _, checkpoint = data.partition(b"\n\n")
    try:
        lines = top.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise Form("it is not UTF-8") from None
    if lines[0] != "c2sp.org/tlog-proof@v1" or len(lines) < 3 or lines[1][:6] != "extra " or lines[2][:6] != "index ":
        raise Form("it is no tlog-proof with an extra line")
    index, proof = decimal(lines[2][6:], "its index"), PROOF(lines[3:], "its proof")
    domain = b"annals/receipt/v1\0"
    r = Reader(from_base64(lines[1][6:], "its extra line"))
    if r.take(len(domain)) != domain:
        raise Form("its extra line is not a receipt's")
    ledger, parts, entry = r.take(32), r.number(1), r.sized(4)
    r.end()
    if parts != 0:
        raise Form("it has a payload")
    return ledger, entry, index, proof, checkpoint


def open_mark(m, tag, note, history, checkpoint, head):
    """What the mark says of the workspace (the table of workspace-head.md, 1 to 8)."""
    try:
        ledger, raw, index, proof, receipt_note = read_receipt(m["receipt"])
    except Form as e:
        raise Fault("inconclusive", f"head.json: the mark's receipt: {e}") from None
    if receipt_note != note:
        raise Fault("inconclusive", "head.json: the mark's receipt is in another checkpoint", index)
    if ledger != history.ledger:
        raise Fault("wrong_ledger", "head.json: the mark's receipt is of another ledger", index)
    try:
        entry = Entry(raw)
    except Fault as f:
        raise Fault(f.finding, f"head.json: the mark: {f.detail}") from None
    if entry.index != index or checkpoint is not None and (
            inclusion_root(leaf_hash(raw), index, checkpoint.size, proof) != checkpoint.root):
        raise Fault("root_mismatch", "head.json: the mark and its proof do not lead to the checkpoint's root", index)
    if entry.kind != CONTROL or entry.code != MARK_TYPE:
        raise Fault("unauthorised_control", "head.json: the mark is none", index)
    try:
        st = Statement(entry)
    except Fault as f:
        raise Fault("unauthorised_control", f.detail, index) from None
    if st.ledger != history.ledger or len(st.body) != 80 or st.body[0] >> 7 or st.size > index:
        raise Fault("unauthorised_control", "head.json: the mark's statement is none of this ledger's", index)
    history.signed(st, index, LEDGER, "the mark")
    leaf = leaf_hash(b"annals/heads/v1\0" + tag + struct.pack(">QQ", m["count"], m["index"]) + m["leaf"])
    if inclusion_root(leaf, m["map_index"], m["map_size"], m["map_proof"]) != st.body[8:40]:
        raise Fault("root_mismatch", "head.json: the mark does not say that of the workspace", index)
    if head is not None and st.size <= head.size and m["count"] > head.count:
        raise Fault("forked", f"a mark counts {m['count']} entries of the workspace before the head counts {head.count}", index)
    return Head("the mark", m["count"], m["index"], m["leaf"], st.size)


def check_against(head, lines, report):
    """Whether entries contradict a head: both cannot be true."""
    for line in lines:
        e = line.entry
        last = head.count - 1
        if ((e.index < head.size) != (e.position < head.count) or (e.index < head.index) != (e.position < last)
                or (e.index == head.index) != (e.position == last) or e.position == last and line.leaf != head.leaf):
            report.add("forked", f"{head.what} says that the workspace has {head.count} entries among the first {head.size}, "
                       f"the last of them at {head.index}; this entry, at position {e.position}, contradicts it", e.index)
            return


# --- entries.jsonl (pack.md) -----------------------------------------------


class Line:
    """A line of entries.jsonl; of its payload, what later checks need."""

    def __init__(self, m, place_in_file, ledger, checkpoint):
        self.number, self.index, raw = place_in_file, m["index"], m["entry"]
        self.leaf = leaf_hash(raw)
        self.altered, self.entry, self.fault = False, None, None
        self.position = self.previous_here = None
        try:
            self.entry = Entry(raw)
        except Fault as f:
            self.fault = f
        at = self.index
        if len(raw) >= HEADER.size:
            (at,), (self.position,) = struct.unpack_from(">Q", raw, 16), struct.unpack_from(">Q", raw, 72)
            self.previous_here = raw[144:176]
        self.proven = None  # whether its proof holds; None where there is none
        if "proof" in m and checkpoint is not None:
            self.proven = inclusion_root(self.leaf, at, checkpoint.size, m["proof"]) == checkpoint.root
        self.has_proof, self.has_payload, self.gone = "proof" in m, "salt" in m, m.get("gone")
        self.committed = self.subject = self.record = None
        self.attributes, self.binary = b"", False
        if self.has_payload and self.entry is not None:
            self.payload(ledger, m["salt"], m["envelope"], m["body"])

    def payload(self, ledger, salt, envelope, body):
        self.committed = (self.entry.kind != GAP
                          and self.entry.commitment_of(ledger, salt, envelope, body) == self.entry.commitment)
        try:
            r = Reader(envelope)
            if r.number(1) != 1:
                raise Form("unknown version")
            self.subject = r.sized(2).decode("utf-8", "replace")
            headers = [(r.sized(2), r.sized(4)) for _ in range(r.number(2))]
            r.end()
        except Form:
            self.subject = None
            return
        record = body if self.subject.startswith("activity.") else framed_record(body)
        self.record = None if record is None else sha256(record)
        if self.subject.startswith("activity."):
            self.attributes = [h for h in headers if h[0] not in (b"traceparent", b"tracestate")]
            content = [value for name, value in headers if name == b"Content-Type"]
            media = content[0].lower().split(b";")[0].strip(b" \t") if len(content) == 1 else b""
            structured = media in (b"application/cloudevents", b"application/cloudevents+json")
            self.binary = bool(self.entry.flags & EVENT) and not structured


def framed_record(body):
    """The bytes of `record` in a body on vouched. (messages.md), or None."""
    space, scan = re.compile(r"[ \t\n\r]*"), json.JSONDecoder(parse_int=str, parse_float=str)
    try:
        text = body.decode("utf-8")
        at, found = space.match(text).end(), {}
        for opening in "{,":
            if text[at] != opening:
                return None
            at = space.match(text, at + 1).end()
            name = next(n for n in ("door", "record") if text.startswith(f'"{n}"', at))
            at = space.match(text, at + len(name) + 2).end()
            if text[at] != ":":
                return None
            start = space.match(text, at + 1).end()
            _, end = scan.raw_decode(text, start)
            found[name] = text[start:end].encode("utf-8")
            at = space.match(text, end).end()
        if text[at] != "}" or space.match(text, at + 1).end() != len(text):
            return None
        return found.get("record") if len(found) == 2 else None
    except (ValueError, IndexError, StopIteration, RecursionError):
        return None


def read_lines(folder, pack, checkpoint, report):
    """The lines of entries.jsonl, and whether all were read."""
    lines = []
    try:
        with open_file(folder, "entries.jsonl") as f:
            total = 0
            while True:
                raw = f.readline(2 * MIB + 2)
                if not raw:
                    break
                what, total = f"entries.jsonl, line {len(lines) + 1}", total + len(raw)
                if not raw.endswith(b"\n") or len(raw) > 2 * MIB or total > 4096 * MIB:
                    raise Form(f"{what}: it is not closed by a line feed, or too long")
                m = members(parse_json(raw[:-1], what), what, {"index": number, "entry": blob},
                            {"proof": PROOF, "salt": digest, "envelope": blob, "body": blob, "gone": number})
                if len({"salt", "envelope", "body"} & set(m)) not in (0, 3):
                    raise Form(f"{what} has a part of a payload")
                if "gone" in m and "salt" in m:
                    raise Form(f"{what} has a payload that it says is gone")
                lines.append(Line(m, len(lines), pack["ledger"], checkpoint))
    except Form as e:
        report.add("inconclusive", str(e))
        return lines, False
    except OSError as e:
        report.add("inconclusive", f"entries.jsonl: {e.strerror}")
        return lines, False
    for line in lines:
        if line.has_proof != (line.number in (0, len(lines) - 1) or line.has_payload):
            report.add("inconclusive", f"entries.jsonl, line {line.number + 1}: it "
                       + ("has a proof where none is due" if line.has_proof else "lacks its proof"), line.index)
    return lines, True


# --- erasures.jsonl (pack.md; control.md, 7 to 11) -------------------------

REASONS = ("", "request", "order", "mistake", "secret", "contract")
NAMES = {ERASE_TYPE: "erasure", EXPIRE_TYPE: "expiry", RETENTION_TYPE: "retention rule", HOLD_TYPE: "hold", RELEASE_TYPE: "release"}
TYPE = re.compile(rb"(?!_\Z)[A-Za-z0-9_.-]{1,128}")


def read_ranges(r):
    """[(first, behind the last)], ascending; what parses has one form."""
    def varint():
        n = shift = 0
        while True:
            byte = r.number(1)
            n |= (byte & 0x7f) << shift
            if byte < 0x80:
                if n > NONE or byte == 0 and shift:
                    raise Form("a number is too large or not in its shortest form")
                return n
            shift += 7
            if shift > 63:
                raise Form("a number is too large")

    ranges, after, total = [], 0, 0
    for _ in range(varint()):
        skip, more = varint(), varint()
        first, total = after + skip, total + more + 1
        if total > 1 << 16 or first + more + 1 >= NONE:
            raise Form("it selects too much")
        ranges.append((first, first + more + 1))
        after = first + more + 2
    if not ranges:
        raise Form("it selects nothing")
    return ranges


def selects(ranges, index):
    return any(first <= index < behind for first, behind in ranges)


class Erasure:
    """What a control entry erased, or let expire. Its body must parse; whether it counts
    is for others."""

    def __init__(self, entry, statement):
        r, self.index, self.ms = Reader(statement.body), entry.index, entry.ms
        self.expires = statement.type == EXPIRE_TYPE
        self.role, self.reason, self.rule = r.number(2), r.number(2), r.number(8)
        self.tag, part, parts = r.take(32), r.number(2), r.number(2)
        selection, self.leaves = r.take(32), r.take(32)
        self.ranges = read_ranges(r)
        r.end()
        if self.role not in ((LEDGER,) if self.expires else (ERASER, OPERATOR)) or part >= parts:
            raise Form("its role or part cannot be")
        if (self.reason == 0) != self.expires or (self.rule != NONE) != self.expires:
            raise Form("its reason or rule cannot be")
        if parts == 1 and selection != self.leaves:
            raise Form("its one part is not all")
        self.taken, self.rules, self.holds, self.unlawful = 0, [], [], False

    def takes(self, entry):
        """Whether it covers the entry: selected, or a duplicate before it of what is."""
        return selects(self.ranges, entry.index) or (
            entry.kind == DUPLICATE and entry.index < self.index and selects(self.ranges, entry.ref))

    def forbidden(self, entry):
        """The finding, and why, that a rule or hold of those shown keeps an entry that it
        selects; or None. What type a record had is not known: it was in the payload."""
        for hold in self.holds:
            if hold.tag == entry.tag and (hold.ranges is None or selects(hold.ranges, entry.index)):
                return "hold_violated", f"has entry {entry.index} destroyed, which hold {hold.number} in entry {hold.index} keeps"
        if not self.expires:
            return None
        rule = next((rule for rule in self.rules if rule.index == self.rule), None)
        if rule is None:
            why = f"no rule that stood there is shown in entry {self.rule}"
        elif not rule.matches(entry):
            why = f"the rule in entry {rule.index} is not for it"
        elif rule.period == NONE:
            why = f"the rule in entry {rule.index} keeps it for ever"
        elif entry.ms + rule.period * 1000 > self.ms:
            why = f"its id's time is {entry.ms} ms, the expiry's {self.ms}, and the rule in entry {rule.index} keeps it for {rule.period} s"
        else:
            first = next((other for other in self.rules if other.matches(entry) and other.shadows(rule)), None)
            if first is None:
                return None
            why = f"the rule in entry {first.index} goes before that in entry {rule.index}"
        return "expired_early", f"lets entry {entry.index} expire: {why}"


class Rule:
    """A retention rule: its statement's body, which stands in the entry at index."""

    def __init__(self, index, body):
        r, self.index = Reader(body), index
        self.role, self.scope, self.tag, self.what = r.number(2), r.number(1), r.take(32), r.number(1)
        self.types, self.period = r.sized(2), r.number(8)
        r.end()
        self.stem, self.many = (self.types[:-1], True) if self.types.endswith(b"*") else (self.types, False)
        if self.role not in (ERASER, OPERATOR) or self.scope not in (1, 2) or self.what not in (1, 2):
            raise Form("its role, scope or what it is for cannot be")
        if self.scope == 2 and self.tag != ZEROS or self.period > 10_000_000_000 and self.period != NONE:
            raise Form("its workspace or period cannot be")
        if self.what == 2 and self.types or self.what == 1 and self.types != b"*" and not TYPE.fullmatch(self.stem):
            raise Form("its types cannot be")
        self.same = (self.scope, self.tag, self.what, self.types)

    def matches(self, entry):
        """Whether it is for such an entry; of the type nothing is asked."""
        return (self.scope == 2 or self.tag == entry.tag) and entry.kind in ((RECORD, CONFLICT) if self.what == 1 else (REJECTION,))

    def shadows(self, other):
        """Whether it goes before another rule, for every type that the other is for."""
        if (self.scope, -len(self.stem), self.many) >= (other.scope, -len(other.stem), other.many):
            return False
        return other.stem.startswith(self.stem) if self.many else self.types == other.types


class Hold:
    def __init__(self, index, statement):
        r, self.index, self.number, self.ranges = Reader(statement.body), index, statement.number, None
        self.tag, scope = r.take(32), r.number(1)
        if scope not in (1, 2):
            raise Form("its scope cannot be")
        if scope == 2:
            r.take(32)  # leaves: of entries that may not be here
            self.ranges = read_ranges(r)
        r.end()


class Law:
    """The rules and holds that stand, as far as they are shown."""

    def __init__(self):
        first = struct.pack(">HB32sBHQ", OPERATOR, 2, ZEROS, 2, 0, 2592000)
        self.rules, self.holds = [Rule(0, first)], []

    def take(self, entry, statement, due):
        """What a rule, a hold or a release makes of it. What it ends may not be shown."""
        if statement.type == RETENTION_TYPE:
            rule = Rule(entry.index, statement.body)
            if rule.role != due:
                raise Fault("unauthorised_control", f"it says that the role {ROLES[rule.role]} signs it; there that was {ROLES[due]}")
            self.rules = [old for old in self.rules if old.same != rule.same] + ([rule] if rule.period else [])
        elif statement.type == HOLD_TYPE:
            self.holds = self.holds + [Hold(entry.index, statement)]
        else:
            r = Reader(statement.body)
            number = r.number(8)
            r.end()
            released = next((hold for hold in self.holds if hold.number == number), None)
            self.holds = [hold for hold in self.holds if hold is not released]


class Erasures:
    """Those of a pack: what counts, what was refused, and whether all were read."""

    def __init__(self):
        self.good, self.refused, self.whole = [], set(), True

    def by(self, entry):
        return next((e for e in self.good if e.takes(entry)), None)

    def explains(self, index, entry):
        return not self.whole or index in self.refused or any(e.index == index and e.takes(entry) for e in self.good)


def read_erasures(folder, pack, history, checkpoint, report):
    """Checks 32 to 34: the control entries that say by what payloads are gone, and what
    governs these."""
    out, rows = Erasures(), []
    if not os.path.lexists(os.path.join(folder, "erasures.jsonl")):
        return out
    try:
        with open_file(folder, "erasures.jsonl") as f:
            total = 0
            while True:
                raw = f.readline(2 * MIB + 2)
                if not raw:
                    break
                what, total = f"erasures.jsonl, line {len(rows) + 1}", total + len(raw)
                if not raw.endswith(b"\n") or len(raw) > 2 * MIB or total > 4096 * MIB:
                    raise Form(f"{what}: it is not closed by a line feed, or too long")
                row = members(parse_json(raw[:-1], what), what, {"index": number, "entry": blob, "proof": PROOF})
                if rows and row["index"] <= rows[-1]["index"]:
                    raise Form(f"{what} stands out of order")
                rows.append(row)
    except Form as e:
        report.add("inconclusive", str(e))
        out.whole = False
    except OSError as e:
        report.add("inconclusive", f"erasures.jsonl: {e.strerror}")
        out.whole = False
    law = Law()
    for row in rows:
        try:
            erasure = judge_erasure(row, law, pack, history, checkpoint)
            if erasure is not None:
                out.good.append(erasure)
        except Fault as f:
            report.add(f.finding, f"erasures.jsonl: {f.detail}", row["index"])
            out.refused.add(row["index"])
    return out


def judge_erasure(row, law, pack, history, checkpoint):
    """An erasure or expiry that the checkpoint covers and the keys in force carry, with
    the law that stands at it. None for what the law itself is made of."""
    if history is None or checkpoint is None:
        raise Fault("inconclusive", "without a checkpoint and its keys nothing says that it was recorded")
    entry = Entry(row["entry"])
    if entry.kind != CONTROL or entry.code not in NAMES or entry.index != row["index"]:
        raise Fault("malformed_entry", "it is no erasure at its index, and nothing that governs one")
    st, name = Statement(entry), NAMES[entry.code]
    if inclusion_root(leaf_hash(row["entry"]), entry.index, checkpoint.size, row["proof"]) != checkpoint.root:
        raise Fault("root_mismatch", "the entry and its proof do not lead to the checkpoint's root")
    eraser = ERASER if any(k.roles & ERASER and k.first <= entry.index for k in history.keys) else OPERATOR
    due = {EXPIRE_TYPE: LEDGER, HOLD_TYPE: OPERATOR, RELEASE_TYPE: OPERATOR}.get(st.type, eraser)
    history.signed(st, entry.index, due, f"the {name}")
    if st.ledger != history.ledger:
        raise Fault("wrong_ledger", "it was signed for another ledger")
    try:
        if st.type not in (ERASE_TYPE, EXPIRE_TYPE):
            law.take(entry, st, due)
            return None
        erasure = Erasure(entry, st)
    except Form as e:
        raise Fault("malformed_entry", f"the {name}: {e}", entry.index) from None
    if erasure.role != due:
        raise Fault("unauthorised_control", f"it says that the role {ROLES[erasure.role]} signs it; there that was {ROLES[due]}")
    if st.size > entry.index or erasure.ranges[-1][1] > st.size:
        raise Fault("unauthorised_control", "it selects what its signer cannot have seen")
    if erasure.tag != pack["tag"]:
        raise Fault("unauthorised_control", "it erases entries of another workspace")
    erasure.rules, erasure.holds = law.rules, law.holds
    return erasure


def settle_erasures(erasures, slots, pack, report):
    """Checks 37 and 38: that what they select is what their signer saw, and that rules and
    holds let it go; and what they took."""
    lines = list(slots.values())
    if len(slots) != pack["last"] - pack["first"] + 1 or any(line.altered or line.fault for line in lines):
        return  # what is selected may be what is not here
    by_index = {slots[position].entry.index: slots[position] for position in sorted(slots)}
    low, high = min(by_index), max(by_index)
    for e in erasures.good:
        hashed = hashlib.sha256(b"annals/selection/v1\0" + pack["ledger"] + e.tag)
        fault, outside = None, False
        for index in (i for first, behind in e.ranges for i in range(first, behind)):
            line = by_index.get(index)
            if not low <= index <= high:
                outside = True
            elif line is None:
                fault = f"entry {index}, which it selects, is none of the workspace's"
                break
            elif line.entry.kind not in (RECORD, CONFLICT, REJECTION) and not (
                    line.entry.kind == CONTROL and line.entry.code in (4, 6, 7, 9, 10, 11, 12)):
                fault = f"entry {index}, which it selects, is not erased by itself"
                break
            else:
                hashed.update(struct.pack(">Q", index) + line.leaf)
                forbidden = None if e.unlawful else e.forbidden(line.entry)
                if forbidden is not None:
                    e.unlawful = True  # the first entry is enough
                    report.add(forbidden[0], f"control entry {e.index} {forbidden[1]}", e.index)
        if fault is None and not outside and hashed.digest() != e.leaves:
            fault = "the entries that it selects are not those that its signer saw"
        if fault is not None:
            report.add("unauthorised_control", f"the erasure in entry {e.index}: {fault}", e.index)
        elif e.taken and e.expires:
            report.notice("expired", f"control entry {e.index} let expire what {e.taken} of the workspace's entries held, "
                          f"under the rule in entry {e.rule}", e.index)
        elif e.taken:
            reason = REASONS[e.reason] if e.reason < len(REASONS) else f"reason {e.reason}"
            report.notice("erased", f"control entry {e.index}, signed by the {ROLES[e.role]}, erased what {e.taken} "
                          f"of the workspace's entries held: {reason}", e.index)


def place(lines, pack, whole_file, report):
    """Which line is which position: {position: line} (8 to 11)."""
    named = {line.previous_here for line in lines}
    claims, slots, over = {}, {}, []
    for line in lines:
        claims.setdefault(line.position, []).append(line)
    for position, rivals in claims.items():
        if position is None or not pack["first"] <= position <= pack["last"]:
            over += rivals
            continue
        best = next((r for r in rivals if r.proven or r.leaf in named), rivals[0])
        slots[position] = best
        over += [r for r in rivals if r is not best]
    held = {line.leaf for line in slots.values()}
    for line in sorted(over, key=lambda line: line.number):
        position = pack["first"] + line.number
        if line.leaf in held:
            report.add("reordered", f"line {line.number + 1} of entries.jsonl repeats another", line.index)
        elif position <= pack["last"] and position not in slots:
            slots[position] = line
            held.add(line.leaf)
        else:
            report.add("trailing_bytes", f"line {line.number + 1} of entries.jsonl stands for no position of the pack", line.index)
    highest, want = -1, pack["first"]
    for position, line in sorted(slots.items(), key=lambda slot: slot[1].number):
        if position < highest:
            report.add("reordered", f"line {line.number + 1} of entries.jsonl stands behind a later one", line.index)
            break
        highest = position
    for position, line in sorted(slots.items()):
        if position != want:
            report.add("missing_entry", f"{position - want} entries from position {want} on are not in the pack", line.index)
        want = position + 1
    if want <= pack["last"] and whole_file:
        report.add("truncated", f"the pack is said to go to position {pack['last']} and ends before {want}")
    return slots


def check_chain(slots, head, report):
    """From the last position down, who proves whom (12 to 17)."""
    for position in sorted(slots, reverse=True):
        line, after = slots[position], slots.get(position + 1)
        wanted = after.previous_here if after is not None and not after.altered else None
        by_head = wanted is None and head is not None and position == head.count - 1
        if by_head:
            wanted = head.leaf
        if wanted is None:
            if line.proven is False:
                line.altered = True
                report.add("root_mismatch", "this entry and its proof do not lead to the checkpoint's root", line.index)
        elif line.leaf == wanted:
            if line.proven is False:
                report.add("tree_damaged", "the entry is right, the proof that comes with it is not", line.index)
        elif not line.proven:
            line.altered = True
            report.add("altered_entry", f"position {position}: its leaf hash is {line.leaf.hex()}, "
                       f"{'the head' if by_head else 'the entry after it'} names {wanted.hex()}", line.index)
        elif not by_head:
            report.add("workspace_chain_broken", f"position {position + 1} does not name the entry before it", after.index)


def check_entry(position, line, before, pack, history, report):
    """Checks 18 to 25 of one entry; `before` is the entry before it here."""
    e, index = line.entry, line.entry.index
    if index != line.index:
        report.add("reordered", f"line {line.number + 1} of entries.jsonl says that it is entry {line.index}", index)
    if e.position != position:
        report.add("workspace_chain_broken", f"it says position {e.position}, and stands at {position}", index)
    if e.tag != pack["tag"]:
        report.add("workspace_chain_broken", "it has another workspace's tag", index)
    if position == 0 and e.previous_here != first_link(pack["ledger"], e.tag):
        report.add("workspace_chain_broken", "its chain does not begin with this ledger and workspace", index)
    if e.ulid[8:] != index.to_bytes(8, "big") or history is not None and e.ulid[6:8] != history.partition.to_bytes(2, "big"):
        report.add("malformed_entry", "its ULID holds another index or partition", index)
    stamp = e.time // 10**6
    if (e.ms != stamp) != bool(e.flags & 2):
        report.add("clock", f"its ULID says {e.ms} ms, its raw time {stamp} ms, flag bit 1 {e.flags >> 1 & 1}", index)
    if (e.seed == 2**32 - 1) != (index == 0):
        report.add("malformed_entry", "it has a seed number that it cannot have", index)
    if before is None:
        return
    b = before.entry
    if index <= b.index:
        report.add("workspace_chain_broken", f"index {index} after {b.index}", index)
    if (e.epoch, e.sequence, e.place) <= (b.epoch, b.sequence, b.place):
        report.add("reordered", "it stands before the entry before it in the stream", index)
    if e.ms < b.ms:
        report.add("clock", f"its ULID says {e.ms} ms, after {b.ms} ms", index)
    if index and e.seed < b.seed and b.index:
        report.add("malformed_entry", f"seed {e.seed} after {b.seed}", index)
    if index == b.index + 1:
        check_neighbours(e, b, before.leaf, report)


def check_neighbours(e, b, leaf, report):
    """What holds between an entry and the one right before it (22, 24)."""
    if e.previous != leaf:
        report.add("altered_entry", "it does not name the leaf hash of the entry before it", e.index)
    if e.ms > e.time // 10**6 and e.ms != b.ms:
        report.add("clock", f"its ULID says {e.ms} ms: neither its own time nor that of the entry before it", e.index)
    if b.place + 1 < b.count:
        due = (b.epoch, b.sequence, b.place + 1)
    else:
        due = (b.epoch, b.sequence + 1, 0)
    if (e.epoch, e.sequence, e.place) != due or (due[2] and e.count != b.count):
        report.add("hole", f"sequence {e.sequence}, place {e.place} follow on sequence {b.sequence}, place {b.place}", e.index)


def check_original(line, by_index, first_index, report):
    """Of a duplicate or conflict: its original (27, 30)."""
    e = line.entry
    original = by_index.get(e.ref)
    if original is None:
        if e.ref > first_index:
            report.add("false_duplicate", f"its original, entry {e.ref}, is none of this workspace's", e.index)
        return
    if original.entry is None or original.altered:
        return
    if original.entry.kind != RECORD:
        report.add("false_duplicate", f"its original, entry {e.ref}, is no record", e.index)
    elif line.committed and original.committed and e.code != 2:
        same = line.record is not None and line.record == original.record and (
            not line.binary or line.attributes == original.attributes)
        if same != (e.kind == DUPLICATE):
            report.add("false_duplicate", f"it is {'the same as' if same else 'not the same as'} its original, entry {e.ref}", e.index)


def check_payload(line, pack, report):
    """Checks 28, 29 and 36."""
    index = line.entry.index
    if line.erased is not None:
        report.add("erasure_incomplete", f"control entry {line.erased.index} erases it, and what was published is still shown", index)
    elif not line.committed:
        report.add("altered_payload", "salt, envelope and body are not what the entry commits to", index)
    elif line.subject is None:
        report.add("malformed_entry", "the envelope is none", index)
    elif line.subject.split(".")[1:2] != [pack["workspace"]]:
        report.add("workspace_chain_broken", f"its subject {shown(line.subject)} is not the workspace's "
                   f"{shown(pack['workspace'])}", index)


def check_gone(line, erasures, report):
    """Check 35 of a line without a payload."""
    if line.gone is not None and not erasures.explains(line.gone, line.entry):
        report.add("payload_missing", f"its payload is said to be gone by control entry {line.gone}, and no erasure there covers it",
                   line.entry.index)


def check_entries(lines, whole_file, pack, history, head, mark, erasures, report):
    """Checks 8 to 38, on the lines of entries.jsonl."""
    for line in lines:
        line.erased = None if line.entry is None else erasures.by(line.entry)
        if line.erased is not None and not line.has_payload:
            line.erased.taken += 1
    slots = place(lines, pack, whole_file, report)
    check_chain(slots, head, report)
    by_index = {line.index if line.entry is None else line.entry.index: line for line in slots.values()}
    first_index = min((line.index for line in slots.values()), default=0)
    before, sound = None, []
    for position in sorted(slots):
        line = slots[position]
        if line.altered:
            continue
        if line.fault is not None:
            report.add(line.fault.finding, line.fault.detail, line.index)
            continue
        e = line.entry
        sound.append(line)
        check_entry(position, line, before, pack, history, report)
        before = line
        if e.kind in (CONTROL, GAP):
            report.add("unsupported", "the system's chain is in no pack: it is audited whole", e.index)
        if line.has_payload:
            check_payload(line, pack, report)
        else:
            check_gone(line, erasures, report)
        if e.kind in (DUPLICATE, CONFLICT):
            check_original(line, by_index, first_index, report)
    settle_erasures(erasures, slots, pack, report)
    for signed in (head, mark):
        if signed is not None:
            check_against(signed, sound, report)
    if head is not None:
        beyond = [line.entry for line in sound if line.entry.position >= head.count and line.entry.index >= head.size]
        if beyond:
            report.add("tail_unproven", f"from position {head.count} on, no head covers the entries", beyond[0].index)
        if head.count - 1 > pack["last"]:
            report.notice("goes_on", f"the workspace goes on to position {head.count - 1}, among the first {head.size} entries of the ledger")
    report.entries, report.payloads = len(lines), sum(line.has_payload for line in lines)
    if lines and report.payloads == 0:
        report.notice("name_unproven", f"no payload is there whose subject names workspace {shown(pack['workspace'])}: "
                      "that this chain is its own is the word of who made the pack")
    if whole_file and report.payloads != pack["payloads"]:
        report.add("payload_missing" if report.payloads < pack["payloads"] else "trailing_bytes",
                   f"the pack is said to have {pack['payloads']} payloads, and has {report.payloads}")


# --- The pack --------------------------------------------------------------

NEEDED = {"pack.json": 2 * MIB, "checkpoint": 2 * MIB, "keys.json": 64 * MIB, "head.json": 2 * MIB, "entries.jsonl": 0}
OTHERS = {"README.txt", "REPORT.html", "verify.py", "catalogue.json", "erasures.jsonl"}


def open_file(folder, name):
    path = os.path.join(folder, name)
    if not os.path.lexists(path):
        raise Form(f"the pack has no {name}")
    if not os.path.isfile(path):
        raise Form(f"{name} is no file")
    return open(path, "rb")


def read_file(folder, name):
    try:
        with open_file(folder, name) as f:
            data = f.read(NEEDED[name] + 1)
    except OSError as e:
        raise Fault("inconclusive", f"{name}: {e.strerror}") from None
    except Form as e:
        raise Fault("inconclusive", str(e)) from None
    if len(data) > NEEDED[name]:
        raise Fault("inconclusive", f"{name} is too large")
    return data


def read_form(folder, name, parse):
    try:
        return parse(read_file(folder, name))
    except Form as e:
        raise Fault("inconclusive", str(e)) from None


def read_pack_file(data):
    value = parse_json(data, "pack.json")
    if type(value) is dict and type(value.get("format")) is str and value["format"] != "annals/pack/v1":
        raise Fault("unsupported", f"the pack's format is {shown(value['format'])}")
    m = members(value, "pack.json", {
        "format": string, "origin": string, "ledger": hexadecimal, "workspace": string, "tag": digest, "first": number,
        "last": number, "selection": string, "payloads": number, "created": string})
    if m["first"] > m["last"]:
        raise Form("pack.json: first is above last")
    return m


def verify(folder, vkey, policy=None):
    """The report on the pack in this folder."""
    report = Report()
    try:
        strangers = sorted(set(os.listdir(folder)) - set(NEEDED) - OTHERS)
    except OSError as e:
        report.add("inconclusive", f"{shown(folder)}: {e.strerror}")
        return report
    if strangers:
        report.notice("foreign_file", "not of the pack, and not looked at: " + ", ".join(map(shown, strangers[:10])))
    if vkey is None:
        report.notice("key_from_ledger", "no --key was given: the key came from the pack, so this proves only that the pack agrees with itself")

    pack = report.attempt(read_form, folder, "pack.json", read_pack_file)
    if pack is None:
        return report
    keys = report.attempt(read_form, folder, "keys.json", read_key_file)
    history = report.attempt(fold_keys, keys, report) if keys else None
    if history is not None:
        report.ledger = history.ledger
        for index, c in history.noted:
            report.notice("key_revoked" if c.reason else "keys_changed", f"control entry {index} "
                          f"{'revokes a key' if c.reason else 'changes the keys'}: {len(c.removed)} go, {len(c.added)} come", index)
        if (pack["ledger"], pack["origin"]) != (history.ledger, history.origin):
            report.add("wrong_ledger", f"pack.json says ledger {pack['ledger'].hex()} of {shown(pack['origin'])}, the genesis "
                       f"{history.ledger.hex()} of {shown(history.origin)}")
    note = report.attempt(read_file, folder, "checkpoint")
    checkpoint = None
    if history is not None and note is not None:
        checkpoint = report.attempt(open_checkpoint, note, history, report, "the checkpoint")
    if history is not None:
        retired = None
        if checkpoint is not None:
            check_key_proofs(keys, history, checkpoint, report)
            retired = report.attempt(open_retired, keys, history, checkpoint, report)
        report.attempt(same_checkpoint, keys["checkpoint"], checkpoint, history, report, "the checkpoint in keys.json")
        if vkey is not None:
            report.attempt(trust, vkey, history, checkpoint, retired or [])
    if checkpoint is not None and policy is not None:
        report.attempt(policy.judge, note, report)
    if checkpoint is not None:
        report.root, report.size = checkpoint.root, checkpoint.size
    head, mark = check_heads(folder, pack, history, checkpoint, report)
    if history is not None:
        pack["ledger"] = history.ledger  # if they differ, that was found
    lines, whole_file = read_lines(folder, pack, checkpoint, report)
    erasures = read_erasures(folder, pack, history, checkpoint, report)
    check_entries(lines, whole_file, pack, history, head, mark, erasures, report)
    return report


def check_heads(folder, pack, history, checkpoint, report):
    """Head and mark of head.json, where they hold."""
    m = None
    if os.path.lexists(os.path.join(folder, "head.json")):
        m = report.attempt(read_form, folder, "head.json", read_head_file)
    if m is None:
        report.add("tail_unproven", "the pack has no head.json that says where the workspace ends")
    if m is None or history is None:
        return None, None
    if (m["workspace"], m["tag"]) != (pack["workspace"], pack["tag"]):
        report.add("workspace_chain_broken", "head.json is another workspace's")
    head = report.attempt(open_head, m["head"], history, pack["tag"], checkpoint)
    report.attempt(same_checkpoint, m["checkpoint"], checkpoint, history, report, "the checkpoint in head.json")
    mark = None
    if "mark" in m:
        mark = report.attempt(open_mark, m["mark"], pack["tag"], m["checkpoint"], history, checkpoint, head)
    return head, mark


# --- The command -----------------------------------------------------------


def print_report(report, as_json, self_only):
    faults = report.ranked()
    verdict = faults[0].finding if faults else "clean"
    said = f"{verdict}: findings in all: {len(faults)}"
    if not faults:
        said = (f"clean: {report.entries} entries and {report.payloads} payloads are what was recorded, in the ledger whose "
                f"checkpoint has {report.size} entries" + ("; but no key was given" if self_only else ""))
    if as_json:
        print(json.dumps({
            "verdict": verdict,
            "findings": [dict({"finding": f.finding, "detail": f.detail}, **({} if f.index is None else {"index": f.index}))
                         for f in faults[:100]],
            "total": len(faults), "notices": report.notices,
            "first_bad_index": min((f.index for f in faults if f.index is not None), default=None),
            "ledger": report.ledger and report.ledger.hex(), "root": report.root and report.root.hex(),
            "size": report.size, "entries": report.entries, "payloads": report.payloads, "sentence": said}))
    else:
        print(said)
        for f in faults[:20]:
            print(f"  {'' if f.index is None else f'entry {f.index}: '}{f.finding}: {f.detail}")
        if len(faults) > 20:
            print(f"  and {len(faults) - 20} more; -o json lists the first hundred")
        for note in report.notices:
            print(f"notice: {note['detail']}" + (f" (entry {note['index']})" if "index" in note else ""))
    return CODE.get(verdict, 0)


def vkey_argument(text):
    try:
        return parse_vkey(text)
    except Form as e:
        raise argparse.ArgumentTypeError(f"{shown(text)} is no verifier key: {e}") from None


def policy_argument(path):
    try:
        with open(path, "rb") as f:
            return Policy(f.read(MIB + 1))
    except OSError as e:
        raise argparse.ArgumentTypeError(f"{shown(path)}: {e.strerror}") from None
    except Form as e:
        raise argparse.ArgumentTypeError(f"{shown(path)} is no policy: {e}") from None


def main(args):
    parser = argparse.ArgumentParser(prog="python3 verify.py", description=__doc__, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--key", metavar="VKEY", type=vkey_argument, help="the ledger's verifier key, from elsewhere")
    parser.add_argument("--policy", metavar="FILE", type=policy_argument, help="the witnesses that must have cosigned")
    parser.add_argument("-o", metavar="FORMAT", choices=["text", "json"], help="json: one object for scripts")
    parser.add_argument("dir", metavar="DIR", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
    said = parser.parse_args(args)  # exits with 2 on a wrong call
    try:
        report = verify(said.dir, said.key, said.policy)
    except Exception as e:  # a pack must not be able to end this in any other way
        report = Report()
        report.add("inconclusive", f"verify.py failed on this pack, which is a defect of verify.py: {type(e).__name__}: {e}")
    return print_report(report, said.o == "json", said.key is None)


if __name__ == "__main__":
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main(sys.argv[1:]))
