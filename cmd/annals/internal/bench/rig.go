package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"annals/cmd/annals/internal/service"

	"github.com/nats-io/nats.go"
)

// Rig is a service to be measured, whole, in a folder of its own, and a
// producer's connection to it.
type Rig struct {
	o       RigOptions
	data    string
	service *service.Service // nil once it was stopped
	nc      *nats.Conn
}

// RigOptions say where. Dir is required; it is made, and removed in the end.
type RigOptions struct {
	Dir     string
	Version string
	Program string       // path of annals itself, which the mode Latency runs
	Logger  *slog.Logger // nil discards
	// Checkpoint is how often the ledger is signed; 0: as by default.
	Checkpoint time.Duration
	// Prepare is given the data folder before the service starts; nil: it starts in
	// development mode.
	Prepare func(data string) error
}

// Start starts a service with an empty ledger.
func Start(ctx context.Context, o RigOptions) (*Rig, error) {
	r := &Rig{o: o, data: filepath.Join(o.Dir, "annals-data")}
	if o.Prepare != nil {
		if err := o.Prepare(r.data); err != nil {
			return nil, errors.Join(err, os.RemoveAll(o.Dir))
		}
	}
	if err := r.start(ctx); err != nil {
		return nil, errors.Join(err, r.Remove())
	}
	return r, nil
}

// start starts the service on what its folder holds.
func (r *Rig) start(ctx context.Context) (err error) {
	r.service, err = service.Start(ctx, service.Options{
		Data: r.data, Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0", Version: r.o.Version, Logger: r.o.Logger,
		Checkpoint: r.o.Checkpoint,
	})
	if err != nil {
		r.service = nil
		return err
	}
	r.nc, err = nats.Connect(r.service.NATSURL(), nats.CustomInboxPrefix("_INBOX"))
	return err
}

// Stop stops the service; what it wrote stays.
func (r *Rig) Stop() error {
	if r.nc != nil {
		r.nc.Close()
	}
	if r.service == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := r.service.Close(ctx)
	r.service = nil
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

// Remove stops the service and removes its folder.
func (r *Rig) Remove() error { return errors.Join(r.Stop(), os.RemoveAll(r.o.Dir)) }

// folded is how many entries are in every index.
func (r *Rig) folded() uint64 {
	size, _ := r.service.Projections().Cursor()
	return size
}

// Settled returns once the process has been idle for more than a second: what was put
// off, such as compactions and the filling of caches, is done. It waits for a minute at
// most.
func Settled(ctx context.Context) error {
	const pause = 250 * time.Millisecond
	for idle, n := 0, 0; idle < 5 && n < 4*60; n++ {
		before := processor()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if idle++; processor()-before >= pause/25 {
			idle = 0
		}
	}
	return nil
}
