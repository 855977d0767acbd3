package query

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/oklog/ulid/v2"
)

// Selection is the answer of /v1/workspaces/{ws}/erasure: what a statement has to say
// for what was asked to be erased.
type Selection struct {
	Workspace  string          `json:"workspace"`
	Tag        string          `json:"tag" doc:"The workspace's pseudonym, in hexadecimal."`
	Role       string          `json:"role" doc:"That has to sign."`
	Needed     int             `json:"needed" doc:"How many different keys of that role have to sign."`
	Size       uint64          `json:"size" doc:"The ledger that was looked at: what the statements have to name."`
	Root       string          `json:"root" doc:"Its root, in hexadecimal."`
	Records    int             `json:"records" doc:"How many records are selected."`
	Conflicts  int             `json:"conflicts" doc:"How many conflicts."`
	Rejections int             `json:"rejections" doc:"How many rejections."`
	Controls   int             `json:"controls" doc:"How many control entries, of the system."`
	Duplicates int             `json:"duplicates" doc:"How many duplicates go with them. They are not among the ranges."`
	Selection  string          `json:"selection,omitzero" doc:"Hash of all that the parts select, in hexadecimal."`
	Parts      []SelectionPart `json:"parts" doc:"A statement each; none when there is nothing to erase."`
}

// SelectionPart is what one statement selects.
type SelectionPart struct {
	Ranges [][2]uint64 `json:"ranges" doc:"Runs of indexes: the first, and the one behind the last."`
	Leaves string      `json:"leaves" doc:"Hash of them, in hexadecimal."`
}

func selectionSchema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[Selection](), true, "")
}

// selecting is what a request for a selection asks besides its filters.
type selecting struct {
	records               []ulid.ULID
	conflicts, amendments bool
}

// Bounds of a selection.
const (
	// MaxSelected is how many entries one answer selects.
	MaxSelected = 1 << 20
	// partBytes is how long a part's ranges may be as a statement holds them: that leaves
	// room for the signatures of a hundred.
	partBytes = 50_000
)

func init() {
	parameters["erase-record"] = &parameter{
		name: "record", in: inQuery, list: true, example: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
		about:  "ULIDs of entries to be erased, separated by commas. For a duplicate its record is taken.",
		schema: huma.Schema{Type: huma.TypeString},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			id, err := ulid.ParseStrict(v)
			if err != nil {
				return "invalid_ulid", strconv.Quote(v) + " is no ULID"
			}
			if f.selecting.records = append(f.selecting.records, id); len(f.selecting.records) > MaxValues {
				return "too_many_values", "a request names at most " + strconv.Itoa(MaxValues) + " records; ask in parts"
			}
			return "", ""
		},
	}
	parameters["erase-along"] = &parameter{
		name: "along", in: inQuery, list: true, example: "conflicts,amendments",
		about:  "What is taken along: conflicts, which came under a record's id with other bytes; amendments, records that amend one.",
		schema: huma.Schema{Type: huma.TypeString},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			switch v {
			case "conflicts":
				f.selecting.conflicts = true
			case "amendments":
				f.selecting.amendments = true
			default:
				return "unknown_addition", strconv.Quote(v) + " can't be taken along; there is conflicts and amendments"
			}
			return "", ""
		},
	}
}

// selection answers what an erasure would take.
func (a *API) selection(w http.ResponseWriter, r *http.Request, f *filter) error {
	filtered := len(f.where) > 0 || f.any|f.none != 0 || f.since != everSince || f.until != everUntil
	if !filtered && len(f.selecting.records) == 0 {
		return problem.Parameter("record", "missing", "say what is to be erased: by record, user, object or another filter; everything is kind=record,conflict,rejection")
	}
	view, moment, _, err := a.look(r.Context(), f)
	if err != nil {
		return err
	}
	defer view.Close()
	s := &selector{a: a, f: f, chosen: map[uint64]chain.Hash{}, out: Selection{
		Workspace: f.workspace, Tag: a.o.Ledger.Tag(f.workspace).String(), Size: moment.size, Root: moment.root.String(), Parts: []SelectionPart{},
	}}
	if filtered {
		err = s.find(r.Context(), view)
	}
	for _, id := range f.selecting.records {
		if err == nil {
			err = s.name(id)
		}
	}
	if err == nil {
		err = s.settle()
	}
	if err != nil {
		return err
	}
	head := a.o.Ledger.Head()
	role, needed := head.State.Roster().Due(chain.ControlErase)
	s.out.Role, s.out.Needed = role.String(), needed
	return writeJSON(w, &s.out)
}

// selector gathers a selection.
type selector struct {
	a      *API
	f      *filter
	chosen map[uint64]chain.Hash // leaf hashes, by index
	out    Selection
}

// find chooses what the filters find.
func (s *selector) find(ctx context.Context, view *projections.View) error {
	q, none, err := s.a.question(view, s.f, s.out.Size)
	if err != nil || none {
		return err
	}
	q.Oldest, q.Limit, q.Work, q.Order = true, MaxLimit, allWork, projections.ByRecorded
	for {
		page, err := view.Page(ctx, q)
		if err != nil {
			return err
		}
		if err := s.choose(page.Indexes...); err != nil {
			return err
		}
		if !page.More {
			return nil
		}
		q.After = &page.Last
	}
}

// name chooses an entry by its ULID.
func (s *selector) name(id ulid.ULID) error {
	f := filter{workspace: s.f.workspace, ulid: id}
	leaf, _, err := s.a.entryOf(&f)
	if err != nil {
		return err
	}
	return s.choose(leaf.Entry.Index)
}

// choose chooses entries, as far as there is something to erase, and what goes along.
func (s *selector) choose(indexes ...uint64) error {
	var along []uint64
	for len(indexes) > 0 {
		err := s.a.each(s.f.turn, indexes, func(leaf *chain.Leaf, hash chain.Hash) error {
			e := &leaf.Entry
			selected := e.Selected(hash)
			switch {
			case e.Index >= s.out.Size || s.has(e.Index):
				return nil
			case e.Kind == chain.KindDuplicate:
				along = append(along, e.Ref)
				return nil
			case !selected.Erasable() || leaf.Payload == nil || e.Workspace.String() != s.out.Tag:
				return nil
			case len(s.chosen) == MaxSelected:
				return problem.Parameter("record", "too_many", "an answer selects at most "+strconv.Itoa(MaxSelected)+" entries; ask in parts, by since and until")
			}
			s.chosen[e.Index] = hash
			s.count(e.Kind)
			more, err := s.along(e)
			along = append(along, more...)
			return err
		})
		if errors.Is(err, ledger.ErrNotFound) {
			err = nil
		}
		if err != nil {
			return err
		}
		indexes, along = along, nil
	}
	return nil
}

func (s *selector) has(index uint64) bool { _, ok := s.chosen[index]; return ok }

func (s *selector) count(k chain.Kind) {
	switch k {
	case chain.KindRecord:
		s.out.Records++
	case chain.KindConflict:
		s.out.Conflicts++
	case chain.KindRejection:
		s.out.Rejections++
	case chain.KindControl:
		s.out.Controls++
	}
}

// along returns what is to be chosen with an entry, and counts its duplicates.
func (s *selector) along(e *chain.Entry) (more []uint64, err error) {
	refs, err := s.a.o.Ledger.References(e.Index)
	if err != nil {
		return nil, err
	}
	s.out.Duplicates += len(refs[chain.KindDuplicate])
	if s.f.selecting.conflicts {
		more = append(more, refs[chain.KindConflict]...)
	}
	if s.f.selecting.amendments {
		more = append(more, refs[chain.KindRecord]...)
	}
	return more, nil
}

// settle makes statements' parts of what is chosen.
func (s *selector) settle() error {
	if len(s.chosen) == 0 {
		return nil
	}
	tag, id := s.a.o.Ledger.Tag(s.f.workspace), s.a.o.Ledger.ID()
	ranges := chain.Ranges(slices.Values(slices.Sorted(maps.Keys(s.chosen))))
	leaf := func(index uint64) (chain.Hash, error) { return s.chosen[index], nil }
	all, err := chain.SelectionHash(id, tag, ranges, leaf)
	if err != nil {
		return err
	}
	s.out.Selection = all.String()
	for len(ranges) > 0 {
		var part []chain.Range
		after, length := uint64(0), 0
		for room := uint64(chain.MaxSelected); len(ranges) > 0 && room > 0 && length < partBytes; {
			r := ranges[0]
			if n := r.To - r.From; n > room {
				r.To = r.From + room
				ranges[0].From = r.To
			} else {
				ranges = ranges[1:]
			}
			room -= r.To - r.From
			length += len(chain.AppendRanges(nil, []chain.Range{{From: r.From - after, To: r.To - after}}))
			part, after = append(part, r), r.To
		}
		h, err := chain.SelectionHash(id, tag, part, leaf)
		if err != nil {
			return err
		}
		p := SelectionPart{Leaves: h.String()}
		for _, r := range part {
			p.Ranges = append(p.Ranges, [2]uint64{r.From, r.To})
		}
		s.out.Parts = append(s.out.Parts, p)
	}
	return nil
}
