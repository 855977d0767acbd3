package query

import (
	"fmt"
	"net/http"
	"slices"

	"annals/ledger/proof"

	"github.com/danielgtaylor/huma/v2"
)

func keysSchema(huma.Registry) *huma.Schema {
	text := func(about string) *huma.Schema { return &huma.Schema{Type: huma.TypeString, Description: about} }
	number := func(about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeInteger, Minimum: ptr(0.0), Description: about}
	}
	list := func(of *huma.Schema, about string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeArray, Items: of, Description: about}
	}
	object := func(optional []string, properties map[string]*huma.Schema) *huma.Schema {
		s := &huma.Schema{Type: huma.TypeObject, Properties: properties}
		for name := range properties {
			if !slices.Contains(optional, name) {
				s.Required = append(s.Required, name)
			}
		}
		slices.Sort(s.Required)
		return s
	}
	hashes := func(about string) *huma.Schema { return list(text("32 bytes in base64."), about) }
	entry := object(nil, map[string]*huma.Schema{
		"index": number("The entry's index."),
		"entry": text("The entry's bytes in base64, without its payload."),
		"proof": hashes("Its RFC 6962 inclusion proof in `checkpoint`, the leaf's sibling first."),
	})
	return object(nil, map[string]*huma.Schema{
		"origin": text("The name that the genesis gave the ledger."),
		"ledger": text("The digest of the genesis, in hexadecimal."),
		"keys": list(object([]string{"vkey", "to"}, map[string]*huma.Schema{
			"vkey":      text("The note verifier key (C2SP signed-note) of a key that signs notes."),
			"id":        text("The key's id in control statements, in hexadecimal."),
			"algorithm": number("1 Ed25519, 2 ML-DSA-44."),
			"public":    text("The public key in base64."),
			"roles":     list(text("root, ledger, operator, eraser, checkpoint or heads."), "What it may sign."),
			"from":      number("It is in force for checkpoints of this size and above,"),
			"to":        number("and below this one. Absent while it stands."),
		}), "Every key that was ever named, in the order of naming."),
		"genesis":     entry,
		"changes":     list(entry, "Every change of keys, in the ledger's order."),
		"retired":     list(text("A signed note."), "The last checkpoint by each key that signs no more, by size."),
		"consistency": list(hashes("RFC 6962 consistency proof."), "For each of `retired`, from its size to that of `checkpoint`."),
		"checkpoint":  text("A signed note: the checkpoint that everything here is proven in."),
	})
}

// history answers with every key that was ever named, and the proofs by which
// somebody who knows an old one follows their changes (docs/format/keys.md).
func (a *API) history(w http.ResponseWriter, _ *http.Request, _ *filter) error {
	size, note, err := a.signed()
	if err != nil {
		return err
	}
	h, err := a.keyHistory(size, note)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", a.kept("no-cache"))
	return writeJSON(w, h)
}

// keyHistory puts the history together as it stood at a checkpoint.
func (a *API) keyHistory(size uint64, checkpoint []byte) (*proof.KeyHistory, error) {
	l := a.o.Ledger
	state := l.Head().State
	roster := state.Roster()
	h := &proof.KeyHistory{
		Origin: l.Genesis().Origin, Ledger: l.ID(), Checkpoint: string(checkpoint),
		Keys: namedAt(proof.NamedKeys(l.Genesis().Origin, roster), size),
	}
	indexes := []uint64{0}
	for _, index := range roster.Changes() {
		if index < size { // what came since is in the next one
			indexes = append(indexes, index)
		}
	}
	proofs, err := l.Inclusions(indexes, size)
	if err != nil {
		return nil, err
	}
	entries := make([]proof.KeyEntry, len(indexes))
	for i, index := range indexes {
		raw, err := l.Raw(index)
		if err != nil {
			return nil, err
		}
		entries[i] = proof.KeyEntry{Index: index, Entry: raw, Proof: proof.Listed(proofs[i])}
	}
	h.Genesis, h.Changes = entries[0], entries[1:]
	return h, a.addRetired(h, size)
}

// addRetired adds the last checkpoints of keys that sign no more.
func (a *API) addRetired(h *proof.KeyHistory, size uint64) error {
	if a.o.Retired == nil {
		return nil
	}
	for _, note := range a.o.Retired() {
		c, err := proof.ParseCheckpoint(note)
		if err != nil {
			return fmt.Errorf("a retired checkpoint: %w", err)
		}
		if c.Size >= size {
			continue // its key signed the checkpoint that this history is for, or one after it
		}
		between, err := a.o.Ledger.Consistency(c.Size, size)
		if err != nil {
			return err
		}
		h.Retired = append(h.Retired, string(note))
		h.Consistency = append(h.Consistency, proof.Listed(between))
	}
	return nil
}

// namedAt takes away what was not yet so at a size: keys named later, and the ends
// of those that a later entry removed.
func namedAt(keys []proof.NamedKey, size uint64) []proof.NamedKey {
	keys = slices.DeleteFunc(keys, func(k proof.NamedKey) bool { return k.From > size })
	for i := range keys {
		if to := keys[i].To; to != nil && *to > size {
			keys[i].To = nil
		}
	}
	return keys
}
