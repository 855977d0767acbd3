package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"annals/cmd/annals/internal/keeper"
	"annals/ingest"
	"annals/ledger"
)

// scrubEvery is how often the service looks for erasures that were folded.
const scrubEvery = time.Second

// scrub follows erasures until ctx ends. What they cover was destroyed when they were
// folded; what files still hold, the ledger's, the projections' and the stream's, goes
// here. What a stop interrupts the next start goes on with.
func (s *Service) scrub(ctx context.Context) error {
	every := scrubEvery
	if s.o.scrubEvery > 0 {
		every = s.o.scrubEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	written := map[uint64]bool{} // entries behind which no file of ours holds anything
	var failing string
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if s.ledger.Err() != nil {
			return nil // it may not be written to any more
		}
		waits, err := s.scrubOnce(ctx, written)
		if ctx.Err() != nil || errors.Is(err, ledger.ErrClosed) {
			return nil
		}
		if err != nil {
			waits = err.Error()
		}
		if waits != failing && waits != "" {
			s.o.Logger.Warn("an erasure is not complete yet", "why", waits)
		}
		failing = waits
	}
}

// scrubOnce completes the erasures that can be, and says why others wait.
func (s *Service) scrubOnce(ctx context.Context, written map[uint64]bool) (waits string, err error) {
	unscrubbed, err := s.ledger.Unscrubbed()
	if err != nil || len(unscrubbed) == 0 {
		return "", err
	}
	var files []uint64
	for _, index := range unscrubbed {
		if !written[index] {
			files = append(files, index)
		}
	}
	if len(files) > 0 {
		if err := s.projections.Scrubbed(ctx, files[len(files)-1]); err != nil {
			return "", err
		}
		s.o.step("projections scrubbed")
		if err := s.ledger.Scrub(ctx, files); err != nil {
			return "", err
		}
		s.o.step("ledger scrubbed")
		for _, index := range files {
			written[index] = true
		}
	}
	var done []uint64
	for _, index := range unscrubbed {
		waits, err := s.eraseMessages(ctx, index)
		if err != nil {
			return "", err
		}
		if waits != "" {
			return waits, s.ledger.Scrubbed(done)
		}
		s.o.step("messages erased")
		done = append(done, index)
	}
	if err := s.ledger.Scrubbed(done); err != nil {
		return "", err
	}
	s.o.step("scrubbed")
	s.o.Logger.Info("erased from the ledger's files, the indexes and the stream", "entries", done)
	return "", nil
}

// eraseMessages removes from the stream what the entry at an index destroyed, as far
// as the stream is the ledger's own and every replica has folded it.
func (s *Service) eraseMessages(ctx context.Context, by uint64) (waits string, err error) {
	leaf, _, err := s.ledger.Get(by)
	if err != nil {
		return "", err
	}
	state := s.ledger.Head().State
	if leaf.Entry.Epoch == state.Epoch {
		if waits := s.unfolded(state.Epoch, leaf.Entry.Sequence); waits != "" {
			return waits, nil
		}
	}
	gone, err := s.ledger.Destroyed(by)
	if err != nil {
		return "", err
	}
	var sequences []uint64
	for _, index := range gone {
		leaf, _, err := s.ledger.Get(index)
		if err != nil {
			return "", err
		}
		if e := &leaf.Entry; e.Epoch == state.Epoch && e.Sequence > state.Trimmed {
			sequences = append(sequences, e.Sequence)
		}
	}
	if sequences = slices.Compact(sequences); len(sequences) == 0 {
		return "", nil
	}
	if err := s.pump.check(ctx); err != nil {
		return "", fmt.Errorf("nothing was erased from the stream: %w", err)
	}
	_, err = ingest.Erase(ctx, s.line.nc, sequences)
	return "", err
}

// unfolded says which replica has yet to fold a message of the epoch that the ledger
// is in, "" when none has.
func (s *Service) unfolded(epoch uint32, sequence uint64) string {
	if s.o.Cluster == nil {
		return "" // nobody else reads an embedded server's stream
	}
	if len(s.o.Trim.Replicas) == 0 {
		return "the cluster's stream holds the erased messages until all ledgers that fold it are named with --replicas, and this one with --replica"
	}
	return awaited(s.trimmed(), s.o.Trim.Replicas, s.o.Trim.Replica, epoch, sequence)
}

// awaited says which of the named replicas, own left out, has yet to fold a message of
// an epoch, or folds another history: what is removed from the stream could be all that
// there is left of that. It is "" when none is.
func awaited(status *keeper.TrimStatus, names []string, own string, epoch uint32, sequence uint64) string {
	if status == nil || status.Epoch != epoch { // another stream's sequences mean nothing here
		return fmt.Sprintf("nothing is known yet of where the other replicas stand in epoch %d", epoch)
	}
	for _, r := range status.Replicas {
		if r.Forked != "" {
			return "the stream holds the erased messages: " + r.Forked
		}
	}
	for _, name := range names {
		if name == own {
			continue
		}
		at := uint64(0)
		for _, r := range status.Replicas {
			if r.Name == name {
				at = r.Sequence
			}
		}
		if at < sequence {
			return fmt.Sprintf("the stream holds the erased messages until replica %s has folded message %d", name, sequence)
		}
	}
	return ""
}
