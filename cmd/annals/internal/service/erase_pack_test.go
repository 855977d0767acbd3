package service

import (
	"bytes"
	"encoding/base64"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"annals/cmd/annals/internal/evidence"
	"annals/ledger/proof"
	"annals/ledger/proof/pack"
)

// inBase64 finds what a pack has in base64, bodies among it.
var inBase64 = regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`)

// read returns all that an archive says, decompressed and decoded.
func read(t *testing.T, archive []byte) string {
	t.Helper()
	files, err := pack.Unzip(bytes.NewReader(archive), int64(len(archive)))
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, f := range files {
		all.Write(f.Data)
		for _, text := range inBase64.FindAll(f.Data, -1) {
			if decoded, err := base64.StdEncoding.DecodeString(string(text)); err == nil {
				all.Write(decoded)
			}
		}
	}
	return all.String()
}

// allSigned waits until the service has signed all that its ledger has.
func allSigned(t *testing.T, s *Service) {
	t.Helper()
	eventually(t, "all is signed", func() bool {
		signed, ok := s.signer.Latest()
		return ok && signed.Size == s.ledger.Head().Size
	})
}

// TestErasedPack: an evidence pack that is made after an erasure and an expiry holds
// nothing of what went, and one from before held it, as the search finds.
func TestErasedPack(t *testing.T) {
	o := options(filepath.Join(t.TempDir(), "data"))
	s := mustStart(t, o)
	filled(t, s)
	packed := func() string {
		t.Helper()
		allSigned(t, s)
		contents, err := evidence.Gather(t.Context(), asking(t, s).Client, evidence.Wanted{
			Workspace: "ws_7", Selection: "all payloads", VKey: s.verifier(t), Maker: "a test", Created: time.Now(), Spool: t.TempDir(),
		})
		if err != nil {
			t.Fatal(err)
		}
		report, err := contents.Verify(t.Context())
		if err != nil || report.Verdict != proof.Clean {
			t.Fatal(report.Sentence, err)
		}
		var b bytes.Buffer
		if err := pack.Write(&b, contents, &report); err != nil {
			t.Fatal(err)
		}
		return read(t, b.Bytes())
	}
	before := packed()
	destroy(t, s)
	after := packed()
	for _, user := range []string{erasedUser, expiredUser} {
		if !strings.Contains(before, user) {
			t.Errorf("%s is not in a pack from before: the search finds nothing", user)
		}
		if strings.Contains(after, user) {
			t.Errorf("%s is in a pack that was made after", user)
		}
	}
	if !strings.Contains(after, stayingUser) {
		t.Error("a user of whom nobody erased anything is in no pack")
	}
}
