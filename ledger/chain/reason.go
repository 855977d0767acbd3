package chain

import "annals/activity"

// Reasons of a rejection that concern the message, not the record in it; a
// record's own reasons are [activity.Code] 1 to 99. Numbers and names are
// frozen: they stand in entries (docs/format/rejections.md).
const (
	CodeSubject      activity.Code = 100 // no legal subject of a record
	CodeReserved     activity.Code = 101 // a workspace name that begins with _
	CodeHeaders      activity.Code = 102 // retained headers over 16 KiB
	CodeNoLines      activity.Code = 103 // an NDJSON message without a line
	CodeTooManyLines activity.Code = 104 // an NDJSON message of over 1,024 lines
	CodeBodyTooLarge activity.Code = 105 // over [MaxBody]: committed to, not kept

	CodeControlFrame     activity.Code = 110 // the control message's frame doesn't parse
	CodeControlSignature activity.Code = 111 // not signed by known keys in role
	CodeControlLedger    activity.Code = 112 // the statement names another ledger
	CodeControlNumber    activity.Code = 113 // not the last accepted number + 1
	CodeControlBody      activity.Code = 114 // its body doesn't parse, or says what can't be
	CodeControlCondition activity.Code = 115 // the root it was signed for isn't ours
	CodeHeld             activity.Code = 116 // a hold keeps what it would destroy
	CodeNotDue           activity.Code = 117 // the expiry's rule does not let it go, or not yet
)

var reasons = map[activity.Code]struct{ name, sentence string }{
	CodeSubject:          {"odd_subject", "publish on activity.<workspace>.<type>, or <workspace>._ when each record names its type"},
	CodeReserved:         {"reserved_workspace", "workspace names that begin with _ are the system's: choose another"},
	CodeHeaders:          {"headers_too_large", "Content-Type, traceparent, tracestate and ce- headers may take 16 KiB together"},
	CodeNoLines:          {"no_lines", "an NDJSON message needs at least one line"},
	CodeTooManyLines:     {"too_many_lines", "an NDJSON message may hold 1,024 lines: split it"},
	CodeBodyTooLarge:     {"body_too_large", "a record may have 256 KiB: keep large documents elsewhere and name them"},
	CodeControlFrame:     {"control_frame", "the control message's frame does not parse"},
	CodeControlSignature: {"control_signature", "a control message must be signed by known keys in the role that its type needs"},
	CodeControlLedger:    {"control_ledger", "the statement was signed for another ledger"},
	CodeControlNumber:    {"control_number", "the statement's number is not the next one: it was overtaken or replayed"},
	CodeControlBody:      {"control_body", "the statement's body does not parse or does not hold"},
	CodeControlCondition: {"control_condition", "the statement was signed for a state that this ledger never had"},
	CodeHeld:             {"held", "a hold keeps what the statement selects: ask who placed it, and have it released first"},
	CodeNotDue:           {"not_due", "the retention rule that the expiry names lets not all of it go yet, or another rule is for it"},
}

// Reason returns the name of a rejection's code, as the API and the docs spell
// it, and what to do about it.
func Reason(code uint16) (name, sentence string) {
	if r, ok := reasons[activity.Code(code)]; ok {
		return r.name, r.sentence
	}
	c := activity.Code(code)
	return c.String(), c.Advice()
}
