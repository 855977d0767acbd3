package query

import (
	"net/http"
	"reflect"
	"slices"
	"strings"

	"annals/activity"
	"annals/internal/access"
	"annals/internal/problem"
	"annals/ledger"
	"annals/ledger/chain"
	"annals/projections"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"
)

// Everything that tells a record in words (items, feeds, their export, the user
// activity log, tails) takes them from here, so that a record reads the same
// everywhere: by the catalogue of its workspace that was in force where it stands.

// words are those in which an entry of the item's workspace is told.
func (it *item) words(index uint64) (*activity.Vocabulary, error) {
	if !it.looked || index >= it.catalogues.Size {
		var err error
		if it.catalogues, err = it.api.o.Ledger.Catalogues(it.api.o.Ledger.Tag(it.filter.workspace)); err != nil {
			return nil, err
		}
		it.looked = true
	}
	return it.catalogues.Words(index)
}

// typesCalled are the types that a catalogue of the workspace, of those in a tree of a
// size, gives a label.
func (a *API) typesCalled(workspace, label string, size uint64) (types []projections.Value, err error) {
	all, err := a.o.Ledger.Catalogues(a.o.Ledger.Tag(workspace))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, index := range all.Versions() {
		if index >= size {
			break
		}
		found, _, err := all.At(index + 1) // itself
		if err != nil {
			return nil, err
		}
		own := found.Words.Overlay()
		if own == nil {
			continue
		}
		for i := range own.Types {
			slug := own.Types[i].Slug
			if d, _ := found.Words.Definition(slug); d.Label != label || seen[slug] {
				continue
			}
			seen[slug] = true
			stem, many := strings.CutSuffix(slug, "*")
			types = append(types, projections.Value{A: stem, Prefix: many})
		}
	}
	return types, nil
}

// groups is the vocabulary that says which groups types are in: the workspace's own, as
// it is in a tree of a size, or of size 0 as it is now; nil where no group is asked for
// or counted. A group that it doesn't have is a problem.
func (a *API) groups(f *filter, size uint64) (*activity.Vocabulary, error) {
	isGroup := func(c projections.Condition) bool { return c.Field == projections.FieldGroup }
	if f.published || f.counting.field != projections.FieldGroup && !slices.ContainsFunc(f.where, isGroup) {
		return nil, nil
	}
	all, err := a.o.Ledger.Catalogues(a.o.Ledger.Tag(f.workspace))
	if err != nil {
		return nil, err
	}
	if size == 0 {
		size = all.Size
	}
	words, err := all.Words(size)
	if err != nil {
		return nil, err
	}
	for _, c := range f.where {
		if !isGroup(c) {
			continue
		}
		for _, v := range c.Any {
			if _, ok := words.Group(v.A); !ok {
				name := "group"
				if c.Not {
					name = "group!"
				}
				code, why := unknownGroup(v.A, words)
				return nil, problem.Parameter(name, code, why)
			}
		}
	}
	return words, nil
}

// Catalogue is what a workspace lays over the published catalogue.
type Catalogue struct {
	Workspace string `json:"workspace"`
	Tag       string `json:"tag" doc:"The pseudonym that a statement names the workspace by, in hexadecimal."`
	CatalogueVersion
	Document jsontext.Value     `json:"document,omitzero" doc:"What was signed (docs/catalogue.md). Absent where the workspace has no catalogue of its own, where it was erased, and where it can't be read."`
	Erased   bool               `json:"erased,omitzero" doc:"The document was erased: what it told is told by what is published."`
	Fault    string             `json:"fault,omitzero" doc:"Why the document can't be read: it is as if nothing were said."`
	Versions []CatalogueVersion `json:"versions" doc:"Every catalogue that the workspace ever had, in the ledger's order, as far as the answer's moment."`
}

// CatalogueVersion is where a catalogue stands; absent members say that there is none.
type CatalogueVersion struct {
	Index      *uint64 `json:"index,omitzero" doc:"Of the entry: it is in force from the next one on."`
	ULID       string  `json:"ulid,omitzero" doc:"Of the entry."`
	RecordedAt string  `json:"recorded_at,omitzero" doc:"The ULID's time."`
}

func catalogueOperation() operation {
	return operation{
		path: "/v1/workspaces/{ws}/catalogue", id: "workspace-catalogue", summary: "A workspace's own catalogue",
		description: "The types, words and reasons that the workspace has beside the published ones (docs/catalogue.md), as they are in force for what is recorded next; with `as_of`, as they were when the ledger had that many entries. " +
			"It is changed by a statement that an operator signs elsewhere (`annals catalogue`) and submits to `/v1/control`.",
		parameters: []string{"ws", "as_of"}, mediaType: jsonMedia, schema: catalogueSchema,
		access: inWorkspace(access.Read | access.Audit | access.Admin), answer: (*API).catalogue,
		problems: []problem.Code{problem.InvalidParameter, problem.UnknownParameter, problem.Internal},
	}
}

func catalogueSchema(r huma.Registry) *huma.Schema {
	ref := r.Schema(reflect.TypeFor[Catalogue](), true, "")
	s := r.SchemaFromRef(ref.Ref)
	s.Properties["document"] = &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: s.Properties["document"].Description}
	return ref
}

// catalogue answers with a workspace's own catalogue.
func (a *API) catalogue(w http.ResponseWriter, _ *http.Request, f *filter) error {
	tag := a.o.Ledger.Tag(f.workspace)
	all, err := a.o.Ledger.Catalogues(tag)
	if err != nil {
		return err
	}
	size := all.Size
	if f.then {
		if f.asOf > size {
			return problem.Parameter("as_of", "not_yet", "the ledger does not have so many entries yet")
		}
		size = f.asOf
	}
	out := Catalogue{Workspace: f.workspace, Tag: tag.String(), Versions: []CatalogueVersion{}}
	for _, index := range all.Versions() {
		if index >= size {
			break
		}
		leaf, _, err := a.o.Ledger.Get(index)
		if err != nil {
			return err
		}
		out.Versions = append(out.Versions, versionOf(&leaf.Entry))
	}
	found, ok, err := all.At(size)
	switch {
	case err != nil:
		return err
	case ok:
		out.CatalogueVersion = out.Versions[len(out.Versions)-1]
		out.fill(&found)
	}
	return writeJSON(w, &out)
}

func (c *Catalogue) fill(found *ledger.Catalogue) {
	switch {
	case found.Fault != nil:
		c.Fault = found.Fault.Error()
	case found.Document == nil:
		c.Erased = true
	default:
		c.Document = found.Document
	}
}

func versionOf(e *chain.Entry) CatalogueVersion {
	index := e.Index
	return CatalogueVersion{Index: &index, ULID: e.ULID.String(), RecordedAt: recordedAt(e).Format(recordedText)}
}
