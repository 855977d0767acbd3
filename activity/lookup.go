package activity

import (
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// TypeDataExported is the type of a user's exports, and ExportDataType the member of
// their data that says of what kind one is, by number or slug of the catalogue.
const (
	TypeDataExported = "user.data_exported"
	ExportDataType   = "export_data_type"
)

// DataOf returns the data of a record that [Scan] accepts, nil where it has none.
func DataOf(record []byte) (data jsontext.Value) { return memberOf(record, "data") }

// ExportDataTypeOf says which kind of export data names; ok is false where it names none
// of the catalogue's.
func ExportDataTypeOf(data jsontext.Value) (c Choice, ok bool) {
	if data.Kind() != '{' {
		return c, false
	}
	said := string(memberOf(data, ExportDataType))
	for _, c := range Catalogue().ExportDataTypes() {
		if said == strconv.Itoa(c.Number) || said == strconv.Quote(c.Slug) {
			return c, true
		}
	}
	return c, false
}

// memberOf returns an object's member, nil where it has none.
func memberOf(object []byte, name string) (found jsontext.Value) {
	if jsontext.Value(object).Kind() != '{' {
		return nil
	}
	Walk(object, func(quoted, value []byte) bool {
		if unquoted(quoted) != name {
			return true
		}
		found = value
		return false
	})
	return found
}
