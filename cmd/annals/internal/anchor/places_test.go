package anchor

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// accounts are two, so that the ledger's own can't change what the other keeps but
// through its bucket.
const accounts = `
jetstream { store_dir: %q }
accounts {
  LEDGER:  { jetstream: enabled, users: [ { user: ledger, password: l } ] }
  AUDITOR: { jetstream: enabled, users: [ { user: auditor, password: a } ] }
}
`

// TestBucket: a head goes into a bucket of another account, follows on from what
// stands there, and is not written over by who hasn't seen it.
func TestBucket(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, accounts, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", -1, true, true
	s, err := server.NewServer(o)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	defer func() {
		s.Shutdown()
		s.WaitForShutdown()
	}()
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server is not ready")
	}
	address := s.Addr().String()
	spec := "nats://auditor:a@" + address + "/HEADS"
	if _, err := Recall(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "nats kv add") {
		t.Errorf("without the bucket: %v", err)
	}
	nc, err := nats.Connect("nats://auditor:a@" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "HEADS", History: 64})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Recall(t.Context(), spec); r != nil || err != nil {
		t.Errorf("an empty bucket: %v, %v", r, err)
	}
	h := newHistory(30, "a")
	put := func(p Place, size int) error {
		c, err := newHistory(size, "a").next(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Options{Ledger: ledgerID, Consistency: h.consistency, Leaf: leafOf(h)}).put(t.Context(), p, &c)
		return err
	}
	one, another := mustPlace(t, spec), mustPlace(t, spec)
	for _, size := range []int{5, 9, 30} {
		if err := put(one, size); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Recall(t.Context(), spec)
	if err != nil || r.Size != 30 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := put(one, 9); err == nil {
		t.Error("it went back")
	}
	if history, err := kv.History(t.Context(), "head"); err != nil || len(history) != 3 {
		t.Errorf("%d heads in the bucket's history, %v", len(history), err)
	}
	// Two at once: who read first and writes last has not seen the other's.
	if _, err := another.Get(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "head", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := another.Put(t.Context(), []byte("x"), 40); err == nil {
		t.Error("what nobody had read was written over")
	}
	if _, err := Recall(t.Context(), "nats://ledger:l@"+address+"/HEADS"); err == nil {
		t.Error("the ledger's own account reaches the bucket")
	}
}

func mustPlace(t *testing.T, spec string) Place {
	t.Helper()
	p, err := Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// store is as much of S3 as an anchor asks of it, over one bucket with object lock:
// what is there stays as it is.
type store struct {
	t       *testing.T
	mu      sync.Mutex
	objects map[string][]byte
	until   map[string]time.Time
	refuse  bool
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, ok := strings.CutPrefix(r.URL.Path, "/heads/")
	switch {
	case s.refuse:
		w.WriteHeader(http.StatusForbidden)
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 Credential=anchor/"):
		s.t.Errorf("unsigned: %s %s", r.Method, r.URL)
	case !ok:
		w.WriteHeader(http.StatusNotFound)
	case r.Method == http.MethodPut:
		s.put(w, r, key)
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		s.list(w, r)
	case r.Method == http.MethodGet && s.objects[key] != nil:
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
		_, _ = w.Write(s.objects[key])
	default:
		s.t.Errorf("an anchor does not ask for %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotImplemented)
	}
}

func (s *store) put(w http.ResponseWriter, r *http.Request, key string) {
	b, err := io.ReadAll(r.Body)
	if err == nil && strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		b, err = unchunked(b)
	}
	if err != nil {
		s.t.Error(err)
	}
	if sum := md5.Sum(b); r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		s.t.Error("an object with a lock needs its MD5") // by S3's rules
	}
	if s.objects[key] != nil {
		s.t.Errorf("%s is written over", key)
	}
	s.objects[key] = b
	if mode := r.Header.Get("X-Amz-Object-Lock-Mode"); mode != "" {
		until, err := time.Parse(time.RFC3339, r.Header.Get("X-Amz-Object-Lock-Retain-Until-Date"))
		if err != nil || mode != "COMPLIANCE" {
			s.t.Errorf("mode %s until %s: %v", mode, until, err)
		}
		s.until[key] = until
	}
	w.Header().Set("ETag", `"e"`)
}

// unchunked takes a body out of the chunks in which it is signed over plain http.
func unchunked(b []byte) (out []byte, err error) {
	for {
		head, rest, ok := bytes.Cut(b, []byte("\r\n"))
		size, _, _ := bytes.Cut(head, []byte(";"))
		n, err := strconv.ParseUint(string(size), 16, 31)
		if !ok || err != nil || uint64(len(rest)) < n {
			return out, errors.New("no chunk")
		}
		if n == 0 {
			return out, nil
		}
		out, b = append(out, rest[:n]...), rest[n+2:]
	}
}

func (s *store) list(w http.ResponseWriter, r *http.Request) {
	type content struct {
		Key          string
		Size         int
		LastModified string
	}
	var answer struct {
		XMLName  xml.Name `xml:"ListBucketResult"`
		Name     string
		Contents []content
	}
	answer.Name = "heads"
	var keys []string
	for key := range s.objects {
		if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	if most := r.URL.Query().Get("max-keys"); most != "1" {
		s.t.Errorf("it lists %s", most)
	}
	for _, key := range keys[:min(1, len(keys))] {
		answer.Contents = append(answer.Contents, content{key, len(s.objects[key]), time.Unix(0, 0).UTC().Format(time.RFC3339)})
	}
	b, err := xml.Marshal(answer)
	if err != nil {
		s.t.Error(err)
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(b)
}

// TestObjects: each head is an object of its own, locked for as long as was asked, and
// the newest is found without reading the others.
func TestObjects(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "anchor")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	s := &store{t: t, objects: map[string][]byte{}, until: map[string]time.Time{}}
	at := httptest.NewServer(s)
	defer at.Close()
	spec := "s3://heads/ledger1?region=eu&retain-days=30&endpoint=" + at.URL
	if r, err := Recall(t.Context(), spec); r != nil || err != nil {
		t.Errorf("nothing is there: %v, %v", r, err)
	}
	p := mustPlace(t, spec)
	h := newHistory(1200, "a")
	for i, size := range []int{5, 99, 100, 1200} {
		c, err := newHistory(size, "a").next(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		a := New(Options{Ledger: ledgerID, Consistency: h.consistency, Leaf: leafOf(h)})
		if got, err := a.put(t.Context(), p, &c); err != nil || got != uint64(size) {
			t.Fatal(got, err)
		}
		r, err := Recall(t.Context(), spec)
		if err != nil || r.Size != uint64(size) || len(s.objects) != i+1 {
			t.Errorf("%+v of %d objects, %v", r, len(s.objects), err)
		}
	}
	for key, until := range s.until {
		if left := time.Until(until); left < 29*24*time.Hour || left > 31*24*time.Hour {
			t.Errorf("%s is locked for %s", key, left)
		}
	}
	if len(s.until) != 4 || !strings.HasPrefix(p.String(), "s3://heads/ledger1/") {
		t.Errorf("%d are locked, in %s", len(s.until), p)
	}
	c, _ := newHistory(1300, "b").next(t.Context(), 0)
	other := newHistory(1300, "b")
	if _, err := New(Options{Ledger: ledgerID, Consistency: other.consistency, Leaf: leafOf(other)}).put(t.Context(), p, &c); !errors.Is(err, ErrContradicted) || len(s.objects) != 4 {
		t.Errorf("another history: %v", err)
	}
	s.mu.Lock()
	s.refuse = true
	s.mu.Unlock()
	if _, err := Recall(t.Context(), spec); err == nil {
		t.Error("a store that refuses is taken for an empty one")
	}
}
