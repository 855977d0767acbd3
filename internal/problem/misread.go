package problem

import (
	"errors"
	"strconv"

	"annals/internal/jsonkind"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Misread says in words of JSON why text could not be read into a value, where the library
// speaks of the types of this program too. Of another error it says what that says.
func Misread(err error) string {
	var syntax *jsontext.SyntacticError
	var meaning *json.SemanticError
	switch {
	case errors.As(err, &syntax):
		return "it is no JSON: at byte " + strconv.FormatInt(syntax.ByteOffset, 10) + ": " + syntax.Err.Error()
	case errors.As(err, &meaning):
		at := ""
		if meaning.JSONPointer != "" {
			at = "at " + string(meaning.JSONPointer) + ": "
		}
		switch {
		case errors.Is(meaning.Err, json.ErrUnknownName):
			return at + "no such member is known"
		case meaning.Err != nil:
			return at + meaning.Err.Error()
		case meaning.JSONKind != 0:
			return at + "this can't be " + jsonkind.Name(meaning.JSONKind)
		}
	}
	return err.Error()
}
