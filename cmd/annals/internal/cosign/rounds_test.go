package cosign_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"annals/cmd/annals/internal/cosign"
	"annals/ledger/proof"
)

// TestRounds: a ledger that signs each second, and two witnesses that take three each,
// of whom both are needed. They are asked about one checkpoint at a time: about the
// newest as soon as the last one is witnessed, and a witness that is down holds up
// nobody but the quorum.
func TestRounds(t *testing.T) {
	slow := []*clocked{cosigner(t, "w0.example/w", "w0", time.Now), cosigner(t, "w1.example/w", "w1", time.Now)}
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		o := newOne(t, mustPolicy(t, 2, slow[0].vkey, slow[1].vkey), t.TempDir(), toDisk, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			request, err := cosign.ParseRequest(body)
			if err != nil {
				t.Error(err)
			}
			c, _ := proof.ParseCheckpoint(request.Checkpoint)
			if r.Host == "w1.example" && broken.Load() {
				w.WriteHeader(http.StatusInternalServerError)
				return
			}
			by, took := slow[0], 3*time.Second
			if r.Host == "w1.example" {
				by, took = slow[1], 2700*time.Millisecond
			}
			time.Sleep(took)
			_, _ = w.Write(lineOf(t, by, c.Text()))
		})
		defer o.stop()
		signing := func(seconds int) (least, most uint64) {
			least = 1 << 60
			for range seconds {
				o.l.grow(1, 0)
				o.l.sign()
				time.Sleep(time.Second)
				synctest.Wait()
				size, _ := o.c.Witnessed()
				least, most = min(least, o.l.tree.size-size), max(most, o.l.tree.size-size)
			}
			return least, most
		}
		signing(10)
		if _, behind := signing(60); behind > 7 {
			t.Errorf("what is witnessed is up to %d checkpoints behind", behind)
		}
		size, _ := o.c.Witnessed()
		broken.Store(true)
		signing(300)
		if now, _ := o.c.Witnessed(); now > size+7 {
			t.Errorf("%d is witnessed without a quorum", now)
		}
		if status := o.c.Status().Witnesses; o.l.tree.size-status[0].Size > 7 || status[1].Error == "" {
			t.Errorf("one that is down holds up the other: of %d, %+v", o.l.tree.size, status)
		}
		broken.Store(false)
		signing(100)
		if _, behind := signing(30); behind > 7 {
			t.Errorf("once it is up again, what is witnessed is %d behind", behind)
		}
	})
}
