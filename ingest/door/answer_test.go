package door

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"annals/activity"
	"annals/internal/access"
	"annals/ledger/proof"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

// What is printed by hand is what the library prints, byte for byte; whatever else an
// item says is left to the library.
func TestAppendAcceptedIsTheLibrarys(t *testing.T) {
	by := map[bool]int{}
	pointer, index := "/id", uint64(7)
	others := []Fate{
		{Status: rejected, Code: "empty", Pointer: &pointer, Detail: "d"},
		{Status: unknown, ID: "e"},
		{Status: accepted, ID: "e"},
		{Status: recorded, ID: "e", Index: &index, Ref: &OtherEntry{Index: 3}, ULID: "U", Kind: "record", EntryHash: "h"},
		{Status: accepted, Grade: proof.Accepted, ID: "e", Sequence: &index, Place: new(uint16), Receipt: "r"},
		{Status: accepted, ID: "e", Sequence: &index, Place: new(uint16), Doubts: &[]Doubt{{"unreadable_date", "/occurred_at", "d"}}},
	}
	rapid.Check(t, func(t *rapid.T) {
		items := make([]Fate, rapid.IntRange(1, 3).Draw(t, "items"))
		plain := true
		for i := range items {
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				items[i] = rapid.SampledFrom(others).Draw(t, "other")
				plain = false
				continue
			}
			sequence, place := rapid.Uint64().Draw(t, "sequence"), rapid.Uint16().Draw(t, "place")
			items[i] = Fate{
				Status: accepted, Grade: rapid.SampledFrom([]proof.Grade{proof.Accepted, ""}).Draw(t, "grade"),
				ID: rapid.StringN(1, 12, -1).Draw(t, "id"), Sequence: &sequence, Place: &place, named: rapid.Bool().Draw(t, "named"),
			}
		}
		got, ok := appendAccepted(nil, items)
		if ok != plain {
			t.Fatalf("printed by hand: %t", ok)
		}
		by[ok]++
		want, err := json.Marshal(Answer{items})
		if err != nil {
			t.Fatal(err)
		}
		if ok && string(got) != string(want) {
			t.Fatalf("%s\nis not\n%s", got, want)
		}
	})
	if by[true] == 0 || by[false] == 0 {
		t.Errorf("printed by hand %d times, and %d times not", by[true], by[false])
	}
	// What is no UTF-8 is for the library to refuse.
	sequence, place := uint64(1), uint16(0)
	if _, ok := appendAccepted(nil, []Fate{{Status: accepted, ID: "\xff", Sequence: &sequence, Place: &place}}); ok {
		t.Error("an id that is no UTF-8 was printed")
	}
}

// TestDoubts: a record whose date nobody can read is recorded, and who sent it is told: it
// will stand in timelines where it was recorded, and not where it happened.
func TestDoubts(t *testing.T) {
	record := func(more string) []byte { return []byte(`{"type":"a.b","actor":{"type":"user","id":"u"}` + more + `}`) }
	b := newBatch("ws_7", [][]byte{
		record(""),
		record(`,"occurred_at":"2026-01-01T10:00:00.5+01:00","amends":"01KA2B3C4D0000000000000005"`),
		record(`,"occurred_at":"2026-01-01 10:00:00"`),
		record(`,"amends":"evt-1","occurred_at":"yesterday"`),
		[]byte(`{"type":"a.b","occurred_at":"yesterday"}`),
	}, false, vouching(activity.Door{}, &access.Principal{}, anyID))
	var got []string
	for _, item := range b.items {
		said := ""
		if item.Doubts != nil {
			for _, d := range *item.Doubts {
				said += string(d.Code) + " " + d.Pointer + ";"
			}
		}
		got = append(got, item.Status+" "+said)
	}
	want := []string{"unknown ", "unknown ", "unknown unreadable_date /occurred_at;", "unknown unreadable_date /occurred_at;unreadable_amends /amends;", "rejected "}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for i, frame := range b.frames[:4] {
		if frame == nil {
			t.Errorf("record %d is not published", i)
		}
	}
}

// TestAnswersSayTheirLength: whoever sets it, an answer says how long it is, over both
// versions of HTTP, and is not cut into chunks.
func TestAnswersSayTheirLength(t *testing.T) {
	for _, version := range []int{1, 2} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n, _ := strconv.Atoi(r.URL.RawQuery)
			_ = write(w, http.StatusAccepted, bytes.Repeat([]byte{'a'}, n))
		}))
		server.EnableHTTP2 = version == 2
		server.StartTLS()
		t.Cleanup(server.Close)
		for _, n := range []int{2, shortBody - 1, shortBody, shortBody + 1, 64 << 10} {
			res, err := server.Client().Get(server.URL + "?" + strconv.Itoa(n))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if said := res.Header.Get("Content-Length"); res.ProtoMajor != version || err != nil || said != strconv.Itoa(n) || len(body) != n || len(res.TransferEncoding) > 0 {
				t.Errorf("HTTP/%d: %d bytes came of %d, their length is %q, in %v (%v)", res.ProtoMajor, len(body), n, said, res.TransferEncoding, err)
			}
		}
	}
}
