package pack

import (
	"annals/activity"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Settled is a catalogue that the workspace laid over the published one, as its maker
// found it: in force from the entry after its own on. Nothing proves it here; what a
// pack proves are records, and the report is its maker's word.
type Settled struct {
	Entry    uint64         `json:"entry"` // index of the entry that it stands in
	Document jsontext.Value `json:"document,omitzero"`

	words *activity.Vocabulary
}

// maxSettled is how many bytes of catalogues a pack shows: the newest first. Each has
// its line all the same.
const maxSettled = 512 << 10

// Settle is a catalogue in an entry. One that can't be read, or was erased (nil), says
// nothing.
func Settle(entry uint64, document []byte) Settled {
	s := Settled{Entry: entry, Document: document, words: activity.Catalogue()}
	if words, err := activity.Own(document); err == nil {
		s.words = words
	} else if !jsontext.Value(document).IsValid() {
		s.Document = nil
	}
	return s
}

// wordsAt are those in which the entry at an index is told.
func (c *Contents) wordsAt(index uint64) *activity.Vocabulary {
	for i := len(c.Catalogues) - 1; i >= 0; i-- {
		if s := &c.Catalogues[i]; s.Entry < index {
			return s.words
		}
	}
	return activity.Catalogue()
}

// catalogueOf is what the published catalogue says of types, and what the workspace's
// own say.
func (c *Contents) catalogueOf(types map[string]bool) ([]byte, error) {
	out := struct {
		Types      []activity.Definition `json:"types"`
		Catalogues []Settled             `json:"catalogues,omitempty"`
	}{Types: []activity.Definition{}}
	for _, d := range activity.Catalogue().Definitions() {
		for typ := range types {
			if found, ok := activity.Lookup(typ); ok && found.Slug == d.Slug {
				out.Types = append(out.Types, d)
				break
			}
		}
	}
	out.Catalogues = append(out.Catalogues, c.Catalogues...)
	room := maxSettled
	for i := len(out.Catalogues) - 1; i >= 0; i-- {
		s := &out.Catalogues[i]
		if room -= len(s.Document); room < 0 {
			s.Document = nil
		}
	}
	b, err := json.Marshal(&out, jsontext.Multiline(true))
	return append(b, '\n'), err
}
