package disktest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestHolding leaves a text in a store in each way in which its files may hold it, and
// a search of the bytes alone would miss it: it is found, and another is not.
func TestHolding(t *testing.T) {
	const text = "usr-dana-4711"
	set := func(db *pebble.DB, key, value string) {
		if err := db.Set([]byte(key), []byte(value), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	// around stands beside the text: it compresses well, or keys begin as the text does.
	around := func(db *pebble.DB) {
		for i := range 2000 {
			set(db, fmt.Sprintf("key %05d", i), "usr-dana-47 usr-dana-471 r-dana-4711")
			set(db, fmt.Sprintf("usr-dana-471%05d", i*2), "")
		}
	}
	for name, c := range map[string]struct {
		fill func(db *pebble.DB)
	}{
		"a value":        {fill: func(db *pebble.DB) { around(db); set(db, "key 01000x", text) }},
		"a key":          {fill: func(db *pebble.DB) { around(db); set(db, "usr-dana-4711", "") }},
		"a value hidden": {fill: func(db *pebble.DB) { around(db); set(db, "key 00999", text); flush(t, db); set(db, "key 00999", "") }},
		"a range's end": {fill: func(db *pebble.DB) {
			around(db)
			if err := db.DeleteRange([]byte(text), []byte("usr-dana-4712"), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}},
		"nothing": {fill: around},
	} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			db, err := pebble.Open("db", &pebble.Options{FS: fs, FormatMajorVersion: pebble.FormatValueSeparation, DisableWAL: true, DisableAutomaticCompactions: true, Logger: quiet{}})
			if err != nil {
				t.Fatal(err)
			}
			c.fill(db)
			flush(t, db)
			for what, want := range map[string]bool{text: name != "nothing", "usr-erin-4711": false} {
				found, err := Holding(fs, "db", what)
				if err != nil || len(found) > 0 != want {
					t.Errorf("%s is in %v, %v", what, found, err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestHoldingLogs puts a text where a log is cut into chunks, at every place.
func TestHoldingLogs(t *testing.T) {
	const text = "usr-dana-4711"
	for cut := 1; cut < len(text); cut++ {
		for _, header := range chunkHeaders {
			var log bytes.Buffer
			noise := rand.NewChaCha8([32]byte{byte(cut)})
			write := func(n int) {
				b := make([]byte, n)
				_, _ = noise.Read(b)
				log.Write(b)
			}
			write(chunkBlock - cut)
			log.WriteString(text[:cut])
			write(header)
			log.WriteString(text[cut:])
			write(100)
			if bytes.Contains(log.Bytes(), []byte(text)) || !acrossChunks(log.Bytes(), text) {
				t.Fatalf("cut at %d, header of %d bytes: not found", cut, header)
			}
		}
	}
	// And of a log as Pebble writes it.
	fs := vfs.NewMem()
	db, err := pebble.Open("db", &pebble.Options{FS: fs, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 400 {
		if err := db.Set(fmt.Appendf(nil, "%0*d", 1000+i, i), []byte(text), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := Holding(fs, "db", text); err != nil || len(found) == 0 {
		t.Errorf("found in %v, %v", found, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func flush(t *testing.T, db *pebble.DB) {
	t.Helper()
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)           {}
func (quiet) Errorf(string, ...any)          {}
func (quiet) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
