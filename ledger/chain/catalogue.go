package chain

import (
	"crypto/sha256"
	"errors"
)

// Catalogue is a control statement, signed by the operator, that settles which types
// a workspace has of its own from its entry on. It commits to a document, which is
// its message's private part, behind a salt: what a workspace calls its doings is
// nobody's business who is shown entries alone.
//
// The fold compares the document with the commitment and looks no further. No record
// is judged by it, so none hangs on what a reader makes of it.
type Catalogue struct {
	Format    uint16 // of the document; at least 1
	Workspace Hash   // tag
	Document  Hash   // what [CatalogueCommitment] gives
}

// CatalogueJSON is the format of documents that activity.ParseOverlay reads.
const CatalogueJSON uint16 = 1

// MaxCatalogue is the most bytes of a document.
const MaxCatalogue = 256 << 10

// CatalogueCommitment commits to a document.
func CatalogueCommitment(salt [sha256.Size]byte, document []byte) Hash {
	return sum("annals/catalogue/v1\x00", salt[:], document)
}

// Append appends the statement's body to dst.
func (c *Catalogue) Append(dst []byte) []byte {
	dst = be16(dst, c.Format)
	dst = append(dst, c.Workspace[:]...)
	return append(dst, c.Document[:]...)
}

// ParseCatalogue parses exactly what [Catalogue.Append] prints.
func ParseCatalogue(body []byte) (Catalogue, error) {
	r := cursor{b: body}
	c := Catalogue{Format: r.u16(), Workspace: r.hash(), Document: r.hash()}
	if !r.done() || c.Format == 0 {
		return c, malformed("catalogue of %d bytes", len(body))
	}
	return c, nil
}

// SealCatalogue frames and signs a document of a workspace as the body of a control
// message. salt is 32 random bytes of its own.
func SealCatalogue(ledger Hash, control uint64, workspace Hash, salt [sha256.Size]byte, document []byte, signers ...Signer) []byte {
	c := Catalogue{Format: CatalogueJSON, Workspace: workspace, Document: CatalogueCommitment(salt, document)}
	return SealControl(Statement{
		Ledger: ledger, Number: control, Type: ControlCatalogue, Body: c.Append(nil),
	}, append(salt[:], document...), signers...)
}

// Open returns the document in the private part of the statement's message; ok is
// false where that is not what the statement commits to.
func (c *Catalogue) Open(private []byte) (document []byte, ok bool) {
	if len(private) < sha256.Size || len(private) > sha256.Size+MaxCatalogue {
		return nil, false
	}
	document = private[sha256.Size:]
	return document, CatalogueCommitment([sha256.Size]byte(private), document) == c.Document
}

// Catalogue returns what a leaf settles, with its document where that is kept; ok is
// false for any other leaf.
func (l *Leaf) Catalogue() (c Catalogue, document []byte, ok bool) {
	if l.Entry.Kind != KindControl || ControlType(l.Entry.Code) != ControlCatalogue {
		return c, nil, false
	}
	control, err := l.Entry.Control()
	if err == nil {
		c, err = ParseCatalogue(control.Statement.Body)
	}
	if err != nil {
		return c, nil, false
	}
	if l.Payload != nil {
		if private, whole := control.Secret(l.Payload.Body); whole {
			document, _ = c.Open(private)
		}
	}
	return c, document, true
}

// CatalogueIn returns the document that a control message's body settles, judged by
// nobody; ok is false where there is none.
func CatalogueIn(body []byte) (c Catalogue, document []byte, ok bool) {
	st, ok := StatementOf(body)
	if !ok || st.Type != ControlCatalogue {
		return c, nil, false
	}
	c, err := ParseCatalogue(st.Body)
	if err != nil {
		return c, nil, false
	}
	f, _ := parseFrame(body)
	document, ok = c.Open(f.private)
	return c, document, ok
}

// catalogue checks that the document is the one that is signed. It changes nothing:
// which catalogue is in force at an entry is the newest of its workspace before it.
func (s *State) catalogue(fr *frame, st *Statement) error {
	c, err := ParseCatalogue(st.Body)
	if err != nil {
		return err
	}
	if _, ok := c.Open(fr.private); !ok {
		return errors.New("its private part is not the document that it commits to")
	}
	return nil
}
