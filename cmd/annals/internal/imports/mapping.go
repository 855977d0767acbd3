package imports

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Mapping says which columns of a CSV file become which members of a record. It is
// written in YAML, or JSON, which is YAML too (docs/import.md):
//
//	producer: crm
//	record:
//	  type: {column: Action, values: {login: user.login}, default: crm.other}
//	  occurred_at: {column: When, layout: "02.01.2006 15:04", zone: Europe/Berlin}
//	  actor.id: {column: User}
//	unmapped: data
type Mapping struct {
	Digest string // SHA-256 of the file, in hexadecimal

	comma    rune
	unmapped string // data, ignore or refuse
	fields   []field
}

// field is one member of the record, and where it comes from.
type field struct {
	path     string
	column   string // "": the value is constant
	constant string
	prefix   string
	values   map[string]string // nil: as it is
	fallback string            // where the cell is empty, or in none of values
	layout   string            // occurred_at's
	zone     *time.Location
}

// ReadMapping reads a mapping. Its errors say where in the file they are; name is what
// they call it.
func ReadMapping(name string, text []byte) (*Mapping, error) {
	h := sha256.Sum256(text)
	m := &Mapping{Digest: hex.EncodeToString(h[:]), comma: ',', unmapped: "data"}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s:1:1: the mapping is empty; docs/import.md shows one", name)
	case err != nil:
		return nil, fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: a second document follows the mapping; leave one", name)
	}
	if err := m.document(doc.Content[0]); err != nil {
		return nil, fmt.Errorf("%s:%w", name, err)
	}
	return m, nil
}

// at is an error about a place of a mapping.
func at(n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%d:%d: "+format, append([]any{n.Line, n.Column}, args...)...)
}

// pairs calls a function for each member of a YAML mapping, none of which may come
// twice.
func pairs(n *yaml.Node, what string, each func(key, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return at(n, "%s is a list of names and values", what)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode:
			return at(key, "anchors, aliases and merged keys are not read here; write it out")
		case seen[key.Value]:
			return at(key, "%q is there twice", key.Value)
		}
		seen[key.Value] = true
		if err := each(key, value); err != nil {
			return err
		}
	}
	return nil
}

// text is a scalar as it was written.
func text(key, n *yaml.Node) (string, error) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return "", at(n, "%s is a text", key.Value)
	}
	return n.Value, nil
}

func (m *Mapping) document(n *yaml.Node) error {
	producer, hasRecord := "csv", false
	err := pairs(n, "a mapping", func(key, value *yaml.Node) (err error) {
		switch key.Value {
		case "producer":
			producer, err = text(key, value)
		case "delimiter":
			err = m.delimiter(key, value)
		case "unmapped":
			if m.unmapped, err = text(key, value); err == nil && !slices.Contains([]string{"data", "ignore", "refuse"}, m.unmapped) {
				err = at(value, "unmapped is data, ignore or refuse, not %q", m.unmapped)
			}
		case "record":
			hasRecord = true
			err = pairs(value, "record", m.field)
		default:
			err = at(key, "there is no %q in a mapping; there is producer, delimiter, record and unmapped", key.Value)
		}
		return err
	})
	if err != nil {
		return err
	}
	if !hasRecord {
		return at(n, "the mapping has no record")
	}
	for _, path := range []string{"type", "occurred_at"} {
		if !m.has(path) {
			return at(n, "record lacks %s: say which column it is in", path)
		}
	}
	if !m.has("actor.id") && !m.has("actor.type") {
		return at(n, "record lacks actor.id: say which column names who acted, or set actor.type to anonymous or system")
	}
	m.fields = append(m.fields, field{path: "producer", constant: producer})
	return nil
}

func (m *Mapping) has(path string) bool {
	return slices.ContainsFunc(m.fields, func(f field) bool { return f.path == path })
}

func (m *Mapping) delimiter(key, value *yaml.Node) error {
	s, err := text(key, value)
	if err != nil {
		return err
	}
	r, n := utf8.DecodeRuneInString(s)
	if n != len(s) || n == 0 || r == '"' || r == '\r' || r == '\n' || r == utf8.RuneError {
		return at(value, "a delimiter is one character, such as \",\", \";\" or \"\\t\"")
	}
	m.comma = r
	return nil
}

// field reads a member of record.
func (m *Mapping) field(key, value *yaml.Node) error {
	f := field{path: key.Value}
	if !legalPath(f.path) {
		return at(key, "there is no %q in a record that a column could be; there is %s, dimensions.NAME and data.NAME", f.path, strings.Join(members(), ", "))
	}
	if value.Kind == yaml.ScalarNode {
		return at(value, "write %s: {column: %s}, or {value: %s} for a constant", f.path, value.Value, value.Value)
	}
	given := map[string]bool{}
	err := pairs(value, f.path, func(key, value *yaml.Node) (err error) {
		given[key.Value] = true
		switch key.Value {
		case "column":
			f.column, err = text(key, value)
		case "value":
			f.constant, err = text(key, value)
		case "prefix":
			f.prefix, err = text(key, value)
		case "default":
			f.fallback, err = text(key, value)
		case "layout":
			f.layout, err = text(key, value)
		case "zone":
			err = f.inZone(key, value)
		case "values":
			f.values = map[string]string{}
			err = pairs(value, "values", func(key, value *yaml.Node) (err error) {
				f.values[key.Value], err = text(key, value)
				return err
			})
		default:
			err = at(key, "there is no %q of a member; there is column, value, values, default, prefix, layout and zone", key.Value)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case (f.column != "") == (f.constant != ""):
		return at(value, "%s comes from a column or is a constant value: give one of both", f.path)
	case f.constant != "" && len(given) > 1:
		return at(value, "%s is constant: it has nothing but its value", f.path)
	case (given["layout"] || given["zone"]) && f.path != "occurred_at":
		return at(value, "layout and zone are occurred_at's, not %s's", f.path)
	case given["zone"] && !given["layout"]:
		return at(value, "a zone goes with a layout that has none")
	}
	m.fields = append(m.fields, f)
	return nil
}

func (f *field) inZone(key, value *yaml.Node) error {
	name, err := text(key, value)
	if err != nil {
		return err
	}
	if f.zone, err = time.LoadLocation(name); err != nil || name == "" || name == "Local" {
		return at(value, "%q is no time zone; one looks like Europe/Berlin or UTC", name)
	}
	return nil
}

func legalPath(path string) bool {
	stem, name, dotted := strings.Cut(path, ".")
	return slices.Contains(members(), path) || dotted && name != "" && (stem == "dimensions" || stem == "data")
}
