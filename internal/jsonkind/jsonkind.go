// Package jsonkind names the kinds of JSON values in words.
package jsonkind

import "github.com/go-json-experiment/json/jsontext"

// Name is what a value is called, with its article: one of a kind, or one whose text begins
// with a byte.
func Name[K jsontext.Kind | byte](k K) string {
	switch k {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "a string"
	case 't', 'f':
		return "a boolean"
	case 'n':
		return "null"
	}
	return "a number"
}
