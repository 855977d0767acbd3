package imports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/client"

	"github.com/go-json-experiment/json"
)

// Bounds of a request.
const (
	maxRecords = 1000
	maxBytes   = 2 << 20
)

// Options of an import. Client, Workspace, Format and Report are required, and Mapping
// where the format has one.
type Options struct {
	Client    client.Recorder
	Workspace string
	Format    Format
	Mapping   *Mapping
	Zone      *time.Location // of times that name none, where the format has such; nil: UTC
	Labels    *Labels        // that catalogues gave what is imported, where the format has such; nil: none
	Report    io.Writer      // gets a [Row] a line
	Progress  func(n int)    // told of bytes of files that were read; nil: nobody
}

// run is an import on its way.
type run struct {
	o       Options
	summary *Summary

	file  string // that is being read
	now   *Counts
	items []*Item // wait to be sent
	bytes int
}

// Run imports files, one after the other, and says what became of them. passed are
// those that were found and not taken. The error says why it stopped before the end.
func Run(ctx context.Context, files []File, passed []string, o Options) (*Summary, error) {
	if o.Progress == nil {
		o.Progress = func(int) {}
	}
	u := &run{o: o, summary: &Summary{PassedOver: len(passed)}}
	for _, name := range passed {
		if err := u.row(&Row{File: name, Status: StatusPassedOver, Detail: "its name is not one of the format's; name the file to have it imported"}); err != nil {
			return u.summary, err
		}
	}
	for _, f := range files {
		if err := u.importFile(ctx, f); err != nil {
			return u.summary, err
		}
	}
	return u.summary, nil
}

// importFile imports one file. What is wrong with the file is reported; the error is
// of what ends the whole.
func (u *run) importFile(ctx context.Context, f File) error {
	u.file, u.now = f.Name, &Counts{}
	u.items, u.bytes = nil, 0
	status, detail := StatusImported, ""
	fault, fatal := u.read(ctx, f)
	if fatal == nil {
		fatal = u.send(ctx)
	}
	if fatal != nil {
		fatal = errors.Join(fatal, u.unsent())
	}
	switch {
	case fault != nil:
		u.summary.Failed++
		status, detail = StatusFailed, fault.Error()
	case fatal != nil || u.now.Unknown+u.now.Unsent > 0:
		status = StatusIncomplete
	default:
		var known bool
		if known, fatal = u.imported(ctx); fatal != nil {
			status = StatusIncomplete
		} else if known {
			u.summary.Known++
		}
	}
	u.summary.Files++
	u.summary.add(u.now)
	return errors.Join(fatal, u.row(&Row{File: f.Name, Status: status, Detail: detail, Counts: u.now}))
}

// fatalError ends the whole import.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

// read reads a file and sends what it holds. fault is what is wrong with the file.
func (u *run) read(ctx context.Context, f File) (fault, fatal error) {
	in, err := f.open()
	if err != nil {
		return err, nil
	}
	defer in.Close()
	s, err := newStream(in, u.o.Progress)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err), nil
	}
	sink := &sink{workspace: u.o.Workspace, zone: u.o.Zone, labels: u.o.Labels, seen: map[[sha256.Size]byte]int{}, put: func(it *Item) error {
		if err := u.take(ctx, it); err != nil {
			return fatalError{err}
		}
		return nil
	}}
	err = u.o.Format.read(newTape(s.content), u.o.Mapping, sink)
	if end, ok := errors.AsType[fatalError](err); ok {
		return nil, end.error
	}
	if err == nil {
		u.now.SHA256, err = s.sum()
	}
	u.now.Bytes = s.bytes // as far as it was read
	if err != nil {
		return fmt.Errorf("%s:%w", f.Name, err), nil
	}
	return nil, nil
}

// take takes one thing of the file.
func (u *run) take(ctx context.Context, it *Item) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if it.Refusal != nil {
		return u.refuse(it)
	}
	it.Raw = nil // of records nothing is reported that the ledger doesn't hold
	u.items = append(u.items, it)
	if u.bytes += len(it.Record); len(u.items) < maxRecords && u.bytes < maxBytes {
		return nil
	}
	return u.send(ctx)
}

// send sends what waits.
func (u *run) send(ctx context.Context) error {
	if len(u.items) == 0 {
		return nil
	}
	items := u.items
	u.items, u.bytes = nil, 0
	lines := make([][]byte, len(items))
	for i, it := range items {
		lines[i] = it.Record
	}
	// Every record has an id, so it may be sent again.
	outcomes, err := u.o.Client.Publish(ctx, u.o.Workspace, lines, true)
	for i, it := range items {
		o := client.Outcome{Status: "unknown"}
		if outcomes != nil {
			o = outcomes[i]
		}
		err = errors.Join(err, u.answered(it, o))
	}
	return err
}

// unsent reports what waited when the import broke off.
func (u *run) unsent() (err error) {
	for _, it := range u.items {
		err = errors.Join(err, u.answered(it, client.Outcome{Status: client.Unsent}))
	}
	u.items, u.bytes = nil, 0
	return err
}

// The record that says that a file was imported.
const (
	typeImported  = "file.imported"
	importedActor = "annals-import"
)

// imported records that all of the file is in the ledger, but for what is refused. Its
// id is made of what it says, so that the same import is recorded once; known reports
// that it was there.
func (u *run) imported(ctx context.Context) (known bool, err error) {
	line, err := importRecord(u.file, u.now, &u.o)
	if err != nil {
		return false, err
	}
	outcomes, err := u.o.Client.Publish(ctx, u.o.Workspace, [][]byte{line}, true)
	switch {
	case err != nil:
		return false, fmt.Errorf("%s is imported, and the ledger was not told so: %w", u.file, err)
	case outcomes[0].Status == "duplicate":
		return true, nil
	case outcomes[0].Status != "recorded":
		return false, fmt.Errorf("%s is imported, and the ledger was not told so: %s, %s: %s", u.file, outcomes[0].Status, outcomes[0].Code, outcomes[0].Detail)
	}
	return false, nil
}

// importRecord says what of a file is a function of its bytes and its name alone.
func importRecord(name string, c *Counts, o *Options) ([]byte, error) {
	data := struct {
		Format  string `json:"format"`
		SHA256  string `json:"sha256"`
		Bytes   int64  `json:"bytes"`
		Records int    `json:"records"`
		Refused int    `json:"refused"`
		Mapping string `json:"mapping_sha256,omitzero"`
		Zone    string `json:"zone,omitzero"`
		Labels  string `json:"catalogue_sha256,omitzero"`
	}{o.Format.Name, c.SHA256, c.Bytes, c.Records(), c.Refused, "", "", ""}
	if o.Zone != nil {
		data.Zone = o.Zone.String()
	}
	if o.Labels != nil {
		data.Labels = o.Labels.digest
	}
	if o.Mapping != nil {
		data.Mapping = o.Mapping.Digest
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	r := activity.Record{
		Producer: importedActor, Type: typeImported,
		Actor:  &activity.Actor{Type: "service", ID: importedActor},
		Object: &activity.Object{Type: "file", ID: "sha256:" + c.SHA256, Name: strings.ToValidUTF8(filepath.Base(name), "\uFFFD")},
		Data:   raw,
	}
	b, err := r.AppendJSON(nil)
	if err != nil {
		return nil, err
	}
	h := sha256.Sum256(b)
	r.ID = "import-" + hex.EncodeToString(h[:])
	return r.AppendJSON(nil)
}
