package broker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// stagingPrefix is what the name of a server's folder for staging begins with.
const stagingPrefix = "annals-batches-"

// stagingEvery is how often staging is looked after.
const stagingEvery = time.Second

// staging puts the folders in which the server stages atomic batches into memory.
//
// The server collects a batch in a store of its own below the stream's folder,
// which it makes, syncs and removes for each batch, before it writes the batch to
// the stream, syncs that, and acknowledges. What an acknowledgement promises is in
// the stream; the staged copy only lets a server that died while it wrote a batch
// write the rest of it. A stream of several replicas stages in memory already. So
// here, too: a link leads from where the server stages into memory. A process that
// dies leaves the copy; a power cut takes it, and with it the rest of a batch that
// nobody was told of, which its producer sends again.
type staging struct {
	streams string // the folder that holds a folder for each stream
	dir     string // ours, in memory
	lock    *os.File
	left    []string
	stop    chan struct{}
	done    chan struct{}
}

// newStaging makes a folder in memory for a server on a store that is not running
// yet, and notes what an earlier one has left there: it may be needed to recover.
func newStaging(memory, store string) (*staging, error) {
	s := &staging{
		streams: filepath.Join(store, AccountLedger, "streams"),
		stop:    make(chan struct{}), done: make(chan struct{}),
	}
	sweep(memory)
	if err := s.take(memory); err != nil {
		return nil, fmt.Errorf("broker: a folder to stage batches in; choose another, or none: %w", err)
	}
	for _, link := range s.links() {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(filepath.Base(filepath.Dir(to)), stagingPrefix) {
			s.left = append(s.left, filepath.Dir(to))
		}
	}
	return s, nil
}

// take makes a folder of a name that nobody can know beforehand, and nobody else may
// look into, for the memory's folder is everybody's; and locks it, for the sweepers.
func (s *staging) take(memory string) (err error) {
	for range 10 {
		if s.dir, err = os.MkdirTemp(memory, stagingPrefix+"*"); err != nil {
			return err
		}
		if s.lock, err = lock(s.dir); err != nil {
			continue // swept away already
		}
		if _, err = os.Stat(s.dir); err == nil {
			return nil
		}
		s.lock.Close()
	}
	return err
}

// sweep removes the folders of servers that were killed, unless something is staged
// in them: that may be wanted once more.
func sweep(memory string) {
	dirs, _ := filepath.Glob(filepath.Join(memory, stagingPrefix+"*")) // the pattern is well formed
	for _, dir := range dirs {
		held, err := lock(dir)
		if err != nil {
			continue // somebody's
		}
		streams, _ := filepath.Glob(filepath.Join(dir, "*"))
		for _, stream := range append(streams, dir) {
			os.Remove(stream) //nolint:errcheck // not if something is in it
		}
		held.Close()
	}
}

// run begins once the server has recovered what is in its store. What was left to
// recover from is removed, and the links are looked after until close: a stream may
// be made anew, and a system may tidy its memory's folder away.
func (s *staging) run() {
	for _, dir := range s.left {
		os.RemoveAll(dir) //nolint:errcheck // it is in nobody's way
	}
	s.tend()
	go func() {
		defer close(s.done)
		tick := time.NewTicker(stagingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				s.tend()
			case <-s.stop:
				return
			}
		}
	}()
}

// links are the places where the server stages.
func (s *staging) links() []string {
	streams, _ := filepath.Glob(filepath.Join(s.streams, "*")) // the pattern is well formed
	for i := range streams {
		streams[i] = filepath.Join(streams[i], "batches")
	}
	return streams
}

// target is where a link leads.
func (s *staging) target(link string) string {
	return filepath.Join(s.dir, filepath.Base(filepath.Dir(link)))
}

// tend makes the links that are missing, and the folders they lead to. What can't
// be done now stays as it is, which is always good enough: then the server stages
// on the disk.
func (s *staging) tend() {
	for _, link := range s.links() {
		to := s.target(link)
		if os.MkdirAll(to, 0o700) != nil {
			continue
		}
		if now, err := os.Readlink(link); err == nil && now == to {
			continue
		}
		if os.Symlink(to, link) != nil && os.Remove(link) == nil { // a folder in which something is staged can't be removed
			os.Symlink(to, link) //nolint:errcheck // the server made the folder again; next time
		}
	}
}

// close ends after the server. A batch that the server could not write to its end
// stays, for the next one to do that.
func (s *staging) close() {
	close(s.stop)
	<-s.done
	s.remove()
}

func (s *staging) remove() {
	for _, link := range s.links() {
		to := s.target(link)
		if now, err := os.Readlink(link); err == nil && now == to && os.Remove(to) == nil {
			os.Remove(link) //nolint:errcheck // the next server makes it lead elsewhere
		}
	}
	os.Remove(s.dir) //nolint:errcheck // not if something is left in it
	s.lock.Close()
}

// storeDir is the folder in which the server keeps its accounts.
func storeDir(o *server.Options) string {
	return filepath.Join(o.StoreDir, server.JetStreamStoreDir)
}
