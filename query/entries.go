package query

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"

	"annals/internal/problem"
	"annals/ledger/chain"
	"annals/ledger/proof"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
)

// entriesMedia is what entries come as: a JSON object a line.
const entriesMedia = "application/x-ndjson"

// chained is what a request for a workspace's entries asks.
type chained struct {
	from     uint64 // position
	limit    int
	payloads bool
	proofs   uint64 // the size of the tree to prove the entries in; 0: no proofs
}

func init() {
	parameters["entries-from"] = sizeParameter("from", "The position in the workspace's chain to begin at. Default: 0, its first entry.", 0,
		func(f *filter, n uint64) { f.chained.from = n })
	limit := *parameters["limit"]
	limit.about = "Entries in the answer, at least 1. More than 1000 is taken as 1000. There can be fewer, when they are large: go on behind the last one."
	limit.parse = func(f *filter, _ said, v string) (code problem.Code, why string) {
		f.chained.limit, code, why = atLeastOne("limit", v, MaxLimit)
		return code, why
	}
	parameters["entries-limit"] = &limit
	parameters["entries-with"] = &parameter{
		name: "with", in: inQuery, example: "payloads",
		about:  "What to add to each entry: payloads, its salt, envelope and body where they are kept; a duplicate's body is whole.",
		schema: huma.Schema{Type: huma.TypeString, Enum: []any{"payloads"}},
		parse: func(f *filter, _ said, v string) (problem.Code, string) {
			if v != "payloads" {
				return "unknown_addition", strconv.Quote(v) + " can't be added; there is payloads"
			}
			f.chained.payloads = true
			return "", ""
		},
	}
	parameters["entries-proofs"] = sizeParameter("proofs", "Add to each entry its inclusion proof in the tree of this size: a published checkpoint's. The answer ends before what that tree does not have.", 1048576,
		func(f *filter, size uint64) { f.chained.proofs = size })
}

// entries answers with a workspace's entries in the order of its chain, of every
// kind: what its tenant verifies.
func (a *API) entries(w http.ResponseWriter, r *http.Request, f *filter) error {
	if err := tenantsOwn(f); err != nil {
		return err
	}
	asked := &f.chained
	if asked.limit == 0 {
		asked.limit = DefaultLimit
	}
	if size := a.published(); asked.proofs > size {
		return problem.Parameter("proofs", "size_not_published", "no checkpoint of that size is published yet; the last has size "+strconv.FormatUint(size, 10))
	}
	a.freshen(r.Context())
	view, err := a.o.Projections.View()
	if err != nil {
		return err
	}
	defer view.Close()
	if err := a.level(view.Cursor()); err != nil {
		return err
	}
	indexes, err := a.chainFrom(r.Context(), view, a.o.Ledger.Tag(f.workspace), asked)
	if err != nil {
		return err
	}
	var proofs [][]chain.Hash
	if asked.proofs > 0 {
		if proofs, err = a.o.Ledger.Inclusions(indexes, asked.proofs); err != nil {
			return err
		}
	}
	buffer := buffers.get()
	defer buffers.put(buffer)
	if *buffer, err = a.lines((*buffer)[:0], indexes, proofs, asked, f); err != nil {
		return err
	}
	return write(w, entriesMedia, *buffer)
}

// lines appends the entries at the given indexes, as far as they fit into an answer.
func (a *API) lines(b []byte, indexes []uint64, proofs [][]chain.Hash, asked *chained, f *filter) ([]byte, error) {
	position, n, tag := asked.from, 0, a.o.Ledger.Tag(f.workspace)
	err := a.each(f.turn, indexes, func(leaf *chain.Leaf, _ chain.Hash) error {
		if len(b) > maxPage {
			return errFull
		}
		if leaf.Entry.Position != position || leaf.Entry.Workspace != tag {
			return errIndexes
		}
		line := proof.NewLine(leaf, asked.payloads)
		if proofs != nil {
			line.Proof = proof.Hashes64(proofs[n])
		}
		position++
		n++
		text, err := json.Marshal(&line)
		b = append(append(b, text...), '\n')
		return err
	})
	if errors.Is(err, errFull) {
		err = nil
	}
	return b, err
}

// allWork is no bound on an answer's work: a chain is read from one place on, not
// searched.
const allWork = math.MaxInt

// chainFrom returns the indexes of a workspace's entries from a position on. The
// entries themselves say their position, so the first is found by halving the
// ledger; what the indexes say is compared with them again.
func (a *API) chainFrom(ctx context.Context, view *projections.View, tag chain.Hash, asked *chained) ([]uint64, error) {
	q := projections.Query{Workspace: tag, Kinds: chain.Kinds(), Oldest: true, Limit: 1, Work: allWork, To: asked.proofs}
	var failed error
	// at returns the first entry of the workspace from an index on.
	at := func(from uint64) (index, position uint64, ok bool) {
		q.From = from
		page, err := view.Page(ctx, q)
		if err != nil || len(page.Indexes) == 0 {
			failed = errors.Join(failed, err)
			return 0, 0, false
		}
		leaf, _, err := a.o.Ledger.Get(page.Indexes[0])
		if err != nil {
			failed = errors.Join(failed, err)
			return 0, 0, false
		}
		return page.Indexes[0], leaf.Entry.Position, true
	}
	from, found := uint64(0), asked.from == 0
	for low, high := asked.from, view.Cursor(); !found && low < high && failed == nil; {
		middle := low + (high-low)/2
		switch index, position, ok := at(middle); {
		case !ok, position > asked.from:
			high = middle
		case position == asked.from:
			from, found = index, true
		default:
			low = index + 1
		}
	}
	if failed != nil || !found {
		return nil, failed
	}
	q.From, q.Limit = from, asked.limit
	page, err := view.Page(ctx, q)
	return slices.Clip(page.Indexes), err
}

// lineSchema is one line's.
func lineSchema(huma.Registry) *huma.Schema {
	return object("One line: an entry of the workspace's chain.", []string{"index", "entry"}, map[string]*huma.Schema{
		"index":    count("Its place in the ledger."),
		"entry":    base64Of("What is hashed: header and tail (docs/format/entry.md)."),
		"proof":    {Type: huma.TypeArray, Items: base64Of("32 bytes."), Description: "RFC 6962 inclusion proof in the tree that proofs names, the leaf's sibling first."},
		"salt":     base64Of("What the payload is committed to with, 32 bytes."),
		"envelope": base64Of("Subject and retained headers (docs/format/messages.md)."),
		"body":     base64Of("What was published, whole."),
	})
}
