// Package catalogue reads a workspace's catalogue from a file, and lays one over
// another.
//
// The rule it exists for: whoever writes a catalogue is told what is wrong with it, and
// where in the file, before anything is signed.
package catalogue

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"annals/activity"

	"github.com/go-json-experiment/json/jsontext"
	"gopkg.in/yaml.v3"
)

// File is a catalogue that stands in a file.
type File struct {
	*activity.Overlay
	name string
	at   map[string]place // where each value stands, by its JSON pointer
}

type place struct{ line, column int }

// Read reads a file: JSON where it begins with a brace, else YAML of the same form. Its
// errors begin with the file's name, line and column.
func Read(name string, text []byte) (*File, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fmt.Errorf("%s:1:1: the catalogue is empty; docs/catalogue.md shows one", name)
	}
	f := &File{name: name, at: map[string]place{}}
	document := text
	var err error
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		err = f.json(text)
	} else {
		document, err = f.yaml(text)
	}
	if err != nil {
		return nil, err
	}
	if f.Overlay, err = activity.ParseOverlay(document); err != nil {
		return nil, f.fault(err)
	}
	return f, nil
}

// Over lays the file over a catalogue, and holds what comes of it to what is published. A
// fault of the file's has its place there.
func (f *File) Over(lower *activity.Overlay) (*activity.Overlay, error) {
	whole := Over(lower, f.Overlay)
	_, err := activity.Catalogue().With(whole)
	if err == nil {
		return whole, nil
	}
	// By itself, with the groups that it may lean on, the file has its faults at their
	// places.
	alone := *f.Overlay
	for _, g := range lower.Groups {
		if !slices.ContainsFunc(f.Groups, func(own activity.OwnGroup) bool { return own.Slug == g.Slug }) {
			alone.Groups = append(slices.Clip(alone.Groups), g)
		}
	}
	if _, fault := activity.Catalogue().With(&alone); fault != nil {
		return nil, f.fault(fault)
	}
	return nil, err
}

// Print holds a catalogue to what is published, and prints it as a document.
func Print(o *activity.Overlay) ([]byte, error) {
	if _, err := activity.Catalogue().With(o); err != nil {
		return nil, err
	}
	return o.Document()
}

// fault puts the place of a fault before it: of what is missing, that of what it is
// missing from.
func (f *File) fault(err error) error {
	var fault *activity.OverlayError
	if !errors.As(err, &fault) {
		return fmt.Errorf("%s: %w", f.name, err)
	}
	at, pointer := f.at[""], fault.Pointer
	for p := pointer; p != ""; p = p[:strings.LastIndexByte(p, '/')] {
		if found, ok := f.at[p]; ok {
			at = found
			break
		}
	}
	if pointer != "" {
		pointer += ": "
	}
	return fmt.Errorf("%s:%d:%d: %s%s", f.name, max(at.line, 1), max(at.column, 1), pointer, fault.Why)
}

// json finds the places in a JSON text.
func (f *File) json(text []byte) error {
	place := func(offset int64) place {
		before := text[:min(int(offset), len(text))]
		return place{1 + bytes.Count(before, []byte("\n")), len(before) - bytes.LastIndexByte(before, '\n')}
	}
	d := jsontext.NewDecoder(bytes.NewReader(text))
	for {
		offset := d.InputOffset()
		_, err := d.ReadToken()
		var syntax *jsontext.SyntacticError
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &syntax):
			at := place(syntax.ByteOffset)
			return fmt.Errorf("%s:%d:%d: this is no JSON: %v", f.name, at.line, at.column, syntax.Err)
		case err != nil:
			return fmt.Errorf("%s: %w", f.name, err)
		}
		for int(offset) < len(text) && strings.IndexByte(" \t\r\n,:", text[offset]) >= 0 {
			offset++
		}
		pointer := string(d.StackPointer())
		if _, known := f.at[pointer]; !known || f.named(d) {
			f.at[pointer] = place(offset)
		}
	}
}

// named reports whether the decoder has read a member's name: its value comes next.
func (f *File) named(d *jsontext.Decoder) bool {
	kind, n := d.StackIndex(d.StackDepth())
	return kind == '{' && n%2 == 1
}

// yaml makes JSON of a YAML text, and finds the places in it.
func (f *File) yaml(text []byte) ([]byte, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s: %s", f.name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:%d:1: a second document follows the catalogue; leave one", f.name, max(more.Line, 1))
	}
	var out bytes.Buffer
	e := jsontext.NewEncoder(&out)
	if err := f.value(e, "", doc.Content[0]); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func (f *File) value(e *jsontext.Encoder, pointer string, n *yaml.Node) error {
	f.at[pointer] = place{n.Line, n.Column}
	refuse := func(n *yaml.Node, why string) error {
		return fmt.Errorf("%s:%d:%d: %s", f.name, n.Line, n.Column, why)
	}
	if n.Anchor != "" || n.Kind == yaml.AliasNode {
		return refuse(n, "anchors and aliases are not read here; write it out")
	}
	switch n.Kind {
	case yaml.MappingNode:
		if err := e.WriteToken(jsontext.BeginObject); err != nil {
			return err
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				return refuse(key, "a member's name is a text")
			}
			if seen[key.Value] {
				return refuse(key, strconv.Quote(key.Value)+" is there twice")
			}
			seen[key.Value] = true
			if err := e.WriteToken(jsontext.String(key.Value)); err != nil {
				return err
			}
			at := string(jsontext.Pointer(pointer).AppendToken(key.Value))
			if err := f.value(e, at, n.Content[i+1]); err != nil {
				return err
			}
			f.at[at] = place{key.Line, key.Column}
		}
		return e.WriteToken(jsontext.EndObject)
	case yaml.SequenceNode:
		if err := e.WriteToken(jsontext.BeginArray); err != nil {
			return err
		}
		for i, v := range n.Content {
			if err := f.value(e, pointer+"/"+strconv.Itoa(i), v); err != nil {
				return err
			}
		}
		return e.WriteToken(jsontext.EndArray)
	}
	switch n.Tag {
	case "!!str":
		return e.WriteToken(jsontext.String(n.Value))
	case "!!bool":
		return e.WriteToken(jsontext.Bool(strings.EqualFold(n.Value, "true")))
	case "!!null":
		return refuse(n, "nothing stands here; leave the member out, or quote it")
	}
	return refuse(n, n.Value+" is no text here; quote it: \""+n.Value+"\"")
}
