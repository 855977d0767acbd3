package control

import (
	"context"
	"crypto/rand"
	"net/url"
	"strconv"

	"annals/cmd/annals/internal/client"
	"annals/ledger/chain"
	query "annals/query/client"
	"github.com/go-json-experiment/json/jsontext"
)

// Catalogue is a workspace's own catalogue, as a server says.
type Catalogue struct {
	Tag        chain.Hash         `json:"tag"`
	Index      *uint64            `json:"index"` // of its entry; nil: the workspace has none
	ULID       string             `json:"ulid"`
	RecordedAt string             `json:"recorded_at"`
	Document   jsontext.Value     `json:"document"`
	Erased     bool               `json:"erased"`
	Fault      string             `json:"fault"` // why the document can't be read
	Versions   []CatalogueVersion `json:"versions"`
}

// CatalogueVersion is where a catalogue stands.
type CatalogueVersion struct {
	Index      uint64 `json:"index"`
	ULID       string `json:"ulid"`
	RecordedAt string `json:"recorded_at"`
}

// CatalogueOf asks a server for a workspace's catalogue as it was when the ledger had so
// many entries; of size 0, as it is.
func CatalogueOf(ctx context.Context, c *query.Client, workspace string, size uint64) (*Catalogue, error) {
	question := url.Values{}
	if size > 0 {
		question.Set("as_of", strconv.FormatUint(size, 10))
	}
	return ask[Catalogue](ctx, c, "/v1/workspaces/"+url.PathEscape(workspace)+"/catalogue", question)
}

// LookCatalogue is [Look] and then [CatalogueOf], so that a statement with the number seen
// can't replace a catalogue that was not.
func LookCatalogue(ctx context.Context, c *client.Client, workspace string) (*Standing, *Catalogue, error) {
	at, err := Look(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	is, err := CatalogueOf(ctx, c.Client, workspace, 0)
	return at, is, err
}

// SealCatalogue signs a document as the catalogue of the workspace under a tag.
func SealCatalogue(at *Standing, tag chain.Hash, document []byte, signers ...chain.Signer) []byte {
	var salt [32]byte
	_, _ = rand.Read(salt[:]) // it never fails (crypto/rand)
	return chain.SealCatalogue(at.Ledger, at.Control, tag, salt, document, signers...)
}
