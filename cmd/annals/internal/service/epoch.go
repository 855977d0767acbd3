package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/datadir"
	"annals/ingest"
	"annals/internal/disk"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/ledger/proof"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// EpochPlan is what beginning an epoch comes down to, before anything is done.
type EpochPlan struct {
	Ledger chain.Hash
	Epoch  uint32     // the new one
	Size   uint64     // entries, all of which were verified
	Root   chain.Hash // over them
	Folded uint64     // the last sequence that the ledger holds of the old stream
	Why    error      // what is wrong with the stream; nil where an epoch was begun and cut short
	// Last is the old stream's last sequence, as far as a stream is there to say it.
	Last uint64
	// Aside is where the old stream's folder goes; "": there is none to move.
	Aside string
}

// ErrStreamFine says that there is nothing that an epoch would mend.
var ErrStreamFine = errors.New("the stream is the ledger's own and nothing was done: a new epoch is for one that was lost, rewound or made anew; for messages that are missing inside of it there is `annals gap`")

// errDeclined is a plan that was not agreed to.
var errDeclined = errors.New("nothing was done; give --yes to go on")

// EpochOptions are the operator's part in beginning an epoch.
type EpochOptions struct {
	// Agree is shown the plan before anything is done. Required.
	Agree func(EpochPlan) bool
	// Reason says in words why; it is kept beside the entry, which is never erased.
	Reason string
	// Signers are the operator's keys, where they are not in the data folder.
	Signers []chain.Signer
}

// epoch is the work of beginning one.
type epoch struct {
	*Service
	ask  EpochOptions
	plan EpochPlan
	next *successor // a stream that has begun the epoch already
}

// BeginEpoch has a ledger go on with a stream of its own making, in place of one
// that was lost, rewound or made anew, under a new epoch. The server is stopped.
// What it is about to do is agreed to first. The old stream's folder is moved
// aside and kept; a cluster's stream is never touched unless it has never held a
// message. Cut short, it is done again, and goes on from where it was.
func BeginEpoch(ctx context.Context, o Options, ask EpochOptions) (err error) {
	o.defaults()
	e := &epoch{Service: &Service{o: o}, ask: ask}
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		err = errors.Join(err, e.Close(stop))
	}()
	if err := e.openWhole(ctx); err != nil {
		return err
	}
	if err := e.judge(ctx); err != nil {
		return err
	}
	if err := e.sign(); err != nil {
		return err
	}
	if !ask.Agree(e.plan) {
		return errDeclined
	}
	if err := e.publish(ctx); err != nil {
		return err
	}
	return e.fold(ctx)
}

// openWhole takes the folder and opens the ledger, and audits all of it: on a
// ledger that is not whole nobody should build.
func (e *epoch) openWhole(ctx context.Context) error {
	var missing *datadir.MissingError
	lost := func(err error) bool { return errors.As(err, &missing) && missing.Part == datadir.Stream }
	d, err := e.folder()
	if err != nil && !lost(err) {
		return err
	}
	switch d.State {
	case datadir.Empty:
		return fmt.Errorf("%s %w", d.Root, datadir.ErrNone)
	case datadir.Begun:
		return fmt.Errorf("%s was not begun to its end: run `annals serve`, which goes on with it", d.Root)
	}
	if e.lock, err = d.Lock(); err != nil {
		return err
	}
	if e.dir, err = e.folder(); err != nil && !lost(err) {
		return err
	}
	if err := e.begin(); err != nil {
		return err
	}
	o := e.ledgerOptions()
	o.Rows = 0 // nobody asks for pages
	if e.ledger, err = ledger.Open(e.dir.Path(datadir.Ledger), o); err != nil {
		return err
	}
	src := e.ledger.Source()
	// With what the ledger signed: an older copy of it must not go on another way.
	signed, err := audit.ReadSigned(e.dir.Root)
	var report audit.Result
	if err == nil {
		report, err = audit.Run(ctx, src, audit.Options{Signed: signed})
	}
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	if report.Verdict != proof.Clean {
		return fmt.Errorf("the ledger is not whole (%v), so no epoch was begun: `annals verify --data %s` says what is wrong; begin again from a replica or a backup that is", report.Verdict, e.dir.Root)
	}
	head := e.ledger.Head()
	e.plan = EpochPlan{
		Ledger: e.ledger.ID(), Epoch: head.State.Epoch + 1, Size: head.Size, Root: head.Root, Folded: head.State.Sequence,
	}
	return nil
}

// judge finds out what is wrong with the stream, and refuses where nothing is.
func (e *epoch) judge(ctx context.Context) error {
	lacking, err := e.streamFolder()
	if err != nil {
		return err
	}
	if lacking != "" {
		e.plan.Why = fmt.Errorf("the stream's folder %s %s", e.dir.Path(datadir.Stream), lacking)
		return nil
	}
	if e.line, err = e.openLine(true); err != nil {
		return fmt.Errorf("the stream can't be opened to be looked at; where its folder can't be read any more, move it out of %s yourself, and run this again: %w", e.dir.Root, err)
	}
	head := e.ledger.Head()
	r, err := ingest.OpenReader(ctx, e.line.nc, ingest.ReaderOptions{Position: e.ledger.Position(), Identity: e.identity(), Logger: e.o.Logger})
	if err == nil {
		r.Close()
		return e.fine(ctx, &head.State)
	}
	if !isStranger(err) && !errors.As(err, new(*ingest.RetentionError)) {
		return err
	}
	e.plan.Why = err
	if errors.Is(err, ingest.ErrNoStream) {
		return nil
	}
	next, why, err := succeeds(ctx, e.ledger, e.line.nc)
	if err != nil {
		return err
	}
	if next != nil {
		e.next, e.plan.Why = next, nil
		return nil
	}
	if why != nil {
		e.plan.Why = fmt.Errorf("%w; %w", e.plan.Why, why)
	}
	info, err := e.streamInfo(ctx)
	if err != nil {
		return err
	}
	e.plan.Last = info.State.LastSeq
	switch {
	case info.State.LastSeq == 0: // never used: the epoch can begin in it
	case e.o.Cluster != nil:
		return fmt.Errorf("%w; the cluster's stream is not for this command to take away: keep a copy with `nats stream backup %s DIR`, remove it with `nats stream rm %s`, and run this again", e.plan.Why, ingest.Stream, ingest.Stream)
	default:
		e.plan.Aside, err = e.aside(head.State.Epoch)
	}
	return err
}

// fine ends where the ledger's stream is its own: the epoch was begun to its end,
// or none is needed.
func (e *epoch) fine(ctx context.Context, state *chain.State) error {
	if state.Epoch > 0 && state.Sequence == state.Start.First {
		// Folded, and perhaps cut short before producers were let in.
		if err := ingest.BeginEpoch(ctx, e.line.nc, ingest.EpochOptions{}, true); err != nil {
			return err
		}
	}
	return ErrStreamFine
}

// streamFolder says why the stream's folder holds nothing to look at: "" where it
// may. A broker whose last stream was deleted leaves an empty folder, or files that
// hold no stream, as it gets to it before it stops.
func (e *epoch) streamFolder() (lacking string, err error) {
	if e.o.Cluster != nil {
		return "", nil
	}
	files, err := os.ReadDir(e.dir.Path(datadir.Stream))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is not there", nil
	case err == nil && len(files) == 0:
		return "is empty", nil
	}
	return "", err
}

// aside is a name that is free for the old stream's folder.
func (e *epoch) aside(epoch uint32) (string, error) {
	name := fmt.Sprintf("%s.epoch-%d", e.dir.Path(datadir.Stream), epoch)
	for n := 1; ; n++ {
		path := name
		if n > 1 {
			path = fmt.Sprintf("%s.%d", name, n)
		}
		switch _, err := os.Lstat(path); {
		case errors.Is(err, fs.ErrNotExist):
			return path, nil
		case err != nil:
			return "", err
		}
	}
}

// publish makes the new stream, with the epoch's message as its first.
func (e *epoch) publish(ctx context.Context) error {
	if e.plan.Aside != "" {
		if err := e.line.close(); err != nil {
			return err
		}
		e.line = nil
		if err := os.Rename(e.dir.Path(datadir.Stream), e.plan.Aside); err != nil {
			return fmt.Errorf("the old stream's folder can't be moved aside: %w", err)
		}
		if err := disk.Sync(vfs.Default, e.dir.Root); err != nil {
			return err
		}
		e.o.step("aside")
	}
	if e.line == nil {
		var err error
		if e.line, err = e.openLine(true); err != nil {
			return err
		}
	}
	if err := e.durable(ctx); err != nil {
		return err
	}
	err := ingest.BeginEpoch(ctx, e.line.nc, ingest.EpochOptions{
		Stream:  ingest.StreamOptions{Replicas: e.o.StreamReplicas},
		Guarded: e.o.Cluster != nil,
		Seal: func(created time.Time) []byte {
			e.o.step("stream")
			return e.seal(created)
		},
	}, e.next != nil)
	if err != nil {
		return err
	}
	e.o.step("published")
	return nil
}

// sign gets the operator's keys, and tries them before anything is done.
func (e *epoch) sign() error {
	head := e.ledger.Head()
	if len(e.ask.Signers) == 0 {
		signer, err := e.keys.Signer(&head.State, chain.RoleOperator)
		if err != nil {
			return err
		}
		e.ask.Signers = append(e.ask.Signers, signer)
	}
	if err := chain.CheckControl(&head.State, e.seal(time.Now())); err != nil {
		return fmt.Errorf("the ledger would not take what these keys sign, so nothing was done: %w", err)
	}
	return nil
}

// seal signs that the ledger goes on with a stream that was created then.
func (e *epoch) seal(created time.Time) []byte {
	head := e.ledger.Head()
	start := chain.EpochStart{
		Epoch: e.plan.Epoch, Last: e.plan.Folded, First: 1, Stream: ingest.Stream, Created: created.UnixNano(),
	}
	return chain.SealEpoch(e.plan.Ledger, head.State.Control, head.Size, head.Root, start, e.ask.Reason, e.ask.Signers...)
}

// fold has the ledger take the epoch in, so that from here on the new stream is
// its own.
func (e *epoch) fold(ctx context.Context) error {
	e.pump = e.newPump()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	defer context.AfterFunc(e.pump.ended, cancel)()
	for head := e.ledger.Head(); head.State.Epoch < e.plan.Epoch; {
		var err error
		if head, err = e.ledger.Wait(ctx, head.Size); err != nil {
			return fmt.Errorf("the new stream stands, and the ledger has not folded its first message: %w", cmp.Or(e.pump.stopped(), err))
		}
	}
	e.o.step("folded")
	return nil
}
