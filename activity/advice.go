package activity

var advice = [...]string{
	CodeEmpty:             "send a JSON object; an empty message or line records nothing",
	CodeRecordTooLarge:    "a record may have 256 KiB: keep large documents elsewhere and name them",
	CodeInvalidUTF8:       "encode the record as UTF-8",
	CodeMalformedJSON:     "send one JSON object (RFC 8259)",
	CodeDuplicateName:     "name each member of an object once",
	CodeTooDeep:           "nest at most 64 levels",
	CodeTooManyMembers:    "a record may have 4,096 members, all levels together",
	CodeTrailingBytes:     "send one JSON object and nothing after it",
	CodeNotObject:         "send a JSON object",
	CodeWrongType:         "give the member the JSON type that the schema says, or leave it out; null counts as another type",
	CodeMissingType:       "name the type in the subject, or as the record's type",
	CodeInvalidType:       "a type is 1 to 128 of A-Z a-z 0-9 _ . - and not _ alone",
	CodeTypeMismatch:      "let subject and record name the same type",
	CodeMissingWorkspace:  "name the workspace in the subject, or as the record's workspace",
	CodeInvalidWorkspace:  "a workspace is 1 to 64 of A-Z a-z 0-9 _ - and doesn't begin with _",
	CodeWorkspaceMismatch: "let subject and record name the same workspace",
	CodeMissingActorID:    "say who acted in actor.id, or give actor.type as anonymous or system",
	CodeIDTooLong:         "an id may have 512 bytes",
	CodeProducerTooLong:   "producer may have 128 bytes",
	CodeInvalidDoor:       "a vouched frame is {\"door\":{…},\"record\":…}, and only doors publish it",
	CodeTwoIDs:            "let either the record or its door give the event id",
	CodeUnsupportedEvent:  "send an event of CloudEvents 1.0, in binary mode or in the JSON event format",
	CodeInvalidEvent:      "give the event's attributes as CloudEvents 1.0 says: specversion, id, source and type at least",
	CodeEventMismatch:     "let the event's attributes and the record in its data say the same, or leave it to one of them",
}

// Advice returns what to do about records refused with the code; "" for a number
// that this package does not know.
func (c Code) Advice() string {
	if int(c) < len(advice) {
		return advice[c]
	}
	return ""
}
