package access

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// savedVersion is the version of what a book saves.
const savedVersion = 1

type savedBook struct {
	Version int                  `json:"version"`
	Keys    []savedKey           `json:"keys"`
	Embeds  map[string]time.Time `json:"revoked_embed_tokens,omitzero"` // WORKSPACE/ID
}

type savedKey struct {
	ID         string    `json:"id"`
	Name       string    `json:"name"`
	Subject    string    `json:"subject"`
	OnBehalf   bool      `json:"on_behalf,omitzero"`
	Hash       string    `json:"sha256"` // of "annals/key/v1\0" and the key
	Scopes     []string  `json:"scopes"`
	Workspaces []string  `json:"workspaces"`
	Created    time.Time `json:"created"`
	By         string    `json:"by,omitzero"`
	Expires    time.Time `json:"expires"`
	Revoked    time.Time `json:"revoked,omitzero"`
	RevokedBy  string    `json:"revoked_by,omitzero"`
	LastUsed   time.Time `json:"last_used,omitzero"`
	Told       savedTold `json:"told,omitzero"`
}

// savedTold is what the ledger was told of a key.
type savedTold struct {
	Minted  bool `json:"minted,omitzero"`
	Revoked bool `json:"revoked,omitzero"`
}

// print is all that is kept of the keys. Call it with b.mu held.
func (b *Book) print() ([]byte, error) {
	saved := savedBook{Version: savedVersion, Keys: []savedKey{}}
	for workspace, of := range b.embeds {
		for id, until := range of {
			if saved.Embeds == nil {
				saved.Embeds = map[string]time.Time{}
			}
			saved.Embeds[workspace+"/"+id] = until
		}
	}
	for _, held := range b.keys {
		k := held.shown()
		saved.Keys = append(saved.Keys, savedKey{
			ID: k.ID, Name: k.Name, Subject: k.Subject, OnBehalf: k.OnBehalf, Hash: hex.EncodeToString(held.digest[:]),
			Scopes: k.Scopes.Names(), Workspaces: k.Workspaces.Names(),
			Created: k.Created, By: k.By, Expires: k.Expires, Revoked: k.Revoked, RevokedBy: k.RevokedBy, LastUsed: k.LastUsed,
			Told: savedTold{held.mintedTold, held.revokedTold},
		})
	}
	text, err := json.Marshal(saved, jsontext.WithIndent("  "), json.Deterministic(true))
	return append(text, '\n'), err
}

// parse reads what print printed. What is unknown or missing is refused: a key that
// was read wrongly might let in whom it must not.
func (b *Book) parse(text []byte) error {
	var saved savedBook
	if err := json.Unmarshal(text, &saved, json.RejectUnknownMembers(true)); err != nil {
		return err
	}
	if saved.Version != savedVersion {
		return fmt.Errorf("it has version %d, and this program reads version %d", saved.Version, savedVersion)
	}
	for name, until := range saved.Embeds {
		workspace, id, _ := strings.Cut(name, "/")
		if !validWorkspace(workspace) || !validID(id) {
			return fmt.Errorf("the revoked embed token %q: a workspace, / and %d hexadecimal digits are one", name, 2*idSize)
		}
		if b.embeds[workspace] == nil {
			b.embeds[workspace] = map[string]time.Time{}
		}
		b.embeds[workspace][id] = until
	}
	ids, digests := map[string]bool{}, map[digest]bool{}
	for i := range saved.Keys {
		k, err := saved.Keys[i].key()
		if err != nil {
			return fmt.Errorf("key %s: %w", nameOf(saved.Keys[i].ID, saved.Keys[i].Name), err)
		}
		if ids[k.ID] || digests[k.digest] {
			return fmt.Errorf("key %s is there twice", k.ID)
		}
		ids[k.ID], digests[k.digest] = true, true
		b.keys = append(b.keys, k)
	}
	return nil
}

func (s *savedKey) key() (*kept, error) {
	d, err := parseDigest(s.Hash)
	if err != nil {
		return nil, fmt.Errorf("sha256: %w", err)
	}
	scopes, err := ParseScopes(s.Scopes)
	if err != nil {
		return nil, err
	}
	workspaces, err := ParseWorkspaces(s.Workspaces)
	if err != nil {
		return nil, err
	}
	q := Request{Name: s.Name, Subject: s.Subject, Scopes: scopes, Workspaces: workspaces, Life: s.Expires.Sub(s.Created)}
	if err := q.check(); err != nil {
		return nil, err
	}
	if !validID(s.ID) {
		return nil, fmt.Errorf("id: %d hexadecimal digits are one", 2*idSize)
	}
	k := newKept(Key{
		ID: s.ID, Name: s.Name, Subject: q.Subject, OnBehalf: s.OnBehalf, Scopes: scopes, Workspaces: workspaces,
		Created: s.Created.UTC(), By: s.By, Expires: s.Expires.UTC(), Revoked: s.Revoked.UTC(), RevokedBy: s.RevokedBy,
	}, d)
	k.mintedTold, k.revokedTold = s.Told.Minted, s.Told.Revoked
	if !s.LastUsed.IsZero() {
		k.used.Store(s.LastUsed.Unix())
	}
	return k, nil
}
