package activity

import (
	"strconv"
	"strings"
)

// Bounds of a record. They are part of the format: what is over a bound is
// refused for ever.
const (
	MaxRecord    = 256 << 10 // bytes of one record
	MaxDepth     = 64        // nested objects and arrays; the record itself is depth 1
	MaxMembers   = 4096      // object members in the whole record, all levels together
	MaxID        = 512       // bytes of an id, decoded, as UTF-8
	MaxProducer  = 128       // bytes of producer
	MaxType      = 128       // bytes of an activity type
	MaxWorkspace = 64        // bytes of a workspace's name
	MaxDoor      = 16 << 10  // bytes of a vouched frame's door object
	// MaxVouched bounds a whole vouched frame: the largest door, the largest
	// record, and room for the frame's own names and some white space.
	MaxVouched = MaxRecord + MaxDoor + 1024
)

// Code numbers a reason for refusing a record. It stands in a rejection's
// entry (FORMAT: code, offset 8), so a number is never given a second meaning.
// 1 to 99 belong to this package; higher ones to the fold.
type Code uint16

// The reasons for which bytes are no record.
const (
	CodeEmpty             Code = 1  // no bytes, or JSON white space only
	CodeRecordTooLarge    Code = 2  // more than MaxRecord bytes
	CodeInvalidUTF8       Code = 3  // bytes that are not UTF-8
	CodeMalformedJSON     Code = 4  // not JSON (RFC 8259), or a lone surrogate
	CodeDuplicateName     Code = 5  // one object names a member twice
	CodeTooDeep           Code = 6  // nested deeper than MaxDepth
	CodeTooManyMembers    Code = 7  // more than MaxMembers members
	CodeTrailingBytes     Code = 8  // something other than white space after the value
	CodeNotObject         Code = 9  // JSON, but no object
	CodeWrongType         Code = 10 // a known member has another JSON type
	CodeMissingType       Code = 11 // neither subject nor record names a type
	CodeInvalidType       Code = 12 // not a legal type name
	CodeTypeMismatch      Code = 13 // subject and record name different types
	CodeMissingWorkspace  Code = 14 // neither subject nor record names a workspace
	CodeInvalidWorkspace  Code = 15 // not a legal, unreserved workspace name
	CodeWorkspaceMismatch Code = 16 // subject and record name different workspaces
	CodeMissingActorID    Code = 17 // nobody is named as having acted
	CodeIDTooLong         Code = 18 // an id of more than MaxID bytes
	CodeProducerTooLong   Code = 19 // producer of more than MaxProducer bytes
	CodeInvalidDoor       Code = 20 // the vouched frame is broken
	CodeTwoIDs            Code = 21 // door and record both give an event id

	// Of events, from fold version 2 on.
	CodeUnsupportedEvent Code = 22 // a version or format of CloudEvents that isn't read
	CodeInvalidEvent     Code = 23 // an attribute is missing, or is none
	CodeEventMismatch    Code = 24 // attributes and the record in the data contradict each other
)

var codeNames = [...]string{
	CodeEmpty:             "empty",
	CodeRecordTooLarge:    "record_too_large",
	CodeInvalidUTF8:       "invalid_utf8",
	CodeMalformedJSON:     "malformed_json",
	CodeDuplicateName:     "duplicate_name",
	CodeTooDeep:           "too_deep",
	CodeTooManyMembers:    "too_many_members",
	CodeTrailingBytes:     "trailing_bytes",
	CodeNotObject:         "not_an_object",
	CodeWrongType:         "wrong_type",
	CodeMissingType:       "missing_type",
	CodeInvalidType:       "invalid_type",
	CodeTypeMismatch:      "type_mismatch",
	CodeMissingWorkspace:  "missing_workspace",
	CodeInvalidWorkspace:  "invalid_workspace",
	CodeWorkspaceMismatch: "workspace_mismatch",
	CodeMissingActorID:    "missing_actor_id",
	CodeIDTooLong:         "id_too_long",
	CodeProducerTooLong:   "producer_too_long",
	CodeInvalidDoor:       "invalid_door",
	CodeTwoIDs:            "two_ids",
	CodeUnsupportedEvent:  "unsupported_event",
	CodeInvalidEvent:      "invalid_event",
	CodeEventMismatch:     "event_mismatch",
}

// String returns the code's name in snake_case, or "code_N" for a number that
// this package does not know.
func (c Code) String() string {
	if int(c) < len(codeNames) && codeNames[c] != "" {
		return codeNames[c]
	}
	return "code_" + strconv.Itoa(int(c))
}

// Refusal says why bytes are no record. Code is what the ledger keeps; Pointer
// and Detail are for the person who has to mend the producer, and may become
// clearer with time.
type Refusal struct {
	Code Code
	// Pointer is the RFC 6901 JSON pointer of the place, "" for the whole
	// record. One that would be longer than 512 bytes ends at the last parent
	// that fits, so that a hostile name can't fill an answer.
	Pointer string
	Detail  string // what is wrong there, and what to do
}

// Error returns "code at pointer: detail"; without a pointer, "code: detail".
func (r *Refusal) Error() string {
	if r.Pointer == "" {
		return r.Code.String() + ": " + r.Detail
	}
	return r.Code.String() + " at " + r.Pointer + ": " + r.Detail
}

const maxPointer = 512

// refuse makes a refusal with a pointer of bounded length.
func refuse(code Code, pointer, detail string) *Refusal {
	if len(pointer) > maxPointer {
		for len(pointer) > maxPointer {
			pointer = pointer[:strings.LastIndexByte(pointer, '/')]
		}
		pointer = strings.Clone(pointer)
	}
	return &Refusal{Code: code, Pointer: pointer, Detail: detail}
}
