package activity

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Overlay is what a workspace lays over the [Catalogue]: types of its own, other
// words for published ones, and the reasons that its records give. It is kept in
// the ledger as a document of JSON (docs/catalogue.md); [Vocabulary.With] makes a
// vocabulary of it.
type Overlay struct {
	// Strict has doors refuse a record whose type is unknown, or that lacks what its
	// type needs. What stands in the stream is never refused.
	Strict  bool        `json:"strict,omitzero"`
	Groups  []OwnGroup  `json:"groups,omitempty"`
	Objects []Noun      `json:"objects,omitempty"`
	Types   []OwnType   `json:"types,omitempty"`
	Reasons []OwnReason `json:"reasons,omitempty"`
}

// OwnGroup is a chapter of a workspace's catalogue.
type OwnGroup struct {
	Slug  string `json:"slug"`
	Label string `json:"label"`
}

// OwnType is a type of a workspace's own, or what it says otherwise of a published
// one: then what is left out stays as it was published.
type OwnType struct {
	Slug  string `json:"slug"` // "contract_*" for a prefix
	Label string `json:"label,omitzero"`
	Group string `json:"group,omitzero"`
	// Object and Fields stay as published together, where Fields is nil.
	Object      string     `json:"object,omitzero"`
	Fields      []OwnField `json:"fields,omitzero"`
	Open        bool       `json:"open,omitzero"`
	Failure     bool       `json:"failure,omitzero"`
	Description string     `json:"description,omitzero"`
	Sentence    string     `json:"sentence,omitzero"`
}

// OwnField is a [Field] in a document.
type OwnField struct {
	Slug     string     `json:"slug"`
	Label    string     `json:"label"`
	Object   string     `json:"object,omitzero"`
	Optional bool       `json:"optional,omitzero"`
	Each     []OwnField `json:"each,omitempty"`
	Choices  string     `json:"choices,omitzero"`
}

// OwnReason is a code that a record's reason may give, and what it is called.
type OwnReason struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

// Bounds of an overlay.
const (
	MaxOverlay = 256 << 10 // bytes of its document

	maxOwnTypes   = 1024
	maxOwnFields  = 64 // of a type, and of one field's each
	maxOwnGroups  = 128
	maxOwnObjects = 256
	maxOwnReasons = 1024
	maxOwnLabel   = 200   // characters
	maxOwnText    = 1_000 // bytes of a sentence, or a description
	maxOwnSlug    = 128   // bytes
)

// OverlayError says what of a document is wrong, and where.
type OverlayError struct {
	Pointer string // RFC 6901, into the document; "" is the whole
	Why     string
}

func (e *OverlayError) Error() string {
	if e.Pointer == "" {
		return "catalogue: " + e.Why
	}
	return "catalogue: " + e.Pointer + ": " + e.Why
}

// ParseOverlay reads a document: strictly, as every JSON here (RFC 8259), with no
// members that are not known. What its parts mean together is for
// [Vocabulary.With]. The error is an [OverlayError].
func ParseOverlay(document []byte) (*Overlay, error) {
	if len(document) > MaxOverlay {
		return nil, tooLarge(document)
	}
	o := new(Overlay)
	err := json.Unmarshal(document, o, json.RejectUnknownMembers(true))
	var syntax *jsontext.SyntacticError
	var meaning *json.SemanticError
	switch {
	case err == nil && jsontext.Value(document).Kind() == 'n':
		return nil, &OverlayError{Why: "it is null, where an object belongs; {} is a catalogue that says nothing"}
	case errors.As(err, &syntax):
		return nil, &OverlayError{string(syntax.JSONPointer), "this is no JSON: " + syntax.Err.Error()}
	case errors.As(err, &meaning):
		return nil, &OverlayError{string(meaning.JSONPointer), misfit(meaning)}
	case err != nil:
		return nil, &OverlayError{Why: err.Error()}
	}
	return o, nil
}

// misfit says why a value is none of what belongs in its place.
func misfit(e *json.SemanticError) string {
	switch {
	case errors.Is(e.Err, json.ErrUnknownName):
		return "no such member is known here"
	case e.Err != nil:
		return e.Err.Error()
	case e.JSONKind != 0:
		return jsonkind.Name(e.JSONKind) + " can't stand here"
	}
	return e.Error()
}

// Document prints an overlay in the one form in which it is written to the ledger.
// The error is an [OverlayError].
func (o *Overlay) Document() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(o, json.Deterministic(true))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxOverlay {
		return nil, tooLarge(b)
	}
	return b, nil
}

func tooLarge(document []byte) error {
	return &OverlayError{Why: "it has " + strconv.Itoa(len(document)) + " bytes, and may have " + strconv.Itoa(MaxOverlay)}
}

// Empty reports whether the overlay says nothing.
func (o *Overlay) Empty() bool {
	return !o.Strict && len(o.Groups)+len(o.Objects)+len(o.Types)+len(o.Reasons) == 0
}

// checker holds an overlay to its bounds and forms. The first fault stays.
type checker struct{ fault *OverlayError }

func (c *checker) at(pointer, why string) {
	if c.fault == nil {
		c.fault = &OverlayError{pointer, why}
	}
}

// list bounds a list, and refuses what stands in it twice.
func (c *checker) list(pointer string, n, most int, what string, key func(int) string) {
	if n > most {
		c.at(pointer, "it has "+strconv.Itoa(n)+" "+what+", and may have "+strconv.Itoa(most))
		return
	}
	seen := make(map[string]bool, n)
	for i := range n {
		if k := key(i); seen[k] {
			c.at(pointer+"/"+strconv.Itoa(i), strconv.Quote(k)+" is there twice")
		} else {
			seen[k] = true
		}
	}
}

// text bounds what people read: nothing hidden, so that it says what it seems to.
func (c *checker) text(pointer, s string, needed bool) {
	switch {
	case s == "" && needed:
		c.at(pointer, "it is missing")
	case utf8.RuneCountInString(s) > maxOwnLabel:
		c.at(pointer, "it has "+strconv.Itoa(utf8.RuneCountInString(s))+" characters, and may have "+strconv.Itoa(maxOwnLabel))
	default:
		c.shown(pointer, s)
	}
}

func (c *checker) shown(pointer, s string) {
	if strings.ContainsFunc(s, hidden) || !utf8.ValidString(s) {
		c.at(pointer, "it holds a control or direction character, which can't be seen")
	}
}

// long bounds a sentence or a description.
func (c *checker) long(pointer, s string) {
	if len(s) > maxOwnText {
		c.at(pointer, "it has "+strconv.Itoa(len(s))+" bytes, and may have "+strconv.Itoa(maxOwnText))
	}
	c.shown(pointer, s)
}

// slug bounds a name that records or other parts of the overlay use.
func (c *checker) slug(pointer, s string) {
	switch {
	case s == "":
		c.at(pointer, "it is missing")
	case len(s) > maxOwnSlug:
		c.at(pointer, "it has "+strconv.Itoa(len(s))+" bytes, and may have "+strconv.Itoa(maxOwnSlug))
	default:
		c.shown(pointer, s)
	}
}

// check holds an overlay to all that needs no other catalogue.
func (o *Overlay) check() error {
	var c checker
	c.list("/groups", len(o.Groups), maxOwnGroups, "groups", func(i int) string { return o.Groups[i].Slug })
	for i, g := range o.Groups {
		at := "/groups/" + strconv.Itoa(i)
		if !ValidType(g.Slug) {
			c.at(at+"/slug", "a group's slug is 1 to 128 of A-Z a-z 0-9 _ . - and not _ alone")
		}
		c.text(at+"/label", g.Label, true)
	}
	c.list("/objects", len(o.Objects), maxOwnObjects, "objects", func(i int) string { return o.Objects[i].Type })
	for i, n := range o.Objects {
		at := "/objects/" + strconv.Itoa(i)
		c.slug(at+"/type", n.Type)
		c.text(at+"/noun", n.Noun, true)
		c.text(at+"/one", n.One, true)
	}
	c.list("/types", len(o.Types), maxOwnTypes, "types", func(i int) string { return o.Types[i].Slug })
	for i := range o.Types {
		o.Types[i].check(&c, "/types/"+strconv.Itoa(i))
	}
	c.list("/reasons", len(o.Reasons), maxOwnReasons, "reasons", func(i int) string { return o.Reasons[i].Code })
	for i, r := range o.Reasons {
		at := "/reasons/" + strconv.Itoa(i)
		c.slug(at+"/code", r.Code)
		c.text(at+"/label", r.Label, true)
	}
	if c.fault != nil {
		return c.fault
	}
	return nil
}

func (t *OwnType) check(c *checker, at string) {
	if stem := strings.TrimSuffix(t.Slug, "*"); !ValidType(stem) {
		c.at(at+"/slug", "a type is 1 to 128 of A-Z a-z 0-9 _ . - and not _ alone; a * may follow, for every type that begins so")
	}
	c.text(at+"/label", t.Label, false)
	c.long(at+"/description", t.Description)
	c.long(at+"/sentence", t.Sentence)
	if t.Object != "" {
		c.slug(at+"/object", t.Object)
	}
	checkFields(c, at+"/fields", t.Fields, true)
}

func checkFields(c *checker, at string, fields []OwnField, nest bool) {
	c.list(at, len(fields), maxOwnFields, "fields", func(i int) string { return fields[i].Slug })
	for i := range fields {
		f, at := &fields[i], at+"/"+strconv.Itoa(i)
		c.slug(at+"/slug", f.Slug)
		if strings.ContainsAny(f.Slug, "{}[]|:") {
			c.at(at+"/slug", "a field that a sentence can name has none of { } [ ] | : in its slug")
		}
		c.text(at+"/label", f.Label, true)
		if f.Object != "" {
			c.slug(at+"/object", f.Object)
		}
		switch {
		case len(f.Each) > 0 && !nest:
			c.at(at+"/each", "what a list holds has no lists")
		case len(f.Each) > 0 && f.Choices != "":
			c.at(at+"/choices", "a list of objects is no choice")
		}
		checkFields(c, at+"/each", f.Each, false)
	}
}
