"""A ledger and its packs, made from docs/format alone for the tests of verify.py.

Every secret is SHA256("annals test " + name), as in docs/format/vectors.md.
"""

import base64
import hashlib
import hmac
import importlib.util
import json
import os
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("verify", os.path.join(HERE, "..", "..", "verify.py"))
verify = importlib.util.module_from_spec(spec)
spec.loader.exec_module(verify)

START = 1767323045 * 10**9  # 2026-01-02T03:04:05Z
NONE = 2**64 - 1
CHECKPOINT, HEADS = verify.CHECKPOINT, verify.HEADS


def secret(name):
    return hashlib.sha256(b"annals test " + name.encode()).digest()


def b64(data):
    return base64.b64encode(data).decode()


def len16(data):
    return struct.pack(">H", len(data)) + data


def len32(data):
    return struct.pack(">I", len(data)) + data


class Signer:
    """An Ed25519 key (RFC 8032, 5.1.5 and 5.1.6)."""

    def __init__(self, seed):
        h = hashlib.sha512(seed).digest()
        self.a = int.from_bytes(h[:32], "little") & (2**254 - 8) | 2**254
        self.prefix = h[32:]
        self.public = verify.encoding(verify.times(verify.BASE, self.a))
        self.id = hashlib.sha256(b"annals/key/v1\0\x01" + self.public).digest()

    def sign(self, message):
        def scalar(*parts):
            return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % verify.L
        r = scalar(self.prefix, message)
        encoded = verify.encoding(verify.times(verify.BASE, r))
        s = (r + scalar(encoded, self.public, message) * self.a) % verify.L
        return encoded + s.to_bytes(32, "little")

    def vkey(self, name):
        return f"{name}+{verify.key_hash(name, 1, self.public).hex()}+{b64(bytes([1]) + self.public)}"

    def line(self, name, text):
        return f"\u2014 {name} {b64(verify.key_hash(name, 1, self.public) + self.sign(text.encode()))}\n"

    def named(self, roles):
        return b"\1" + len16(self.public) + struct.pack(">H", roles)


class Tree:
    """The tree over leaf hashes (RFC 6962, 2.1)."""

    def __init__(self):
        self.leaves, self.known = [], {}

    def root(self, lo, hi):
        if hi - lo == 1:
            return self.leaves[lo]
        if (lo, hi) not in self.known:
            mid = lo + self.split(hi - lo)
            self.known[lo, hi] = verify.node_hash(self.root(lo, mid), self.root(mid, hi))
        return self.known[lo, hi]

    @staticmethod
    def split(n):
        return 1 << (n - 1).bit_length() - 1

    def path(self, index, lo, hi):
        if hi - lo == 1:
            return []
        mid = lo + self.split(hi - lo)
        if index < mid:
            return self.path(index, lo, mid) + [self.root(mid, hi)]
        return self.path(index, mid, hi) + [self.root(lo, mid)]

    def consistency(self, m, lo, hi, whole=True):
        if m == hi - lo:
            return [] if whole else [self.root(lo, hi)]
        k = self.split(hi - lo)
        if m <= k:
            return self.consistency(m, lo, lo + k, whole) + [self.root(lo + k, hi)]
        return self.consistency(m - k, lo + k, hi, False) + [self.root(lo, lo + k)]


class Ledger:
    def __init__(self, origin="annals.example/fixture", keys=None):
        self.origin, self.tree, self.entries, self.payloads = origin, Tree(), [], []
        self.chains, self.heads, self.sequence, self.number = {}, {}, 0, 0
        self.signers = {n: Signer(secret(n)) for n in ("root", "ledger", "operator", "checkpoint", "heads", "next", "third")}
        self.workspace_key, self.seed_number = secret("workspace key"), None
        self.retired = []
        s = self.signers
        # (Signer, roles, from, to), in the order of naming.
        self.keys = [[s["root"], 1, 1, None], [s["ledger"], 2, 1, None], [s["operator"], 4, 1, None],
                     [s["checkpoint"], 16, 1, None], [s["heads"], 32, 1, None]]
        body = (len16(origin.encode()) + len16(b"ANNALS") + struct.pack(">QQHHB", START, 1, 0, 1, 0) + secret("nonce " + origin)
                + hashlib.sha256(b"annals/wskey/v1\0" + self.workspace_key).digest()
                + bytes([len(self.keys)]) + b"".join(k.named(roles) for k, roles, _, _ in self.keys) + b"\0")
        self.ledger = hashlib.sha256(b"annals/ledger/v1\0" + body).digest()
        self.seed = self.workspace_key
        self.control(1, body, ["root"], ledger=bytes(32), private=self.workspace_key)
        self.add_seed(0)

    # Entries.

    def tag(self, workspace):
        if workspace == "_system":
            return bytes(32)
        return hmac.new(self.workspace_key, b"annals/workspace/v1\0" + workspace.encode(), "sha256").digest()

    def append(self, kind, grade, flags, code, workspace, subject, body, ref=NONE, tail=b"", place=0, count=1, epoch=0,
               time=None, change=None):
        index, tag = len(self.entries), self.tag(workspace)
        if place == 0:
            self.sequence += 1
        position, _, here = self.heads.get(tag, (0, 0, hashlib.sha256(b"annals/wschain/v1\0" + self.ledger + tag).digest()))
        previous = self.tree.leaves[-1] if index else hashlib.sha256(b"annals/chain/v1\0" + self.ledger).digest()
        where = self.ledger + struct.pack(">IQH", epoch, self.sequence, place)
        salt = hmac.new(self.seed, b"annals/salt/v1\0" + where, "sha256").digest()
        envelope = b"\1" + len16(subject.encode()) + b"\0\0"
        commitment = hashlib.sha256(b"annals/payload/v1\0" + salt + where + len32(envelope) + len32(body)).digest()
        ns = START + index * 10**6 if time is None else time
        f = dict(kind=kind, grade=grade, flags=flags, code=code, place=place, count=count, index=index, sequence=self.sequence,
                 ulid=(ns // 10**6).to_bytes(6, "big") + bytes(2) + index.to_bytes(8, "big"), time=ns, epoch=epoch,
                 seed=2**32 - 1 if self.seed_number is None else self.seed_number, ref=ref, position=position,
                 previous=previous, tag=tag, here=here, commitment=commitment, tail=tail)
        f.update(change or {})
        raw = struct.pack(">4sBBHHHHHQQ16sqIIQQ32s32s32s32s", b"anl\1", f["kind"], f["grade"], f["flags"], f["code"],
                          f["place"], f["count"], len(f["tail"]), f["index"], f["sequence"], f["ulid"], f["time"], f["epoch"],
                          f["seed"], f["ref"], f["position"], f["previous"], f["tag"], f["here"], f["commitment"]) + f["tail"]
        leaf = verify.leaf_hash(raw)
        self.entries.append(raw)
        self.payloads.append((salt, envelope, body))
        self.tree.leaves.append(leaf)
        self.heads[tag] = (position + 1, index, leaf)
        self.chains.setdefault(workspace, []).append(index)
        return index

    def control(self, kind, body, by, ledger=None, private=b"", size=0, root=bytes(32), spoil=None, number=None, change=None):
        statement = (b"annals/control/v1\0" + (self.ledger if ledger is None else ledger)
                     + struct.pack(">QHQ", self.number if number is None else number, kind, size) + root + len32(body))
        self.number += 1
        block = bytes([len(by)])
        for name in by:
            signature = self.signers[name].sign(statement)
            if spoil == name:
                signature = signature[:63] + bytes([signature[63] ^ 1])
            block += self.signers[name].id + len16(signature)
        message = b"\1" + len32(statement) + block + len32(private)
        tail = b"\x80\x01" + len16(statement) + b"\x80\x02" + len16(block)
        return self.append(5, 0, 1, kind, "_system", f"annals.control.{kind}", message, tail=tail, change=change)

    def add_seed(self, number):
        self.seed, self.seed_number = secret(f"seed {number}"), number
        commitment = hashlib.sha256(b"annals/seed/v1\0" + struct.pack(">I", number) + self.seed).digest()
        self.control(2, struct.pack(">I", number) + commitment, ["ledger"], private=self.seed)

    def record(self, workspace, body, **more):
        return self.append(1, 2, 1, 0, workspace, f"activity.{workspace}.app.renamed", body.encode(), **more)

    def map(self):
        """The heads map: its leaves' hashes by tag."""
        tags, tree = sorted(self.heads), Tree()
        for tag in tags:
            count, index, leaf = self.heads[tag]
            tree.leaves.append(verify.leaf_hash(b"annals/heads/v1\0" + tag + struct.pack(">QQ", count, index) + leaf))
        return tags, tree

    def mark(self, by="ledger", **more):
        tags, tree = self.map()
        size = len(self.entries)
        body = struct.pack(">q", START + size * 10**6) + tree.root(0, len(tags)) + bytes(40)
        heads = dict(self.heads)
        index = self.control(3, body, [by], size=size, root=self.tree.root(0, size), **more)
        self.marked = index, tags, tree, heads
        return index

    def change_keys(self, reason, removed, added, by, thresholds=b"\0", **more):
        body = (bytes([reason, len(removed)]) + b"".join(self.signers[n].id for n in removed)
                + bytes([len(added)]) + b"".join(self.signers[n].named(roles) for n, roles in added) + thresholds)
        index = self.control(4, body, by, **more)
        for key in self.keys:
            if key[3] is None and any(key[0] is self.signers[n] for n in removed):
                key[3] = index + 1
        self.keys += [[self.signers[n], roles, index + 1, None] for n, roles in added]
        return index

    # Signed statements.

    def checkpoint(self, size, by="checkpoint", root=None):
        text = f"{self.origin}\n{size}\n{b64(root or self.tree.root(0, size))}\n"
        return text + "\n" + self.signers[by].line(self.origin, text)

    def head(self, workspace, size, by="heads", **change):
        chain = [i for i in self.chains[workspace] if i < size]
        m = dict(first="annals/workspace-head/v1", origin=self.origin, tag=b64(self.tag(workspace)), count=len(chain),
                 index=chain[-1], leaf=b64(self.tree.leaves[chain[-1]]), size=size)
        m.update(change)
        text = "".join(f"{v}\n" for v in m.values())
        return text + "\n" + self.signers[by].line(self.origin, text)

    def proof(self, index, size):
        return [b64(h) for h in self.tree.path(index, 0, size)]

    def receipt(self, index, size, checkpoint, parts=0):
        extra = b"annals/receipt/v1\0" + self.ledger + bytes([parts]) + len32(self.entries[index])
        salt, envelope, body = self.payloads[index]
        extra += (salt if parts & 1 else b"") + (len32(envelope) + len32(body) if parts & 2 else b"")
        return "\n".join(["c2sp.org/tlog-proof@v1", "extra " + b64(extra), f"index {index}"] + self.proof(index, size)
                         + ["", checkpoint])

    def key_file(self, size, checkpoint):
        def row(index):
            return {"index": index, "entry": b64(self.entries[index]), "proof": self.proof(index, size)}
        changes = [i for i, e in enumerate(self.entries[:size]) if e[4] == 5 and e[8:10] == b"\0\4"]
        keys = []
        for k, roles, first, to in self.keys:
            if first > size:
                continue
            out = {"id": k.id.hex(), "algorithm": 1, "public": b64(k.public), "from": first,
                   "roles": [n for bit, n in verify.ROLES.items() if roles & bit]}
            if roles & (CHECKPOINT | HEADS):
                out["vkey"] = k.vkey(self.origin)
            if to is not None and to <= size:
                out["to"] = to
            keys.append(out)
        return {"origin": self.origin, "ledger": self.ledger.hex(), "keys": keys, "genesis": row(0),
                "changes": [row(i) for i in changes], "retired": [note for _, note in self.retired],
                "consistency": [[b64(h) for h in self.tree.consistency(m, 0, size)] for m, _ in self.retired],
                "checkpoint": checkpoint}

    def pack(self, workspace, first=0, last=None, payloads=(), size=None, head_size=None, by="checkpoint", heads_by="heads"):
        """The files of a pack: name to JSON value, text, or (entries.jsonl) list of objects."""
        size = size or len(self.entries)
        chain = [i for i in self.chains[workspace] if i < size]
        last = len(chain) - 1 if last is None else last
        checkpoint, lines = self.checkpoint(size, by), []
        for position in range(first, last + 1):
            index = chain[position]
            line = {"index": index, "entry": b64(self.entries[index])}
            if position in (first, last) or position in payloads:
                line["proof"] = self.proof(index, size)
            if position in payloads:
                line["salt"], line["envelope"], line["body"] = map(b64, self.payloads[index])
            lines.append(line)
        head = {"workspace": workspace, "tag": b64(self.tag(workspace)), "checkpoint": checkpoint,
                "head": self.head(workspace, head_size or size, heads_by)}
        if hasattr(self, "marked") and self.marked[0] < size and self.tag(workspace) in self.marked[3]:
            index, tags, tree, heads = self.marked
            at = tags.index(self.tag(workspace))
            count, last_index, leaf = heads[self.tag(workspace)]
            head["mark"] = {"receipt": self.receipt(index, size, checkpoint), "map_size": len(tags), "map_index": at,
                            "map_proof": [b64(h) for h in tree.path(at, 0, len(tags))], "count": count, "index": last_index,
                            "leaf": b64(leaf)}
        return {"pack.json": {"format": "annals/pack/v1", "origin": self.origin, "ledger": self.ledger.hex(),
                              "workspace": workspace, "tag": b64(self.tag(workspace)), "first": first, "last": last,
                              "selection": "all", "payloads": len(payloads), "created": "2026-01-02T03:05:00Z"},
                "checkpoint": checkpoint, "keys.json": self.key_file(size, checkpoint), "head.json": head,
                "entries.jsonl": lines}


def sample(origin="annals.example/fixture"):
    """A ledger with every kind of entry that the tests need, in ws_7 and ws_8."""
    ledger = Ledger(origin)
    a = '{"id":"a","actor":{"id":"u1"},"object":{"id":"o1"}}'
    first = ledger.record("ws_7", a)
    ledger.record("ws_8", a)
    ledger.append(2, 2, 0, 1, "ws_7", "activity.ws_7.app.renamed", a.encode(), ref=first)
    ledger.append(3, 2, 1, 0, "ws_7", "activity.ws_7.app.renamed", b'{"id":"a","actor":{"id":"u2"}}', ref=first)
    ledger.append(4, 0, 1, 6, "ws_7", "activity.ws_7.app.renamed", b"{nonsense")
    ledger.mark()
    for place in range(3):
        ledger.record("ws_7", '{"id":"n%d","actor":{"id":"u1"}}' % place, place=place, count=3)
    ledger.record("ws_8", '{"id":"b","actor":{"id":"u1"}}')
    frame = '{ "record" : {"id":"v","actor":{"id":"u1"}} , "door":{"grade":"verified","producer":"p"}}'
    vouched = ledger.append(1, 4, 1, 0, "ws_7", "vouched.ws_7.app.renamed", frame.encode())
    again = '{"door":{"grade":"verified","producer":"p"},"record":{"id":"v","actor":{"id":"u1"}}}'
    ledger.append(2, 4, 0, 1, "ws_7", "vouched.ws_7.app.renamed", again.encode(), ref=vouched)
    ledger.add_seed(1)
    ledger.record("ws_7", '{"id":"c","actor":{"id":"u1"}}')
    ledger.record("ws_8", '{"id":"d","actor":{"id":"u1"}}')
    return ledger


def vectors():
    """What stands in docs/format/vectors: the pack's files, and those beside it."""
    ledger = sample("annals.example/pack")
    ledger.retired.append((len(ledger.entries), ledger.checkpoint(len(ledger.entries))))
    ledger.change_keys(0, ["checkpoint"], [("next", 16)], ["root", "checkpoint"])
    ledger.record("ws_7", '{"id":"e","actor":{"id":"u1"}}')
    pack = ledger.pack("ws_7", 1, payloads=[1, 2, 9], by="next")
    return pack, {"pack.vkey": ledger.signers["checkpoint"].vkey(ledger.origin) + "\n",
                  "pack.tlog-proof": ledger.receipt(13, len(ledger.entries), pack["checkpoint"], parts=3)}


def write(files, folder):
    """Writes a pack's files; bytes as they are, text in UTF-8, values as JSON."""
    os.makedirs(folder, exist_ok=True)
    for name, value in files.items():
        if name == "entries.jsonl" and isinstance(value, list):
            value = "".join(json.dumps(line) + "\n" for line in value)
        elif isinstance(value, dict):
            value = json.dumps(value, indent=1)
        with open(os.path.join(folder, name), "wb") as f:
            f.write(value if isinstance(value, bytes) else value.encode())
