package query

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/oklog/ulid/v2"
)

// Bounds of one request's filters: enough for any question that a person puts,
// and little enough that none is a burden.
const (
	MaxConditions = 32
	MaxValues     = 200
	MaxRanges     = 16 // of them that stand for many: app.*, 10.0.0.0/8
)

// filter is what a request asks for.
type filter struct {
	workspace string
	where     []projections.Condition // in canonical order, once check has passed
	values    int                     // in where, all together
	ranges    int                     // of them
	published bool                    // groups are the published ones, whatever the workspace says
	kinds     uint16                  // a bit for each kind
	any, none uint16                  // kinds as the request names them
	ulid      ulid.ULID
	typ       string // of the object that the path names
	keyID     string // of the API key, or the embed token, that it names
	pathID    string // of the user or the object that it names
	turn      *turn  // of the query that it is answered by; nil: it is none

	since, until                 int64 // recorded, ms since 1970; [since, until)
	updatedSince                 int64 // recorded or amended, ms since 1970
	occurredSince, occurredUntil int64 // occurred, ns since 1970; [since, until)

	order  projections.Order
	oldest bool
	asOf   uint64
	then   bool // asOf was given

	limit    int
	cursor   string
	sentence bool

	fields []string // what a feed asks of changes

	counting counting // what /counts asks besides
	tailing  tailing  // what /tail asks besides
	proving  proving  // what proofs ask besides
	chained  chained  // what /entries asks

	selecting selecting // what /erasure asks
	paging    paging    // which page of user activity
	logging   logging   // what the user activity log is asked
}

const (
	allKinds      = 1<<chain.KindRecord | 1<<chain.KindDuplicate | 1<<chain.KindConflict | 1<<chain.KindRejection | 1<<chain.KindControl | 1<<chain.KindGap
	timelineKinds = 1<<chain.KindRecord | 1<<chain.KindConflict
)

// Times that were not asked for.
const (
	everSince = math.MinInt64
	everUntil = math.MaxInt64
)

func (f *filter) reset() {
	*f = filter{
		kinds: timelineKinds, limit: DefaultLimit,
		updatedSince: everSince, since: everSince, until: everUntil, occurredSince: everSince, occurredUntil: everUntil,
	}
}

// add adds a value that entries may have in a field, or with not one that they
// must not have. Values of one field are alternatives; a dimension is told apart
// by its name.
func (f *filter) add(field projections.Field, not bool, v projections.Value) (problem.Code, string) {
	if f.values++; f.values > MaxValues {
		return "too_many_values", "a request has at most " + strconv.Itoa(MaxValues) + " values in its filters; ask in parts"
	}
	if v.Prefix || field == projections.FieldIP && strings.Contains(v.A, "/") {
		if f.ranges++; f.ranges > MaxRanges { // each reads all values within it
			return "too_many_ranges", "a request has at most " + strconv.Itoa(MaxRanges) + " beginnings and networks in its filters; ask in parts"
		}
	}
	for i := range f.where {
		c := &f.where[i]
		if c.Field == field && c.Not == not && (field != projections.FieldDimension || c.Any[0].A == v.A) {
			c.Any = append(c.Any, v)
			return "", ""
		}
	}
	if len(f.where) == MaxConditions {
		return "too_many_conditions", "a request filters by at most " + strconv.Itoa(MaxConditions) + " things; ask in parts"
	}
	f.where = append(f.where, projections.Condition{Field: field, Any: []projections.Value{v}, Not: not})
	return "", ""
}

// check looks at parameters together, and puts the conditions into one order:
// requests that ask the same have the same form.
func (f *filter) check() error {
	switch {
	case f.until <= f.since:
		return problem.Parameter("until", "empty_range", "it must be after since")
	case f.occurredUntil <= f.occurredSince && f.occurredSince != everSince && f.occurredUntil != everUntil:
		return problem.Parameter("occurred_until", "empty_range", "it must be after occurred_since")
	}
	if f.any|f.none != 0 {
		if f.kinds = f.any; f.any == 0 {
			f.kinds = allKinds
		}
		if f.kinds &^= f.none; f.kinds == 0 {
			return problem.Parameter("kind!", "nothing_left", "no kind is left; name fewer, or other ones in kind")
		}
	}
	for i := range f.where {
		c := &f.where[i]
		slices.SortFunc(c.Any, compareValues)
		c.Any = slices.Compact(c.Any)
	}
	slices.SortFunc(f.where, func(a, b projections.Condition) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), compareBools(a.Not, b.Not), cmp.Compare(a.Any[0].A, b.Any[0].A))
	})
	return nil
}

func compareValues(a, b projections.Value) int {
	return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B), compareBools(a.Prefix, b.Prefix))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// appendTo appends a canonical form: equal for filters that select the same
// entries in the same order, whatever the page size.
func (f *filter) appendTo(b []byte) []byte {
	b = appendText(b, f.workspace)
	b = binary.BigEndian.AppendUint16(b, f.kinds)
	for _, t := range [...]int64{f.since, f.until, f.updatedSince, f.occurredSince, f.occurredUntil} {
		b = binary.BigEndian.AppendUint64(b, uint64(t))
	}
	b = append(b, byte(f.order), bit(f.oldest))
	for i := range f.where {
		c := &f.where[i]
		b = append(b, byte(c.Field), bit(c.Not))
		b = binary.BigEndian.AppendUint16(b, uint16(len(c.Any)))
		for _, v := range c.Any {
			b = append(b, bit(v.Prefix))
			b = appendText(appendText(b, v.A), v.B)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

func bit(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// onlyType is the activity type that every entry found has, "" when there may be
// several.
func (f *filter) onlyType() string {
	for i := range f.where {
		c := &f.where[i]
		if c.Field == projections.FieldType && !c.Not && len(c.Any) == 1 && !c.Any[0].Prefix {
			return c.Any[0].A
		}
	}
	return ""
}

// kindList is the kinds in order.
func (f *filter) kindList() []chain.Kind {
	list := make([]chain.Kind, 0, 6)
	for k := chain.KindRecord; k <= chain.KindGap; k++ {
		if f.kinds&(1<<k) != 0 {
			list = append(list, k)
		}
	}
	return list
}

// question is what the filter asks the indexes of a tree of a size, and of a
// moment in it; none: nothing of it can match.
func (a *API) question(view *projections.View, f *filter, size uint64) (q projections.Query, none bool, err error) {
	groups, err := a.groups(f, size)
	if err != nil {
		return q, true, err
	}
	q = projections.Query{
		Workspace: a.o.Ledger.Tag(f.workspace),
		Where:     f.where, Groups: groups, Kinds: f.kindList(),
		To: size, Order: f.order, Oldest: f.oldest, Limit: f.limit, Work: a.o.Work,
	}
	if f.occurredSince != everSince || f.occurredUntil != everUntil {
		q.OccurredFrom, q.OccurredTo = f.occurredSince, f.occurredUntil
	}
	if f.since != everSince {
		if q.From, err = a.indexAt(view, f.since); err != nil {
			return q, true, err
		}
	}
	if f.until != everUntil {
		until, err := a.indexAt(view, f.until)
		if err != nil {
			return q, true, err
		}
		q.To = min(q.To, until)
	}
	if f.updatedSince != everSince {
		// As the tree of that size has it: what is amended later was not yet.
		if q.UpdatedFrom, err = a.indexAt(view, f.updatedSince); err != nil {
			return q, true, err
		}
		q.UpdatedTo = size
		if q.UpdatedFrom >= size {
			return q, true, nil
		}
	}
	return q, q.From >= q.To, nil
}

// indexAt is the first index recorded at or after a time, in ms since 1970. The
// indexes know the quarters of hours; the ledger knows all, and takes longer.
func (a *API) indexAt(view *projections.View, ms int64) (uint64, error) {
	index, err := view.IndexAt(ms)
	if errors.Is(err, projections.ErrQuery) {
		return a.o.Ledger.IndexAt(ms)
	}
	return index, err
}
