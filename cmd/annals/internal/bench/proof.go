package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"

	"annals/cmd/annals/internal/keys"
	"annals/cmd/annals/internal/load"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"
)

// proofs measures receipts over HTTP, of records from all over the tree, and their
// verification, which needs no server.
func (r *round) proofs(ctx context.Context, rig *Rig) error {
	if err := Settled(ctx); err != nil {
		return err
	}
	l := rig.service.Ledger()
	names := map[chain.Hash]string{}
	for records, i := load.New(seedLines), 0; i < r.Records; i++ {
		_, name := records.Next(nil)
		if tag := l.Tag(name); names[tag] == "" {
			names[tag] = name
		}
	}
	key, err := checkpointKey(l)
	if err != nil {
		return err
	}
	reader := rig.Reader()
	defer reader.Close()
	n := min(max(r.Records/100, 100), 5000)
	warm := n / 10
	draw := rand.New(rand.NewPCG(seedLines, uint64(r.number)))
	var took, verified []time.Duration
	for i := 0; i < warm+n; {
		leaf, _, err := l.Get(draw.Uint64N(l.Head().Size))
		if err != nil {
			return err
		}
		if leaf.Entry.Kind != chain.KindRecord {
			continue
		}
		once, err := reader.get(ctx, "/v1/workspaces/"+url.PathEscape(names[leaf.Entry.Workspace])+"/records/"+leaf.Entry.ULID.String()+"/proof")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := holds(reader.body.Bytes(), &leaf, key); err != nil {
			return fmt.Errorf("entry %d: %w", leaf.Entry.Index, err)
		}
		if i >= warm {
			took, verified = append(took, once), append(verified, time.Since(began))
		}
		i++
	}
	r.report.add(Once("proof_p50", Milliseconds, n, Quantile(took, 0.5)),
		Once("proof_p99", Milliseconds, n, Quantile(took, 0.99)),
		Once("proof_verify_p50", Milliseconds, n, Quantile(verified, 0.5)))
	return nil
}

// holds verifies a receipt as somebody does who has the key and nothing else.
func holds(text []byte, leaf *chain.Leaf, key string) error {
	ring, err := proof.NewKeyring(key)
	if err != nil {
		return err
	}
	r, err := proof.ParseReceipt(text)
	if err != nil {
		return err
	}
	proven, err := r.Verify(ring)
	if err == nil && (!proven.Payload || r.Index != leaf.Entry.Index) {
		err = errors.New("the receipt is of something else")
	}
	return err
}

// checkpointKey is the key that a ledger's checkpoints are signed by.
func checkpointKey(l *ledger.Ledger) (string, error) {
	state := l.Head().State
	for _, k := range state.Keys() {
		if k.Roles&chain.RoleCheckpoint != 0 && k.Algorithm == chain.AlgorithmEd25519 {
			return keys.VKey(l.Genesis().Origin, k.Key), nil
		}
	}
	return "", errors.New("the ledger names no key for checkpoints")
}
