package tamper_test

import (
	"annals/ledger/proof"
)

// tampering is one way of it.
type tampering struct {
	name string
	// governed says that it is done to the ledger of rules, holds and tokens.
	governed bool
	// do changes the ledger, as it will be laid out everywhere.
	do func(b *book)
	// insider says that whoever did it holds the checkpoint key: the checkpoint is
	// of the changed ledger. Else it is the last that was signed honestly.
	insider bool
	// signer signs the checkpoint of the changed ledger instead.
	signer *[32]byte
	// store changes the folder, tiles what a URL serves and an export holds, and
	// packed the evidence pack, each beyond what do did.
	store  func(s store)
	tiles  func(f files)
	packed func(f files)
	// made changes how the evidence pack is made.
	made func(e *evidence)
	// older is a size whose checkpoint is served, and its tiles beside the others.
	older func(honest *book) uint64
	// note changes the checkpoint, wherever it stands.
	note func(note []byte) []byte
	// noteOf makes note for a ledger.
	noteOf func(b *book) func(note []byte) []byte
	// tenant is an entry of the workspace that the pack is of, where at isn't.
	tenant func(honest *book) int
	// knows is what the auditor brings along besides the ledger's id and key.
	knows func(honest *book, k *knowledge)
	// want is the verdict of whoever can see it, and at the first bad index, -1 where
	// no one entry is at fault.
	want proof.Finding
	at   func(honest *book) int
	// other is the verdict where a medium shows the same thing as another one.
	other map[medium]proof.Finding
	// unseen says of each medium that can't show it why not.
	unseen map[medium]string
}

// medium is a way in which a ledger reaches an auditor.
type medium string

const (
	inFolder medium = "folder"
	atURL    medium = "URL"
	inExport medium = "export"
	inPack   medium = "pack"
	// byLog is a log client that knows nothing of Annals, at the URL.
	byLog medium = "log client"
)

// files are the files of a medium by their paths.
type files map[string][]byte

// fixed is an index that doesn't depend on the ledger.
func fixed(i int) func(*book) int { return func(*book) int { return i } }

// nowhere is for what no one entry is at fault for.
var nowhere = fixed(-1)

// changing makes a tampering of a change to one entry's row, found by where.
func changing(name string, where func(b *book) int, change func(b *book, i int), want proof.Finding) tampering {
	return tampering{name: name, do: func(b *book) { change(b, where(b)) }, want: want, at: where}
}

// signed is the same, with every hash made to follow and signed by the real key.
func signed(name string, where func(b *book) int, change func(b *book, i int), want proof.Finding) tampering {
	t := changing(name, where, func(b *book, i int) {
		change(b, i)
		b.relink(i+1, false)
		b.seal()
	}, want)
	t.insider, t.unseen = true, map[medium]string{byLog: noRules}
	return t
}

// tenant makes the pack of another entry's workspace.
func tenant(of func(*book) int, t tampering) tampering {
	t.tenant = of
	return t
}
