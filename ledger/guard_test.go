package ledger_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/chain/chaintest"
)

// TestConditionDoesNotDependOnTheCut folds a seed that was signed for a state
// shortly before it, once message by message and once in one append: a replica
// that catches up gives the verdict of one that was there.
func TestConditionDoesNotDependOnTheCut(t *testing.T) {
	for name, wrong := range map[string]bool{"the right root": false, "another root": true} {
		t.Run(name, func(t *testing.T) {
			s := chaintest.New("cut")
			for i := range 3 {
				s.Record("ws_1", fmt.Sprint("e", i), "1")
			}
			live := create(t, s, ledger.Options{})
			defer live.Close()
			for i := range s.Messages[2:] {
				upTo := *s
				upTo.Messages = s.Messages[:i+3]
				appendAll(t, live, &upTo, anyOrder(1))
			}
			head := live.Head()
			if wrong {
				head.Root[0] ^= 1
			}
			secret := chaintest.Secret("conditional")
			commitment := chain.SeedCommitment(1, secret)
			s.Publish(chain.ControlSeed.Subject(), string(chain.SealControl(chain.Statement{
				Ledger: s.ID, Number: s.Control, Type: chain.ControlSeed, Size: head.Size, Root: head.Root,
				Body: append(binary.BigEndian.AppendUint32(nil, 1), commitment[:]...),
			}, secret[:], s.Keeper)))
			s.Record("ws_1", "after", "1")
			appendAll(t, live, s, anyOrder(1))
			late := create(t, s, ledger.Options{})
			defer late.Close()
			if err := late.Append(t.Context(), s.Messages[2:]); err != nil {
				t.Fatal(err)
			}
			if err := late.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if live.Head().Root != late.Head().Root {
				t.Fatal("the two replicas have different roots")
			}
			leaf, _, err := late.Get(5)
			if err != nil {
				t.Fatal(err)
			}
			if accepted := leaf.Entry.Kind == chain.KindControl; accepted == wrong {
				t.Fatalf("the seed is a %s", leaf.Entry.Kind)
			}
		})
	}
}

// TestLostPayloadStops: without the original's payload, a repeat can't be
// compared. A replica that has lost it stops, rather than write another entry
// than the others.
func TestLostPayloadStops(t *testing.T) {
	s := chaintest.New("lost")
	s.Record("ws_1", "same", "1")
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := pebble.Open("ledger", &pebble.Options{FS: fs, Logger: quiet{}, FormatMajorVersion: pebble.FormatValueSeparation})
	if err != nil {
		t.Fatal(err)
	}
	store{t, db}.remove(payloadKey(2))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s.Record("ws_1", "same", "1")
	if l, err = ledger.Open("ledger", ledger.Options{FS: fs}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.Append(t.Context(), s.Messages[3:]); err != nil {
		t.Fatal(err)
	}
	var damage *ledger.DamageError
	if err := l.Flush(t.Context()); !errors.As(err, &damage) {
		t.Fatalf("got %v, want a DamageError", err)
	}
	if l.Head().Size != 3 {
		t.Fatalf("recorded on: %d entries", l.Head().Size)
	}
}

// unlisted is a disk that can't list one folder.
type unlisted struct {
	vfs.FS
	dir string
}

func (u unlisted) List(dir string) ([]string, error) {
	if dir == u.dir {
		return nil, syscall.EMFILE
	}
	return u.FS.List(dir)
}

// TestAFolderThatCantBeListedIsNotAbsent: neither verb takes it for empty, least
// of all the one that would make a new ledger there.
func TestAFolderThatCantBeListedIsNotAbsent(t *testing.T) {
	s := chaintest.New("unlisted")
	s.Record("ws_1", "a", "1")
	fs := vfs.NewMem()
	l := create(t, s, ledger.Options{FS: fs})
	appendAll(t, l, s, anyOrder(1))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	blind := ledger.Options{FS: unlisted{fs, "ledger"}}
	if _, err := ledger.Open("ledger", blind); err == nil || errors.Is(err, ledger.ErrNoLedger) {
		t.Errorf("Open: %v", err)
	}
	if _, err := ledger.Create("ledger", s.Messages[0], s.Messages[1], blind); err == nil {
		t.Error("Create made a ledger where one was")
	}
	l, err := ledger.Open("ledger", ledger.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if got := l.Head().Size; got != 3 {
		t.Fatalf("the ledger of 3 entries has %d", got)
	}
}

// TestLineFeeds: a small message of a thousand empty lines becomes a thousand
// entries; what is in flight is bounded by what messages become.
func TestLineFeeds(t *testing.T) {
	s := chaintest.New("lines")
	const messages = 200
	for range messages {
		s.Publish("activity.ws_1._", strings.Repeat("\n", 1024), "Content-Type", chain.NDJSON)
	}
	if weight := ledger.SizeOf(s.Messages[2:]); weight < messages*1024*1024/2 && weight < ledger.MaxInFlight {
		t.Fatalf("%d messages of 1,024 lines weigh %d bytes", messages, weight)
	}
	l := create(t, s, ledger.Options{})
	defer l.Close()
	appendAll(t, l, s, anyOrder(1))
	if got, want := l.Head().Size, uint64(2+messages*1024); got != want {
		t.Fatalf("%d entries, want %d", got, want)
	}
}

// TestAnAuditChangesNothing: to verify a folder leaves every file as it was.
func TestAnAuditChangesNothing(t *testing.T) {
	s := crashStream()
	mem := vfs.NewCrashableMem()
	var crashed *vfs.MemFS
	record(t, s, mem, 2, func(op int64, _ uint64) error {
		if op == 120 {
			crashed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: anyOrder(1)})
		}
		return nil
	})
	names, err := crashed.List("ledger")
	if err != nil {
		t.Fatal(err)
	}
	source, err := ledger.OpenForAudit("ledger", ledger.Options{FS: crashed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := crashed.List("ledger")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	slices.Sort(after)
	if !slices.Equal(names, after) {
		t.Fatalf("before: %v\nafter: %v", names, after)
	}
}
